"""The numbers of a run as rows: one for each quantity and condition, with uncertainty, unit and node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hashigo.calculators.data import QuantitiesData
from hashigo.calculators.results import QuantityRecord, ResultReader
from hashigo.quantities import quantity, vocabulary


@dataclass(frozen=True)
class ResultRow:
    """One quantity under one condition.

    Attributes:
        value: number or nested list, in `unit`.
        standard_uncertainty: of the shape of `value`, in `unit`; None where it is not known.
        components: its parts, each of the shape of `value`, in `unit`.
        node: uuid of the node that holds it.
    """

    stage: str
    quantity: str
    symbol: str
    conditions: dict[str, float]
    value: Any
    standard_uncertainty: Any
    components: dict[str, Any]
    calibrated: bool
    converged: bool
    unit: str
    node: str

    def as_json(self) -> dict[str, Any]:
        """Plain values under the keys of `hashigo results --json`."""
        keys = (
            "quantity", "symbol", "conditions", "value", "standard_uncertainty", "components", "calibrated",
            "converged", "unit", "node", "stage",
        )  # fmt: skip
        return {key: getattr(self, key) for key in keys}


def stage_results(run: Any) -> dict[str, QuantitiesData]:
    """Result nodes of a run that hold quantities, by stage."""
    outputs = run.outputs.stages if "stages" in run.outputs else {}
    return {name: outputs[name] for name in _ordered(outputs) if isinstance(outputs[name], QuantitiesData)}


def _ordered(outputs: Any) -> list[str]:
    from hashigo.workflows.stage import stages

    return [name for name in stages() if name in outputs]


def result_rows(run: Any) -> list[ResultRow]:
    """All quantities of a run, in the order of the ladder."""
    rows = []
    for stage, node in stage_results(run).items():
        with node.reader() as reader:
            rows += rows_of(reader, stage, node.uuid)
    return rows


def rows_of(reader: ResultReader, stage: str, node: str) -> list[ResultRow]:
    """All quantities of one result file.

    Args:
        reader: the open file.
        stage: name of the stage that wrote it.
        node: uuid of its node.
    """
    return [
        _row(reader.quantity(name), index, stage, node)
        for name in sorted(reader.quantities(), key=list(vocabulary()).index)
        for index in range(len(reader.quantity(name).conditions))
    ]


def _row(record: QuantityRecord, index: int, stage: str, node: str) -> ResultRow:
    def pick(array: Any) -> Any:
        return None if array is None else _plain(array[index])

    return ResultRow(
        stage=stage,
        quantity=record.name,
        symbol=record.symbol,
        conditions=record.conditions[index],
        value=pick(record.value),
        standard_uncertainty=pick(record.standard_uncertainty),
        components={key: pick(part) for key, part in record.components.items()},
        calibrated=record.calibrated,
        converged=record.converged,
        unit=record.unit,
        node=node,
    )


def _plain(value: Any) -> Any:
    """Numbers as JSON knows them: what is not finite is null."""
    array = np.asarray(value, dtype=float)
    if array.ndim == 0:
        return float(array) if np.isfinite(array) else None
    return [_plain(part) for part in array]


@dataclass(frozen=True)
class TableLine:
    """One line of the results table for people.

    Attributes:
        label: what it is, with its condition.
        value: number in `unit`; None where it is not known.
        uncertainty: standard uncertainty in `unit`; None where it is not known.
        marks: what the reader must know of it, e.g. "not converged".
    """

    stage: str
    label: str
    value: float | None
    uncertainty: float | None
    unit: str
    marks: tuple[str, ...]


#: Distinct components of a tensor that are shown, by shape.
_SHOWN: dict[tuple[int, ...], list[tuple[tuple[int, ...], str]]] = {
    (6, 6): [((0, 0), "11"), ((0, 1), "12"), ((0, 2), "13"), ((2, 2), "33"), ((3, 3), "44"), ((5, 5), "66")],
    (3, 3): [((0, 0), "xx"), ((1, 1), "yy"), ((2, 2), "zz")],
    (3,): [((0,), ""), ((1,), ""), ((2,), "")],
}
_VECTOR = {"lattice_parameters": ("a", "b", "c")}


def table_lines(rows: list[ResultRow]) -> list[TableLine]:
    """The table for people: distinct tensor components only, series shown at their first and room-temperature rows."""
    lines: list[TableLine] = []
    for row in rows:
        if row.conditions.get("temperature", 300.0) != 300.0:
            continue
        lines += _lines(row)
    return lines


def _lines(row: ResultRow) -> list[TableLine]:
    value = np.asarray(row.value, dtype=float)
    spread = None if row.standard_uncertainty is None else np.asarray(row.standard_uncertainty, dtype=float)
    # A spread of the committee stays marked until it is calibrated.
    marks = [] if row.converged else ["not converged"]
    if "model" in row.components and not row.calibrated:
        marks.append("spread uncalibrated")
    condition = ", ".join(_condition(k, v) for k, v in row.conditions.items())
    out: list[TableLine] = []
    seen: list[float] = []
    for index, suffix in _SHOWN.get(value.shape, [((), "")]):
        number = float(value[index])
        if seen and any(np.isclose(number, other, rtol=1e-3) for other in seen):
            continue  # equal by symmetry, or as good as
        seen.append(number)
        symbol = _VECTOR[row.quantity][index[0]] if row.quantity in _VECTOR else row.symbol
        label = f"{symbol}{'_' if suffix else ''}{suffix}{f' ({condition})' if condition else ''}"
        uncertainty = None if spread is None else float(spread[index])
        out.append(
            TableLine(
                row.stage,
                label,
                number if np.isfinite(number) else None,
                uncertainty if uncertainty is not None and np.isfinite(uncertainty) else None,
                row.unit,
                tuple(marks),
            )
        )
    return out


def _condition(name: str, value: float) -> str:
    entry = quantity(name)
    return f"{value:g} {entry.unit}"


def rounded(value: float | None, uncertainty: float | None) -> str:
    """A number as it is printed: as many digits as its uncertainty allows, or five.

    Args:
        value: the number, in any unit; None prints as a dash.
        uncertainty: its standard uncertainty, in the same unit; None when it is not known.
    """
    if value is None:
        return "—"
    if not uncertainty:
        return f"{value:.5g}"
    digits = max(0, 1 - int(np.floor(np.log10(abs(uncertainty)))))
    return f"{value:.{digits}f} ± {uncertainty:.{digits}f}"
