from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers import conductivity
from hashigo.calculators.workers.homogenization.boundary import limited_conductivity, read_modes
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.force_constants import Fit, build_lattice, random_dataset
from hashigo.calculators.workers.lattice.mesh_run import isotropic
from hashigo.calculators.workers.lattice.reference_conductivity import from_reference
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells
from hashigo.calculators.workers.potential import Committee, Evaluation
from hashigo.errors import InputError

QUICK = {
    "meshes": [3, 4, 5],
    "coarse_mesh": 4,
    "snapshots": 10,
    "cutoff": None,
    "temperatures": [300.0, 600.0],
}


class Scaled:
    """A model whose forces are another's times a factor."""

    def __init__(self, model, factor):
        self.model, self.factor, self.elements = model, factor, model.elements

    def evaluate(self, structures):
        known = self.model.evaluate(structures)
        return [
            Evaluation(self.factor * e.energy, self.factor * e.forces, self.factor * e.stress) for e in known
        ]


def write_elasticity(path, atoms, members):
    """Every model relaxed to the same cell."""
    with ResultWriter(path, task="elasticity", task_version=1) as writer:
        positions = atoms.get_scaled_positions()
        writer.array("relaxed/cell", atoms.cell.array, units="Å")
        writer.array("relaxed/positions", positions, units="dimensionless")
        if members:
            writer.array("members/cell", [atoms.cell.array] * members, units="Å")
            writer.array("members/positions", [positions] * members, units="dimensionless")
        writer.note("relaxed", {"symbols": atoms.get_chemical_symbols()})
    return path


@pytest.fixture(scope="module")
def result(tersoff, diamond, tersoff_frames):
    # The first member is the mean itself; the second is stiffer and conducts better.
    committee = Committee(tersoff, (Scaled(tersoff, 1.0), Scaled(tersoff, 1.1)))
    cells = RelaxedCells(diamond, (diamond, diamond))
    settings = conductivity.check_settings(QUICK)
    return conductivity.compute(committee, cells, settings, diamond, tersoff_frames)


def test_members_are_ratios_at_the_coarse_mesh(result):
    values = result.member_values()
    fine = result.fine.conductivity()
    assert values.shape == (2, 2, 3, 3)
    assert values[0] == pytest.approx(fine, rel=1e-9)
    ratio = result.members[1].conductivity()[0, 0, 0] / result.coarse.conductivity()[0, 0, 0]
    assert ratio > 1.01
    assert values[1, 0] == pytest.approx(ratio * fine[0], rel=1e-6)


def test_the_coarse_mesh_is_part_of_the_series(result):
    assert result.series.meshes.tolist() == [3, 4, 5]
    assert np.array_equal(result.series.conductivity[1], result.coarse.conductivity())
    assert np.array_equal(result.series.finest, result.fine.conductivity())


def test_the_reference_itself_agrees_with_its_frames(result):
    check = result.cross_check
    assert check.frames == 6
    # On a mesh of 4 a change of the last digit of a force moves the tetrahedra of degenerate modes by some per cent.
    assert check.potential == pytest.approx(check.reference, rel=0.06)


def test_too_few_frames_are_said(tersoff, diamond, tersoff_frames):
    settings = conductivity.check_settings(QUICK)
    said = conductivity.cross_check(diamond, tersoff, tersoff_frames[:2], settings)
    assert said == "third-order force constants need 5 frames; there are 2"


def test_frames_of_another_crystal_are_said(tersoff, diamond, tersoff_frames):
    settings = conductivity.check_settings(QUICK)
    other = diamond.copy()
    other.set_cell(diamond.cell.array * 1.01, scale_atoms=True)
    said = conductivity.cross_check(other, tersoff, tersoff_frames, settings)
    assert said.startswith("none of the 6 displaced reference frames is a supercell of the structure")
    silent = [replace(frame, forces=None) for frame in tersoff_frames]
    assert "has no forces" in conductivity.cross_check(diamond, tersoff, silent, settings)


