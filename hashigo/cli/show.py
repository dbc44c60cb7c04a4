"""`hashigo status`, `results` and `report`: look at runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("identifier", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(identifier: str | None, as_json: bool) -> None:
    """Show the run ID as a tree (the latest without one), and list the others."""
    from hashigo.workflows import profile

    profile.load(create=False)
    from rich.console import Console

    from hashigo.cli.tree import render, tree_lines
    from hashigo.workflows.engine import find_run, runs

    node = find_run(identifier)
    lines = list(tree_lines(node))
    if as_json:
        keys = ("name", "state", "share", "text", "seconds")
        stages = [{key: getattr(line, key) for key in keys} for line in lines if line.depth == 0]
        click.echo(
            json.dumps({"run": node.pk, "uuid": node.uuid, "state": _state(node), "stages": stages}, indent=1)
        )
        return
    console = Console(highlight=False)
    console.print(f"run {node.pk}: {node.description or node.label} — {_state(node)}")
    console.print(render(lines))
    if node.exit_message:
        console.print(node.exit_message)
    others = [run for run in runs() if run.pk != node.pk][:10]
    if identifier is None and others:
        console.print("\nearlier runs:")
        for run in others:
            console.print(
                f"  {run.pk}  {run.ctime:%Y-%m-%d %H:%M}  {_state(run)}  {run.description or run.label}"
            )


def _state(node: Any) -> str:
    from hashigo.workflows.engine import is_abandoned

    if is_abandoned(node):
        return f"interrupted; hashigo resume {node.pk}"
    if not node.is_terminated:
        return "running"
    if node.is_finished_ok:
        return "finished"
    return "stopped" if node.is_killed else "failed"


@click.command()
@click.argument("identifier", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Every quantity, as JSON.")
@click.option("--handover", is_flag=True, help="The table handed to the mesoscale, as CSV.")
def results(identifier: str | None, as_json: bool, handover: bool) -> None:
    """Print the numbers of the run ID (the latest without one)."""
    from hashigo.workflows import profile

    profile.load(create=False)
    from hashigo.workflows.engine import find_run
    from hashigo.workflows.results import results_content

    node = find_run(identifier)
    if handover:
        from hashigo.report.handover import handover_csv

        click.echo(handover_csv(node), nl=False)
        return
    if as_json:
        click.echo(json.dumps(results_content(node), indent=1, ensure_ascii=False))
        return
    from hashigo.cli.table import print_table

    if not node.is_finished_ok:
        click.echo(f"run {node.pk} is not complete: {_state(node)}")
    print_table(node)


@click.command()
@click.argument("identifier", metavar="[ID]", required=False)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True,
    help="File to write.",
)  # fmt: skip
def report(identifier: str | None, output: Path) -> None:
    """Write the HTML report of the run ID (the latest without one)."""
    from hashigo.workflows import profile

    profile.load(create=False)
    from hashigo.report.page import write_report
    from hashigo.workflows.engine import find_run

    click.echo(write_report(find_run(identifier), output))
