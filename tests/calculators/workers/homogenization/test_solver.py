from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

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


def cubic(c11, c12, c44):
    stiffness = np.diag([c11 - c12] * 3 + [c44] * 3).astype(float)
    stiffness[:3, :3] += c12
    return voigt_to_mandel(stiffness)


COPPER = cubic(168.4, 121.4, 75.4)


def layers(axis, counts, across=(4, 3)):
    """Phases of layers normal to an axis (0 is x)."""
    line = np.repeat(np.arange(len(counts)), counts)
    shape = [*across]
    shape.insert(2 - axis, len(line))
    view = [1, 1, 1]
    view[2 - axis] = len(line)
    return np.broadcast_to(line.reshape(view), shape).astype(np.int32)


def slabs_of(phase, precision=np.float64):
    return Slabs(phase.shape, SerialComm(), precision=precision)


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


def ball(n, size=0.3):
    axis = (np.arange(n) + 0.5) / n - 0.5
    radius = np.sqrt(sum(part**2 for part in np.meshgrid(axis, axis, axis, indexing="ij")))
    return (radius < size).astype(np.int32)


@pytest.mark.parametrize("scheme", ["rotated", "hexahedra"])
@pytest.mark.parametrize("kind", [ElasticMedium, ThermalMedium])
def test_iterations_stay_few_up_to_voids_and_rigid_inclusions(kind, scheme):
    base = cubic(3.0, 1.0, 1.0) if kind is ElasticMedium else np.eye(3)
    rigid = np.diag(np.full(kind.loads, np.inf))
    values = []
    for inclusion, most in (
        (10.0 * base, 20),
        (1e3 * base, 45),
        (1e6 * base, 65),
        (rigid, 100),
        (1e-3 * base, 45),
        (1e-6 * base, 45),
        (0.0 * base, 45),
    ):
        phase = ball(16)
        found = kind(slabs_of(phase), phase, np.array([base, inclusion]), [], scheme=scheme).effective()
        assert max(found.iterations) <= most
        values.append(found.tensor[0, 0] / base[0, 0])
    # The limits are those of the series of contrasts.
    assert values[3] == pytest.approx(values[2], rel=2e-4)
    assert values[6] == pytest.approx(values[5], rel=1e-4)
    assert values[6] < values[4] < 1.0 < values[0] < values[1] < values[3]


@pytest.mark.parametrize(("factor", "scheme"), [(9e3, "rotated"), (1.1e4, "hexahedra"), (1e-5, "hexahedra")])
def test_phases_of_extreme_contrast_are_fully_integrated(factor, scheme):
    phase = ball(4, 0.4)
    assert ThermalMedium(slabs_of(phase), phase, np.array([np.eye(3), factor * np.eye(3)])).scheme == scheme


@pytest.mark.parametrize("kind", [ElasticMedium, ThermalMedium])
def test_a_porous_sample_with_loose_parts_has_a_stiffness(kind):
    """Voxels taken out at random: parts that hang in nothing, hinges and channels; hexahedra are the choice then."""
    phase = (np.random.default_rng(1).random((12, 12, 12)) < 0.5).astype(np.int32)
    base = cubic(3.0, 1.0, 1.0) if kind is ElasticMedium else np.eye(3)
    medium = kind(slabs_of(phase), phase, np.array([base, 0.0 * base]), [])
    assert medium.scheme == "hexahedra"
    found = medium.effective(1e-8)
    assert max(found.iterations) < 200
    assert (
        0 < np.linalg.eigvalsh(found.tensor)[0] < np.linalg.eigvalsh(found.tensor)[-1] < 0.5 * base.max() * 3
    )


def test_preconditioner_in_single_precision_costs_no_digit(monkeypatch):
    sample = voronoi_polycrystal(12, 15, 2)
    for kind, table in (
        (ElasticMedium, rotate_stiffness(COPPER, sample.rotations)),
        (ThermalMedium, rotate_conductivity(np.diag([10.0, 10.0, 1.0]), sample.rotations)),
    ):
        found = []
        for precision in (np.float32, np.float64):
            monkeypatch.setattr(
                "hashigo.calculators.workers.homogenization.conjugate_gradients.TRANSFORM",
                np.dtype(precision),
            )
            found.append(kind(slabs_of(sample.grain_id), sample.grain_id, table, []).effective(1e-12))
        assert max(found[0].residuals) <= 2e-12
        assert np.abs(found[0].tensor - found[1].tensor).max() < 1e-13 * found[1].tensor.max()
        assert np.abs(np.subtract(found[0].iterations, found[1].iterations)).max() <= 1


