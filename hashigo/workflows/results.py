"""The numbers of a run as rows: one for each quantity and condition, with uncertainty, unit and node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from hashigo.calculators.data import QuantitiesData
from hashigo.calculators.results import QuantityRecord, ResultReader
from hashigo.quantities import quantity, vocabulary
from hashigo.workflows.method import UNTRAINED, method_content, untrained


@dataclass(frozen=True)
class ResultRow:
    """One quantity under one condition.

    Attributes:
        value: number or nested list, in `unit`.
        standard_uncertainty: of the shape of `value`, in `unit`; None where it is not known.
        components: its parts, each of the shape of `value`, in `unit`.
        node: uuid of the node that holds it.
        marks: what the reader must know of it, in a few words each.
    """

    stage: str
    quantity: str
    symbol: str
    conditions: dict[str, float]
    value: Any
    standard_uncertainty: Any
    components: dict[str, Any]
    calibrated: bool
    converged: bool | None
    unit: str
    node: str
    marks: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values under the keys of `hashigo results --json`."""
        keys = (
            "quantity", "symbol", "conditions", "value", "standard_uncertainty", "components", "calibrated",
            "converged", "unit", "node", "stage", "marks",
        )  # fmt: skip
        return {key: getattr(self, key) for key in keys}


def stage_results(run: Any) -> dict[str, QuantitiesData]:
    """Result nodes of a run that hold quantities, by stage."""
    outputs = run.outputs.stages if "stages" in run.outputs else {}
    return {name: outputs[name] for name in _ordered(outputs) if isinstance(outputs[name], QuantitiesData)}


def further_results(run: Any) -> dict[str, QuantitiesData]:
    """Result nodes that stages handed on beside their own, by STAGE_OUTPUT."""
    from hashigo.workflows.stage import stages

    outputs = run.outputs.stages if "stages" in run.outputs else {}
    names = [f"{name}_{output}" for name, stage in stages().items() for output in stage.further]
    return {name: outputs[name] for name in names if name in outputs}


def chosen_model(run: Any) -> dict[str, Any] | None:
    """Which model a search has chosen, of how many and by what rule; None without a search."""
    found = further_results(run)
    if "potential_search" not in found:
        return None
    with found["potential_search"].reader() as reader:
        return dict(reader.note("search"))


def learning_content(run: Any) -> dict[str, Any] | None:
    """The rounds of learning, their goal and budget, and why they ended; None of a study that has none."""
    found = stage_results(run)
    if "learning" not in found:
        return None
    with found["learning"].reader() as reader:
        return {name: reader.note(name) for name in ("rounds", "goal", "budget", "stopped")}


def model_text(search: Mapping[str, Any]) -> str:
    """The choice of a search in words.

    Args:
        search: of `chosen_model`.
    """
    chosen = search["parameters"]
    angular = ", ".join(map(str, chosen["invariant_max_l"]))
    return (
        f"cut-off {chosen['cutoff']:g} Å, {chosen['radial_functions']} radial functions, angular numbers up to "
        f"({angular}), power {chosen['max_power']}: {search['rule']}, of {search['candidates']}"
    )


def _ordered(outputs: Any) -> list[str]:
    from hashigo.workflows.stage import stages

    return [name for name in stages() if name in outputs]


def result_rows(run: Any) -> list[ResultRow]:
    """All quantities of a run, in the order of the ladder."""
    rows: list[ResultRow] = []
    mark = ""
    for stage, node in stage_results(run).items():
        with node.reader() as reader:
            found = _news(stage, rows_of(reader, stage, node.uuid))
            mark = mark or untrained(reader.note("training"))
        rows += [replace(row, marks=(*row.marks, mark)) if mark else row for row in found]
    return rows


def _news(stage: str, rows: list[ResultRow]) -> list[ResultRow]:
    """Of the table handed to the mesoscale, which repeats the stages before it, what electrons add."""
    if stage != "handover":
        return rows
    electronic = any(row.quantity == "electronic_thermal_conductivity" for row in rows)
    added = ("electronic_thermal_conductivity", "total_thermal_conductivity") if electronic else ()
    return [row for row in rows if row.quantity in added]


def results_content(run: Any) -> dict[str, Any]:
    """What `hashigo results --json` prints: the study, and every quantity with its full tensors."""
    method = method_content(run)
    return {
        "study": run.inputs.study.get_dict(),
        "reference": method,
        "learning": learning_content(run),
        "search": chosen_model(run),
        # Also beside each number: rows are taken out of here and handed on alone.
        "results": [
            {**row.as_json(), "first_principles": method["first_principles"] and not _of_untrained(row)}
            for row in result_rows(run)
        ],
    }


def _of_untrained(row: ResultRow) -> bool:
    return any(mark.endswith(UNTRAINED) for mark in row.marks)


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
        marks=record.marks,
    )


def _plain(value: Any) -> Any:
    """Numbers as JSON knows them: what is not finite is null."""
    array = np.asarray(value, dtype=float)
    if array.ndim == 0:
        return float(array) if np.isfinite(array) else None
    return [_plain(part) for part in array]


