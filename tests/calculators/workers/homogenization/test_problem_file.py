from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.homogenization.problem_file import read_problem, write_problem
from hashigo.calculators.workers.homogenization.vtkhdf import write_image
from hashigo.errors import InputError

GRAINS = np.arange(8, dtype=np.int32).reshape(2, 2, 2) % 2
QUATERNIONS = Rotation.random(2, random_state=1).as_quat()


def write(path, name, table, phase=None):
    with ResultWriter(path, task="mesoscale", task_version=1) as writer:
        write_image(writer.file, {"grain_id": GRAINS}, 1.0)
        writer.array("grains/orientation", QUATERNIONS, units="dimensionless")
        writer.array(f"realisations/{name}", np.array([[table[0]]]), units="GPa")
        write_problem(writer, name, table, phase)
    return ResultReader(path)


def test_a_stiffness_comes_back(tmp_path):
    table = np.array([np.diag([3.0, 3, 3, 1, 1, 1]), np.diag([6.0, 6, 6, 2, 2, 2])])
    with write(tmp_path / "m.h5", "stiffness", table) as reader:
        # In files it is Voigt's.
        assert reader.array("problem/stiffness/table")[0, 3, 3] == pytest.approx(0.5)
        problem, _ = read_problem(reader, "stiffness")
    assert problem.table == pytest.approx(table)
    assert np.array_equal(problem.phase, GRAINS)
    assert problem.rotations == pytest.approx(Rotation.from_quat(QUATERNIONS).as_matrix())


def test_phases_that_are_no_grains_are_kept_too(tmp_path):
    table = np.array([np.eye(3), 2 * np.eye(3), 5 * np.eye(3)])
    phase = np.arange(8, dtype=np.int32).reshape(2, 2, 2) % 3
    with write(tmp_path / "m.h5", "conductivity", table, phase) as reader:
        problem, found = read_problem(reader, "conductivity")
    assert np.array_equal(problem.phase, phase)
    assert problem.rotations is None
    assert np.array_equal(found, np.eye(3))


def test_grains_and_tensors_that_do_not_match_are_refused(tmp_path):
    with (
        write(tmp_path / "m.h5", "conductivity", np.array([np.eye(3)] * 3)) as reader,
        pytest.raises(InputError, match="2 grains and 3 tensors"),
    ):
        read_problem(reader, "conductivity")
