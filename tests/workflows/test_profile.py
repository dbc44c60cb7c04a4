"""AiiDA without ceremony: the user's default profile is used, its broker up or down; else one is made."""

from __future__ import annotations

import json
import subprocess
import sys


def test_the_first_run_makes_a_profile_and_says_so_once(finished):
    assert finished.done.stdout.count("made the AiiDA profile") == 1
    config = next(finished.workplace.folder.glob("aiida/.aiida/config.json"))
    content = json.loads(config.read_text())
    assert content["default_profile"] == "hashigo"
    assert content["profiles"]["hashigo"]["storage"]["backend"] == "core.sqlite_dos"
    again = finished.workplace.run("run", "study.yaml", "--output", "third")
    assert "made the AiiDA profile" not in again.stdout


def test_the_users_profile_is_used_with_its_broker_down(workplace):
    verdi = [
        sys.executable,
        "-m",
        "aiida",
        "presto",
        "--use-zeromq",
        "--non-interactive",
        "--profile-name",
        "mine",
    ]
    made = subprocess.run(
        verdi, cwd=workplace.folder, env=workplace.environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    text = (workplace.folder / "study.yaml").read_text() + "until: elasticity\n"
    (workplace.folder / "study.yaml").write_text(text)
    done = workplace.run("run", "study.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made the AiiDA profile" not in done.stdout
    listing = subprocess.run(
        [sys.executable, "-m", "aiida", "-p", "mine", "process", "list", "-a", "-r"],
        cwd=workplace.folder, env=workplace.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "MultiscaleWorkChain" in listing.stdout