def test_the_limit_is_written_with_its_own_parts(result, tmp_path):
    settings = conductivity.check_settings(QUICK)
    conductivity.write(tmp_path / "c.h5", result, settings, conductivity.TASK_VERSION)
    with ResultReader(tmp_path / "c.h5") as reader:
        limit = reader.quantity("lattice_thermal_conductivity_limit")
        note = reader.note("mesh")
    assert limit.value == pytest.approx(result.series.extrapolated())
    assert limit.components["mesh"] == pytest.approx(result.series.limit_error())
    assert set(limit.components) == {"mesh", "model", "form"}
    assert limit.members.shape == (2, 2, 3, 3)
    assert note["extrapolated"] == pytest.approx(np.trace(limit.value, axis1=1, axis2=2) / 3)
    assert limit.converged is False


def test_automatic_meshes_stop_at_the_budget_and_say_so(tersoff, diamond, tmp_path):
    auto = {"meshes": "auto", "coarse_mesh": 3, "snapshots": "auto", "cutoff": 4.0, "largest_mesh": 8}
    settings = conductivity.check_settings({**QUICK, **auto, "tolerance": 0.2})
    found = conductivity.compute(Committee(tersoff), RelaxedCells(diamond), settings)
    assert found.series.meshes.tolist() == [3, 5, 7]
    assert found.stopped == "conductivity.budget.largest_mesh is 8"
    conductivity.write(tmp_path / "c.h5", found, settings, conductivity.TASK_VERSION)
    with ResultReader(tmp_path / "c.h5") as reader:
        record = reader.quantity("lattice_thermal_conductivity_limit")
        assert reader.note("mesh")["stopped"] == found.stopped
        assert reader.note("mesh")["automatic"] is True
        assert reader.note("settled")["snapshots"] == found.settled.snapshots >= 20
    assert record.converged is False
    assert set(record.components) == {"mesh", "sampling"}


def test_modes_of_the_last_three_meshes_are_kept(result, tmp_path):
    settings = conductivity.check_settings(QUICK)
    conductivity.write(tmp_path / "c.h5", result, settings, conductivity.TASK_VERSION)
    with ResultReader(tmp_path / "c.h5") as reader:
        assert sorted(reader.file["data/modes/meshes"]) == ["3", "4"]
        for index, mesh in enumerate((3, 4)):
            modes = read_modes(reader, f"modes/meshes/{mesh}")
            for temperature in (0, 1):
                crystal = limited_conductivity(modes, temperature, np.array([np.inf]))[0]
                assert crystal == pytest.approx(reader.array("mesh/kappa")[index, temperature], rel=1e-9)


def test_result_file(result, tmp_path):
    settings = conductivity.check_settings(QUICK)
    conductivity.write(tmp_path / "c.h5", result, settings, conductivity.TASK_VERSION)
    with ResultReader(tmp_path / "c.h5") as reader:
        record = reader.quantity("lattice_thermal_conductivity")
        mesh = reader.note("mesh")
        paths, carried = reader.array("cumulative/mean_free_path"), reader.array("cumulative/kappa")
        assert reader.array("temperatures").tolist() == [300.0, 600.0]
        assert reader.array("mesh/kappa").shape == (3, 2, 3, 3)
        assert reader.has("modes/coarse/members/1/lifetime")
        assert reader.note("cross_check")["frames"] == 6
        assert "phonons only" in reader.note("scope")["carriers"]
    # What potential and reference differ by on the same displacements is the committee's common bias.
    assert set(record.components) == {"mesh", "model", "form"}
    bias = np.abs(result.cross_check.potential / result.cross_check.reference - 1)
    assert record.components["form"] == pytest.approx(np.abs(bias[:, None, None] * record.value))
    total = np.sqrt(sum(part**2 for part in record.components.values()))
    assert record.standard_uncertainty == pytest.approx(total)
    assert record.converged is mesh["converged"] is False
    assert carried[:, -1] == pytest.approx(np.trace(record.value, axis1=1, axis2=2) / 3)
    assert paths.shape == (carried.shape[1],)


