"""Pressures over volumes as an equation of state.

Source: Birch, Phys. Rev. 71, 809 (1947), third order; of second order (a pressure derivative of 4) where there are
fewer than five volumes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, curve_fit

from hashigo.errors import WorkerError

Floats = NDArray[np.float64]
#: Pressure in GPa as a function of the volume in Å^3.
Curve = Callable[[Any], Any]

#: Fewest volumes that determine an equation of state, and one of third order, numbers.
FEWEST, THIRD_ORDER = 3, 5
#: How far beyond the volumes the equation of state is read, relative.
REACH = 0.05


@dataclass(frozen=True)
class State:
    """What an equation of state says at one pressure.

    Attributes:
        volume: Å^3.
        bulk_modulus: isothermal, GPa.
        inside: whether the volume lies among those that it was fitted to.
    """

    volume: float
    bulk_modulus: float
    inside: bool


def birch_murnaghan(volume: Floats, reference: float, modulus: float, derivative: float = 4.0) -> Floats:
    """Pressure at a volume.

    Args:
        volume: any shape, Å^3.
        reference: volume without pressure, Å^3.
        modulus: bulk modulus there, GPa.
        derivative: of the bulk modulus by pressure there, dimensionless.

    Returns:
        Shape of `volume`, GPa.
    """
    x = (reference / np.asarray(volume)) ** (1 / 3)
    return 1.5 * modulus * (x**7 - x**5) * (1 + 0.75 * (derivative - 4) * (x**2 - 1))


def fit(volumes: Floats, pressures: Floats, errors: Floats) -> Curve:
    """Fit pressures, each weighted by its error.

    Args:
        volumes: three or more, shape (n,), Å^3.
        pressures: shape (n,), GPa.
        errors: of the pressures, shape (n,), GPa; zero for all weighs them alike.

    Returns:
        Pressure in GPa as a function of the volume in Å^3, of any shape.

    Raises:
        WorkerError: when no equation of state fits.
    """
    slope = np.polyfit(volumes, pressures, 1)[0]
    middle = float(volumes.mean())
    modulus = max(-slope * middle, 1.0)
    start = [middle * (1 + float(pressures.mean()) / modulus), modulus]
    start += [4.0] * (len(volumes) >= THIRD_ORDER)
    try:
        with np.errstate(invalid="ignore"):  # of a negative volume, which is refused below
            found, _ = curve_fit(
                birch_murnaghan, volumes, pressures, start, sigma=errors if np.all(errors > 0) else None
            )
    except RuntimeError as error:
        raise _no_fit(pressures, str(error)) from None
    if not (np.isfinite(found).all() and found[0] > 0):
        raise _no_fit(pressures, "its volume without pressure would not be positive")
    return lambda volume: birch_murnaghan(volume, *found)


def _no_fit(pressures: Floats, why: str) -> WorkerError:
    return WorkerError(
        f"no equation of state fits the pressures {np.round(pressures, 3).tolist()} GPa: {why}",
        fix="give dynamics.volumes further apart, or sample longer (dynamics.production)",
    )


def read(curve: Curve, volumes: Floats, pressure: float) -> State | None:
    """Volume and bulk modulus at a pressure; None where it is not reached near the volumes.

    Args:
        curve: of `fit`.
        volumes: those it was fitted to, shape (n,), Å^3.
        pressure: GPa.
    """
    low, high = volumes.min() * (1 - REACH), volumes.max() * (1 + REACH)

    def excess(volume: float) -> float:
        return float(curve(np.array(volume))) - pressure

    if excess(low) * excess(high) > 0:
        return None
    volume = float(brentq(excess, low, high))
    step = 1e-4 * volume
    modulus = -volume * (excess(volume + step) - excess(volume - step)) / (2 * step)
    return State(volume, modulus, bool(volumes.min() <= volume <= volumes.max()))


def state_with_error(
    volumes: Floats, pressures: Floats, errors: Floats, pressure: float
) -> tuple[State, float, float] | None:
    """Volume and bulk modulus at a pressure, with their standard errors, to first order in those of the pressures.

    Args:
        volumes: three or more, shape (n,), Å^3.
        pressures: shape (n,), GPa.
        errors: of the pressures, independent, shape (n,), GPa.
        pressure: at which it is read, GPa.

    Returns:
        The state, the error of its volume in Å^3 and that of its bulk modulus in GPa; None where the pressure is not
        reached near the volumes.
    """
    found = read(fit(volumes, pressures, errors), volumes, pressure)
    if found is None:
        return None
    moved = []
    for index, error in enumerate(errors):
        other = read(fit(volumes, pressures + error * np.eye(len(volumes))[index], errors), volumes, pressure)
        if other is None:
            return None
        moved.append([other.volume - found.volume, other.bulk_modulus - found.bulk_modulus])
    volume, modulus = np.sqrt((np.array(moved) ** 2).sum(axis=0))
    return found, float(volume), float(modulus)
