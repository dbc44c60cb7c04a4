"""Figure of the stage "thermoelasticity": elastic constants over temperature."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hashigo.calculators.results import QuantityRecord
from hashigo.errors import InputError
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import COLOURS, axis_label, panels, styled

_STAGE = "thermoelasticity"
#: Constants in each panel, as places in Voigt's matrix.
_PANELS = (((0, 0), (1, 1), (2, 2)), ((0, 1), (0, 2), (1, 2)), ((3, 3), (4, 4), (5, 5)))
#: Constants nearer to each other are drawn as one, relative to the largest.
_SAME = 1e-6


@styled
def over_temperature(results: Results) -> Figure:
    """Longitudinal constants (left), those that couple axes (middle) and shears (right), those that differ.

    Args:
        results: of a run.

    Raises:
        InputError: when they are not there, or at one temperature only.
    """
    adiabatic = results.quantity(_STAGE, "adiabatic_stiffness")
    isothermal = results.quantity(_STAGE, "isothermal_stiffness")
    if len(adiabatic.conditions) < 2:
        raise InputError("one temperature is no curve")
    figure, axes = panels(3, 2.6)
    for panel, places in zip(axes, _PANELS, strict=True):
        drawn: list[np.ndarray] = []
        for row, column in places:
            value = adiabatic.value[:, row, column]
            if any(np.abs(value - other).max() < _SAME * np.abs(value).max() for other in drawn):
                continue
            drawn.append(value)
            _curves(panel, adiabatic, isothermal, (row, column), COLOURS[len(drawn) - 1])
        panel.set_xlabel(axis_label("temperature"))
        panel.yaxis.set_major_locator(MaxNLocator(5))
        panel.legend()
    axes[0].set_ylabel("Stiffness (GPa)")
    return figure


def _curves(
    axes: Axes, adiabatic: QuantityRecord, isothermal: QuantityRecord, place: tuple[int, int], colour: str
) -> None:
    at = (slice(None), *place)
    temperature = [condition["temperature"] for condition in adiabatic.conditions]
    value = adiabatic.value[at]
    axes.plot(temperature, value, color=colour, label=f"$C_{{{place[0] + 1}{place[1] + 1}}}$")
    if adiabatic.standard_uncertainty is not None:
        error = adiabatic.standard_uncertainty[at]
        axes.fill_between(temperature, value - error, value + error, color=colour, alpha=0.3, lw=0)
    colder = [condition["temperature"] for condition in isothermal.conditions]
    axes.plot(colder, isothermal.value[at], color=colour, linestyle="--", linewidth=1.0)
