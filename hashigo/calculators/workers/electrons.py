"""Whether a crystal's electrons carry heat, and how much: given, or by the law of Wiedemann and Franz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.constants import elementary_charge
from scipy.constants import k as boltzmann

from hashigo.calculators.engines import get_engine
from hashigo.calculators.engines.protocols import metallic_elements
from hashigo.calculators.workers.interpolation import METHOD, interpolated
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Sommerfeld's Lorenz number (π²/3)(k_B/e)², W Ω/K²: degenerate electrons, scattered elastically.
#: Source: Sommerfeld, Z. Phys. 47, 1 (1928); constants of CODATA.
LORENZ = float(np.pi**2 / 3 * (boltzmann / elementary_charge) ** 2)


@dataclass(frozen=True)
class Metallicity:
    """Whether a crystal is a metal, and how that is known.

    Attributes:
        metal: None where nothing tells.
        reason: in words.
    """

    metal: bool | None
    reason: str


@dataclass(frozen=True)
class ElectronicPart:
    """The electronic thermal conductivity of a crystal.

    Attributes:
        value: shape (n_temperatures, 3, 3), W/(m K).
        uncertainty: relative standard uncertainty, dimensionless; None where it was not given.
        origin: in words.
    """

    value: Floats
    uncertainty: float | None
    origin: str

    @property
    def error(self) -> Floats | None:
        """Standard uncertainty, shape (n_temperatures, 3, 3), W/(m K); None where it was not given."""
        return None if self.uncertainty is None else np.asarray(self.uncertainty * np.abs(self.value))


def metallicity(choice: Any, header: Mapping[str, Any], elements: Sequence[str]) -> Metallicity:
    """Judge whether a crystal is a metal.

    A reference with smearing is only taken for one of a metal where the crystal holds metallic elements alone and no
    moments: a valid insulator must not be stopped.

    Args:
        choice: of the study: true, false or "auto".
        header: of the reference's frames: engine, settings, first_principles.
        elements: chemical symbols of the crystal.
    """
    if choice != "auto":
        return Metallicity(bool(choice), f"structure.metal is {str(bool(choice)).lower()}")
    known = _engine_knows(header.get("engine"))
    if known is not None:
        return Metallicity(
            known, f"engine {header['engine']} is for {'metals alone' if known else 'no metal'}"
        )
    settings = header.get("settings") or {}
    if not header.get("first_principles") or "smearing" not in settings:
        return Metallicity(None, "the reference does not tell")
    if not settings["smearing"]:
        return Metallicity(False, "the reference has an insulator's occupations")
    if settings.get("spin"):
        return Metallicity(None, "the reference has smearing for its magnetic moments")
    if not metallic_elements(elements):
        return Metallicity(None, "the reference has smearing, and not all elements are metallic")
    return Metallicity(True, "the reference has a metal's occupations")


def _engine_knows(name: Any) -> bool | None:
    try:
        return get_engine(str(name)).metal if name else None
    except InputError:  # frames of an engine that is not installed here
        return None


def electronic_part(given: Mapping[str, Any], temperatures: Sequence[float] | Floats) -> ElectronicPart:
    """The electronic conductivity at some temperatures, from the study's table.

    Args:
        given: section mesoscale.electronic: conductivity, W/(m K), or resistivity, Ω m, by temperature in K, each one
            number or three along the Cartesian axes; lorenz, W Ω/K²; uncertainty, relative.
        temperatures: shape (n_temperatures,), K.

    Raises:
        InputError: when a temperature lies outside the table.

    Source: Wiedemann & Franz, Ann. Phys. 165, 497 (1853); Sommerfeld, Z. Phys. 47, 1 (1928).
    """
    name = "resistivity" if given.get("resistivity") else "conductivity"
    table = {float(kelvin): value for kelvin, value in given[name].items()}
    known = np.array(sorted(table))
    rows = np.array([np.broadcast_to(np.asarray(table[kelvin], dtype=float), (3,)) for kelvin in known])
    wanted = np.asarray(temperatures, dtype=float)
    values, exact = interpolated(known, rows, wanted, f"mesoscale.electronic.{name}", "add it there")
    origin = "given"
    if name == "resistivity":
        lorenz = float(given.get("lorenz") or LORENZ)
        values = lorenz * wanted[:, None] / values
        origin = (
            f"from the resistivity given, by Wiedemann and Franz with a Lorenz number of {lorenz:.3g} W Ω/K²"
        )
    if not exact.all():
        origin += f"; {METHOD}"
    tensors = values[:, :, None] * np.eye(3)
    return ElectronicPart(tensors, given.get("uncertainty"), origin)
