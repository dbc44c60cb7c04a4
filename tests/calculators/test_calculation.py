"""The one CalcJob: a real job on this computer, its cache, and its failures."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from aiida import orm
from aiida.common.exceptions import ValidationError
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching

from hashigo.calculators.calculation import WorkerCalculation, task_version
from hashigo.calculators.data import FramesData, QuantitiesData
from hashigo.calculators.frames import write_frames
from hashigo.calculators.sampling import sample
from hashigo.errors import InputError
from hashigo.scheduler_profiles.computers import get_computer
from hashigo.scheduler_profiles.model import load_site
from hashigo.workflows.stage import worker_inputs

SAMPLING = {
    "supercell": [1, 1, 1], "displaced": 2, "displacement": 0.03, "strained": 0, "strain": 0.01, "volumes": 0,
    "volume_range": 0.06,
}  # fmt: skip


@pytest.fixture
def frames(aiida_profile, tmp_path, diamond):
    write_frames(tmp_path / "frames.h5", sample(diamond, SAMPLING, 0, "s"), {"engine": "tersoff"})
    return FramesData(tmp_path / "frames.h5")


def partial_results():
    """Folder where jobs of the test's computer keep what they have computed."""
    return Path(get_computer(load_site("local")).get_workdir()) / "partial"


def inputs(frames, ranks=1, engine="tersoff"):
    return worker_inputs(
        "local", "forces", orm.Dict({"engine": engine, "settings": {}}), {"frames": frames}, ranks
    )


def test_a_job_gives_checked_frames_and_statistics(frames):
    outputs, node = run_get_node(WorkerCalculation, **inputs(frames))
    assert node.is_finished_ok, node.exit_message
    assert isinstance(outputs["result"], FramesData)
    assert outputs["result"].base.attributes.get("n_frames") == 3
    assert outputs["statistics"]["wall_time_s"] > 0
    # Physical content only: a second computation is the same node content.
    shutil.rmtree(partial_results())
    again, _ = run_get_node(WorkerCalculation, **inputs(frames))
    assert again["result"].base.caching.get_hash() == outputs["result"].base.caching.get_hash()


def test_ranks_do_not_defeat_the_cache_but_parameters_and_versions_do(frames):
    with enable_caching():
        _, first = run_get_node(WorkerCalculation, **inputs(frames))
        _, second = run_get_node(WorkerCalculation, **inputs(frames, ranks=2))
        changed = inputs(frames)
        changed["task_version"] = orm.Int(changed["task_version"].value + 1)
        _, third = run_get_node(WorkerCalculation, **changed)
    assert second.base.caching.is_created_from_cache
    assert second.get_option("resources")["num_mpiprocs_per_machine"] >= 1
    assert not third.base.caching.is_created_from_cache
    assert first.is_finished_ok


def test_cores_of_a_rank_are_its_threads(frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a dry run leaves a folder
    for cores, threads in ((None, 1), (3, 3)):
        builder = WorkerCalculation.get_builder()
        builder._update(inputs(frames))
        if cores:
            builder.metadata.options.resources = {
                "num_machines": 1,
                "num_mpiprocs_per_machine": 1,
                "num_cores_per_mpiproc": cores,
            }
        builder.metadata.dry_run = True
        builder.metadata.store_provenance = False
        _, node = run_get_node(builder)
        job = json.loads((Path(node.dry_run_info["folder"]) / "job.json").read_text())
        assert job["threads"] == threads


def test_a_failure_is_a_sentence_and_never_served_from_the_cache(frames):
    with enable_caching():
        _, first = run_get_node(WorkerCalculation, **inputs(frames, engine="emt"))
        _, second = run_get_node(WorkerCalculation, **inputs(frames, engine="emt"))
    assert first.exit_status == 441
    assert first.exit_message.startswith(
        "3 of 3 frames failed; the first: frame 0: NotImplementedError: No EMT-"
    )
    assert "result" not in first.outputs
    assert "log" in first.outputs
    assert not second.base.caching.is_created_from_cache


def test_task_versions_are_read_without_importing():
    assert task_version("forces") >= 1
    with pytest.raises(InputError, match="no worker task 'nonsense'"):
        task_version("nonsense")


@pytest.mark.parametrize("kind", [FramesData, QuantitiesData])
def test_damaged_files_are_not_stored(aiida_profile, kind):
    node = kind(io.BytesIO(b"nonsense"), filename="x.h5")
    with pytest.raises(ValidationError, match="cannot be read as HDF5"):
        node.store()
    assert not node.is_stored
