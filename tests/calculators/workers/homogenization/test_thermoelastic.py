from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.ensemble import elastic_ensemble
from hashigo.calculators.workers.homogenization.microstructure import Microstructure, voronoi_polycrystal
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.tensors import (
    largest_principal,
    mandel_to_matrix,
    matrix_to_mandel,
    rotate_stiffness,
    voigt_to_mandel,
)
from hashigo.calculators.workers.homogenization.thermoelastic import ExpansionProbe, StressProbe
from hashigo.calculators.workers.job import SerialComm

VOXELS = 10
NONE = np.zeros((0, 3, 3))


def cubic(c11, c12, c44):
    stiffness = np.diag([c11 - c12] * 3 + [c44] * 3).astype(float)
    stiffness[:3, :3] += c12
    return voigt_to_mandel(stiffness)


def hexagonal(c11, c12, c13, c33, c44):
    stiffness = np.diag([c11, c11, c33, c44, c44, (c11 - c12) / 2]).astype(float)
    stiffness[0, 1] = stiffness[1, 0] = c12
    stiffness[:2, 2] = stiffness[2, :2] = c13
    return voigt_to_mandel(stiffness)


def isotropic(young, poisson):
    shear = young / (2 * (1 + poisson))
    lame = young * poisson / ((1 + poisson) * (1 - 2 * poisson))
    return cubic(lame + 2 * shear, lame, shear)


COPPER = cubic(168.4, 121.4, 75.4)
ZINC = hexagonal(163.68, 36.4, 53.0, 63.47, 38.79)
#: 1/K along and across the axis.
ZINC_EXPANSION = np.diag([15e-6, 15e-6, 61e-6])


def sample_of(grain_id, quaternions, material):
    counts = np.bincount(grain_id.ravel())
    return Microstructure(
        np.ascontiguousarray(grain_id, dtype=np.int32), np.array(quaternions), counts / grain_id.size,
        np.array(material, dtype=np.int32), grain_id.shape,
    )  # fmt: skip


def solved(samples, stiffness, probe, *, members=None, others=None, tolerance=1e-6):
    slabs = Slabs(samples[0].shape, SerialComm())
    stack = None if members is None else np.array(members)[:, None]
    return elastic_ensemble(
        samples, slabs, stiffness[None], stack, tolerance, lambda *_: None, others, [probe]
    )


def expansion(samples, stiffness, alpha, *, others=None, beside=NONE, tolerance=1e-6):
    probe = ExpansionProbe((len(samples), 1, 0), beside)
    found = solved(samples, stiffness, probe, others=others, tolerance=tolerance)
    return found, probe.expansions(matrix_to_mandel(alpha)[None], [0])[:, 0]


def test_a_single_crystal_expands_as_it_does():
    turn = Rotation.random(1, random_state=1)
    sample = sample_of(np.zeros((4, 4, 4), dtype=int), turn.as_quat(), [0])
    _, found = expansion([sample], ZINC, ZINC_EXPANSION)
    rotation = turn.as_matrix()[0]
    assert np.allclose(mandel_to_matrix(found[0]), rotation @ ZINC_EXPANSION @ rotation.T, rtol=0, atol=1e-17)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-8])
def test_a_cubic_polycrystal_expands_as_its_crystal(tolerance):
    _, found = expansion([voronoi_polycrystal(8, VOXELS, 1)], COPPER, 17e-6 * np.eye(3), tolerance=tolerance)
    assert np.allclose(mandel_to_matrix(found[0]), 17e-6 * np.eye(3), rtol=0, atol=1e-17)


