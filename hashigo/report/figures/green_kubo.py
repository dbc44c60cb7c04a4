"""Figure of the stage "green_kubo": the running integral of the heat flux's autocorrelation, and its spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hashigo.errors import InputError
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import axis_label, line_look, panels, styled

_STAGE = "green_kubo"
#: How much of the running integral is shown, in cut-off times.
_SHOWN = 3.0
#: Frequencies that a point of the spectrum averages over, number.
_AVERAGED = 8


@styled
def running_integral(results: Results) -> Figure:
    """Running integral with its standard error, and the periodogram, at each temperature.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no such stage.
    """
    temperatures = results.note(_STAGE, "green_kubo").get("temperatures")
    if not temperatures:
        raise InputError("no heat flux was analysed")
    figure, (left, right) = panels(2, 3.0)
    curves = [
        (entry["thermostat"], axes, told) for entry in temperatures for axes, told in entry["axes"].items()
    ]
    for index, (temperature, axes, told) in enumerate(curves):
        label = f"{temperature:g} K" + ("" if len(axes) == 3 else f", {axes}")
        _integral(left, results, f"{temperature:g}K/{axes}", told, {**line_look(index), "label": label})
        _spectrum(right, results, f"{temperature:g}K/{axes}", told, line_look(index))
    longest = max(float(results.array(_STAGE, f"{t:g}K/{axes}/times")[-1]) for t, axes, _ in curves)
    left.set_xlim(0, min(longest, _SHOWN * max(told["cutoff_time"] for *_, told in curves)))
    left.set_ylim(0, None)
    left.set_xlabel("Time $t$ (ps)")
    left.set_ylabel(axis_label("green_kubo_conductivity", "Integral up to $t$,"))
    left.legend()
    right.set_yscale("log")
    right.set_xlabel("Frequency (THz)")
    right.set_ylabel("Periodogram (W/(m K))")
    return figure


def _integral(axes: Axes, results: Results, group: str, told: dict[str, Any], look: dict[str, Any]) -> None:
    times, mean, error = (
        results.array(_STAGE, f"{group}/{name}") for name in ("times", "running", "running_error")
    )
    axes.plot(times, mean, **look)
    axes.fill_between(times, mean - error, mean + error, color=look["color"], alpha=0.25, lw=0)
    axes.axvline(told["cutoff_time"], color=look["color"], linewidth=0.8, linestyle=":")
    axes.axhline(told["conductivity"], color=look["color"], linewidth=0.8)


def _spectrum(axes: Axes, results: Results, group: str, told: dict[str, Any], look: dict[str, Any]) -> None:
    frequencies, power = (results.array(_STAGE, f"{group}/{name}") for name in ("frequencies", "periodogram"))
    whole = len(power) // _AVERAGED * _AVERAGED
    points = (values[:whole].reshape(-1, _AVERAGED).mean(axis=1) for values in (frequencies, power))
    axes.plot(*points, **{**look, "linestyle": "-", "linewidth": 0.8})
    axes.plot([0], [told["conductivity"]], marker="o", color=look["color"], clip_on=False, zorder=5)
    axes.axvline(told["cutoff_frequency"], color=look["color"], linewidth=0.8, linestyle=":")
    axes.set_xlim(0, float(np.max(frequencies)))
