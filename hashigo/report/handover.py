"""The table that was handed to the mesoscale as CSV, for people who compute parts."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.handover_table import Column, HandoverTable
from hashigo.errors import InputError
from hashigo.workflows.results import stage_results

HEADER = (
    "temperature_K", "quantity", "component", "value", "standard_uncertainty", "unit", "calibrated", "converged",
    "origin", "marks",
)  # fmt: skip

#: Components smaller than this share of the largest are written as zero, dimensionless.
NEGLIGIBLE = 1e-12


def handover_csv(node: Any) -> str:
    """The table of a run, one line for each temperature, quantity and component.

    Args:
        node: the run.

    Raises:
        InputError: when the run has none.
    """
    found = stage_results(node)
    if "handover" not in found:
        raise InputError(
            f"run {node.pk} has no table of the crystal's properties",
            fix="run a study up to its stage handover or mesoscale",
        )
    with found["handover"].reader() as reader:
        return table_csv(reader)


def table_csv(reader: ResultReader) -> str:
    """The table of a result file, one line for each temperature, quantity and component.

    Args:
        reader: open result file of the task "handover".
    """
    table = HandoverTable.read(reader)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for row, kelvin in enumerate(table.temperatures):
        for column in table.columns:
            for name, index in _components(column.value.shape[1:]):
                writer.writerow(_line(column, float(kelvin), row, name, index))
    return text.getvalue()


def _components(shape: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
    """Names and indices of the independent components of a symmetric tensor or a vector."""
    if len(shape) < 2:
        return [("" if not shape else "abc"[index[0]], index) for index in np.ndindex(shape)]
    axes = "xyz" if shape[0] == 3 else "123456"
    return [(axes[i] + axes[j], (i, j)) for i, j in np.ndindex(shape) if i <= j]


def _line(column: Column, kelvin: float, row: int, name: str, index: tuple[int, ...]) -> list[str]:
    error = column.standard_uncertainty
    value = float(column.value[(row, *index)])
    # What symmetry makes zero is computed to rounding.
    if abs(value) < NEGLIGIBLE * float(np.abs(column.value[row]).max()):
        value = 0.0
    return [
        f"{kelvin:g}",
        column.name,
        name,
        f"{value:.8g}",
        "" if error is None else f"{error[(row, *index)]:.3g}",
        column.unit,
        str(column.calibrated).lower(),
        "not checked" if column.converged is None else str(column.converged).lower(),
        column.origin,
        "; ".join(column.marks),
    ]