def test_fields_in_single_precision_are_checked_in_double():
    sample = voronoi_polycrystal(12, 15, 2)
    table = rotate_stiffness(COPPER, sample.rotations)
    exact = ElasticMedium(slabs_of(sample.grain_id), sample.grain_id, table, []).effective(1e-8).tensor
    single = ElasticMedium(slabs_of(sample.grain_id, np.float32), sample.grain_id, table, [])
    found = single.effective(1e-4)
    assert np.abs(found.tensor - exact).max() < 1e-8 * exact.max()
    assert 1e-8 < max(found.residuals) < 2e-4
    assert (
        single.bytes_per_voxel
        < 0.6 * ElasticMedium(slabs_of(sample.grain_id), sample.grain_id, table, []).bytes_per_voxel
    )
    # A hard contrast asks for more than single precision has.
    phase = ball(16)
    hard = np.array([cubic(3.0, 1.0, 1.0), 1e6 * cubic(3.0, 1.0, 1.0)])
    with pytest.raises(WorkerError, match="single precision"):
        ElasticMedium(slabs_of(phase, np.float32), phase, hard, []).effective(1e-6)


def test_loads_together_or_one_by_one_and_threads_give_the_same(monkeypatch):
    sample = voronoi_polycrystal(12, 15, 2)
    table = rotate_stiffness(COPPER, sample.rotations)
    together = ElasticMedium(slabs_of(sample.grain_id), sample.grain_id, table, [])
    assert together.together == 6
    found = together.effective()
    threads = ElasticMedium(Slabs((15, 15, 15), SerialComm(), 3), sample.grain_id, table, []).effective()
    assert np.abs(threads.tensor - found.tensor).max() < 1e-12 * found.tensor.max()
    monkeypatch.setattr("hashigo.calculators.workers.homogenization.solver.TOGETHER", 15**3 * 250)
    pairs = ElasticMedium(slabs_of(sample.grain_id), sample.grain_id, table, [])
    assert pairs.together == 2
    again = pairs.effective()
    assert again.iterations == found.iterations
    assert np.abs(again.tensor - found.tensor).max() < 1e-12 * found.tensor.max()
    assert np.abs(np.array(again.potentials) - found.potentials).max() < 1e-9