def test_the_direct_solution_stands_beside_the_relaxation_time_approximation(result, tmp_path):
    conductivity.write(tmp_path / "r.h5", result, conductivity.check_settings(QUICK), 1)
    with ResultReader(tmp_path / "r.h5") as reader:
        direct, rta = (reader.quantity(f"{name}_thermal_conductivity") for name in ("direct", "lattice"))
        note = reader.note("methods")
        coherence = reader.quantity("coherence_thermal_conductivity")
        assert "four-phonon scattering is left out" in reader.note("scope")["method"]
    ratio = np.array(note["direct_over_relaxation_time"])
    assert direct.value == pytest.approx(ratio[:, None, None] * rta.value)
    assert direct.members == pytest.approx(ratio[:, None, None] * rta.members)
    assert np.all(direct.components["mesh"] >= ratio[:, None, None] * rta.components["mesh"] - 1e-9)
    assert coherence.value.shape == rta.value.shape
    other = replace(result.beyond.fine, direct=1.2 * result.beyond.fine.relaxation_time)
    far = replace(result, beyond=replace(result.beyond, fine=other))
    assert "far from the direct solution" in far.marks
    assert "far from the direct solution" not in result.marks


def test_one_mesh_leaves_the_uncertainty_unknown(result, tmp_path):
    series = replace(
        result.series, meshes=result.series.meshes[-1:], conductivity=result.series.conductivity[-1:]
    )
    settings = conductivity.check_settings({**QUICK, "meshes": [5], "tolerance": 10.0})
    conductivity.write(tmp_path / "c.h5", replace(result, series=series, before={}), settings, 1)
    with ResultReader(tmp_path / "c.h5") as reader:
        record = reader.quantity("lattice_thermal_conductivity")
        assert reader.note("mesh")["error_is"].startswith("not known")
    assert record.standard_uncertainty is None
    assert not record.converged
    assert record.members is not None


def start(tmp_path, name, parameters, inputs, launcher=(), **further):
    """A worker's process for a job; ranks do not take each other's core while they wait."""
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment |= {"OMPI_MCA_mpi_yield_when_idle": "1", "OMP_NUM_THREADS": "1"}
    job = {"task": "conductivity", "parameters": parameters, "inputs": inputs, "output": name, **further}
    (tmp_path / "job.json").write_text(json.dumps(job))
    command = [*launcher, sys.executable, "-m", "hashigo.calculators.workers", str(tmp_path / "job.json")]
    return subprocess.Popen(
        command,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(process):
    said = process.communicate(timeout=200)
    assert process.returncode == 0, said


def wait_for(folder, pattern, process):
    """Until a partial result of this name is there."""
    for _ in range(2000):
        if found := sorted(folder.glob(pattern)):
            return found
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"no {pattern}")


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_kill_loses_only_what_was_in_flight(diamond, tmp_path, require_program, ranks):
    elasticity = write_elasticity(tmp_path / "elasticity.h5", diamond, 0)
    parameters = {**QUICK, "meshes": [3, 11], "coarse_mesh": 3, "potential": {"engine": "tersoff"}}
    given = ("c.h5", parameters, {"elasticity": str(elasticity)})
    launcher = [require_program("mpirun", "openmpi-bin"), "-n", "2", "--oversubscribe"] if ranks == 2 else []
    process = start(tmp_path, *given, launcher)
    wait_for(tmp_path, "partial/*/mean-11-*.npz", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "c.h5").exists()
    (folder,) = (tmp_path / "partial").iterdir()
    # What is kept is taken: a width of no wave vector, put there, is found in the result.
    piece = sorted(folder.glob("mean-11-*.npz"))[0]
    with np.load(piece) as file:
        arrays = {**file}
    arrays["width"] = np.full_like(arrays["width"], 12345.0)
    np.savez(piece, **arrays)
    # Ranks outlive their launcher for a moment, and are in the way of the next job.
    for _ in range(100):
        again = start(tmp_path, *given, launcher)
        said = again.communicate(timeout=200)
        if "another job computes the same" not in said[1]:
            break
        time.sleep(0.3)
    assert again.returncode == 0, said
    with ResultReader(tmp_path / "c.h5") as reader:
        lifetimes = reader.array("modes/fine/lifetime")
    marked = np.isclose(lifetimes, 1 / (4e12 * np.pi * 12345.0), rtol=1e-9, atol=0)
    assert marked[0].sum() == pytest.approx(6 * len(arrays["index"]), abs=3)  # of Γ three have no frequency
    assert not folder.exists()


