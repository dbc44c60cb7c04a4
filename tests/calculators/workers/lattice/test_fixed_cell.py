from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.frames import Frame, write_frames
from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import elasticity
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import write_structure
from hashigo.calculators.workers.lattice.fixed_cell import MARK, kept_cell, tell_of_strain
from hashigo.study.structures import structure_content

FORCES = np.zeros((8, 3))


@pytest.fixture
def frame(diamond):
    return Frame(diamond.cell.array, diamond.positions, ("Si",) * 8, forces=FORCES)


def test_stresses_and_energies_at_several_volumes_tell_of_the_cell(frame):
    atom = Frame(np.eye(3) * 10, np.zeros((1, 3)), ("Si",), energy=-1.0, forces=FORCES[:1], kind="atom")
    with_energy = replace(frame, energy=-8.0)
    larger = replace(with_energy, cell=1.01 * frame.cell, kind="strained")
    supercell = Frame(2 * frame.cell, np.zeros((64, 3)), ("Si",) * 64, energy=-64.0, forces=np.zeros((64, 3)))
    assert not tell_of_strain([frame, replace(larger, energy=None)])
    assert not tell_of_strain([with_energy, with_energy, supercell, atom])
    assert tell_of_strain([with_energy, larger])
    assert tell_of_strain([frame, replace(frame, stress=np.zeros(6))])


def test_the_cell_is_that_of_the_frames(tmp_path, frame, diamond):
    path = tmp_path / "f.h5"
    measured = bulk("Si", "diamond", 5.43, cubic=True)
    write_frames(path, [frame], {"structure": structure_content(bulk("Si", "diamond", 5.432))})
    assert kept_cell(measured, path).cell.array == pytest.approx(diamond.cell.array)
    write_frames(path, [frame], {})
    assert kept_cell(measured, path) == measured
    write_frames(path, [replace(frame, stress=np.zeros(6))], {})
    assert kept_cell(measured, path) is None


def test_numbers_of_a_kept_cell_say_so(tmp_path, tersoff_potential, diamond, frame):
    away = diamond.copy()
    away.set_cell(diamond.cell.array * 1.02, scale_atoms=True)
    write_structure(tmp_path / "structure.json", diamond)
    write_frames(
        tmp_path / "f.h5", [replace(frame, cell=away.cell.array)], {"structure": structure_content(away)}
    )
    inputs = {
        "structure": tmp_path / "structure.json", "frames": tmp_path / "f.h5", "potential": tersoff_potential,
    }  # fmt: skip
    task = Job("elasticity", {}, inputs, tmp_path / "out.h5", progress_path=tmp_path / "progress.json")
    elasticity.run(task)
    with ResultReader(task.output) as result:
        edge = result.quantity("lattice_parameters")
        assert edge.value[0] == pytest.approx(1.02 * 5.432)
        assert edge.members is None
        assert edge.standard_uncertainty is None
        assert result.quantity("stiffness").members.shape == (4, 1, 6, 6)
        assert result.array("members/cell")[2] == pytest.approx(away.cell.array)
        assert result.quantity("stiffness").marks == edge.marks == (MARK,)
        assert "no stresses" in result.note("relaxed")["cell_kept"]
        assert result.note("gate")["passed"]
