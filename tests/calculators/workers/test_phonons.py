from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from ase.build import bulk
from ase.neighborlist import neighbor_list

from hashigo.calculators.frames import write_frames
from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers import phonons
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import write_structure
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells
from hashigo.calculators.workers.potential import Committee, Evaluation
from hashigo.errors import InputError

QUICK = {"mesh": 7, "band_points": 9, "temperatures": [100.0, 300.0], "mode_mesh": 6}


class Scaled:
    """A model whose forces are another's times a factor: every frequency is its times the root of the factor."""

    def __init__(self, model, factor):
        self.model, self.factor, self.elements = model, factor, model.elements

    def evaluate(self, structures):
        known = self.model.evaluate(structures)
        return [
            Evaluation(self.factor * e.energy, self.factor * e.forces, self.factor * e.stress) for e in known
        ]


def write_inputs(folder, atoms, members, frames=None):
    """Input files of the task, every model relaxed to the same cell."""
    write_structure(folder / "structure.json", atoms)
    with ResultWriter(folder / "elasticity.h5", task="elasticity", task_version=1) as writer:
        positions = atoms.get_scaled_positions()
        writer.array("relaxed/cell", atoms.cell.array, units="Å")
        writer.array("relaxed/positions", positions, units="dimensionless")
        if members:
            writer.array("members/cell", [atoms.cell.array] * members, units="Å")
            writer.array("members/positions", [positions] * members, units="dimensionless")
        writer.note("relaxed", {"symbols": atoms.get_chemical_symbols()})
    files = {"structure": folder / "structure.json", "elasticity": folder / "elasticity.h5"}
    if frames is not None:
        write_frames(folder / "frames.h5", frames)
        files["frames"] = folder / "frames.h5"
    return files


@pytest.fixture(scope="module")
def result(tersoff, diamond, tersoff_frames):
    committee = Committee(tersoff, (Scaled(tersoff, 0.98), Scaled(tersoff, 1.02)))
    cells = RelaxedCells(diamond, (diamond, diamond))
    return phonons.compute(diamond, committee, cells, tersoff_frames, phonons.check_settings(QUICK))


def test_members_are_the_committees(result):
    for member, factor in zip(result.members, (0.98, 1.02), strict=True):
        assert member.gamma == pytest.approx(np.sqrt(factor) * result.mean.gamma, rel=1e-6)
        ratio = member.commensurate[1:] / result.mean.commensurate[1:]
        assert ratio == pytest.approx(np.full(ratio.shape, np.sqrt(factor)), rel=1e-6)


def test_frames_of_another_crystal_cost_the_comparison_alone(tersoff, diamond, tersoff_frames, tmp_path):
    other = diamond.copy()
    other.set_cell(diamond.cell.array * 1.01, scale_atoms=True)
    settings = phonons.check_settings(QUICK)
    result = phonons.compute(other, Committee(tersoff), RelaxedCells(diamond), tersoff_frames, settings)
    phonons.write(tmp_path / "p.h5", result, phonons.TASK_VERSION)
    with ResultReader(tmp_path / "p.h5") as reader:
        assert reader.note("comparison")["skipped"].startswith("none of the 6 displaced reference frames")
        assert not reader.has("symfc")
        assert "symfc_minimum" not in reader.note("gate")
        assert len(reader.quantity("heat_capacity").value) == 2


def test_the_reference_itself_differs_from_its_frames_by_nothing(result):
    assert result.reference.frames == 6
    assert result.reference.order == 3
    assert result.reference.left_out == tuple(range(6, 19))
    assert result.reference.apart.maximum < 1e-4
    assert result.reference.symfc.gamma == pytest.approx(result.mean.gamma, abs=0.05)


def test_result_file(result, tmp_path):
    phonons.write(tmp_path / "p.h5", result, phonons.TASK_VERSION)
    with ResultReader(tmp_path / "p.h5") as reader:
        optical = reader.quantity("optical_frequency_gamma")
        capacity = reader.quantity("heat_capacity")
        bands = reader.note("bands")
        frequency, spread = reader.array("bands/frequency"), reader.array("bands/spread")
        assert reader.array("symfc/bands/frequency").shape == frequency.shape
        assert reader.array("reference_cell/bands/distance").shape == (len(frequency),)
        assert reader.array("symfc/dos/density").shape == reader.array("symfc/dos/frequency").shape
        assert reader.note("comparison")["residual_subtracted"] is False
        assert reader.note("gate")["passed"] is True
    assert optical.value[0] == result.mean.gamma
    assert optical.members.shape == (2, 1)
    assert optical.components["model"] == pytest.approx(np.std(optical.members, axis=0, ddof=1))
    assert not optical.calibrated
    assert [c["temperature"] for c in capacity.conditions] == [100.0, 300.0]
    assert 0 < capacity.value[0] < capacity.value[1] < 6 * 8.3145
    assert spread.shape == frequency.shape
    assert len(bands["labels"]) == len(bands["positions"])
    assert bands["segments"][-1][1] == len(frequency)


