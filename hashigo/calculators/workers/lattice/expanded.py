"""The cells at temperature that the task "expansion" hands on: of the mean potential and of each member."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.results import ResultReader
from hashigo.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ExpandedCells:
    """Lattice vectors at each temperature, of all models, and what else was found there.

    Attributes:
        temperatures: those at which every model has a cell, shape (n_temperatures,), K.
        lattice: vectors of the conventional cell as rows, mean model first, shape (n_models, n_temperatures, 3, 3), Å.
        bulk_modulus: isothermal, of the mean model, shape (n_temperatures,), GPa.
        expansion: linear, of the mean model, shape (n_temperatures, 3, 3), 1/K.
        pressure: of all of them, GPa.
    """

    temperatures: Floats
    lattice: Floats
    bulk_modulus: Floats
    expansion: Floats
    pressure: float


def read_expanded(path: Path, n_members: int) -> ExpandedCells:
    """Read the cells from a result of the task "expansion".

    Args:
        path: the result file.
        n_members: count of the committee's members.

    Raises:
        InputError: when the file is of the reference's frames or of another committee, or holds no cell.
    """
    with ResultReader(path) as reader:
        note = reader.note("expansion")
        if note is None or not reader.has("thermal/lattice"):
            raise InputError(f"{Path(path).name} holds no cells at temperature")
        if note["source"] != "potential":
            raise InputError(
                "elastic constants at temperature need the thermal expansion of the potential, and it was computed "
                "from the reference's frames",
                fix="set expansion.force_constants to potential",
            )
        found = [reader.array("thermal/lattice")]
        for index in range(n_members):
            if not reader.has(f"members/{index}/lattice"):
                raise InputError(
                    f"the committee has {n_members} members, but the thermal expansion is of {index}",
                    fix="compute the expansion with this potential",
                )
            found.append(reader.array(f"members/{index}/lattice"))
        lattice, temperatures = np.array(found), reader.array("temperatures")
        known = np.isfinite(lattice).all(axis=(0, 2, 3))
        if not known.any():
            raise InputError(
                "at no temperature has the thermal expansion a cell of every member of the committee",
                fix="widen expansion.volume_range",
            )
        return ExpandedCells(
            temperatures[known],
            lattice[:, known],
            _at(reader, "quasiharmonic_bulk_modulus", temperatures[known]),
            _at(reader, "thermal_expansion", temperatures[known]),
            float(note["pressure"]),
        )


def _at(reader: ResultReader, name: str, temperatures: Floats) -> Floats:
    """A quantity at some temperatures, NaN where it has no value."""
    record = reader.quantity(name)
    rows = {row["temperature"]: value for row, value in zip(record.conditions, record.value, strict=True)}
    nothing = np.full(record.value.shape[1:], np.nan)
    return np.array([rows.get(float(temperature), nothing) for temperature in temperatures])
