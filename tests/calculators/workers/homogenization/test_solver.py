from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization import bounds
from hashigo.calculators.workers.homogenization.microstructure import voronoi_polycrystal
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import ElasticMedium, ThermalMedium
from hashigo.calculators.workers.homogenization.tensors import (
    isotropic_moduli,
    rotate_conductivity,
    rotate_stiffness,
    voigt_to_mandel,
)
from hashigo.calculators.workers.job import SerialComm
from hashigo.errors import InputError, WorkerError

#: Mandel components with a normal index along x, and those without.
NORMAL, TANGENT = [0, 4, 5], [1, 2, 3]


def cubic(c11, c12, c44):
    stiffness = np.diag([c11 - c12] * 3 + [c44] * 3).astype(float)
    stiffness[:3, :3] += c12
    return voigt_to_mandel(stiffness)


COPPER = cubic(168.4, 121.4, 75.4)


def laminate(tensors, fractions, normal, tangent):
    """Exact effective tensor of layers: continuous normal flux and tangential gradient."""
    nn, nt = np.ix_(normal, normal), np.ix_(normal, tangent)
    tn, tt = np.ix_(tangent, normal), np.ix_(tangent, tangent)

    def mean(function):
        return sum(f * function(t) for f, t in zip(fractions, tensors, strict=True))

    stiff = np.linalg.inv(mean(lambda t: np.linalg.inv(t[nn])))
    coupled = mean(lambda t: np.linalg.solve(t[nn], t[nt]))
    rest = mean(lambda t: t[tt] - t[tn] @ np.linalg.solve(t[nn], t[nt]))
    effective = np.zeros_like(tensors[0])
    effective[nn], effective[nt] = stiff, stiff @ coupled
    effective[tn], effective[tt] = (stiff @ coupled).T, rest + coupled.T @ stiff @ coupled
    return effective


def layers(axis, counts, across=(4, 3)):
    """Phases of layers normal to an axis (0 is x)."""
    line = np.repeat(np.arange(len(counts)), counts)
    shape = [*across]
    shape.insert(2 - axis, len(line))
    view = [1, 1, 1]
    view[2 - axis] = len(line)
    return np.broadcast_to(line.reshape(view), shape).astype(np.int32)


def slabs_of(phase):
    return Slabs(phase.shape, SerialComm())


@pytest.mark.parametrize("counts", [(8, 16, 8), (5, 7, 9)])
def test_laminate_conductivity_is_exact(counts):
    rotations = Rotation.random(3, random_state=4).as_matrix()
    tensors = rotate_conductivity(np.array([np.diag([1.0, 2, 3]) * s for s in (1, 30, 0.2)]), rotations)
    phase = layers(0, counts)
    found = ThermalMedium(slabs_of(phase), phase, tensors, []).effective(1e-11)
    exact = laminate(tensors, np.array(counts) / sum(counts), [0], [1, 2])
    assert np.abs(found.tensor - exact).max() < 1e-9 * np.abs(exact).max()


@pytest.mark.parametrize("counts", [(8, 16, 8), (5, 7, 9)])
def test_laminate_stiffness_with_rotated_phases_is_exact(counts):
    rotations = Rotation.random(3, random_state=1).as_matrix()
    tensors = rotate_stiffness(np.array([COPPER * s for s in (1.0, 10.0, 0.3)]), rotations)
    phase = layers(0, counts)
    found = ElasticMedium(slabs_of(phase), phase, tensors, []).effective(1e-11)
    exact = laminate(tensors, np.array(counts) / sum(counts), NORMAL, TANGENT)
    assert np.abs(found.tensor - exact).max() < 1e-9 * np.abs(exact).max()


@pytest.mark.parametrize("axis", [1, 2])
def test_laminates_along_y_and_z_are_turned_ones(axis):
    """Cyclic permutation of the axes takes a laminate along x to one along y or z."""
    turn = np.roll(np.eye(3), axis, axis=0)
    tensors = rotate_stiffness(COPPER, Rotation.random(2, random_state=2).as_matrix())
    tensors[1] *= 5.0
    exact = rotate_stiffness(laminate(tensors, [0.5, 0.5], NORMAL, TANGENT), turn[None])[0]
    turned = rotate_stiffness(tensors, np.array([turn, turn]))
    phase = layers(axis, (4, 4))
    found = ElasticMedium(slabs_of(phase), phase, turned, []).effective(1e-11)
    assert np.abs(found.tensor - exact).max() < 1e-9 * np.abs(exact).max()
    heat = ThermalMedium(slabs_of(phase), phase, np.array([np.eye(3), 4.0 * np.eye(3)]), []).effective(1e-11)
    expected = np.full(3, 2.5)
    expected[axis] = 1.6
    assert np.allclose(heat.tensor, np.diag(expected), atol=1e-9)


def test_isotropic_limit_needs_no_iteration():
    sample = voronoi_polycrystal(12, 12, 0)
    isotropic = rotate_stiffness(cubic(200.0, 100.0, 50.0), sample.rotations)
    found = ElasticMedium(slabs_of(sample.grain_id), sample.grain_id, isotropic, []).effective()
    assert np.abs(found.tensor - isotropic[0]).max() < 1e-10
    assert max(found.iterations) == 0