def test_single_modes_are_in_the_result_file(result, tmp_path):
    phonons.write(tmp_path / "p.h5", result, phonons.TASK_VERSION)
    with ResultReader(tmp_path / "p.h5") as reader:
        gamma = reader.quantity("gruneisen_parameter")
        square = reader.quantity("mean_square_displacement")
        frequency = reader.array("modes/frequency")
        velocity = reader.array("modes/velocity")
        states, axis = reader.array("projected_dos/density"), reader.array("projected_dos/frequency")
        assert reader.array("modes/gruneisen").shape == reader.array("modes/participation").shape
        assert reader.array("bands/velocity").shape == (*reader.array("bands/frequency").shape, 3)
        tensors = reader.array("displacements/tensors")
        members = reader.array("displacements/members")
        assert reader.array("modes/weight").sum() == 6**3
        assert list(reader.texts()) == ["displacements.cif"]
        assert "_atom_site_aniso_U_11" in reader.texts()["displacements.cif"]
    assert velocity.shape == (*frequency.shape, 3)
    # Members' forces are the mean's times a factor: their modes have the same γ, but not the same heat capacities.
    assert gamma.members == pytest.approx(np.stack([gamma.value, gamma.value]), rel=0.03)
    assert gamma.members[0, 0] > gamma.value[0] > gamma.members[1, 0]
    assert gamma.value[1] == pytest.approx(0.78, abs=0.02)
    assert set(gamma.components) == {"mesh", "model"}
    assert members[0, 1, 0, 0, 0] > tensors[1, 0, 0, 0] > members[1, 1, 0, 0, 0]
    assert square.conditions[0] == {"temperature": 100.0, "atomic_number": 14.0}
    assert square.value == pytest.approx(tensors[:, 0, 0, 0])
    assert square.marks == ()
    assert states.shape == (2, len(axis))
    assert states.sum(axis=1) * (axis[1] - axis[0]) == pytest.approx([3.0, 3.0], rel=0.05)


def test_an_unstable_crystal_has_no_thermal_displacements(tersoff, diamond, tmp_path, monkeypatch):
    # A crystal of inverted forces has no ground state to be found.
    monkeypatch.setattr(phonons, "follow", lambda model, mode, cell: "there is none" if cell else "")
    settings = phonons.check_settings({**QUICK, "follow_imaginary": True})
    unstable = phonons.compute(
        diamond, Committee(Scaled(tersoff, -1e-2)), RelaxedCells(diamond), [], settings
    )
    phonons.write(tmp_path / "p.h5", unstable, phonons.TASK_VERSION)
    with ResultReader(tmp_path / "p.h5") as reader:
        assert "imaginary" in reader.note("modes")["skipped"]
        assert "mean_square_displacement" not in reader.quantities()
        assert reader.has("modes/velocity")
        mode = reader.note("imaginary_mode")
        assert mode["frequency"] == pytest.approx(reader.note("gate")["minimum_frequency"], abs=1e-3)
        assert mode["not_followed"] == "there is none"
        assert list(reader.texts()) == ["imaginary-mode.xyz"]


def test_the_gate_just_passes_and_just_fails_and_the_result_is_kept(tersoff, diamond, tmp_path, monkeypatch):
    unstable = Committee(Scaled(tersoff, -1e-2))
    monkeypatch.setattr(phonons, "committee_for", lambda inputs, reference, elements: unstable)
    inputs = write_inputs(tmp_path, diamond, 0)

    def gate(tolerance):
        parameters = {**QUICK, "imaginary_tolerance": tolerance}
        phonons.run(Job("phonons", parameters, inputs, tmp_path / "p.h5"))
        with ResultReader(tmp_path / "p.h5") as reader:
            assert reader.has("bands/frequency")
            return reader.note("gate")

    lowest = gate(-5.0)["minimum_frequency"]
    passed, failed = gate(lowest * 1.001), gate(lowest * 0.999)
    assert passed["passed"] is True
    assert (passed["message"], passed["fix"]) == ("", "")
    assert failed["passed"] is False
    assert failed["name"] == "imaginary_mode"
    assert re.match(
        r"Si8 has an imaginary phonon of -1\.\d+ THz at the commensurate wave vector \(", failed["message"]
    )
    assert "phonons.imaginary_tolerance" in failed["fix"]


