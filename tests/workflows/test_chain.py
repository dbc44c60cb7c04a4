"""What the ladder hands to its stages."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hashigo.study import study_from
from hashigo.workflows.chain import MultiscaleWorkChain
from hashigo.workflows.stage import stages


@pytest.mark.parametrize("given", [True, False])
def test_what_files_give_goes_to_the_stage_that_takes_it(given):
    study = study_from({"structure": "a", "reference": "b"}).model_dump(mode="json")
    inputs = {"microstructure": "the file"} if given else {}
    chain = SimpleNamespace(
        inputs=SimpleNamespace(study=SimpleNamespace(get_dict=lambda: study)),
        ctx=SimpleNamespace(finished=[]),
        _result=lambda source: source,
    )

    class Inputs:
        """As AiiDA's: attributes and items."""

        study = chain.inputs.study

        def __contains__(self, name):
            return name in inputs

        def __getitem__(self, name):
            return inputs[name]

    chain.inputs = Inputs()
    handed = {
        name: MultiscaleWorkChain._inputs(chain, stages()[name])["files"] for name in ("mesoscale", "phonons")
    }
    assert handed["mesoscale"].get("microstructure") == inputs.get("microstructure")
    assert handed["mesoscale"]["conductivity"] == "conductivity"
    assert "microstructure" not in handed["phonons"]
