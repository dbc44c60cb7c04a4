"""The results table on the terminal."""

from __future__ import annotations

import io
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from hashigo.workflows.method import first_principles, label, reference_frames
from hashigo.workflows.results import (
    chosen_model,
    learning_content,
    model_text,
    result_rows,
    rounded,
    table_lines,
)
from hashigo.workflows.stage import stages

NOTE = """\
± is one standard uncertainty relative to the reference method; the error of its
functional is not in it."""
UNCALIBRATED = """\
* its model part is the committee's spread, which is not calibrated: frames held
out did not confirm it."""


def print_table(run: Any) -> None:
    """Print the numbers of a run for people; marks and numbers are never cut, on a narrow terminal lines are longer."""
    lines = table_lines(result_rows(run))
    learning = learning_content(run)
    if not lines:
        if learning:
            click.echo(f"learning: {learning['stopped']['sentence']}")
        click.echo("no quantities: the run has none yet, or its study ends before the potential")
        return
    table = Table(box=None, padding=(0, 1), show_edge=False)
    for header in ("quantity", "value", "unit", ""):
        table.add_column(header, justify="right" if header == "value" else "left", no_wrap=True)
    last = ""
    truth = label(first_principles(reference_frames(run)))
    for line in lines:
        if line.stage != last:
            table.add_row(stages()[line.stage].title, "", "", truth)
        last = line.stage
        spread = " *" if "spread uncalibrated" in line.marks else "  "
        marks = ", ".join(mark for mark in line.marks if mark != "spread uncalibrated")
        table.add_row(f"  {line.label}", rounded(line.value, line.uncertainty) + spread, line.unit, marks)
    text = io.StringIO()
    Console(file=text, width=200, highlight=False).print(table)
    click.echo("\n".join(row.rstrip() for row in text.getvalue().splitlines()))
    if truth:
        click.echo(f"reference: {truth}; so is every number above")
    if learning:
        click.echo(f"learning: {learning['stopped']['sentence']}")
    search = chosen_model(run)
    if search:
        click.echo(f"model of the potential: {model_text(search)}")
    click.echo(NOTE, file=sys.stdout)
    if any("spread uncalibrated" in line.marks for line in lines):
        click.echo(UNCALIBRATED)