def test_a_signal_ends_it_with_what_is_left(diamond, tmp_path):
    elasticity = write_elasticity(tmp_path / "elasticity.h5", diamond, 0)
    parameters = {**QUICK, "meshes": [3, 13], "coarse_mesh": 3, "potential": {"engine": "tersoff"}}
    process = start(tmp_path, "c.h5", parameters, {"elasticity": str(elasticity)})
    wait_for(tmp_path, "partial/*/mean-13-*.npz", process)
    process.send_signal(signal.SIGTERM)
    finish(process)
    error = json.loads((tmp_path / "error.json").read_text())
    assert error["kind"] == "PartialResult"
    assert "wave vectors of mesh 13 are left to be computed: the job got SIGTERM" in error["message"]
    assert list(tmp_path.glob("partial/*/constants.npz"))


def test_two_ranks_give_what_one_gives(tersoff_potential, diamond, tmp_path, require_program):
    mpirun = require_program("mpirun", "openmpi-bin")
    elasticity = write_elasticity(tmp_path / "elasticity.h5", diamond, 4)
    for name, launcher in (("one.h5", []), ("two.h5", [mpirun, "-n", "2", "--oversubscribe"])):
        inputs = {"elasticity": str(elasticity), "potential": str(tersoff_potential)}
        finish(start(tmp_path, name, QUICK, inputs, launcher))
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert progress["done"] == progress["total"]
    with ResultReader(tmp_path / "one.h5") as one, ResultReader(tmp_path / "two.h5") as two:
        first, second = (reader.quantity("lattice_thermal_conductivity") for reader in (one, two))
        assert second.members == pytest.approx(first.members, rel=1e-10, abs=1e-9)
        assert second.value == pytest.approx(first.value, rel=1e-10, abs=1e-9)
        assert two.array("modes/fine/lifetime") == pytest.approx(one.array("modes/fine/lifetime"), rel=1e-9)
        assert one.note("cross_check") == {"skipped": "no reference frames were given"}


def test_an_engine_instead_of_a_potential(diamond, tmp_path):
    elasticity = write_elasticity(tmp_path / "elasticity.h5", diamond, 0)
    parameters = {**QUICK, "meshes": [3], "coarse_mesh": 3, "potential": {"engine": "tersoff"}}
    conductivity.run(Job("conductivity", parameters, {"elasticity": elasticity}, tmp_path / "c.h5"))
    with ResultReader(tmp_path / "c.h5") as reader:
        record = reader.quantity("lattice_thermal_conductivity")
        assert not reader.has("modes/coarse/members")
    assert record.members is None
    assert record.components == {}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"mesh": 7}, "mesh"),
        ({"meshes": []}, "meshes"),
        ({"coarse_mesh": 0}, "coarse_mesh"),
        ({"displacement": -0.03}, "displacement"),
        ({"snapshots": 0}, "snapshots"),
        ({"temperatures": [0.0]}, "temperatures"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"force_constants": "both"}, "force_constants"),
        ({"cutoff": -1.0}, "cutoff"),
        ({"boundary": 0.0}, "boundary"),
        ({"core_hours": 0.0}, "core_hours"),
    ],
)
def test_bad_parameters_are_named(parameters, named):
    with pytest.raises(InputError, match=rf"conductivity\.{named}"):
        conductivity.check_settings(parameters)


