"""The typed table that the crystal's stages hand to the mesoscale: its properties at the study's temperatures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.results import QuantityRecord, ResultReader, ResultWriter
from hashigo.calculators.workers.interpolation import METHOD, interpolated, resolution
from hashigo.errors import InputError
from hashigo.quantities import quantity

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """One property at the temperatures of the table, in the vocabulary's unit and shape.

    Attributes:
        name: key in quantities.yaml.
        value: shape (n_temperatures, \\*tensor), unit of the vocabulary.
        origin: which stage and quantity it is from, and how, in words.
        components: parts of the standard uncertainty, each of the shape of `value`, same unit.
        members: of each member of the committee, shape (n_members, \\*value.shape), same unit; or None.
        calibrated: whether the model's part is.
        converged: whether the numerical parts are within the study's tolerance; None when that was not checked.
        marks: what the reader must know of it.
        fixed: whether it is the value of 0 K at every temperature.
    """

    name: str
    value: Floats
    origin: str
    components: Mapping[str, Floats] = field(default_factory=dict)
    members: Floats | None = None
    calibrated: bool = False
    converged: bool | None = None
    marks: tuple[str, ...] = ()
    fixed: bool = False

    @property
    def standard_uncertainty(self) -> Floats | None:
        """Root of the sum of squares of its parts, shape and unit of `value`; None where it is not known."""
        if not self.components:
            return None
        return np.asarray(np.sqrt(np.sum([part**2 for part in self.components.values()], axis=0)))

    @property
    def unit(self) -> str:
        """Unit of the vocabulary."""
        return quantity(self.name).unit


@dataclass(frozen=True)
class HandoverTable:
    """Properties of the crystal at some temperatures; a column without an entry was not computed.

    Attributes:
        temperatures: shape (n_temperatures,), K.
        lattice_parameters: edges of the conventional cell, Å.
        density: kg/m^3.
        isothermal_stiffness: Voigt, (6, 6), GPa.
        adiabatic_stiffness: Voigt, (6, 6), GPa.
        lattice_conductivity: carried by phonons, (3, 3), W/(m K).
        specific_heat: J/(kg K).
        electronic_conductivity: carried by electrons, (3, 3), W/(m K); None of an insulator.
        total_conductivity: their sum, (3, 3), W/(m K); None where the electronic part is not known.
        thermal_expansion: linear, Cartesian, (3, 3), 1/K; None without the stage expansion.
    """

    temperatures: Floats
    lattice_parameters: Column
    density: Column
    isothermal_stiffness: Column
    adiabatic_stiffness: Column
    lattice_conductivity: Column
    specific_heat: Column
    electronic_conductivity: Column | None = None
    total_conductivity: Column | None = None
    thermal_expansion: Column | None = None

    @property
    def columns(self) -> Iterator[Column]:
        """All columns that there are."""
        for one in fields(self):
            column = getattr(self, one.name)
            if isinstance(column, Column):
                yield column

    def write(self, writer: ResultWriter) -> None:
        """Write the table.

        Args:
            writer: of the result file.
        """
        conditions = [{"temperature": float(kelvin)} for kelvin in self.temperatures]
        writer.array("temperatures", self.temperatures, units="K")
        for column in self.columns:
            writer.quantity(
                column.name,
                column.value,
                conditions=conditions,
                components=column.components,
                members=column.members,
                calibrated=column.calibrated,
                converged=column.converged,
                marks=column.marks,
            )
        columns = {column.name: {"origin": column.origin, "fixed": column.fixed} for column in self.columns}
        writer.note("columns", columns)

    @classmethod
    def read(cls, reader: ResultReader) -> HandoverTable:
        """Read a table.

        Args:
            reader: open result file of the task "handover".

        Raises:
            InputError: when the file holds none, or a column is missing.
        """
        notes = reader.note("columns")
        if notes is None:
            raise InputError("the input 'handover' is no table of the crystal's properties")
        found = {}
        for name, key in COLUMNS.items():
            if key in notes:
                found[name] = _column(reader.quantity(key), notes[key])
        missing = sorted(set(_NEEDED) - set(found))
        if missing:
            raise InputError(f"the table of the crystal's properties has no column '{missing[0]}'")
        return cls(np.atleast_1d(np.asarray(reader.array("temperatures"), dtype=float)), **found)


#: Quantity of the vocabulary that each column holds.
COLUMNS = {
    "lattice_parameters": "thermal_lattice_parameters",
    "density": "thermal_density",
    "isothermal_stiffness": "isothermal_stiffness",
    "adiabatic_stiffness": "adiabatic_stiffness",
    "lattice_conductivity": "lattice_thermal_conductivity",
    "specific_heat": "specific_heat",
    "electronic_conductivity": "electronic_thermal_conductivity",
    "total_conductivity": "total_thermal_conductivity",
    "thermal_expansion": "thermal_expansion",
}
_NEEDED = (
    "lattice_parameters", "density", "isothermal_stiffness", "adiabatic_stiffness", "lattice_conductivity",
    "specific_heat",
)  # fmt: skip


def _column(record: QuantityRecord, note: Mapping[str, Any]) -> Column:
    return Column(
        name=record.name,
        value=record.value,
        origin=str(note["origin"]),
        components=record.components,
        members=record.members,
        calibrated=record.calibrated,
        converged=record.converged,
        marks=record.marks,
        fixed=bool(note["fixed"]),
    )


def column_at(record: QuantityRecord, temperatures: Floats, origin: str, remedy: str) -> Column:
    """A property at some temperatures, from its values at those at which it was computed.

    Args:
        record: with a temperature in each of its conditions.
        temperatures: wanted, shape (n,), K.
        origin: stage that it is from.
        remedy: how to have it at more temperatures.

    Raises:
        InputError: when a temperature lies outside those computed.
    """
    given = np.array([condition["temperature"] for condition in record.conditions])
    order = np.argsort(given)
    known = given[order]

    def at(values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        return interpolated(known, values[order], temperatures, f"{record.name} of {origin}", remedy)

    value, exact = at(record.value)
    parts = {name: np.abs(at(part)[0]) for name, part in record.components.items()}
    members = None
    if record.members is not None:
        members = np.moveaxis(at(np.moveaxis(record.members, 0, 1))[0], 1, 0)
    if not exact.all():
        between = resolution(known, record.value[order], temperatures)
        parts["resolution"] = np.hypot(parts.get("resolution", 0.0), between)
    return Column(
        record.name,
        value,
        origin if exact.all() else f"{origin}, {METHOD}",
        # Without the others this part would be taken for the whole.
        parts if record.components else {},
        members,
        record.calibrated,
        record.converged,
        record.marks,
    )


def column_of_zero(record: QuantityRecord, name: str, count: int, origin: str, mark: str) -> Column:
    """A property of 0 K, taken at every temperature.

    Args:
        record: with one condition.
        name: of the column's quantity, which has the shape and unit of the record's.
        count: of temperatures.
        origin: in words.
        mark: what the reader must know of it.
    """

    def repeated(values: Floats, axis: int = 0) -> Floats:
        return np.repeat(values, count, axis=axis)

    return Column(
        name,
        repeated(record.value),
        origin,
        {key: repeated(part) for key, part in record.components.items()},
        None if record.members is None else repeated(record.members, 1),
        record.calibrated,
        record.converged,
        (*record.marks, mark),
        fixed=True,
    )


def scaled(column: Column, name: str, factor: float, mark: str = "") -> Column:
    """A column in another unit.

    Args:
        column: to be converted.
        name: of the quantity that it becomes.
        factor: of the units, unit of `name` over that of the column.
        mark: what the reader must know of it besides.
    """
    return replace(
        column,
        name=name,
        value=factor * column.value,
        components={key: abs(factor) * part for key, part in column.components.items()},
        members=None if column.members is None else factor * column.members,
        marks=(*column.marks, mark) if mark else column.marks,
    )
