"""What a component is made of: properties of the polycrystal or the crystal, in place of those given by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.results import QuantityRecord, ResultReader
from hashigo.calculators.workers.component.given import given_properties
from hashigo.calculators.workers.component.material import Curve
from hashigo.calculators.workers.component.properties import Property
from hashigo.calculators.workers.handover_table import Column, HandoverTable
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Off-diagonal conductivity, relative to the mean, above which axes are no principal ones.
OFF_AXIS = 0.05
#: Expansion whose axes differ by less, relative, is that of a cubic crystal.
_CUBIC = 1e-6
REMEDY = "add temperatures to mesoscale.temperatures, or give component.material.{name}"


def read_properties(
    inputs: Mapping[str, Any], given: Mapping[str, Any], grain_size: float | None, stress: bool
) -> dict[str, Property]:
    """Properties by name: those given by hand, and for the others those of the ladder.

    Args:
        inputs: result files of "handover" and "mesoscale", as far as they are there.
        given: the study's `component.material`.
        grain_size: which polycrystal, nm; None for the crystal.
        stress: whether stiffness and expansion are needed.

    Raises:
        InputError: when one is not known.
    """
    found = given_properties(given, "component.material")
    wanted = ["conductivity", "density", "heat_capacity", *(["stiffness", "expansion"] if stress else [])]
    missing = [name for name in wanted if name not in found]
    if missing and "handover" not in inputs:
        raise InputError(
            f"the {missing[0].replace('_', ' ')} of the component is not known",
            fix=f"give component.material.{_key(missing[0])}",
        )
    if missing:
        with ResultReader(inputs["handover"]) as reader:
            table = HandoverTable.read(reader)
        meso = {}
        if grain_size is not None and "mesoscale" in inputs:
            with ResultReader(inputs["mesoscale"]) as reader:
                names = [name for name in _EFFECTIVE if name in reader.quantities()]
                meso = {name: reader.quantity(name) for name in names}
                _refuse_mixture(
                    reader, [name for name in missing if f"effective_{_effective(name)}" not in names]
                )
        for name in missing:
            found[name] = _from_ladder(name, table, meso, grain_size)
    return {name: found[name] for name in wanted}


def _refuse_mixture(reader: ResultReader, of_the_crystal: Sequence[str]) -> None:
    """Refuse to take the crystal's density and the like for those of a body with pores or other materials."""
    if not of_the_crystal or not reader.has("grains/material"):
        return
    others = reader.array("grains/material") != 0
    share = float(reader.array("grains/volume_fraction")[others].sum())
    if share > 0:
        name = of_the_crystal[0]
        raise InputError(
            f"{share:.2g} of the mesoscale's volume is not the crystal, so that the component's "
            f"{name.replace('_', ' ')} is not the crystal's",
            fix=f"give component.material.{_key(name)}",
        )


def _effective(name: str) -> str:
    return name if name == "stiffness" else f"thermal_{name}"


_EFFECTIVE = ("effective_thermal_conductivity", "effective_stiffness", "effective_thermal_expansion")


def _key(name: str) -> str:
    return "youngs_modulus" if name == "stiffness" else name


def _from_ladder(
    name: str, table: HandoverTable, meso: Mapping[str, QuantityRecord], grain_size: float | None
) -> Property:
    if name == "density":
        return _of_column(table, table.density, name)
    if name == "heat_capacity":
        return _of_column(table, table.specific_heat, name)
    effective = meso.get(f"effective_{_effective(name)}")
    if name == "conductivity":
        found = _of_record(effective, grain_size, name) if effective else None
        if found is None and grain_size is not None:
            raise InputError(f"the mesoscale has no conductivity at a grain size of {grain_size:g} nm")
        return diagonal(
            found or _of_column(table, table.total_conductivity or table.lattice_conductivity, name)
        )
    if name == "stiffness":
        found = _of_record(effective, None, name) if effective else None
        return _mapped(found or _of_column(table, table.isothermal_stiffness, name), _symmetric)
    found = _of_record(effective, None, name) if effective else None
    if found is None and table.thermal_expansion is None:
        raise InputError(
            "the thermal expansion of the component is not known",
            fix="add the section expansion, or give component.material.expansion",
        )
    assert found is not None or table.thermal_expansion is not None
    if found is not None:
        return _as_strain(found)
    crystal = _of_column(table, table.thermal_expansion, name)  # type: ignore[arg-type]
    return _as_strain(crystal if grain_size is None else _averaged(crystal))


