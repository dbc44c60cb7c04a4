"""`hashigo run` and `hashigo resume`: a live tree in a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from hashigo.errors import HashigoError, InputError


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Folder of the report and results.")
def run(study: Path, quiet: bool, output: Path | None) -> None:
    """Run STUDY; what is finished already is taken from the cache."""
    from hashigo.study import load_study

    execute(load_study(study), quiet, output)


@click.command()
@click.argument("identifier", metavar="[ID]", required=False)
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Folder of the report and results.")
def resume(identifier: str | None, quiet: bool, output: Path | None) -> None:
    """Go on with the run ID (the latest without one) from where it was stopped."""
    from hashigo.study import study_from
    from hashigo.workflows import profile

    profile.load(create=False)
    from hashigo.workflows.engine import RUN_EXTRA, find_run
    from hashigo.workflows.inputs import as_written

    node = find_run(identifier)
    record = node.base.extras.get(RUN_EXTRA, None)
    if record is None:
        raise InputError(f"node {node.pk} is not a run of a study", fix="hashigo status lists them")
    if node.is_finished_ok:
        raise InputError(
            f"run {node.pk} is finished: nothing is left to do", fix=f"hashigo results {node.pk}"
        )
    study = study_from(as_written(node.inputs.study.get_dict()), f"study of run {node.pk}")
    study._folder, study._name = Path(record["folder"]), record["name"]
    execute(study, quiet, output)


def execute(study: Any, quiet: bool, output: Path | None) -> None:
    """Run a study and write its results and report.

    Args:
        study: the checked study.
        quiet: print nothing but errors.
        output: folder of the report and results; by default beside the study.
    """
    folder = output or study.folder / f"{study.name}-results"
    check_output(folder)
    from hashigo.workflows.inputs import prepare

    prepared = prepare(study)
    from hashigo.workflows import profile

    made = profile.load()
    from hashigo.cli.tree import Watcher
    from hashigo.workflows.engine import run_chain

    if made and not quiet:
        click.echo(made)
    begin = time.monotonic()
    with Watcher(quiet=quiet) as watcher:
        node = run_chain(prepared, watch=watcher.update, started=watcher.start)
    finish(node, folder, quiet, time.monotonic() - begin)


def check_output(folder: Path) -> None:
    """Make sure before the computation that its results can be written; nothing is made yet.

    Raises:
        InputError: when the folder is a file, or cannot be made or written.
    """
    parent = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    if not parent.is_dir():
        raise InputError(
            f"{parent} is a file, and a folder for the results was to be made", fix="give --output"
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(
            f"the folder of the results, {folder}, cannot be written", fix="give another by --output"
        )


def finish(node: Any, folder: Path, quiet: bool, seconds: float) -> None:
    """Write what was computed, print the table, and end with the run's own exit code.

    Args:
        node: the run.
        folder: folder of the report and results.
        quiet: print nothing but errors.
        seconds: time the run took, s.
    """
    from hashigo.cli.table import print_table
    from hashigo.cli.tree import mute
    from hashigo.report.page import write_outputs
    from hashigo.workflows.stage import was_bad_input

    page = write_outputs(node, folder)
    frames = page.with_name("reference.h5")
    if not quiet:
        try:
            print_table(node)
            click.echo(f"\nrun {node.pk}: {_ending(node)} in {seconds:.0f} s; report: {page}")
            if "frames" not in node.inputs and frames.is_file():
                click.echo(f"frames: {frames}")
        except BrokenPipeError:  # as after `head`: how the run ended is still to be told by the exit code
            mute()
    if not node.is_finished_ok:
        failure = RunFailed(
            f"run {node.pk}: {node.exit_message or 'did not finish'}",
            fix="what was computed is kept; mend the study, and run it again",
            see=f"hashigo status {node.pk}",
        )
        if was_bad_input(node):
            failure.exit_code = InputError.exit_code
        raise failure


class RunFailed(HashigoError):
    """A stage failed or a gate did not hold."""

    exit_code = 3


def _ending(node: Any) -> str:
    return "finished" if node.is_finished_ok else "stopped early"


def is_terminal() -> bool:
    """Whether a person is watching."""
    return sys.stdout.isatty()
