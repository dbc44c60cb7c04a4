"""The ladder in this process: it can be stopped at any moment and goes on from there; nothing is computed twice."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import psutil
import pytest

#: So many frames that the signal arrives while forces are computed.
LONG = """\
title: Long silicon
structure: silicon.cif
reference: {engine: tersoff, sampling: {displaced: 400, strained: 0, volumes: 0, supercell: [3, 3, 3]}}
until: reference
"""


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def workers(folder):
    """Workers of this folder's database: other runs of this machine are none of ours."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        inside = (process.info["cwd"] or "").startswith(str(folder))
        if inside and "hashigo.calculators.workers" in (process.info["cmdline"] or []):
            found.append(process)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_within_five_seconds_and_resume_goes_on(workplace, number):
    (workplace.folder / "long.yaml").write_text(LONG.replace("400", "60"))
    process = subprocess.Popen(
        workplace.command("run", "long.yaml"), cwd=workplace.folder, env=workplace.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    own = lambda: workers(workplace.folder)  # noqa: E731
    assert wait_for(own), "no worker was started"
    time.sleep(1)
    begin = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - begin < 5
    assert process.returncode == 130
    assert "what was finished is kept" in errors
    assert "hashigo resume" in errors
    assert "Traceback" not in errors
    assert wait_for(lambda: not own(), 5), "a worker is left running"
    state = json.loads(workplace.run("status", "--json").stdout)
    assert state["state"] == "stopped"
    # A stopped job is no result: the next run computes it.
    (workplace.folder / "short.yaml").write_text(LONG.replace("400", "2"))
    again = workplace.run("run", "short.yaml", "--quiet")
    assert again.returncode == 0, again.stderr
    # The latest run is finished; the stopped one goes on when it is named.
    finished = workplace.run("resume")
    assert finished.returncode == 2
    assert "is finished: nothing is left to do" in finished.stderr
    resumed = workplace.run("resume", str(state["run"]))
    assert resumed.returncode == 0, resumed.stderr


def test_a_run_left_behind_by_a_power_cut_is_cleared(workplace):
    (workplace.folder / "long.yaml").write_text(LONG)
    process = subprocess.Popen(
        workplace.command("run", "long.yaml", "--quiet"), cwd=workplace.folder, env=workplace.environment
    )
    assert wait_for(lambda: "running" in workplace.run("status").stdout)
    process.kill()
    process.wait()
    assert "interrupted; hashigo resume" in workplace.run("status").stdout
    (workplace.folder / "short.yaml").write_text(LONG.replace("400", "1"))
    assert workplace.run("run", "short.yaml", "--quiet").returncode == 0
    listing = workplace.run("status").stdout
    assert "stopped  Long silicon" in listing
