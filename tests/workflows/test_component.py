"""The stage takes table and polycrystal; a mask is an input of its own, as closed as the stage."""

from __future__ import annotations

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node

from hashigo.calculators.data import QuantitiesData
from hashigo.calculators.results import ResultWriter
from hashigo.errors import InputError
from hashigo.study import study_from
from hashigo.workflows.component import STAGE, ComponentWorkChain
from hashigo.workflows.engine import start_inputs
from hashigo.workflows.inputs import as_written, prepare

BODY = {
    "size": [4, 4, 1], "cells": [4, 4, 1], "duration": 1.0, "faces": {"x-": {"temperature": 400}},
    "material": {"conductivity": 100, "density": 2330, "heat_capacity": 700},
}  # fmt: skip


@pytest.fixture
def files(aiida_profile, tmp_path):
    """Results that nothing is taken of: all is given by hand."""
    found = {}
    for name in ("handover", "mesoscale"):
        with ResultWriter(tmp_path / f"{name}.h5", task=name, task_version=1):
            pass
        found[name] = QuantitiesData(tmp_path / f"{name}.h5").store()
    return found


def run(files, body):
    study = study_from({"structure": "a.cif", "reference": "r.h5", "component": body}).model_dump(mode="json")
    return run_get_node(
        ComponentWorkChain, parameters=orm.Dict(STAGE.parameters(study)), site=orm.Str("local"), files=files
    )


def test_the_stage_computes_in_one_job(files):
    outputs, node = run(files, BODY)
    assert node.is_finished_ok
    with outputs["result"].reader() as reader:
        assert reader.quantity("component_steady_temperature").value[0] == pytest.approx(400.0)


def test_a_mask_is_an_input_of_its_own_and_not_in_the_study(aiida_profile, tmp_path, tersoff_study):
    region = np.ones((2, 2, 2), dtype=np.int32)
    np.save(tmp_path / "part.npy", region)
    body = {**BODY, "size": None, "cells": [2, 2, 2], "mask": "part.npy", "voxel": "1 mm"}
    study = study_from({**tersoff_study, "component": body})
    study._folder = tmp_path
    prepared = prepare(study)
    inputs = start_inputs(prepared)
    with inputs["body"].open(mode="rb") as file:
        assert np.array_equal(np.load(file), region)
    assert STAGE.given == ("body",)
    assert prepared.content["component"]["mask"] == "part.npy"
    assert study_from(as_written(prepared.content)).component.mask == "part.npy"
    assert STAGE.needs(prepared.content) == "1 s of heat conduction in a mask of voxels"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"probes": [[9, 9, 9]]}, "the probe at 9, 9, 9 mm lies outside"),
        ({"regions": {3: {"source": 1.0}}}, "component.regions has 3, and the mask has no such voxel"),
        ({"refine": 8}, "the component has 4096000 cells, more than 250000"),
        ({"faces": {"x+": {"temperature": 400}}}, "no cell at its face x"),
    ],
)
def test_a_body_that_does_not_do_is_told_before_anything_starts(tmp_path, tersoff_study, change, complaint):
    region = np.ones((20, 20, 20), dtype=np.uint8)
    region[:, :, -1] = 0
    if "refine" in change:
        region[:, :, -1] = 1
    np.save(tmp_path / "part.npy", region)
    body = {**BODY, "size": None, "cells": [2, 2, 2], "mask": "part.npy", "voxel": "0.1 mm", **change}
    study = study_from({**tersoff_study, "component": body})
    study._folder = tmp_path
    with pytest.raises(InputError, match=complaint):
        prepare(study)


@pytest.fixture
def tersoff_study(tmp_path):
    """A study whose files are there."""
    from ase.build import bulk

    bulk("Si", "diamond", 5.43, cubic=True).write(tmp_path / "si.cif")
    return {"structure": "si.cif", "reference": {"engine": "tersoff"}}
