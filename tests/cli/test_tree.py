"""The tree of a run: live in a terminal, with bars while jobs tell how far they are."""

from __future__ import annotations

import os
import pty
import re
import subprocess

from rich.console import Console

from hashigo.cli import tree
from hashigo.cli.tree import Line, render
from hashigo.workflows.results import clock


def in_terminal(place, *arguments):
    """Run a command in a pseudo-terminal of 100 columns; returns what it showed, and its exit code."""
    leader, follower = pty.openpty()
    environment = {**place.environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        place.command(*arguments),
        cwd=place.folder,
        env=environment,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other end was closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    return shown.decode(errors="replace"), process.wait()


def test_a_terminal_sees_a_live_tree(finished):
    shown, code = in_terminal(finished.workplace, "run", "study.yaml", "--output", "terminal")
    assert code == 0
    assert "\x1b[" in shown
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    for title in ("Structure", "Reference frames", "Thermal conductivity", "Mesoscale"):
        assert re.search(rf"✓ +{title}", last), title
    assert "from the cache" in last
    assert "Traceback" not in last


def test_bars_texts_and_times_are_drawn():
    lines = [
        Line("Potential", "done", 0, None, "", 61.0),
        Line("Thermal conductivity", "running", 0, 0.5, "mesh 9", 3.0),
        Line("Mesoscale", "waiting"),
    ]
    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(render(lines))
    text = console.export_text()
    assert re.search(r"✓ Potential .*1:01", text)
    assert re.search(r"▸ Thermal conductivity ━{10}╌{10} mesh 9 +0:03", text)
    assert re.search(r"· Mesoscale", text)


def test_a_batch_is_counted_with_the_frames_of_earlier_jobs(monkeypatch):
    class Job:
        label, is_terminated = "batch of 20 of 100 frames", False

    monkeypatch.setattr(
        tree, "job_progress", lambda job: {"done": 5, "total": 20, "text": "5 of 20 frames, 3/s"}
    )
    assert tree._batch_progress(Job()) == (0.85, "85 of 100 frames, 3/s")
    monkeypatch.setattr(tree, "job_progress", lambda job: None)
    assert tree._batch_progress(Job()) == (None, "")


def test_times_are_read_as_people_read_them():
    assert [clock(s) for s in (0.4, 59.6, 3661)] == ["0:00", "1:00", "1:01:01"]


def test_frames_are_counted_with_those_that_were_known_and_without_other_jobs():
    class Job:
        def __init__(self, label, ended):
            self.label, self.is_terminated = label, ended

    started = [Job(f"frame {n} ({n + 4} of 9)", n < 3) for n in range(4)]
    others = [Job("ground state for Born charges", True), Job("Born charges", False)]
    assert tree._frames_progress([*others, *started]) == (6 / 9, "6 of 9 frames")


def test_progress_is_told_without_a_terminal_and_a_reader_may_leave(monkeypatch, capsys):
    lines = [tree.Line("Reference frames", "running"), tree.Line("batch", "running", depth=1, text="3 of 9")]
    watcher = tree.Watcher(quiet=False, lines=lambda node, finished: iter(lines))
    watcher.update(None)
    assert capsys.readouterr().out == "Reference frames: running\n"
    monkeypatch.setattr(tree, "INTERVAL", 0.0)
    watcher.update(None)
    assert capsys.readouterr().out == "Reference frames: 3 of 9\n"

    def gone(text):
        raise BrokenPipeError

    muted = []
    monkeypatch.setattr(tree.click, "echo", gone)
    monkeypatch.setattr(tree, "mute", lambda: muted.append(True))
    watcher.update(None)
    watcher.update(None)
    assert muted == [True]