def test_an_engine_instead_of_a_potential(diamond, tmp_path):
    inputs = write_inputs(tmp_path, diamond, 0)
    phonons.run(Job("phonons", {**QUICK, "potential": {"engine": "tersoff"}}, inputs, tmp_path / "p.h5"))
    with ResultReader(tmp_path / "p.h5") as reader:
        record = reader.quantity("optical_frequency_gamma")
        assert not reader.has("bands/spread")
        assert not reader.has("symfc")
    assert record.value[0] == pytest.approx(16.07, abs=0.05)
    assert record.members is None
    assert record.standard_uncertainty is None


def test_two_ranks_give_what_one_gives(tersoff_potential, tersoff_frames, diamond, tmp_path, require_program):
    mpirun = require_program("mpirun", "openmpi-bin")
    frames = [frame for frame in tersoff_frames if frame.kind == "displaced"]
    inputs = {**write_inputs(tmp_path, diamond, 4, frames), "potential": tersoff_potential}
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment["OMPI_MCA_mpi_yield_when_idle"] = "1"
    for name, launcher in (("one.h5", []), ("two.h5", [mpirun, "-n", "2", "--oversubscribe"])):
        job = {
            "task": "phonons",
            "parameters": QUICK,
            "inputs": {key: str(path) for key, path in inputs.items()},
            "output": name,
        }
        (tmp_path / "job.json").write_text(json.dumps(job))
        command = [*launcher, sys.executable, "-m", "hashigo.calculators.workers", str(tmp_path / "job.json")]
        done = subprocess.run(
            command, env={**environment, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
    with ResultReader(tmp_path / "one.h5") as one, ResultReader(tmp_path / "two.h5") as two:
        for name in one.quantities():
            assert two.quantity(name).members == pytest.approx(one.quantity(name).members, rel=1e-9)
        for name in ("bands/spread", "symfc/bands/frequency", "reference_cell/dos/density"):
            assert two.array(name) == pytest.approx(one.array(name), abs=1e-6)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"mash": 31}, "mash"),
        ({"displacement": 0.0}, "displacement"),
        ({"snapshots": 0}, "snapshots"),
        ({"temperatures": [-1.0]}, "temperatures"),
        ({"imaginary_tolerance": 0.1}, "imaginary_tolerance"),
        ({"mode_mesh": 0}, "mode_mesh"),
        ({"mode_cutoff": -0.1}, "mode_cutoff"),
    ],
)
def test_bad_parameters_are_named(parameters, named):
    with pytest.raises(InputError, match=rf"phonons\.{named}"):
        phonons.check_settings(parameters)


def test_a_committee_of_another_size_is_refused(tersoff, diamond):
    with pytest.raises(InputError, match="relaxed cells of 0"):
        phonons.compute(
            diamond, Committee(tersoff, (tersoff,)), RelaxedCells(diamond), [], phonons.check_settings(QUICK)
        )


def test_numbers_of_a_compound_without_charges_say_so(tmp_path):
    salt = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    settings = phonons.check_settings({**QUICK, "mode_mesh": 3, "mesh": 3, "supercell": [1, 1, 1]})
    found = phonons.compute(salt, Committee(Harmonic(salt)), RelaxedCells(salt), [], settings)
    phonons.write(tmp_path / "p.h5", found, phonons.TASK_VERSION)
    with ResultReader(tmp_path / "p.h5") as reader:
        assert reader.note("polar")["missing"]
        for name in reader.quantities():
            assert "without LO–TO splitting" in reader.quantity(name).marks, name
        assert reader.quantity("mean_square_displacement").conditions[0]["atomic_number"] == 11.0


class Harmonic:
    """Scalar springs between nearest neighbours of a salt, which follow the cell."""

    elements = ("Na", "Cl")

    def __init__(self, cell):
        self.edge = cell.cell.lengths()[0]

    def evaluate(self, structures):
        return [self._one(atoms) for atoms in structures]

    def _one(self, atoms):
        half = (8 * atoms.get_volume() / len(atoms)) ** (1 / 3) / 2
        first, vectors = neighbor_list("iD", atoms, 1.2 * half)
        stretch = vectors - half * np.rint(vectors / half)
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, first, 3.0 * (self.edge / 2 / half) ** 6 * stretch)
        return Evaluation(0.0, forces, np.zeros(6))
