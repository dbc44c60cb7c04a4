from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.crosscheck import compare, outcome_of
from hashigo.calculators.workers.homogenization.interface import Outcome, PeriodicProblem, get_homogenizer
from hashigo.errors import InputError

PHASE = np.zeros((4, 4, 4), dtype=np.int32)


def test_differences_are_relative_to_the_largest_entry():
    problem = PeriodicProblem(PHASE, np.eye(3)[None])
    theirs = np.diag([2.0, 1.0, 0.5])
    theirs[0, 1] = 0.2  # is averaged with its mirror image
    comparison = compare(get_homogenizer("fans"), Outcome(theirs), problem, np.diag([2.0, 1.0, 1.0]))
    assert comparison.differences[2, 2] == pytest.approx(-0.25)
    assert comparison.differences[0, 1] == comparison.differences[1, 0] == pytest.approx(0.05)
    assert comparison.largest == pytest.approx(0.25)
    assert comparison.same_equations
    assert not compare(get_homogenizer("damask"), Outcome(theirs), problem, theirs).same_equations


def test_what_is_no_number_is_no_answer():
    problem = PeriodicProblem(PHASE, np.eye(3)[None])
    with pytest.raises(InputError, match="the result of FANS has entries that are no numbers"):
        compare(get_homogenizer("fans"), Outcome(np.full((3, 3), np.nan)), problem, np.eye(3))


def test_energies_are_taken_where_they_are_known():
    problem = PeriodicProblem(PHASE, np.eye(6)[None])
    outcome = Outcome(np.eye(6), energies=2 * np.eye(6))
    theirs = compare(get_homogenizer("muspectre"), outcome, problem, np.eye(6)).theirs
    assert np.diag(theirs) == pytest.approx([2, 2, 2, 1, 1, 1])


def test_files_of_another_problem_are_not_overwritten(tmp_path):
    fans = get_homogenizer("fans")
    problem = PeriodicProblem(PHASE, np.eye(3)[None])
    assert outcome_of(fans, problem, 1e-6, tmp_path / "f", {}) is None
    # Rounding is no difference.
    near = PeriodicProblem(PHASE, (1 + 1e-14) * np.eye(3)[None])
    assert outcome_of(fans, near, 1e-6, tmp_path / "f", {}) is None
    for other in (
        PeriodicProblem(PHASE[:2], np.eye(3)[None]),
        PeriodicProblem(PHASE, np.diag([1.0, 1.0, 2.0])[None]),
        PeriodicProblem(PHASE, 1.1 * np.eye(3)[None]),
    ):
        with pytest.raises(InputError, match="another problem or solver"):
            outcome_of(fans, other, 1e-6, tmp_path / "f", {})
    with pytest.raises(InputError, match="no option 'scheme'"):
        outcome_of(fans, problem, 1e-6, tmp_path / "f", {"scheme": "fourier"})


def test_files_of_something_else_are_not_overwritten(tmp_path):
    (tmp_path / "input.json").write_text("mine")
    with pytest.raises(InputError, match="holds files that are of no crosscheck"):
        outcome_of(get_homogenizer("fans"), PeriodicProblem(PHASE, np.eye(3)[None]), 1e-6, tmp_path, {})
    assert (tmp_path / "input.json").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"files cannot be written into .*deep: Not a directory") as caught:
        outcome_of(
            get_homogenizer("fans"),
            PeriodicProblem(PHASE, np.eye(3)[None]),
            1e-6,
            tmp_path / "file" / "deep",
            {},
        )
    assert caught.value.fix == "give another --folder"
