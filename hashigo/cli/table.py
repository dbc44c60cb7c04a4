"""The results table on the terminal."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from hashigo.workflows.results import result_rows, rounded, table_lines
from hashigo.workflows.stage import stages

NOTE = (
    "± is one standard uncertainty relative to the reference method; the error of its functional is not in it.\n"
    "'spread uncalibrated': its model part is the committee's spread, not yet scaled on held-out data."
)


def print_table(run: Any) -> None:
    """Print the numbers of a run for people."""
    lines = table_lines(result_rows(run))
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120)
    if not lines:
        console.print("no quantities: the run has none yet, or its study ends before the potential")
        return
    table = Table(box=None, padding=(0, 2), show_edge=False)
    for header in ("stage", "quantity", "value", "unit", ""):
        table.add_column(header, justify="right" if header == "value" else "left", no_wrap=header != "")
    last = ""
    for line in lines:
        stage = stages()[line.stage].title if line.stage != last else ""
        last = line.stage
        table.add_row(
            stage, line.label, rounded(line.value, line.uncertainty), line.unit, ", ".join(line.marks)
        )
    console.print(table)
    console.print(NOTE, style="dim")
