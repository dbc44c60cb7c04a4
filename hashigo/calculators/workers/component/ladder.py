"""What a component is made of: properties of the polycrystal or the crystal, from the ladder or given by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.results import QuantityRecord, ResultReader
from hashigo.calculators.workers.component.material import Curve, Material, constant
from hashigo.calculators.workers.handover_table import Column, HandoverTable
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Off-diagonal conductivity, relative to the mean, above which axes are no principal ones.
OFF_AXIS = 0.05
#: Expansion whose axes differ by less, relative, is that of a cubic crystal.
_CUBIC = 1e-6
REMEDY = "add temperatures to mesoscale.temperatures, or give component.material.{name}"
GIVEN = "given in the study"


@dataclass(frozen=True)
class Property:
    """One property with its uncertainty.

    Attributes:
        curve: the property, in the unit that `Material` has it in; density in kg/m^3, heat capacity in J/(kg K).
        origin: where it is from, in words.
        members: values of each committee member at the curve's temperatures, shape (n_members, \\*curve.values.shape),
            same unit; or None.
        parts: other parts of its standard uncertainty by name, each of the shape of the curve's values, same unit.
        calibrated: whether the committee's spread is.
        converged: whether it is; None when that was not checked.
        marks: what the reader must know of it.
    """

    curve: Curve
    origin: str
    members: Floats | None = None
    parts: Mapping[str, Floats] = field(default_factory=dict)
    calibrated: bool = True
    converged: bool | None = True
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """Which values are taken.

    Attributes:
        name: for files and progress.
        member: index in the committee; None for the mean.
        shifted: property and part of its uncertainty by which it is raised; None for none.
    """

    name: str
    member: int | None = None
    shifted: tuple[str, str] | None = None

    @property
    def words(self) -> str:
        """Which it is, for messages."""
        if self.member is not None:
            return f"committee member {self.member + 1}"
        if self.shifted is not None:
            return f"{self.shifted[0].replace('_', ' ')} raised by its uncertainty of {self.shifted[1]}"
        return "mean"


MEAN = Variant("mean")


def variants(properties: Mapping[str, Property]) -> list[Variant]:
    """One for each committee member, and one for each further part of a property's uncertainty.

    Args:
        properties: by name.

    Raises:
        InputError: when properties are those of committees of different sizes.
    """
    counts = {len(one.members) for one in properties.values() if one.members is not None}
    if len(counts) > 1:
        raise InputError(f"properties of the component are from committees of {sorted(counts)} members")
    found = [Variant(f"member-{index}", member=index) for index in range(counts.pop() if counts else 0)]
    for name, one in properties.items():
        found += [
            Variant(f"{name}-{part}".replace("_", "-"), shifted=(name, part))
            for part, values in one.parts.items()
            if np.any(values) and (part != "model" or one.members is None)
        ]
    return found


def chosen(properties: Mapping[str, Property], variant: Variant) -> dict[str, Curve]:
    """Curves of a variant.

    Args:
        properties: by name.
        variant: which values.
    """
    curves = {}
    for name, one in properties.items():
        values = one.curve.values
        if variant.member is not None and one.members is not None:
            values = one.members[variant.member]
        if variant.shifted is not None and variant.shifted[0] == name:
            values = values + one.parts[variant.shifted[1]]
        curves[name] = Curve(one.curve.temperatures, values, one.curve.constant, one.curve.remedy)
    return curves


def material(curves: Mapping[str, Curve], reference: float) -> Material:
    """A material of its properties.

    Args:
        curves: by name; density in kg/m^3, heat capacity in J/(kg K), the others as in `Material`.
        reference: temperature at which the body has the size given, K.

    Raises:
        InputError: when one is not positive.
    """
    density = float(within(curves["density"], np.array([reference]), "density")[0])
    for name in ("conductivity", "heat_capacity", "density"):
        if not np.all(curves[name].values > 0):
            raise InputError(
                f"the {name.replace('_', ' ')} of the component is not positive", fix=f"check {name}"
            )
    stiffness = curves.get("stiffness")
    if stiffness is not None and np.linalg.eigvalsh(stiffness.values).min() <= 0:
        raise InputError("the stiffness of the component is not positive definite", fix="check its source")
    return Material(
        curves["conductivity"], curves["heat_capacity"].scaled(density), stiffness, curves.get("expansion")
    )


def within(curve: Curve, temperatures: Floats, name: str) -> Floats:
    """Values of a property where it is known.

    Args:
        curve: the property.
        temperatures: shape (n,), K.
        name: of the property, for the message.

    Returns:
        Shape (n, \\*tensor), unit of the curve.

    Raises:
        InputError: when it is not known at one of them.
    """
    check_range(curve, float(temperatures.min()), float(temperatures.max()), name)
    return curve(temperatures)


def check_range(curve: Curve, low: float, high: float, name: str, when: str = "") -> None:
    """Refuse temperatures outside those at which a property is known.

    Args:
        curve: the property.
        low: lowest temperature of the component, K.
        high: highest temperature of the component, K.
        name: of the property, for the message.
        when: it has them, for the message.

    Raises:
        InputError: names temperature and property.
    """
    if curve.low <= low and high <= curve.high:
        return
    first, last = curve.temperatures[0], curve.temperatures[-1]
    reach = f"at {first:g} K only" if first == last else f"from {first:g} to {last:g} K"
    kelvin = low if low < curve.low else high
    raise InputError(
        f"the component is at {kelvin:.6g} K{when}, and its {name} is known {reach}: nothing is extrapolated",
        fix=curve.remedy,
    )


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
        return (_of_record(effective, None, name) if effective else None) or _of_column(
            table, table.isothermal_stiffness, name
        )
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


def _as_strain(one: Property) -> Property:
    def change(tensors: Floats) -> Floats:
        pick = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
        factors = (1, 1, 1, 2, 2, 2)
        return np.stack([f * tensors[..., i, j] for f, (i, j) in zip(factors, pick, strict=True)], axis=-1)

    return _mapped(one, change)


def given_properties(given: Mapping[str, Any], where: str) -> dict[str, Property]:
    """Properties by hand: numbers, or tables over temperature.

    Args:
        given: as in the study, `None` for what is not.
        where: key path in the study, for messages.
    """
    found = {}
    for name in ("density", "heat_capacity"):
        if given.get(name) is not None:
            found[name] = Property(_curve(given[name], f"{where}.{name}"), GIVEN)
    if given.get("conductivity") is not None:
        curve = _curve(given["conductivity"], f"{where}.conductivity", lambda v: np.broadcast_to(v, 3))
        found["conductivity"] = Property(curve, GIVEN)
    if given.get("expansion") is not None:
        curve = _curve(given["expansion"], f"{where}.expansion", lambda v: np.array([v, v, v, 0, 0, 0]))
        found["expansion"] = Property(curve, GIVEN)
    if given.get("youngs_modulus") is not None:
        found["stiffness"] = Property(
            _isotropic(
                _curve(given["youngs_modulus"], f"{where}.youngs_modulus"),
                _curve(given["poisson_ratio"], f"{where}.poisson_ratio"),
            ),
            GIVEN,
        )
    return found


def _curve(value: Any, where: str, shaped: Any = lambda value: value) -> Curve:
    if not isinstance(value, Mapping):
        return constant(np.array(shaped(value), dtype=float))
    table = {float(kelvin): np.array(shaped(entry), dtype=float) for kelvin, entry in value.items()}
    temperatures = np.array(sorted(table))
    return Curve(
        temperatures,
        np.array([table[kelvin] for kelvin in temperatures]),
        False,
        f"add temperatures to {where}",
    )


def _isotropic(young: Curve, poisson: Curve) -> Curve:
    """Stiffness of an isotropic body, Voigt, by temperature."""
    tables: Sequence[Curve] = [one for one in (young, poisson) if not one.constant]
    temperatures = (
        np.unique(np.concatenate([one.temperatures for one in tables])) if tables else np.array([0.0])
    )
    inside = np.ones(len(temperatures), dtype=bool)
    for one in tables:
        inside &= (temperatures >= one.low) & (temperatures <= one.high)
    temperatures = temperatures[inside]
    if not len(temperatures):
        raise InputError(
            "youngs_modulus and poisson_ratio share no temperature", fix="give both over one range"
        )
    modulus, ratio = young(temperatures), poisson(temperatures)
    shear = modulus / 2 / (1 + ratio)
    lame = modulus * ratio / (1 + ratio) / (1 - 2 * ratio)
    values = np.zeros((len(temperatures), 6, 6))
    values[:, :3, :3] = lame[:, None, None]
    values[:, range(6), range(6)] += shear[:, None] * np.array([2, 2, 2, 1, 1, 1])
    return Curve(temperatures, values, not tables, (tables or [young])[0].remedy)