def _of_column(table: HandoverTable, column: Column, name: str) -> Property:
    remedy = REMEDY.format(name=_key(name))
    if column.fixed:
        members = None if column.members is None else column.members[:, :1]
        parts = {key: np.asarray(part)[:1] for key, part in column.components.items()}
        curve = Curve(table.temperatures[:1], column.value[:1], True, remedy)
    else:
        members, parts = column.members, dict(column.components)
        curve = Curve(table.temperatures, column.value, False, remedy)
    return _sorted(
        Property(curve, column.origin, members, parts, column.calibrated, column.converged, column.marks)
    )


def _of_record(record: QuantityRecord, grain_size: float | None, name: str) -> Property | None:
    """An effective property at one grain size, over temperature; one without temperature holds at all."""
    rows = [
        index
        for index, condition in enumerate(record.conditions)
        if grain_size is None or abs(condition.get("grain_size", grain_size) - grain_size) < 1e-6 * grain_size
    ]
    if not rows:
        return None
    fixed = "temperature" not in record.conditions[rows[0]]
    rows = rows[:1] if fixed else rows
    temperatures = np.array([record.conditions[row].get("temperature", 0.0) for row in rows])
    curve = Curve(temperatures, record.value[rows], fixed, REMEDY.format(name=_key(name)))
    return _sorted(
        Property(
            curve,
            "mesoscale" + (f", mean grain {grain_size:g} nm" if name == "conductivity" else ""),
            None if record.members is None else record.members[:, rows],
            {key: part[rows] for key, part in record.components.items()},
            record.calibrated,
            record.converged,
            record.marks,
        )
    )


def _sorted(one: Property) -> Property:
    order = np.argsort(one.curve.temperatures)
    curve = Curve(
        one.curve.temperatures[order], one.curve.values[order], one.curve.constant, one.curve.remedy
    )
    members = None if one.members is None else one.members[:, order]
    parts = {key: np.abs(part[order]) for key, part in one.parts.items()}
    return _with(one, curve, members, parts)


def _with(
    one: Property, curve: Curve, members: Floats | None, parts: Mapping[str, Floats], mark: str = ""
) -> Property:
    marks = (*one.marks, mark) if mark else one.marks
    return Property(curve, one.origin, members, parts, one.calibrated, one.converged, marks)


def _mapped(one: Property, change: Any, mark: str = "") -> Property:
    """The same function of values, members and parts."""
    curve = Curve(one.curve.temperatures, change(one.curve.values), one.curve.constant, one.curve.remedy)
    members = None if one.members is None else change(one.members)
    return _with(one, curve, members, {key: np.abs(change(part)) for key, part in one.parts.items()}, mark)


def diagonal(one: Property) -> Property:
    """Conductivity along the axes.

    Args:
        one: with tensors of shape (3, 3), W/(m K).

    Raises:
        InputError: when the axes are no principal ones.
    """
    values = one.curve.values
    along = np.diagonal(values, axis1=-2, axis2=-1)
    off = np.abs(values - np.eye(3) * values).max(axis=(-2, -1))
    worst = float((off / along.mean(axis=-1)).max())
    if worst > OFF_AXIS:
        raise InputError(
            f"the conductivity has off-diagonal components of {worst:.0%} of its mean, and a component's axes must be "
            "principal ones",
            fix="choose a grain size (component.grain_size), or give component.material.conductivity",
        )
    mark = f"off-diagonal conductivity of {worst:.1%} left out" if worst > 1e-3 else ""
    return _mapped(one, lambda tensors: np.diagonal(tensors, axis1=-2, axis2=-1).copy(), mark)


def _averaged(one: Property) -> Property:
    """Expansion of an untextured polycrystal under uniform stress: that of any polycrystal where crystals are cubic."""
    values = one.curve.values
    mean = np.trace(values, axis1=-2, axis2=-1)[..., None, None] / 3 * np.eye(3)
    cubic = np.abs(values - mean).max() <= _CUBIC * np.abs(values).max()

    def change(tensors: Floats) -> Floats:
        return np.asarray(np.trace(tensors, axis1=-2, axis2=-1)[..., None, None] / 3 * np.eye(3))

    return _mapped(one, change, "" if cubic else "expansion averaged as under uniform stress")


def _symmetric(stiffness: Floats) -> Floats:
    """What a solver's tolerance leaves unequal would not let rigid motions be free of force."""
    return np.asarray(0.5 * (stiffness + np.swapaxes(stiffness, -1, -2)))


def _as_strain(one: Property) -> Property:
    def change(tensors: Floats) -> Floats:
        pick = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
        factors = (1, 1, 1, 2, 2, 2)
        return np.stack([f * tensors[..., i, j] for f, (i, j) in zip(factors, pick, strict=True)], axis=-1)

    return _mapped(one, change)
