"""Values between the temperatures at which they were computed; never beyond."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: How values between known temperatures are found, in words.
METHOD = "between known temperatures by monotone cubic interpolation"

#: Temperatures that differ by less are the same, K.
SAME = 1e-6


def interpolated(
    known: Floats, values: Floats, wanted: Floats, what: str, remedy: str
) -> tuple[Floats, NDArray[np.bool_]]:
    """Interpolate over temperature, monotonically between neighbours.

    Args:
        known: ascending temperatures, shape (n,), K.
        values: at them, shape (n, ...), any unit.
        wanted: temperatures, shape (m,), K.
        what: the values are, for the message.
        remedy: how to have it known at more temperatures, for the message.

    Returns:
        Values, shape (m, ...), in their unit; and whether each stands among the known ones, shape (m,).

    Raises:
        InputError: when a temperature lies outside the known ones: nothing is extrapolated.

    Source: Fritsch & Butland, SIAM J. Sci. Stat. Comput. 5, 300 (1984).
    """
    outside = (wanted < known[0] - SAME) | (wanted > known[-1] + SAME)
    if outside.any():
        reach = f"at {known[0]:g} K only" if len(known) == 1 else f"from {known[0]:g} to {known[-1]:g} K"
        raise InputError(
            f"{what} is known {reach}, not at {wanted[outside][0]:g} K, and nothing is extrapolated",
            fix=remedy,
        )
    nearest = np.abs(wanted[:, None] - known).argmin(axis=1)
    exact = np.abs(known[nearest] - wanted) <= SAME
    out = np.array(values[nearest], dtype=float)
    if not exact.all():
        from scipy.interpolate import PchipInterpolator

        out[~exact] = PchipInterpolator(known, values, axis=0)(wanted[~exact])
    return out, exact


def integrated(known: Floats, values: Floats, start: float, end: float, what: str, remedy: str) -> Floats:
    """Integrate over temperature, monotone cubic between neighbours.

    Args:
        known: ascending temperatures, shape (n,), K.
        values: at them, shape (n, ...), any unit.
        start: temperature, K.
        end: temperature, K.
        what: the values are, for the message.
        remedy: how to have it known at more temperatures, for the message.

    Returns:
        Shape (...), unit of `values` times K; negative where `end` is below `start` and values are positive.

    Raises:
        InputError: when a temperature lies outside the known ones: nothing is extrapolated.
    """
    interpolated(known, values, np.array([start, end]), what, remedy)
    if start == end or len(known) == 1:
        return np.zeros(values.shape[1:])
    from scipy.interpolate import PchipInterpolator

    low, high = np.clip([start, end], known[0], known[-1])
    return np.asarray(PchipInterpolator(known, values, axis=0).integrate(low, high))


def resolution(known: Floats, values: Floats, wanted: Floats) -> Floats:
    """What interpolation leaves open: the distance between the cubic value and the linear one.

    Args:
        known: ascending temperatures, shape (n,), K.
        values: at them, shape (n, ...), any unit.
        wanted: temperatures within them, shape (m,), K.

    Returns:
        Shape (m, ...), unit of `values`; zero at known temperatures.
    """
    cubic, exact = interpolated(known, values, wanted, "it", "")
    if exact.all():
        return np.zeros_like(cubic)
    place = np.clip(np.searchsorted(known, wanted, side="right") - 1, 0, len(known) - 2)
    share = ((wanted - known[place]) / (known[place + 1] - known[place])).reshape(
        (-1,) + (1,) * (values.ndim - 1)
    )
    linear = (1 - share) * values[place] + share * values[place + 1]
    return np.asarray(np.where(exact.reshape(share.shape), 0.0, np.abs(cubic - linear)))
