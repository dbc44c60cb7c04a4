"""The ladder's order comes from what each stage takes; a stage judges the gate of its result."""

from __future__ import annotations

import importlib
from dataclasses import replace
from importlib.metadata import entry_points

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching

from hashigo.calculators.calculation import task_version
from hashigo.calculators.data import FramesData, QuantitiesData
from hashigo.calculators.engines.tersoff import silicon
from hashigo.calculators.frames import write_frames
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.sampling import sample
from hashigo.calculators.workers.potential import AseModel
from hashigo.study import study_from
from hashigo.study.model import OPTIONAL, STAGE_NAMES
from hashigo.study.supercell import resolve
from hashigo.workflows.potential import PotentialWorkChain
from hashigo.workflows.stage import broken_gate, stages, stages_of

#: Few displaced frames and few features: the potential is bad, and trained in a second.
SAMPLING = {
    "supercell": [1, 1, 1], "displaced": 4, "displacement": 0.03, "strained": 0, "strain": 0.01, "volumes": 0,
    "volume_range": 0.06,
}  # fmt: skip
TRAINING = {"members": 2, "cutoff": 4.0, "radial_functions": 3, "invariant_max_l": [2, 2]}


def test_stages_come_after_what_they_take_and_are_those_of_the_study():
    ladder = list(stages())
    assert tuple(ladder) == STAGE_NAMES
    for index, stage in enumerate(stages().values()):
        assert stage.after <= set(ladder[:index])


MANDATORY = [name for name in STAGE_NAMES if name not in OPTIONAL]


def names(**study):
    content = study_from({"structure": "a.cif", "reference": "r.h5", **study}).model_dump(mode="json")
    return [stage.name for stage in stages_of(content)]


def test_until_cuts_the_ladder():
    assert names(until="potential") == ["structure", "reference", "potential"]
    assert names() == MANDATORY


def test_an_optional_stage_runs_when_the_study_has_its_section_and_what_it_takes_is_run():
    assert names(dynamics={}, green_kubo={}, expansion={}, sscha={}, thermoelasticity={}) == [
        name for name in STAGE_NAMES if name not in ("component", "learning")
    ]
    body = {"size": [1, 1, 1], "duration": 1, "faces": {"x-": {"temperature": 300}}}
    assert names(component=body) == [*MANDATORY, "component"]
    assert names(component=body, until="handover") == MANDATORY[:-1]
    learning = {"reference": {"engine": "tersoff"}, "learning": {"until": {"stiffness": "1 %"}}}
    assert names(**learning, until="potential") == ["structure", "learning", "reference", "potential"]
    assert names(**learning, until="structure") == ["structure"]
    assert names(dynamics={}, until="phonons") == [*MANDATORY[:5], "dynamics"]
    assert names(dynamics={}, until="dynamics") == [*MANDATORY[:5], "dynamics"]
    assert names(dynamics={}, until="potential") == ["structure", "reference", "potential"]


def test_studies_of_before_the_section_run_as_they_did():
    content = study_from({"structure": "a.cif", "reference": "r.h5"}).model_dump(mode="json")
    for name in OPTIONAL:
        del content[name]
    assert [stage.name for stage in stages_of(content)] == MANDATORY


def test_every_stage_has_its_workchain_and_task():
    chains = {point.name for point in entry_points(group="aiida.workflows")}
    for stage in stages().values():
        assert stage.process in chains
        if stage.task:
            assert task_version(stage.task) >= 1


@pytest.mark.parametrize(
    "name",
    [
        "potential",
        "elasticity",
        "phonons",
        "expansion",
        "thermoelasticity",
        "conductivity",
        "dynamics",
        "green_kubo",
    ],
)
def test_a_workers_defaults_are_those_of_the_study(name, diamond):
    stage = stages()[name]
    defaults = importlib.import_module(f"hashigo.calculators.workers.{stage.task}").DEFAULTS
    section = study_from(
        {
            "structure": "a.cif",
            "reference": "r.h5",
            **{key: {} for key in OPTIONAL if key not in ("component", "learning")},
        }
    )
    section = resolve(section.model_dump(mode="json"), diamond)[name]
    common = set(defaults) & set(section)
    assert len(common) >= 2
    # A worker says None or a shorter list where it leaves the choice to the study.
    for key in common - {"temperatures", "max_force_error"}:
        assert defaults[key] == section[key], key


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


def train(frames, *, stop):
    """Run the stage with a gate that cannot hold; its outputs and node."""
    return run_get_node(
        PotentialWorkChain,
        parameters=orm.Dict({**TRAINING, "max_force_error": 1e-12}),
        site=orm.Str("local"),
        stop_at_gates=orm.Bool(stop),
        files={"frames": frames},
    )


def test_a_broken_gate_stops_the_stage_unless_told_otherwise_and_its_job_is_not_run_again(frames):
    with enable_caching():
        (stopped, first), (kept, second) = train(frames, stop=True), train(frames, stop=False)
        again, third = train(frames, stop=True)
    assert first.exit_status == third.exit_status == 430
    assert first.exit_message.startswith("the potential's force error on held-out frames is ")
    assert first.exit_message.endswith("or raise potential.max_force_error)")
    assert second.is_finished_ok
    assert "going on as the study says" in orm.Log.collection.get_logs_for(second)[0].message
    jobs = [node.called[0] for node in (first, second, third)]
    assert all(job.is_finished_ok for job in jobs)
    assert [job.base.caching.is_created_from_cache for job in jobs] == [False, True, True]
    assert len({outputs["result"].base.caching.get_hash() for outputs in (stopped, kept, again)}) == 1


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        (None, ""),
        ({"name": "warm_tea", "passed": True}, ""),
        ({"name": "warm_tea", "passed": False, "message": "cold", "fix": "drink"}, "cold (fix: drink)"),
        ({"name": "warm_tea", "passed": False}, "warm_tea"),
    ],
)
def test_the_gate_of_a_result_is_a_sentence(aiida_profile, tmp_path, gate, sentence):
    with ResultWriter(tmp_path / "r.h5", task="t", task_version=1) as writer:
        if gate is not None:
            writer.note("gate", gate)
    assert broken_gate(QuantitiesData(tmp_path / "r.h5")) == sentence
    assert broken_gate(QuantitiesData(tmp_path / "r.h5"), ["warm_tea"]) == ""


def test_imaginary_harmonic_modes_do_not_stop_a_study_that_renormalises_them():
    for sections, elsewhere in (({}, ()), ({"sscha": {}}, ("imaginary_mode",))):
        study = study_from({"structure": "a.cif", "reference": "r.h5", **sections}).model_dump(mode="json")
        assert stages()["phonons"].judged_elsewhere(study) == elsewhere
        assert stages()["conductivity"].judged_elsewhere(study) == ()


def test_frames_have_no_gate(frames):
    assert broken_gate(frames) == ""


def test_a_stage_that_others_may_take_runs_for_its_own_sake_too():
    assert names(expansion={}, until="expansion")[-1] == "expansion"
    assert "expansion" in names(expansion={}, until="phonons")
    ladder = names(expansion={})
    assert ladder.index("expansion") < ladder.index("handover") < ladder.index("mesoscale")
