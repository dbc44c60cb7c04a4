"""The ladder's order comes from what each stage takes."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

import pytest

from hashigo.calculators.calculation import task_version
from hashigo.study import study_from
from hashigo.study.model import STAGE_NAMES
from hashigo.workflows.stage import stages, stages_until


def test_stages_come_after_what_they_take_and_are_those_of_the_study():
    ladder = list(stages())
    assert tuple(ladder) == STAGE_NAMES
    for index, stage in enumerate(stages().values()):
        assert stage.after <= set(ladder[:index])


def test_until_cuts_the_ladder():
    assert [stage.name for stage in stages_until("potential")] == ["structure", "reference", "potential"]


def test_every_stage_has_its_workchain_and_task():
    chains = {point.name for point in entry_points(group="aiida.workflows")}
    for stage in stages().values():
        assert stage.process in chains
        if stage.task:
            assert task_version(stage.task) >= 1


@pytest.mark.parametrize("name", ["potential", "elasticity", "phonons", "conductivity"])
def test_a_workers_defaults_are_those_of_the_study(name):
    stage = stages()[name]
    defaults = importlib.import_module(f"hashigo.calculators.workers.{stage.task}").DEFAULTS
    section = study_from({"structure": "a.cif", "reference": "r.h5"}).model_dump(mode="json")[name]
    common = set(defaults) & set(section)
    assert len(common) >= 2
    # A worker says None or a shorter list where it leaves the choice to the study.
    for key in common - {"temperatures", "max_force_error"}:
        assert defaults[key] == section[key], key