def test_too_few_snapshots_are_named(tersoff, diamond):
    settings = conductivity.check_settings({**QUICK, "snapshots": 4})
    with pytest.raises(InputError, match=r"4 displaced supercells are too few .* at least 10 are needed"):
        conductivity.compute(Committee(tersoff), RelaxedCells(diamond), settings)


def test_value_straight_from_the_frames(tersoff, diamond, tersoff_frames, result, tmp_path):
    settings = conductivity.check_settings({**QUICK, "force_constants": "reference"})
    found = from_reference(diamond, tersoff, tersoff_frames, settings)
    assert np.array_equal(found.series.conductivity[1], found.coarse.conductivity())
    assert isotropic(found.coarse) == pytest.approx(result.cross_check.reference, rel=1e-6)
    assert found.cross_check.potential == pytest.approx(result.cross_check.potential, rel=1e-6)
    conductivity.write(tmp_path / "c.h5", found, settings, conductivity.TASK_VERSION)
    with ResultReader(tmp_path / "c.h5") as reader:
        record = reader.quantity("lattice_thermal_conductivity")
        assert reader.note("force_constants")["source"] == "reference"
        assert reader.has("modes/fine/lifetime")
        assert not reader.has("modes/coarse/members")
    # Five of the six frames determine the third order, so that each can be left out once.
    assert set(record.components) == {"mesh", "sampling"}
    assert (record.components["sampling"][:, 0, 0] > 0).all()
    assert record.marks == ()
    few = from_reference(diamond, None, tersoff_frames[:5], settings)
    assert few.sampling is None
    assert few.marks == ("error of sampling not known",)
    assert few.cross_check == "no potential was given"
    with pytest.raises(InputError, match="third-order force constants need 5 frames; there are 4"):
        from_reference(diamond, None, tersoff_frames[:4], settings)


def test_the_reference_route_needs_frames(diamond, tmp_path):
    elasticity = write_elasticity(tmp_path / "elasticity.h5", diamond, 0)
    parameters = {**QUICK, "force_constants": "reference", "potential": {"engine": "tersoff"}}
    with pytest.raises(InputError, match="there are no reference frames"):
        conductivity.run(Job("conductivity", parameters, {"elasticity": elasticity}, tmp_path / "c.h5"))


def test_renormalised_force_constants_take_the_place_of_the_second_order(tersoff, diamond, tmp_path):
    """With the harmonic ones in their place nothing changes; with stiffer ones the frequencies follow."""
    settings = conductivity.check_settings(
        {**QUICK, "supercell": [1, 1, 1], "temperatures": [300.0], "cutoff": None, "force_constants": "sscha"}
    )
    committee, cells = Committee(tersoff, ()), RelaxedCells(diamond)
    lattice = build_lattice(diamond, (1, 1, 1))
    dataset = random_dataset(tersoff, lattice, QUICK["snapshots"], 0.03, 0, paired=True)
    second = Fit(lattice, 3).solve(dataset).second
    same = conductivity.compute(committee, cells, settings, second=second)
    plain = conductivity.compute(committee, cells, {**settings, "force_constants": "potential"})
    stiff = conductivity.compute(committee, cells, settings, second=1.21 * second)
    assert same.series.finest == pytest.approx(plain.series.finest, rel=1e-6)
    assert stiff.fine.frequency[6:] == pytest.approx(1.1 * same.fine.frequency[6:], rel=1e-6)
    assert (same.source, plain.source) == ("sscha", "potential")


def test_renormalised_force_constants_are_those_of_one_temperature():
    with pytest.raises(InputError, match="those of one temperature"):
        conductivity.check_settings({"force_constants": "sscha", "temperatures": [300.0, 600.0]})
