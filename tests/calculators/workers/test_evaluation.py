"""One frame: overlapping atoms are named before anything is computed; a program sees no MPI of the batch."""

from __future__ import annotations

import subprocess
import weakref
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.engines import Workspace, get_engine
from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.evaluation import Evaluator, free_command, overlap


def frame_of(atoms, **changes):
    return Frame(atoms.cell.array, atoms.positions, tuple(atoms.symbols), settings="s", **changes)


@pytest.mark.parametrize("repeat", [1, 2, 4])
def test_crystals_do_not_overlap(repeat):
    for atoms in (bulk("Si"), bulk("C"), bulk("NaCl", "rocksalt", 5.64), bulk("Cu"), bulk("H", "sc", 1.5)):
        atoms = atoms.repeat(repeat)
        atoms.rattle(0.05, seed=1)
        assert overlap(frame_of(atoms)) == ""


@pytest.mark.parametrize("repeat", [1, 2, 3])
def test_overlapping_atoms_are_named_through_any_face(repeat):
    atoms = bulk("NaCl", "rocksalt", 5.64, cubic=True).repeat(repeat)
    i, j = 0, len(atoms) - 1
    # On the other side of the cell, and one more cell away.
    atoms.positions[j] = atoms.positions[i] + [0.3, 0.2, 0.1] - atoms.cell[0] - 2 * atoms.cell[2]
    sentence = overlap(frame_of(atoms))
    assert sentence.startswith(f"atoms 0 (Na) and {j} (Cl) overlap: they are {np.sqrt(0.14):.2f} Å apart")
    assert sentence.endswith("half the sum of their covalent radii is 1.34 Å")


def test_an_overlap_is_found_in_a_skewed_primitive_cell():
    atoms = bulk("Si")
    atoms.positions[1] = atoms.positions[0] + atoms.cell[0] - atoms.cell[1] + [0.2, 0.0, 0.0]
    assert "0.20 Å apart" in overlap(frame_of(atoms))


def test_one_calculator_lives_at_a_time_as_long_as_the_composition_stays():
    emt = get_engine("emt")
    alive = weakref.WeakSet()
    made = []

    def calculator(settings, workspace):
        # Two programs that are kept running would write over each other's files.
        assert not alive
        calculator = emt.calculator(settings, workspace)
        alive.add(calculator)
        made.append(id(calculator))
        return calculator

    evaluator = Evaluator(replace(emt, calculator=calculator), {}, Workspace())
    al, cu = bulk("Al", cubic=True), bulk("Cu", cubic=True)
    for atoms in (al, al, cu, cu, al):
        assert evaluator((0, frame_of(atoms))).error == ""
    assert len(made) == 3
    bad = evaluator((7, frame_of(bulk("Si"))))
    assert bad.frame is None
    assert bad.error == "NotImplementedError: No EMT-potential for Si"
    assert evaluator((8, frame_of(al))).error == ""
    assert len(made) == 5


def test_kept_calculators_give_what_new_ones_give():
    evaluator = Evaluator(get_engine("emt"), {}, Workspace())
    random = np.random.default_rng(3)
    for scale in (1.0, 1.02, 0.97):
        atoms = bulk("Al", cubic=True).repeat(2)
        atoms.set_cell(atoms.cell * scale, scale_atoms=True)
        atoms.positions += random.normal(scale=0.03, size=(32, 3))
        found = evaluator((0, frame_of(atoms))).frame
        atoms.calc = get_engine("emt").calculator({}, Workspace())
        np.testing.assert_allclose(found.stress, atoms.get_stress(), atol=1e-12)
        np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=1e-12)
        assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-11)


def test_a_command_is_freed_of_the_launchers_variables():
    environment = {"PATH": "/bin", "OMPI_COMM_WORLD_RANK": "1", "PMIX_RANK": "1", "OMPI_MCA_btl": "^ofi"}
    command = free_command(["pw.x", "-in", "x"], environment)
    assert command == ("env", "-u", "OMPI_COMM_WORLD_RANK", "-u", "PMIX_RANK", "pw.x", "-in", "x")
    seen = subprocess.run(free_command(["env"], environment), env=environment, capture_output=True, text=True)
    assert set(seen.stdout.split()) == {"PATH=/bin", "OMPI_MCA_btl=^ofi"}
    assert free_command(["pw.x"], {"PATH": "/bin"}) == ("pw.x",)
    assert free_command([], environment) == ()
