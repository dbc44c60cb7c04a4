"""What `hashigo converge` found, on the terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from hashigo.workflows.convergence_record import TITLES


def print_result(content: Mapping[str, Any]) -> None:
    """Print series, recommendation and the error that is left.

    Args:
        content: as `hashigo converge --json` prints it.
    """
    click.echo()
    for series in content["series"]:
        click.echo(_table(series, content))
    click.echo(
        f"ΔF: largest change of the force on an atom, Δσ: of a component of stress, against the finest; "
        f"{content['n_frames']} deformed cell{'s' if content['n_frames'] > 1 else ''}."
    )
    for note in content["notes"]:
        click.echo(f"note: {note}")
    if content["converged"]:
        _recommend(content)


def _table(series: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    table = Table(box=None, padding=(0, 1), show_edge=False)
    mesh = series["setting"] == "kpoint_spacing"
    table.add_column(TITLES[series["setting"]], justify="right", no_wrap=True)
    if mesh:
        table.add_column("mesh", no_wrap=True)
    for name in ("ΔF / eV/Å", "Δσ / GPa", "s per frame"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for step in series["steps"]:
        marks = [
            "study's own" if step["value"] == series["own"] else "",
            "finest" if step["finest"] else "",
            "enough" if step["value"] == series["enough"] else "",
            f"not computed: {step['error']}" if step["error"] else "",
        ]
        row = [f"{step['value']:g} {series['unit']}"]
        row += ["×".join(map(str, step["mesh"]))] if mesh else []
        row += [_number(step["force_error"]), _number(step["stress_error"])]
        row += [_time(step["seconds_per_frame"]), ", ".join(filter(None, marks))]
        table.add_row(*row)
    text = io.StringIO()
    Console(file=text, width=200, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}" if value < 0.001 else f"{value:.4f}"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"


def _recommend(content: Mapping[str, Any]) -> None:
    check = content["check"]
    stress = "" if check["stress_error"] is None else f" and {_number(check['stress_error'])} GPa"
    click.echo(
        f"\nEnough for {content['force_tolerance']:g} eV/Å and {content['stress_tolerance']:g} GPa; "
        f"all finest values together differ by {_number(check['force_error'])} eV/Å{stress}.\n"
    )
    click.echo("reference:\n  settings:")
    for name, value in content["recommended"].items():
        click.echo(f"    {name}: {value}")
