"""The table of docs/accuracy.md: one line a number, in the order they were made, newer ones in place of older."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- table: benchmarks/accuracy.py -->", "<!-- end of table -->"
HEAD = ["crystal", "quantity", "published", "ours", "difference", "converged", "source"]


def table_line(case: Mapping[str, Any]) -> list[str]:
    """The cells of one case."""
    uncertainty = case["standard_uncertainty"]
    digits = _digits(uncertainty if uncertainty else abs(case["reference"]) * 0.01)
    spread = f" ± {uncertainty:.{digits}f}" if uncertainty else ""
    converged = {None: "", True: "yes", False: "no"}[case.get("converged")]
    return [
        case["case"],
        case["quantity"],
        f"{case['reference']:g}",
        f"{case['value']:.{digits}f}{spread}",
        f"{100 * case['relative_difference']:+.1f} %",
        converged,
        case["source"],
    ]


def _digits(scale: float) -> int:
    """Decimals that show a number of this size to two digits."""
    digits = 0
    while scale < 9.5 and digits < 6:
        scale, digits = 10 * scale, digits + 1
    return digits


def update_table(path: Path, cases: Iterable[Mapping[str, Any]]) -> None:
    """Replace the lines of these cases in a Markdown file, and add those that are new.

    Raises:
        SystemExit: when the file has no place for the table.
    """
    text = path.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    old, closed, after = rest.partition(END)
    if not (found and closed):
        raise SystemExit(f"{path.name} has no lines '{BEGIN}' and '{END}' for the table to stand between")
    lines = {tuple(cells[:2] + cells[6:]): cells for cells in map(_cells, old.strip().splitlines()[2:])}
    for case in cases:
        cells = table_line(case)
        lines[tuple(cells[:2] + cells[6:])] = cells
    rows = [HEAD, ["---"] * len(HEAD), *lines.values()]
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    path.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}", encoding="utf-8")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
