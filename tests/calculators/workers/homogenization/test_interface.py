from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.interface import (
    PeriodicProblem,
    get_homogenizer,
    homogenizer_names,
)
from hashigo.calculators.workers.homogenization.tensors import rotate_conductivity
from hashigo.errors import InputError

PHASE = np.zeros((2, 3, 4), dtype=np.int32)


def test_solvers_are_found_by_entry_point():
    assert {"hashigo", "muspectre"} <= set(homogenizer_names())
    for name in homogenizer_names():
        found = get_homogenizer(name)
        assert found.name == name
        assert (found.solve is None) == (found.write is not None)
    with pytest.raises(InputError, match="'abaqus' is not known"):
        get_homogenizer("abaqus")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": np.eye(4)[None]}, "shape"),
        ({"table": np.eye(3)}, "shape"),
        ({"phase": PHASE + 1}, "phase 1 of a voxel is not in the table of 1"),
        ({"phase": PHASE - 1}, "phase -1 of a voxel"),
        ({"phase": PHASE[0]}, r"\(nz, ny, nx\)"),
        (
            {"table": np.full((1, 3, 3), np.nan), "names": ["matrix"]},
            "conductivity of matrix has entries that are",
        ),
        ({"rotations": np.eye(3)}, "rotations of 1 phases have shape"),
    ],
)
def test_a_problem_that_is_none_is_refused(change, message):
    given = {"phase": PHASE, "table": np.eye(3)[None], **change}
    with pytest.raises(InputError, match=message):
        PeriodicProblem(**given)


def test_voids_and_rigid_phases_are_told_apart():
    table = np.array([np.eye(3), np.zeros((3, 3)), np.diag([np.inf] * 3)])
    problem = PeriodicProblem(PHASE, table, ["rock", "pore", "platinum"])
    assert problem.voids.tolist() == [False, True, False]
    assert problem.rigid.tolist() == [False, False, True]
    with pytest.raises(InputError, match="Abaqus cannot be given pore, which is a void"):
        problem.require_plain("Abaqus", voids=False)
    with pytest.raises(InputError, match="Abaqus cannot be given platinum, which is rigid"):
        problem.require_plain("Abaqus", voids=True)


def test_the_table_in_crystal_axes_turns_back():
    rotations = Rotation.random(3, random_state=1).as_matrix()
    crystal = np.diag([1.0, 2.0, 5.0])
    problem = PeriodicProblem(PHASE, rotate_conductivity(crystal, rotations), rotations=rotations)
    assert np.abs(problem.crystal_table - crystal).max() < 1e-14
    assert problem.what == "thermal conductivity"
    assert problem.labels == ["phase 0", "phase 1", "phase 2"]


def test_our_solver_is_one_of_them():
    table = np.array([np.eye(3), 3.0 * np.eye(3)])
    phase = np.array([0, 1, 1, 0], dtype=np.int32).reshape(1, 1, 4) + np.zeros((2, 2, 1), dtype=np.int32)
    found = get_homogenizer("hashigo").solve(PeriodicProblem(phase, table), 1e-10, {})
    assert np.diag(found.tensor) == pytest.approx([1.5, 2.0, 2.0], rel=1e-9)
    assert len(found.iterations) == 3
    assert found.memory > 1e6