@pytest.mark.parametrize("precision", [np.float64, np.float32])
@pytest.mark.parametrize("kind", [ElasticMedium, ThermalMedium])
def test_memory_is_what_is_told(kind, precision):
    """What numpy allocates during a solution of one load; no copy of a whole field is made."""
    phase = ball(40)
    base = cubic(3.0, 1.0, 1.0) if kind is ElasticMedium else np.eye(3)
    medium = kind(slabs_of(phase, precision), phase, np.array([base, 3.0 * base]), [])
    load = np.eye(kind.loads)[0]
    medium.solve(load, 0.1)  # compiled code and tables
    tracemalloc.start()
    medium.solve(load, 1e-3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    told = medium.bytes_per_voxel
    expected = kind.components * (36 if precision == np.float64 else 20)
    assert told == expected
    pieces = 3 * (1 << 20) / 40**3
    halo = kind.components * np.dtype(precision).itemsize * 2 / 40
    check = 0 if precision == np.float64 else 28 * kind.components
    assert 0.9 * told < peak / 40**3 < 1.1 * told + pieces + halo + check


def test_thermal_stress_of_two_phases_is_levin_s():
    """Rosen & Hashin, Int. J. Eng. Sci. 8, 157 (1970): the expansion of two phases follows from their stiffness."""
    phase = ball(15)
    table = np.array([cubic(3.0, 1.0, 1.0), cubic(20.0, 9.0, 7.0)])
    expansion = np.array([[1.0, 1.0, 1.0, 0, 0, 0], [0.2, 0.2, 0.2, 0, 0, 0]]) * 1e-3
    medium = ElasticMedium(slabs_of(phase), phase, table, [])
    effective = medium.effective(1e-9)
    found = medium.thermal_stress(expansion, effective, 1e-9)
    compliance = np.linalg.inv(table)
    share = np.linalg.inv(compliance[1] - compliance[0]) @ (np.linalg.inv(effective.tensor) - compliance[0])
    assert np.allclose(
        found.strain, expansion[0] + (expansion[1] - expansion[0]) @ share, rtol=1e-7, atol=1e-10
    )
    assert np.abs(found.stress.mean(axis=(1, 2, 3))).max() < 1e-7 * np.abs(found.stress).max()
    strain = medium.strain(found.potential, found.strain)
    assert np.allclose(strain.mean(axis=(1, 2, 3)), found.strain, atol=1e-12)


def test_phases_that_want_to_strain_alike_have_no_stress():
    sample = voronoi_polycrystal(12, 9, 2)
    medium = ElasticMedium(
        slabs_of(sample.grain_id), sample.grain_id, rotate_stiffness(COPPER, sample.rotations), []
    )
    wanted = np.array([1.0, 2.0, 3.0, 0.5, 0.4, 0.3]) * 1e-3
    found = medium.thermal_stress(np.tile(wanted, (12, 1)), medium.effective(1e-6), 1e-6)
    assert np.allclose(found.strain, wanted, rtol=1e-6)
    assert np.abs(found.stress).max() < 1e-6 * 100.0


def test_phase_that_is_not_positive_definite_is_named():
    phase = layers(0, (2, 2))
    broken = np.array([COPPER, cubic(100.0, 120.0, 50.0)])
    with pytest.raises(
        InputError, match=r"stiffness of phase 1 \(at voxel 2, 0, 0 along x, y, z\) is not positive definite"
    ):
        ElasticMedium(slabs_of(phase), phase, broken, [])
    with pytest.raises(
        InputError, match=r"thermal conductivity of grain b \(at .*\) has entries that are no numbers"
    ):
        ThermalMedium(
            slabs_of(phase), phase, np.array([np.eye(3), np.nan * np.eye(3)]), ["grain a", "grain b"]
        )


def test_phase_without_tensor_is_an_error():
    phase = layers(0, (2, 2))
    with pytest.raises(WorkerError, match="not in the stiffness table of 1 phases"):
        ElasticMedium(slabs_of(phase), phase, COPPER[None], [])


def test_load_that_does_not_converge_is_named(monkeypatch):
    monkeypatch.setattr("hashigo.calculators.workers.homogenization.conjugate_gradients.MAX_ITERATIONS", 2)
    sample = voronoi_polycrystal(6, 8, 0)
    table = rotate_stiffness(COPPER, sample.rotations)
    with pytest.raises(WorkerError, match=r"does not converge: relative residual .* after 2 iterations"):
        ElasticMedium(slabs_of(sample.grain_id), sample.grain_id, table, []).effective()


#: Run by every rank: the whole problem in one process, and its slabs over all of them.
PROGRAM = """
import json
import numpy as np
from mpi4py import MPI
from scipy.spatial.transform import Rotation
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import ElasticMedium, ThermalMedium
from hashigo.calculators.workers.homogenization.tensors import rotate_conductivity, rotate_stiffness, voigt_to_mandel
from hashigo.calculators.workers.job import SerialComm
shape = (9, 10, 7)
phase = np.random.default_rng(0).integers(0, 8, shape).astype(np.int32)
turns = Rotation.random(8, random_state=1).as_matrix()
crystal = np.diag([47.0] * 3 + [75.4] * 3)
crystal[:3, :3] += 121.4
stiff = rotate_stiffness(voigt_to_mandel(crystal), turns)
heat = rotate_conductivity(np.diag([10.0, 5.0, 1.0]), turns)
stiff[0], heat[0] = 0.0, 0.0
whole, slabs = Slabs(shape, SerialComm()), Slabs(shape, MPI.COMM_WORLD)
worst = 0.0
for kind, table, schemes in ((ElasticMedium, stiff, ["hexahedra"]), (ThermalMedium, heat, ["rotated", "hexahedra"])):
    for scheme in schemes:
        alone = kind(whole, phase, table, [], scheme=scheme)
        shared = kind(slabs, phase[slabs.planes], table, [], scheme=scheme)
        one, all_ = alone.effective(1e-7), shared.effective(1e-7)
        worst = max(worst, np.abs(one.tensor - all_.tensor).max() / np.abs(one.tensor).max())
        flux = alone.flux(one.potentials[1], np.eye(kind.loads)[1])[:, slabs.planes]
        mine = shared.flux(all_.potentials[1], np.eye(kind.loads)[1])
        worst = max(worst, 1e-5 * np.abs(flux - mine).max() / np.abs(flux).max())
        warm = shared.effective(1e-7, all_.potentials)
        assert max(warm.iterations) <= 1, warm.iterations
worst = slabs.comm.allreduce(float(worst), op=MPI.MAX)
if slabs.comm.rank == 0:
    print(json.dumps(worst))
"""


@pytest.mark.parametrize("ranks", [2, 3])
def test_any_number_of_ranks_gives_the_same(ranks, require_program):
    """Uneven slabs of 9 planes, 10 rows; with voids; both discretisations, tensors, fields and warm starts."""
    require_program("mpirun", "openmpi-bin")
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment["OMP_NUM_THREADS"] = "1"
    command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--allow-run-as-root", sys.executable]
    done = subprocess.run(
        [*command, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) < 1e-12
