"""The potential's stage: a search for the model comes before the training, and both come from the cache."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching

from hashigo.calculators.data import FramesData
from hashigo.calculators.engines.tersoff import silicon
from hashigo.calculators.frames import write_frames
from hashigo.calculators.sampling import sample
from hashigo.calculators.workers.potential import AseModel
from hashigo.study import study_from
from hashigo.workflows.potential import STAGE, PotentialWorkChain
from hashigo.workflows.results import model_text

SAMPLING = {
    "supercell": [1, 1, 1], "displaced": 8, "displacement": 0.03, "strained": 0, "strain": 0.01, "volumes": 0,
    "volume_range": 0.06,
}  # fmt: skip
SEARCH = {"cutoff": [2.6, 4.0], "radial_functions": [3], "invariant_max_l": [[2, 2]], "max_power": [1]}


@pytest.fixture
def frames(aiida_profile, tmp_path, diamond):
    """Silicon's frames by Tersoff's potential, as a node."""
    model = AseModel(silicon(), ["Si"])
    known = []
    for frame in sample(diamond, SAMPLING, 0, "s"):
        if frame.kind != "atom":
            value = model.evaluate([frame.atoms()])[0]
            known.append(replace(frame, energy=value.energy, forces=value.forces, stress=value.stress))
    write_frames(tmp_path / "frames.h5", known, {"engine": "tersoff", "atomic_energies": {"Si": 0.0}})
    return FramesData(tmp_path / "frames.h5").store()


def parameters(**potential):
    study = study_from({"structure": "a.cif", "reference": "r.h5", "potential": potential})
    return STAGE.parameters(study.model_dump(mode="json"))


def stage(frames, **potential):
    return run_get_node(
        PotentialWorkChain,
        parameters=orm.Dict(parameters(**potential)),
        site=orm.Str("local"),
        stop_at_gates=orm.Bool(False),
        files={"frames": frames},
    )


def test_the_model_that_is_chosen_is_trained_and_all_comes_from_the_cache(frames):
    with enable_caching():
        first, node = stage(frames, search=SEARCH, members=2)
        # Neither what is searched for, nor what the search does not depend on, computes it again.
        second, again = stage(frames, search=SEARCH, members=2, cutoff=7)
        third, other = stage(frames, search=SEARCH, members=3)
    assert node.is_finished_ok, node.exit_message
    with first["search"].reader() as reader:
        search = reader.note("search")
    with first["result"].reader() as reader:
        settings = reader.note("training")["settings"]
    assert search["candidates"] == 2
    for name, value in search["parameters"].items():
        assert settings[name] == value
    assert "cut-off" in model_text(search)
    assert settings["members"] == 2

    def cached(node):
        jobs = {job.inputs.task.value: job for job in node.called if "task" in job.inputs}
        return {task: job.base.caching.is_created_from_cache for task, job in jobs.items()}

    assert cached(node) == {"hyperparameters": False, "training": False}
    assert cached(again) == {"hyperparameters": True, "training": True}
    assert cached(other) == {"hyperparameters": True, "training": False}
    # What was chosen reached the training through the graph.
    training = next(
        job for job in node.called if "task" in job.inputs and job.inputs.task.value == "training"
    )
    assert training.inputs.parameters.creator.inputs.search.uuid == first["search"].uuid
    assert third["result"].uuid != second["result"].uuid


def test_a_search_that_fails_is_a_sentence(frames):
    # Two cut-offs, one of which the worker refuses and the study does too; given past the study here.
    broken = {**parameters(search=SEARCH), "grid": {**SEARCH, "cutoff": [0.5]}}
    outputs, node = run_get_node(
        PotentialWorkChain, parameters=orm.Dict(broken), site=orm.Str("local"), files={"frames": frames}
    )
    assert node.exit_status == 400
    assert "0.5 Å, too short" in node.exit_message
    assert "result" not in outputs


def test_without_a_search_parameters_are_what_they_were():
    given = parameters()
    assert "search" not in given
    assert "grid" not in given
    assert given["cutoff"] == 6.0


def test_searched_parameters_are_not_given():
    assert not {"cutoff", "max_power"} & set(parameters(search=True))
    assert parameters(search=True, cutoff=5) == parameters(search=True, cutoff=7)
    assert parameters(search={"cutoff": [4, 5]})["grid"]["radial_functions"] == [10]
    assert parameters(search={"cutoff": ["0.4 nm", 4, 5]})["grid"]["cutoff"] == [4.0, 5.0]


STUDY = """\
licence: CC-BY-4.0
structure: silicon.cif
reference: {engine: tersoff, sampling: {supercell: [1, 1, 1], displaced: 6, strained: 6, volumes: 0}}
until: potential
potential: {members: 2, search: {cutoff: [3, 4], radial_functions: [3], invariant_max_l: [[2, 2]], max_power: [1]}}
stop_at_gates: false
"""


def test_a_searched_study_says_what_was_chosen_and_its_potential_is_published(workplace):
    (workplace.folder / "study.yaml").write_text(STUDY)
    planned = workplace.run("plan", "study.yaml", "--json")
    (row,) = [row for row in json.loads(planned.stdout)["stages"] if row["stage"] == "potential"]
    assert row["jobs"] == 2
    assert "cross-validation of 2 models" in row["needs"]
    done = workplace.run("run", "study.yaml")
    assert done.returncode == 0, done.stderr
    assert "model of the potential: cut-off " in done.stdout
    search = json.loads((workplace.folder / "study-results" / "results.json").read_text())["search"]
    assert search["candidates"] == 2
    page = (workplace.folder / "study-results" / "report.html").read_text()
    assert "Choice of the potential" in page
    exported = workplace.run("export", "--as", "potential", "-o", "silicon")
    assert exported.returncode == 0, exported.stderr
    card = json.loads((workplace.folder / "silicon" / "potential.json").read_text())
    assert {name: card["settings"][name] for name in search["parameters"]} == search["parameters"]
