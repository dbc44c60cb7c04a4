"""Properties over temperature, within the temperatures at which they are known, and the materials made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Temperatures that differ by less are the same, K.
SAME = 1e-6


@dataclass(frozen=True)
class Curve:
    """A property over temperature: monotone cubics between known values; of one value everywhere where it is given so.

    Outside of its reach it goes on with its last value, so that an iteration may pass there; results must not
    (`Curve.low`, `Curve.high`).

    Attributes:
        temperatures: ascending, shape (n,), K; one for a constant.
        values: shape (n, \\*tensor), any unit.
        constant: whether the one value holds at every temperature.
        remedy: how to have it known at more temperatures.

    Source: Fritsch & Butland, SIAM J. Sci. Stat. Comput. 5, 300 (1984).
    """

    temperatures: Floats
    values: Floats
    constant: bool = False
    remedy: str = ""

    @property
    def low(self) -> float:
        """Lowest temperature at which it is known, K."""
        return -np.inf if self.constant else float(self.temperatures[0]) - SAME

    @property
    def high(self) -> float:
        """Highest temperature at which it is known, K."""
        return np.inf if self.constant else float(self.temperatures[-1]) + SAME

    @cached_property
    def _functions(self) -> tuple[Any, Any]:
        from scipy.interpolate import PchipInterpolator

        value = PchipInterpolator(self.temperatures, self.values, axis=0)
        return value, value.antiderivative()

    def __call__(self, temperature: Floats) -> Floats:
        """Values at some temperatures.

        Args:
            temperature: shape (m,), K.

        Returns:
            Shape (m, \\*tensor), unit of the values.
        """
        temperature = np.asarray(temperature, dtype=float)
        if len(self.temperatures) == 1:
            return np.broadcast_to(self.values[0], (*temperature.shape, *self.values.shape[1:]))
        return np.asarray(self._functions[0](self._within(temperature)))

    def integral(self, temperature: Floats, start: float) -> Floats:
        """Integral over temperature.

        Args:
            temperature: upper ends, shape (m,), K.
            start: lower end, K.

        Returns:
            Shape (m, \\*tensor), unit of the values times K.
        """
        temperature = np.asarray(temperature, dtype=float)
        return np.asarray(self._primitive(temperature) - self._primitive(np.array([start])))

    def _within(self, temperature: Floats) -> Floats:
        return np.clip(temperature, self.temperatures[0], self.temperatures[-1])

    def _primitive(self, temperature: Floats) -> Floats:
        """From the lowest known temperature."""
        tail = (...,) + (None,) * (self.values.ndim - 1)
        inside = self._within(temperature)
        beyond = (temperature - inside)[tail] * self(inside)
        if len(self.temperatures) == 1:
            return np.asarray(beyond)
        return np.asarray(self._functions[1](inside) + beyond)

    def scaled(self, factor: float | Floats) -> Curve:
        """The property times a factor.

        Args:
            factor: shape () or that of the values, dimensionless.
        """
        return Curve(self.temperatures, self.values * factor, self.constant, self.remedy)


def constant(value: Any) -> Curve:
    """A property that is the same at every temperature.

    Args:
        value: number or tensor, any unit.
    """
    return Curve(np.array([0.0]), np.asarray(value, dtype=float)[None], True)


@dataclass(frozen=True)
class Material:
    """What a region of the component is made of.

    Attributes:
        conductivity: along x, y, z, tensor shape (3,), W/(m K).
        heat: heat capacity by volume of the body as it is at its density's temperature, J/(m^3 K).
        stiffness: isothermal, Voigt, tensor shape (6, 6), GPa; None where no stress is asked for.
        expansion: linear, Voigt with engineering shear, tensor shape (6,), 1/K; None likewise.
    """

    conductivity: Curve
    heat: Curve
    stiffness: Curve | None = None
    expansion: Curve | None = None

    @property
    def curves(self) -> Mapping[str, Curve]:
        """Its properties by name, as messages have it."""
        found = {
            "conductivity": self.conductivity,
            "heat capacity": self.heat,
            "stiffness": self.stiffness,
            "expansion": self.expansion,
        }
        return {name: curve for name, curve in found.items() if curve is not None}
