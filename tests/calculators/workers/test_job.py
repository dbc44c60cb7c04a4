"""Job files and the program that runs them: every fault is a sentence and an exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hashigo.calculators.workers.job import Job, SerialComm, world
from hashigo.errors import InputError


def write_job(folder, **changes):
    content = {"task": "forces", "parameters": {}, "inputs": {}, "output": "result.h5", **changes}
    (folder / "job.json").write_text(json.dumps(content))
    return folder / "job.json"


def start(path):
    return subprocess.run(
        [sys.executable, "-m", "hashigo.calculators.workers", path.name], cwd=path.parent, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_no_launcher_means_no_mpi(monkeypatch):
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "FLIB_RANK_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(world(), SerialComm)


def test_missing_input_is_named(tmp_path):
    path = write_job(tmp_path, inputs={"frames": "frames.h5"})
    with pytest.raises(InputError, match=r"input 'frames' of task 'forces' is missing: frames\.h5"):
        Job.read(path)


@pytest.mark.parametrize(
    ("task", "message"), [("nonsense", "no worker task"), ("../x", "not the name of a worker")]
)
def test_unknown_task_is_an_exit_status_and_a_record(tmp_path, task, message):
    done = start(write_job(tmp_path, task=task))
    assert done.returncode == 2
    assert message in json.loads((tmp_path / "error.json").read_text())["message"]
    assert "Traceback" not in done.stderr


def test_progress_is_a_readable_file(tmp_path):
    job = Job("t", {}, {}, tmp_path / "r.h5", progress_path=tmp_path / "progress.json")
    job.progress(3, 3, "frames")
    assert json.loads((tmp_path / "progress.json").read_text()) == {"done": 3, "total": 3, "text": "frames"}


def test_workers_load_no_aiida(tmp_path):
    code = (
        "import sys, importlib\n"
        "for task in ('forces', 'training', 'elasticity', 'phonons', 'conductivity', 'mesoscale'):\n"
        "    importlib.import_module('hashigo.calculators.workers.' + task)\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('aiida', 'click', 'rich', 'pydantic')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unexpected_fault_reaches_the_user_also_through_a_launcher(tmp_path, require_program):
    (tmp_path / "frames.h5").write_bytes(b"")
    path = write_job(tmp_path, parameters={"engine": [], "settings": {}}, inputs={"frames": "frames.h5"})
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    launcher = [require_program("mpirun", "openmpi-bin"), "-n", "2", "--oversubscribe"]
    done = subprocess.run(
        [*launcher, sys.executable, "-m", "hashigo.calculators.workers", path.name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert json.loads((tmp_path / "error.json").read_text())["message"].startswith("TypeError: unhashable")
