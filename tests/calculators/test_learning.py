from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hashigo.calculators.learning import (
    Round,
    read_round,
    relative_uncertainty,
    sentence,
    shares,
    why_stop,
    write_rounds,
)
from hashigo.calculators.results import QuantityRecord, ResultReader, ResultWriter

GOAL = {"thermal_conductivity": 0.05, "stiffness": 0.02}
BUDGET = {"frames": 30, "core_hours": 2.0}
KNOWN = Round(12, 0.5, 1e-3, {}, {"thermal_conductivity": 0.04, "stiffness": 0.01}, True)


def test_a_round_reaches_the_goal_only_by_every_property_and_a_calibrated_spread() -> None:
    assert why_stop([KNOWN], GOAL, BUDGET) == "goal"
    assert why_stop([replace(KNOWN, calibrated=False)], GOAL, BUDGET) == ""
    worse = replace(KNOWN, uncertainties={"thermal_conductivity": 0.04, "stiffness": 0.021})
    assert why_stop([worse], GOAL, BUDGET) == ""
    assert why_stop([replace(worse, uncertainties={"thermal_conductivity": 0.04})], GOAL, BUDGET) == ""
    assert why_stop([], GOAL, BUDGET) == ""


def test_the_budget_ends_it_and_says_which() -> None:
    open_round = replace(KNOWN, calibrated=False)
    assert why_stop([replace(open_round, frames=30)], GOAL, BUDGET) == "frames"
    assert why_stop([replace(open_round, core_hours=2.0)], GOAL, BUDGET) == "core_hours"
    assert why_stop([replace(open_round, core_hours=None)], GOAL, BUDGET) == ""
    assert why_stop([replace(open_round, core_hours=9.0)], GOAL, {"frames": 30, "core_hours": None}) == ""
    said = sentence("frames", [replace(open_round, frames=30)], GOAL)
    assert said == (
        "the budget of frames is spent with 30, before the goal: thermal conductivity to 4 % (goal 5 %), "
        "stiffness to 1 % (goal 2 %), by a spread that is not calibrated"
    )
    assert sentence("frames", [Round(30, failed="the fit diverged")], GOAL).endswith(
        "no property (the fit diverged)"
    )


@pytest.mark.parametrize(
    ("conductivity", "stiffness", "expected"),
    [
        (0.10, 0.01, (4, 0)),  # only the conductivity is open
        (0.04, 0.10, (0, 4)),  # only the stiffness
        (0.10, 0.04, (2, 2)),  # both twice their goals
        (0.15, 0.021, (3, 1)),
        (9.0, 0.021, (3, 1)),  # one is far off, the other still gets its frame
        (0.04, 0.01, (2, 2)),  # known, but the spread is not calibrated
    ],
)
def test_frames_go_where_the_goal_is_farther(
    conductivity: float, stiffness: float, expected: tuple[int, int]
) -> None:
    last = Round(10, uncertainties={"thermal_conductivity": conductivity, "stiffness": stiffness})
    assert shares(last, GOAL, 4) == expected


def test_one_goal_gets_all_frames() -> None:
    assert shares(Round(10), {"stiffness": 0.02}, 3) == (0, 3)
    assert shares(Round(10), {"thermal_conductivity": 0.05}, 3) == (3, 0)


def test_the_relative_uncertainty_is_the_largest_of_the_components_that_are_not_small() -> None:
    value = np.array([[[100.0, 1.0], [0.0, 50.0]]])
    members = value + np.array([[[-1.0, 5.0], [3.0, 2.0]], [[1.0, -5.0], [-3.0, -2.0]]])[:, None]
    record = QuantityRecord("x", "x", "GPa", value, [{}], None, members=members)
    top, share = relative_uncertainty(record)
    assert top == 100.0
    assert share == pytest.approx(2 * np.sqrt(2) / 50)
    assert relative_uncertainty(replace(record, members=None)) == (100.0, np.inf)


def test_rounds_are_written_with_the_reason_of_their_end(tmp_path: Path) -> None:
    with ResultWriter(tmp_path / "t.h5", task="training", task_version=1) as writer:
        writer.quantity("force_error", 2e-3)
        writer.note("calibration", {"calibrated": True})
    with ResultWriter(tmp_path / "e.h5", task="elasticity", task_version=1) as writer:
        stiffness = np.diag([100.0, 100, 100, 50, 50, 50])
        writer.quantity("stiffness", stiffness, members=[[0.99 * stiffness], [1.01 * stiffness]])
    with ResultReader(tmp_path / "t.h5") as training, ResultReader(tmp_path / "e.h5") as elasticity:
        found = read_round(10, None, training, {"stiffness": elasticity})
    assert found.force_error == 2e-3
    assert found.uncertainties["stiffness"] == pytest.approx(0.01 * np.sqrt(2))
    goal = {"stiffness": 0.02}
    with ResultWriter(tmp_path / "r.h5", task="learning", task_version=1) as writer:
        write_rounds(writer, [Round(7, failed="none yet"), found], goal, BUDGET)
    with ResultReader(tmp_path / "r.h5") as reader:
        assert reader.array("rounds/frames").tolist() == [7, 10]
        assert np.isnan(reader.array("rounds/stiffness/uncertainty")[0])
        assert reader.note("stopped")["reason"] == "goal"
        assert reader.note("rounds")[0]["failed"] == "none yet"
