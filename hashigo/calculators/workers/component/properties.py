"""Properties of a component's material with their uncertainty, and the materials that these make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.component.material import Curve, Material
from hashigo.errors import InputError

Floats = NDArray[np.float64]

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
