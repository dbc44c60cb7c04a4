"""A run as a tree of stages and jobs, drawn live in a terminal and as plain lines elsewhere."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hashigo.workflows.engine import job_progress
from hashigo.workflows.results import clock
from hashigo.workflows.stage import stages_of

SYMBOLS = {"waiting": ("·", "dim"), "running": ("▸", "cyan"), "done": ("✓", "green"), "failed": ("✗", "red")}


#: Seconds between two lines of progress where there is no terminal.
INTERVAL = 60.0

#: Label of a frame's own job: "frame 4 (5 of 20)".
_FRAME = re.compile(r"frame \d+ \((\d+) of (\d+)\)")


@dataclass(frozen=True)
class Line:
    """One line of the tree.

    Attributes:
        state: "waiting", "running", "done" or "failed".
        depth: level in the tree, number.
        share: part that is done, between 0 and 1, dimensionless; None when it is not known.
        seconds: time since the start, or taken, s; None when it has not begun.
    """

    name: str
    state: str
    depth: int = 0
    share: float | None = None
    text: str = ""
    seconds: float | None = None


def tree_lines(root: Any, finished: dict[str, list[Line]] | None = None) -> Iterator[Line]:
    """Stages of a run with their jobs; many equal jobs are one line.

    Args:
        root: the run.
        finished: lines of ended stages by name, kept by who looks again and again; they do not change any more.
    """
    finished = {} if finished is None else finished
    called = {child.label: child for child in root.called if child.label}
    for stage in stages_of(root.inputs.study.get_dict()):
        if stage.name not in finished:
            node = called.get(stage.name)
            lines = list(process_lines(stage.title, node))
            if node is None or not node.is_terminated:
                yield from lines
                continue
            finished[stage.name] = lines
        yield from finished[stage.name]


def process_lines(title: str, node: Any) -> Iterator[Line]:
    """A stage with the state of its jobs, and why it failed.

    Args:
        title: as printed.
        node: its process; None before it has begun.
    """
    if node is None:
        yield Line(title, "waiting")
        return
    jobs = [child for child in node.called if child.process_label and _is_job(child)]
    state = _state(node)
    reused = jobs and all(_cached(job) for job in jobs)
    merged = not jobs and any(child.process_label == "merge_frames" for child in node.called)
    note = "from the cache" if reused or merged else ""
    share, text = None, note
    batches = [job for job in jobs if job.label.startswith("batch of ")]
    if batches and state == "running":
        share, text = _batch_progress(batches[-1])
    elif batches and not note:
        text = f"{len(batches)} jobs" if len(batches) > 1 else ""
    elif state == "running" and len(jobs) == 1:
        told = (
            job_progress(jobs[0])
            if not jobs[0].is_terminated and hasattr(jobs[0], "get_remote_workdir")
            else None
        )
        if told:
            share, text = told["done"] / max(told["total"], 1e-9), str(told["text"])
    elif any(_FRAME.match(job.label) for job in jobs):
        share, text = _frames_progress(jobs)
        text = ", ".join(filter(None, (text, note)))
    yield Line(title, state, 0, share, text, _seconds(node))
    if state == "failed":
        yield Line(str(node.exit_message or "did not finish"), "failed", 1)


def _batch_progress(job: Any) -> tuple[float | None, str]:
    """Share and text of a batch, counted with the frames of earlier jobs: "batch of 20 of 100 frames" begins at 80."""
    new, total = (int(word) for word in job.label.split() if word.isdigit())
    told = None if job.is_terminated else job_progress(job)
    if not told:
        return None, ""
    done = total - new + int(told["done"])
    rate = str(told["text"]).partition(" frames")[2]
    return done / max(total, 1), f"{done} of {total} frames{rate}"


def _frames_progress(jobs: Sequence[Any]) -> tuple[float, str]:
    """Share and text of frames in jobs of their own, with those that were known before the first of them."""
    frames = [(match, job) for job in jobs if (match := _FRAME.match(job.label))]
    before = min(int(match[1]) for match, _ in frames) - 1
    done, total = before + sum(job.is_terminated for _, job in frames), int(frames[0][0][2])
    return done / max(total, 1), f"{done} of {total} frames"


def _is_job(node: Any) -> bool:
    return str(node.process_label).endswith(("Calculation", "BaseWorkChain", "FrameWorkChain"))


def _cached(node: Any) -> bool:
    if node.base.caching.is_created_from_cache:
        return True
    below = [child for child in node.called if _is_job(child)]
    return bool(below) and all(_cached(child) for child in below)


def _state(node: Any) -> str:
    if not node.is_terminated:
        return "running"
    return "done" if node.is_finished_ok else "failed"


def _seconds(node: Any) -> float:
    end = node.mtime.timestamp() if node.is_terminated else time.time()
    return float(max(0.0, end - node.ctime.timestamp()))


def render(lines: list[Line]) -> Table:
    """The tree as a rich table: symbol, name, bar, text, elapsed time."""
    table = Table.grid(padding=(0, 1))
    for line in lines:
        symbol, style = SYMBOLS[line.state]
        bar = ""
        if line.share is not None and line.state == "running":
            filled = round(20 * min(max(line.share, 0), 1))
            bar = "━" * filled + "╌" * (20 - filled)
        elapsed = "" if line.seconds is None else clock(line.seconds)
        table.add_row(
            Text("  " * line.depth + symbol, style=style), Text(line.name), Text(bar, style="cyan"),
            Text(line.text, style="dim"), Text(elapsed, style="dim"),
        )  # fmt: skip
    return table


class Watcher:
    """Shows a run while it goes on.

    Args:
        quiet: show nothing.
        lines: makes the lines of a run, from (its node, lines that do not change any more).
    """

    def __init__(
        self, *, quiet: bool, lines: Callable[[Any, dict[str, list[Line]]], Iterator[Line]] = tree_lines
    ) -> None:
        self._quiet = quiet
        self._lines = lines
        self._console = Console()
        self._live: Live | None = None
        self._told: dict[str, str] = {}
        self._told_at: dict[str, float] = {}
        self._finished: dict[str, list[Line]] = {}

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def start(self, node: Any) -> None:
        """The run has begun."""
        if self._quiet:
            return
        self._say(f"run {node.pk}: {node.description or node.label}")
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=False)
            self._live.start()

    def update(self, node: Any) -> None:
        """Draw the present state; without a terminal, say only what has changed."""
        if self._quiet:
            return
        lines = list(self._lines(node, self._finished))
        if self._live:
            self._live.update(render(lines))
            return
        for line in lines:
            if line.depth == 0 and line.state != "waiting" and self._told.get(line.name) != line.state:
                self._told[line.name] = line.state
                took = f" ({clock(line.seconds)})" if line.state != "running" and line.seconds else ""
                note = f", {line.text}" if line.state == "done" and line.text else ""
                self._say(f"{line.name}: {line.state}{took}{note}")
                self._told_at[line.name] = time.monotonic()
        self._say_progress(lines)

    def _say_progress(self, lines: Sequence[Line]) -> None:
        """What runs for long tells now and then how far it is."""
        name = ""
        for line in lines:
            name = line.name if line.depth == 0 else name
            last = self._told_at.get(name, time.monotonic())
            if line.state == "running" and line.text and time.monotonic() - last > INTERVAL:
                self._say(f"{name}: {line.text}")
                self._told_at[name] = time.monotonic()

    def _say(self, text: str) -> None:
        """Print a line; when nobody reads any more, as after `head`, the run goes on in silence."""
        try:
            click.echo(text)
        except BrokenPipeError:
            self._quiet = True
            mute()


def mute() -> None:
    """Let what is still to be printed go nowhere: the reader of the pipe has left."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