def test_two_phases_expand_by_their_stiffness():
    """Rosen & Hashin: of two phases, whatever their arrangement, α follows from C alone."""
    grain_id = (voronoi_polycrystal(12, VOXELS, 3).grain_id % 2).astype(int)
    turn = Rotation.random(2, random_state=2)
    sample = sample_of(grain_id, turn.as_quat(), [0, 1])
    copper_expansion = 17e-6 * np.eye(3)
    found, alpha = expansion(
        [sample], ZINC, ZINC_EXPANSION, others=COPPER[None], beside=copper_expansion[None], tolerance=1e-9
    )
    first, second = np.linalg.inv(rotate_stiffness(np.array([ZINC, COPPER]), turn.as_matrix()))
    rotation = turn.as_matrix()
    own = matrix_to_mandel(rotation[0] @ ZINC_EXPANSION @ rotation[0].T)
    other = matrix_to_mandel(copper_expansion)
    change = np.linalg.solve(second - first, other - own)
    expected = own + (np.linalg.inv(found.realisations[0, 0]) - first) @ change
    assert np.allclose(alpha[0], expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def test_a_hexagonal_polycrystal_expands_between_its_axes_and_alike_in_all_directions():
    samples = [voronoi_polycrystal(40, 16, seed) for seed in range(3)]
    _, found = expansion(samples, ZINC, ZINC_EXPANSION)
    mean = mandel_to_matrix(found.mean(axis=0))
    assert 15e-6 < np.linalg.eigvalsh(mean).min() < np.linalg.eigvalsh(mean).max() < 61e-6
    # Stiffer across the axis, it expands less than the mean of the crystal.
    assert np.trace(mean) < np.trace(ZINC_EXPANSION)


def test_members_follow_their_own_crystal():
    samples = [voronoi_polycrystal(8, VOXELS, seed) for seed in (1, 2)]
    probe = ExpansionProbe((2, 1, 2), NONE)
    softer = hexagonal(160.0, 37.0, 54.0, 62.0, 38.0)
    solved(samples, ZINC, probe, members=[ZINC, softer])
    alpha = matrix_to_mandel(np.array([ZINC_EXPANSION, 1.1 * ZINC_EXPANSION]))
    members = probe.member_expansions(alpha[:, None], [0])[:, 0]
    assert np.allclose(members[0], probe.expansions(alpha[:1], [0])[:, 0].mean(axis=0), rtol=1e-9)
    _, own = expansion(samples, softer, 1.1 * ZINC_EXPANSION, tolerance=1e-9)
    change = np.abs(own.mean(axis=0) - members[0]).max()
    assert np.abs(members[1] - own.mean(axis=0)).max() < 1e-3 * change


def stress(sample, stiffness, eigenstrain, *, others=None, beside=NONE, members=None, stiff_members=None):
    shape = (1, 1, 0 if members is None else len(members))
    probe = StressProbe(shape, 0, eigenstrain, members, beside)
    solved([sample], stiffness, probe, others=others, members=stiff_members, tolerance=1e-9)
    return probe


def test_grains_of_a_cubic_crystal_do_not_press_on_each_other():
    probe = stress(voronoi_polycrystal(8, VOXELS, 1), COPPER, -0.01 * np.eye(3))
    assert np.abs(probe.field).max() < 1e-9 * 0.01 * 400.0
    assert probe.percentiles["von_mises"].max() < 1e-8


def test_layers_press_on_each_other_as_plates_do():
    """Two isotropic layers: strains along them are alike, σ = E (ε - e) / (1 - ν), and forces cancel."""
    (young1, poisson1, first), (young2, poisson2, second) = (100.0, 0.3, 1e-3), (300.0, 0.2, -1e-3)
    grain_id = np.repeat([0, 1], [3, 5])[:, None, None] * np.ones((8, 4, 4), dtype=int)
    sample = sample_of(grain_id, [[0, 0, 0, 1.0]] * 2, [0, 1])
    probe = stress(
        sample, isotropic(young1, poisson1), first * np.eye(3),
        others=isotropic(young2, poisson2)[None], beside=second * np.eye(3)[None],
    )  # fmt: skip
    plane1, plane2 = young1 / (1 - poisson1), young2 / (1 - poisson2)
    strain = (3 * plane1 * first + 5 * plane2 * second) / (3 * plane1 + 5 * plane2)
    expected = np.where(np.arange(8) < 3, plane1 * (strain - first), plane2 * (strain - second))
    assert np.allclose(probe.field[..., 0], expected[:, None, None], rtol=0, atol=1e-10)
    assert np.allclose(probe.field[..., 1], probe.field[..., 0], rtol=0, atol=1e-10)
    assert np.abs(probe.field[..., 2:]).max() < 1e-10
    assert probe.quantiles["von_mises"][0, [0, -1]] == pytest.approx(np.sort(np.abs(expected))[[0, -1]])
    assert probe.percentiles["principal"][0, 2] == pytest.approx(max(expected.max(), 0.0))


def test_stress_between_grains_is_free_of_mean_and_grows_with_the_change():
    sample = voronoi_polycrystal(12, VOXELS, 1)
    once = stress(sample, ZINC, -100 * ZINC_EXPANSION)
    twice = stress(sample, ZINC, -200 * ZINC_EXPANSION)
    assert np.abs(once.field.mean(axis=(0, 1, 2))).max() < 1e-9
    for name, found in once.percentiles.items():
        assert (np.diff(found[0]) > 0).all()
        assert twice.percentiles[name] == pytest.approx(2 * found, rel=1e-6)
    assert once.percentiles["principal"][0, 2] > 0.01


def test_members_have_their_own_stress():
    sample = voronoi_polycrystal(8, VOXELS, 1)
    members = -100 * np.array([ZINC_EXPANSION, 1.2 * ZINC_EXPANSION])
    probe = stress(sample, ZINC, -100 * ZINC_EXPANSION, members=members, stiff_members=np.array([ZINC, ZINC]))
    for name, found in probe.percentiles.items():
        assert probe.member_percentiles[name][0] == pytest.approx(found, rel=1e-3)
        assert probe.member_percentiles[name][1] == pytest.approx(1.2 * found, rel=1e-3)


def test_largest_principal_stress():
    rotation = Rotation.random(random_state=0).as_matrix()
    turned = rotation @ np.diag([-3.0, 1.0, 2.0]) @ rotation.T
    voigt = turned[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    assert largest_principal(np.array([voigt, -voigt])) == pytest.approx([2.0, 3.0])