@dataclass(frozen=True)
class TableLine:
    """One line of the results table for people: a number, or a component of a tensor.

    Attributes:
        quantity: its key in the vocabulary.
        symbol: with the component, e.g. "C_11".
        condition: what it holds for, e.g. "300 K"; empty where it has none.
        value: number in `unit`; None where it is not known.
        uncertainty: standard uncertainty in `unit`; None where it is not known.
        components: parts of the standard uncertainty, each in `unit`.
        marks: what the reader must know of it, e.g. "not converged".
        node: uuid of the node that holds it.
    """

    stage: str
    quantity: str
    symbol: str
    condition: str
    value: float | None
    uncertainty: float | None
    components: dict[str, float]
    unit: str
    marks: tuple[str, ...]
    node: str

    @property
    def label(self) -> str:
        """Symbol and condition."""
        return f"{self.symbol} ({self.condition})" if self.condition else self.symbol


#: Components of a tensor that are shown, by shape: those of a group are shown once where they are equal.
_SHOWN: dict[tuple[int, ...], list[list[tuple[tuple[int, ...], str]]]] = {
    (6, 6): [
        [((0, 0), "11"), ((1, 1), "22"), ((2, 2), "33")],
        [((0, 1), "12"), ((0, 2), "13"), ((1, 2), "23")],
        [((3, 3), "44"), ((4, 4), "55"), ((5, 5), "66")],
    ],
    (3, 3): [[((0, 0), "xx"), ((1, 1), "yy"), ((2, 2), "zz")]],
    (3,): [[((0,), ""), ((1,), ""), ((2,), "")]],
}
_VECTOR = {
    "lattice_parameters": ("a", "b", "c"),
    "thermal_lattice_parameters": ("a", "b", "c"),
    "thermal_von_mises_stress": ("σ_vM 50 %", "σ_vM 95 %", "σ_vM 99 %"),
    "thermal_principal_stress": ("σ_1 50 %", "σ_1 95 %", "σ_1 99 %"),
}
#: Smaller numbers are printed with a power of ten.
_SMALL = 1e-3
#: Of a series over temperature, the table shows the row nearest to this, K.
_ROOM = 300.0


def table_lines(rows: list[ResultRow]) -> list[TableLine]:
    """The table for people: distinct components of tensors, and of a series over temperature the row nearest 300 K."""
    nearest: dict[tuple[str, str], float] = {}
    for row in rows:
        if "temperature" in row.conditions:
            # A quantity of one stage may be at 0 K alone, and a series in another's.
            series = row.stage, row.quantity
            known = nearest.get(series, np.inf)
            nearest[series] = min(known, row.conditions["temperature"], key=lambda t: abs(t - _ROOM))
    return [
        line
        for row in rows
        if row.conditions.get("temperature") == nearest.get((row.stage, row.quantity))
        for line in _lines(row)
    ]


def _lines(row: ResultRow) -> list[TableLine]:
    value = np.asarray(row.value, dtype=float)
    out: list[TableLine] = []
    for group in _SHOWN.get(value.shape, [[((), "")]]):
        seen: list[float] = []
        for index, suffix in group:
            number = float(value[index])
            noise = _part(row.components.get("sampling"), index) or 0.0
            # Equal by symmetry, or as good as; of a random polycrystal, within three standard errors.
            if any(abs(number - other) <= 1e-3 * abs(other) + 3 * noise for other in seen):
                continue
            seen.append(number)
            out.append(_line(row, index, suffix))
    return out


def _line(row: ResultRow, index: tuple[int, ...], suffix: str) -> TableLine:
    symbol = _VECTOR[row.quantity][index[0]] if row.quantity in _VECTOR else row.symbol
    parts = {key: _part(part, index) for key, part in row.components.items()}
    return TableLine(
        stage=row.stage,
        quantity=row.quantity,
        symbol=f"{symbol}_{suffix}" if suffix else symbol,
        condition=", ".join(_condition(key, value) for key, value in row.conditions.items()),
        value=_part(row.value, index),
        uncertainty=_part(row.standard_uncertainty, index),
        components={key: part for key, part in parts.items() if part is not None},
        unit=row.unit,
        marks=_marks(row),
        node=row.node,
    )


def _marks(row: ResultRow) -> tuple[str, ...]:
    marks = (*(("not converged",) if row.converged is False else ()), *row.marks)
    # A spread of the committee stays marked until it is calibrated.
    return (*marks, "spread uncalibrated") if "model" in row.components and not row.calibrated else marks


def _part(values: Any, index: tuple[int, ...]) -> float | None:
    """One component of a value as JSON knows it; None where it is not known."""
    if values is None:
        return None
    number = float(np.asarray(values, dtype=float)[index])
    return number if np.isfinite(number) else None


def _condition(name: str, value: float) -> str:
    if name == "atomic_number":
        return chemical_symbols[int(value)]
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
    largest = max(abs(value), abs(uncertainty))
    if largest < _SMALL:
        power = int(np.floor(np.log10(largest)))
        text = rounded(value / 10.0**power, uncertainty / 10.0**power)
        return f"({text})e{power:+03d}"
    digits = max(0, 1 - int(np.floor(np.log10(abs(uncertainty)))))
    return f"{value:.{digits}f} ± {uncertainty:.{digits}f}"


def clock(seconds: float) -> str:
    """A duration as people read it.

    Args:
        seconds: duration, s.
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
