"""Figure of the stage "expansion": thermal expansion, and heat capacity with the bulk modulus."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hashigo.errors import InputError
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import COLOURS, axis_label, panels, styled

_STAGE = "expansion"
#: Principal directions closer than this are drawn as one, relative to the largest.
_SAME = 1e-6


@styled
def over_temperature(results: Results) -> Figure:
    """Linear thermal expansion along each different axis (left), heat capacity (middle), bulk modulus (right).

    Args:
        results: of a run.

    Raises:
        InputError: when they are not there, or at one temperature only.
    """
    record = results.quantity(_STAGE, "thermal_expansion")
    temperature = np.array([condition["temperature"] for condition in record.conditions])
    if len(temperature) < 2:
        raise InputError("one temperature is no curve")
    figure, axes = panels(3, 2.6)
    drawn: list[np.ndarray] = []
    scale = np.abs(record.value).max() or 1.0
    for axis, name in enumerate("xyz"):
        value = record.value[:, axis, axis]
        if any(np.abs(value - other).max() < _SAME * scale for other in drawn):
            continue
        drawn.append(value)
        error = None if record.standard_uncertainty is None else record.standard_uncertainty[:, axis, axis]
        _curve(
            axes[0], temperature, 1e6 * value, None if error is None else 1e6 * error, axis, f"along {name}"
        )
    axes[0].axhline(0.0, color="black", linewidth=0.6)
    axes[0].set_ylabel("Thermal expansion $α$ (10$^{-6}$/K)")
    if len(drawn) > 1:
        axes[0].legend()
    for panel, quantity in zip(
        axes[1:], ("isobaric_heat_capacity", "quasiharmonic_bulk_modulus"), strict=True
    ):
        found = results.quantity(_STAGE, quantity)
        _curve(panel, temperature, found.value, found.standard_uncertainty, 0, "")
        panel.set_ylabel(axis_label(quantity))
    for panel in axes:
        panel.set_xlabel(axis_label("temperature"))
    return figure


def _curve(
    axes: Axes,
    temperature: np.ndarray,
    value: np.ndarray,
    error: np.ndarray | None,
    index: int,
    label: str,
) -> None:
    colour = COLOURS[index]
    axes.plot(temperature, value, color=colour, label=label)
    if error is not None:
        axes.fill_between(temperature, value - error, value + error, color=colour, alpha=0.3, lw=0)
