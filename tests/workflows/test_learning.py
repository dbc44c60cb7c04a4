"""Learning through AiiDA: rounds of labelling until a property is known, or the budget is spent; nothing twice."""

from __future__ import annotations

import json
import re

import pytest
import yaml

STUDY = {
    "title": "Learning silicon",
    "structure": "silicon.cif",
    "reference": {"engine": "tersoff"},
    "until": "reference",
    "learning": {
        "until": {"stiffness": "0.0001 %"},
        "budget": {"frames": 12},
        "batch": 3,
        "sources": ["strained"],
    },
    "potential": {"cutoff": 5, "radial_functions": 5, "invariant_max_l": [4, 4], "members": 4},
}


def write(workplace, **learning):
    content = {**STUDY, "learning": {**STUDY["learning"], **learning}}
    (workplace.folder / "study.yaml").write_text(yaml.safe_dump(content))


def rounds(workplace):
    done = workplace.run("results", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["learning"]


def test_rounds_go_on_to_the_budget_or_the_goal_and_labelled_frames_are_kept(workplace):
    write(workplace)
    done = workplace.run("run", "study.yaml")
    assert done.returncode == 0, done.stderr
    assert "the budget of frames is spent with 12, before the goal: stiffness to" in done.stdout
    found = rounds(workplace)
    assert [one["frames"] for one in found["rounds"]] == [10, 12]
    assert found["stopped"]["reason"] == "frames"
    # The reference has what was labelled, and computes none of it again.
    assert re.search(r"Reference frames: done .*from the cache", done.stdout)
    states = json.loads(workplace.run("status", "--json").stdout)
    assert states["state"] == "finished"
    write(workplace, until={"stiffness": "50 %"})
    again = workplace.run("run", "study.yaml")
    assert again.returncode == 0, again.stderr
    assert "the goal is reached with 10 frames: stiffness to" in again.stdout
    assert [one["frames"] for one in rounds(workplace)["rounds"]] == [10]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"until": {}}, "give 'thermal_conductivity' or 'stiffness'"),
        ({"until": {"stiffness": "5 GPa"}}, "learning.until.stiffness"),
        ({"sources": ["guess"]}, "learning.sources"),
        ({"sources": ["thermal"]}, "a goal for the stiffness needs 'strained'"),
        ({"budget": {"frames": 0}}, "learning.budget.frames"),
    ],
)
def test_a_strange_goal_is_one_sentence(workplace, changes, message):
    write(workplace, **changes)
    done = workplace.run("run", "study.yaml")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_learning_from_a_file_is_refused(workplace):
    content = {**STUDY, "reference": {"data": "frames.h5"}}
    (workplace.folder / "study.yaml").write_text(yaml.safe_dump(content))
    done = workplace.run("run", "study.yaml")
    assert done.returncode == 2
    assert "learning needs an engine that labels frames" in done.stderr


def test_the_plan_tells_the_first_round(workplace):
    write(workplace)
    done = workplace.run("plan", "study.yaml", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["stage"]: row for row in json.loads(done.stdout)["stages"]}
    assert "until stiffness to 0.0001 %, at most 12 frames" in rows["learning"]["needs"]