def test_bulk_modulus_of_a_cubic_polycrystal_is_the_crystals():
    sample = voronoi_polycrystal(12, 12, 0)
    table = rotate_stiffness(COPPER, sample.rotations)
    found = ElasticMedium(slabs_of(sample.grain_id), sample.grain_id, table, []).effective()
    bulk, shear = isotropic_moduli(found.tensor)
    assert bulk == pytest.approx((168.4 + 2 * 121.4) / 3, rel=1e-12)
    assert 40.0 < shear < 54.0


def test_polycrystal_is_between_its_own_bounds():
    sample = voronoi_polycrystal(15, 15, 2)
    crystal = rotate_conductivity(np.diag([10.0, 10.0, 1.0]), sample.rotations)
    stiffness = rotate_stiffness(COPPER, sample.rotations)
    for kind, table in ((ThermalMedium, crystal), (ElasticMedium, stiffness)):
        found = kind(slabs_of(sample.grain_id), sample.grain_id, table, []).effective(1e-6)
        margin = bounds.margin(
            found.tensor,
            bounds.voigt_average(table, sample.fractions),
            bounds.reuss_average(table, sample.fractions),
        )
        assert margin.holds(1e-12)
        assert np.array_equal(found.tensor, found.tensor.T)


def test_mean_flux_is_that_of_the_field_and_guess_changes_nothing():
    sample = voronoi_polycrystal(15, 15, 2)
    table = rotate_stiffness(COPPER, sample.rotations)
    medium = ElasticMedium(slabs_of(sample.grain_id), sample.grain_id, table, [])
    cold = medium.effective(1e-8)
    load = np.eye(6)[3]
    flux = medium.flux(cold.potentials[3], load)
    assert np.allclose(flux.mean(axis=(1, 2, 3)), cold.tensor[3], rtol=1e-6, atol=1e-5)
    softer = ElasticMedium(slabs_of(sample.grain_id), sample.grain_id, 0.9 * table, [])
    warm = softer.effective(1e-8, cold.potentials)
    assert np.allclose(warm.tensor, 0.9 * cold.tensor, rtol=1e-12, atol=1e-10)
    assert max(warm.iterations) <= 1


def test_coated_sphere_converges_to_hashins_neutral_inclusion():
    """A coated sphere that leaves the field outside undisturbed; the error is that of the staircase."""
    core, coating, share = 10.0, 1.0, 0.3
    outside = coating + share * (core - coating) * 3 * coating / (
        3 * coating + (1 - share) * (core - coating)
    )
    axis = (np.arange(32) + 0.5) / 32 - 0.5
    radius = np.sqrt(sum(part**2 for part in np.meshgrid(axis, axis, axis, indexing="ij")))
    phase = np.where(radius < 0.45 * np.cbrt(share), 0, np.where(radius < 0.45, 1, 2)).astype(np.int32)
    table = np.array([value * np.eye(3) for value in (core, coating, outside)])
    found = ThermalMedium(slabs_of(phase), phase, table, []).effective(1e-6)
    assert found.tensor[0, 0] == pytest.approx(outside, rel=0.015)


def test_iterations_hardly_grow_with_contrast():
    axis = (np.arange(16) + 0.5) / 16 - 0.5
    radius = np.sqrt(sum(part**2 for part in np.meshgrid(axis, axis, axis, indexing="ij")))
    phase = (radius < 0.3).astype(np.int32)
    soft = cubic(3.0, 1.0, 1.0)
    for contrast, most in ((10.0, 20), (1000.0, 40)):
        medium = ElasticMedium(slabs_of(phase), phase, np.array([soft, contrast * soft]), [])
        assert medium.solve(np.eye(6)[0]).iterations <= most


def test_phase_that_is_not_positive_definite_is_named():
    phase = layers(0, (2, 2))
    broken = np.array([COPPER, cubic(100.0, 120.0, 50.0)])
    with pytest.raises(InputError, match="stiffness of phase 1 is not positive definite"):
        ElasticMedium(slabs_of(phase), phase, broken, [])
    with pytest.raises(InputError, match="thermal conductivity of grain b has entries that are no numbers"):
        ThermalMedium(
            slabs_of(phase), phase, np.array([np.eye(3), np.nan * np.eye(3)]), ["grain a", "grain b"]
        )


def test_phase_without_tensor_is_an_error():
    phase = layers(0, (2, 2))
    with pytest.raises(WorkerError, match="not in the stiffness table of 1 phases"):
        ElasticMedium(slabs_of(phase), phase, COPPER[None], [])


def test_load_that_does_not_converge_is_named(monkeypatch):
    monkeypatch.setattr("hashigo.calculators.workers.homogenization.solver.MAX_ITERATIONS", 2)
    sample = voronoi_polycrystal(6, 8, 0)
    table = rotate_stiffness(COPPER, sample.rotations)
    with pytest.raises(WorkerError, match=r"does not converge: relative residual .* after 2 iterations"):
        ElasticMedium(slabs_of(sample.grain_id), sample.grain_id, table, []).effective()
