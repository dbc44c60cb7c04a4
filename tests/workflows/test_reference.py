"""The reference stage: going from few frames to more computes only those that are new."""

from __future__ import annotations

import importlib
from dataclasses import replace

import pytest
from aiida import orm
from aiida.engine import run_get_node

from hashigo.calculators.engines import get_engine
from hashigo.scheduler_profiles import computers, model
from hashigo.study.structures import structure_content
from hashigo.workflows import batches as batch_choice
from hashigo.workflows import reference as stage
from hashigo.workflows.frame_nodes import frames_node, merge_frames
from hashigo.workflows.reference import ReferenceWorkChain


@pytest.fixture
def structure(aiida_profile_clean, diamond):
    return orm.StructureData(ase=diamond)


@pytest.fixture
def trouble(monkeypatch, trouble_path):
    """The engine 'trouble' is known here and in jobs; other tests know it no more."""
    monkeypatch.syspath_prepend(trouble_path)
    monkeypatch.setenv("PYTHONPATH", trouble_path)
    get_engine.cache_clear()
    yield
    get_engine.cache_clear()


class Sampled(ReferenceWorkChain):
    """Takes the frames of the test."""

    def sample(self):
        content = structure_content(self.inputs.structure.get_ase())
        frames = importlib.import_module("trouble").make_frames(self.inputs.parameters["count"])
        self.ctx.sampled = frames_node(frames, {"structure": content, "engine": "trouble"}).store()
        self.out("structure", self.inputs.structure)


def numbered(structure, count, **settings):
    """Run the stage on frames of the engine 'trouble', which knows them by their numbers."""
    complete = get_engine("trouble").complete(settings)
    parameters = orm.Dict({"engine": "trouble", "settings": complete, "count": count})
    return run_get_node(Sampled, structure=structure, parameters=parameters, site=orm.Str("local"))


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


def test_a_walltime_splits_the_work_into_jobs_until_all_is_there(structure, trouble, monkeypatch):
    short = model.load_site("local").model_copy(update={"walltime": 6, "cores": 1})
    monkeypatch.setattr(stage, "load_site", lambda name: short)
    outputs, node = numbered(structure, 60, seconds=0.15)
    assert node.is_finished_ok, node.exit_message
    assert [f.energy for f in outputs["result"].frames()] == list(range(60))
    counts = batches(node)
    assert len(counts) >= 2
    assert counts == sorted(set(counts), reverse=True)
    jobs = [child for child in node.called if child.process_label == "WorkerCalculation"]
    assert {job.exit_status for job in jobs[:-1]} == {440}
    assert jobs[-1].exit_status == 0
    assert jobs[0].label == "batch of 60 of 60 frames"


def test_no_progress_ends_the_stage_with_a_sentence(structure, trouble, monkeypatch):
    short = model.load_site("local").model_copy(update={"walltime": 4, "cores": 1})
    monkeypatch.setattr(stage, "load_site", lambda name: short)
    _, node = numbered(structure, 3, troubles={"0": "slow"})
    assert node.exit_status == 400
    assert "3 of 3 frames are left to be computed" in node.exit_message
    assert "give the site a longer walltime" in node.exit_message
    assert batches(node) == [3]


def test_failed_frames_end_the_stage_and_all_others_are_kept(structure, trouble):
    outputs, node = numbered(structure, 10, troubles={"4": "nan", "6": "raise"})
    assert node.exit_status == 410
    assert node.exit_message.startswith(
        "2 of 10 frames could not be computed; the first: frame 4: its forces are not finite"
    )
    assert [f.energy for f in outputs["result"].frames()] == [0, 1, 2, 3, 5, 7, 8, 9]
    # The same study again computes only what is missing, and takes the rest from the job that failed.
    _, again = numbered(structure, 10, troubles={"4": "nan", "6": "raise"})
    assert batches(again) == [2]


def test_an_engine_that_crashes_is_started_again_without_the_frame(structure, trouble, monkeypatch):
    one_core = model.load_site("local").model_copy(update={"cores": 1})
    monkeypatch.setattr(stage, "load_site", lambda name: one_core)
    outputs, node = numbered(structure, 8, troubles={"3": "crash"}, seconds=0.05)
    assert node.exit_status == 410
    assert "frame 3: the engine took its process down: Segmentation fault" in node.exit_message
    assert [f.energy for f in outputs["result"].frames()] == [0, 1, 2, 4, 5, 6, 7]
    assert len(batches(node)) == 2


def test_many_frames_are_merged_in_order(structure, trouble):
    module = importlib.import_module("trouble")
    frames = module.make_frames(500)
    sampled, odd, even = (frames_node(part, {"engine": "t"}) for part in (frames, frames[1::2], frames[::2]))
    merged = merge_frames(sampled, a=odd, b=even)
    assert merged.base.attributes.get("identities") == [f.identity for f in frames]


def test_options_of_a_batch_come_from_the_site(monkeypatch):
    site = model.load_site("local").model_copy(update={"cores": 4, "walltime": 3600, "memory_mb": 2000})
    monkeypatch.setattr(computers, "mpi_works", lambda site: True)
    engine = get_engine("tersoff")
    options = batch_choice.batch_options(site, engine, {}, 100)
    assert options["resources"]["num_mpiprocs_per_machine"] == 5
    assert options["max_wallclock_seconds"] == 3600
    assert options["max_memory_kb"] == 2048000
    assert batch_choice.batch_options(site, engine, {}, 2)["resources"]["num_mpiprocs_per_machine"] == 3
    assert batch_choice.batch_options(site, engine, {}, 1)["withmpi"] is False


class AtomAndCrystal(Sampled):
    """Its first frame is a free atom."""

    def sample(self):
        super().sample()
        first, *others = self.ctx.sampled.frames()
        frames = [replace(first, kind="atom"), *others]
        self.ctx.sampled = frames_node(frames, self.ctx.sampled.header()).store()


def test_free_atoms_alone_are_no_result(structure, trouble):
    settings = get_engine("trouble").complete({"troubles": {"1": "nan"}})
    parameters = orm.Dict({"engine": "trouble", "settings": settings, "count": 2})
    outputs, node = run_get_node(
        AtomAndCrystal, structure=structure, parameters=parameters, site=orm.Str("local")
    )
    assert node.exit_status == 410
    assert "1 of 2 frames could not be computed; the first: frame 1: its forces" in node.exit_message
    assert "result" not in outputs
