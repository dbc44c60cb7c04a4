"""The reference stage: going from few frames to more computes only those that are new."""

from __future__ import annotations

import pytest
from aiida import orm
from aiida.engine import run_get_node

from hashigo.calculators.engines import get_engine
from hashigo.workflows.reference import ReferenceWorkChain


@pytest.fixture
def structure(aiida_profile_clean, diamond):
    return orm.StructureData(ase=diamond)


def reference(structure, displaced, **changes):
    parameters = {
        "engine": "tersoff", "settings": get_engine("tersoff").complete({}), "seed": 0,
        "sampling": {
            "supercell": [1, 1, 1], "displaced": displaced, "displacement": 0.03, "strained": 1, "strain": 0.01,
            "volumes": 1, "volume_range": 0.05,
        },
        **changes,
    }  # fmt: skip
    _, node = run_get_node(
        ReferenceWorkChain, structure=structure, parameters=orm.Dict(parameters), site=orm.Str("local")
    )
    assert node.is_finished_ok, node.exit_message
    return node


def batches(node):
    jobs = [child for child in node.called if child.process_label == "WorkerCalculation"]
    return [job.inputs.files.frames.base.attributes.get("n_frames") for job in jobs]


def test_more_frames_compute_only_the_new_ones(structure):
    first = reference(structure, 2)
    assert batches(first) == [5]
    second = reference(structure, 4)
    assert batches(second) == [2]
    assert [f.kind for f in second.outputs.result.frames()].count("displaced") == 4
    third = reference(structure, 4)
    assert batches(third) == []
    assert third.outputs.result.base.caching.get_hash() == second.outputs.result.base.caching.get_hash()


def test_another_seed_is_other_work(structure):
    reference(structure, 1)
    # The free atom is the same in both.
    assert batches(reference(structure, 1, seed=1)) == [3]


def test_free_atoms_go_to_the_header(structure):
    node = reference(structure, 1)
    assert node.outputs.result.header()["atomic_energies"] == {"Si": 0.0}
    assert {f.kind for f in node.outputs.result.frames()} == {"displaced", "strained"}
    assert node.outputs.structure.get_formula() == "Si8"
