"""Figures of the stage "dynamics": equation of state, and how atoms are arranged and move."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hashigo.errors import InputError
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import COLOURS, WIDE, axis_label, evenly, line_look, panels, styled

Floats = NDArray[np.float64]

_STAGE = "dynamics"
#: Most curves in a panel, number.
_MOST = 6


def temperatures(results: Results, kind: str) -> list[str]:
    """Names such as "300K" of the groups of a kind, by rising temperature; a few of many.

    Args:
        results: of a run.
        kind: "equation_of_state", "radial", "displacement" or "spectrum".

    Raises:
        InputError: when there is none.
    """
    if not results.has(_STAGE, kind):
        raise InputError(f"there is no '{kind}' of molecular dynamics")
    names = sorted(results.reader(_STAGE).file["data"][kind], key=lambda name: float(name.rstrip("K")))
    return [names[index] for index in evenly(len(names), _MOST)]


def _columns(results: Results, group: str, without: tuple[str, ...]) -> list[str]:
    names = results.reader(_STAGE).file["data"][group]
    return [name for name in names if name not in without and not name.endswith(" error")]


def _curve(axes: Axes, results: Results, x: Floats, name: str, look: dict[str, Any], label: str) -> None:
    values = results.array(_STAGE, name)
    axes.plot(x, values, label=label, linewidth=1.1, **look)
    if results.has(_STAGE, f"{name} error"):
        error = results.array(_STAGE, f"{name} error")
        axes.fill_between(x, values - error, values + error, color=look["color"], alpha=0.3, lw=0)


@styled
def equation_of_state(results: Results) -> Figure:
    """Pressure over volume at each temperature, with the fitted equation of state.

    Args:
        results: of a run.

    Raises:
        InputError: when there are not several volumes.
    """
    figure, (axes,) = panels(1, 3.0)
    figure.set_figwidth(WIDE * 0.62)
    drawn = False
    for index, name in enumerate(temperatures(results, "equation_of_state")):
        group, look = f"equation_of_state/{name}", line_look(index)
        volume, pressure, error = (
            results.array(_STAGE, f"{group}/{key}") for key in ("volume", "pressure", "error")
        )
        if len(volume) < 2:
            continue
        drawn = True
        label = name.replace("K", " K")
        axes.errorbar(volume, pressure, yerr=error, fmt="o", color=look["color"], label=label)
        if results.has(_STAGE, f"{group}/fitted_volume"):
            axes.plot(
                *(results.array(_STAGE, f"{group}/fitted_{key}") for key in ("volume", "pressure")), **look
            )
    if not drawn:
        raise InputError("one volume is no equation of state")
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.set_xlabel(axis_label("thermal_volume", "Volume of the conventional cell"))
    axes.set_ylabel(axis_label("pressure"))
    axes.legend()
    return figure


@styled
def arrangement(results: Results) -> Figure:
    """Radial distribution functions, and mean-square displacements.

    Args:
        results: of a run.

    Raises:
        InputError: when there are none.
    """
    figure, (left, right) = panels(2, 2.8)
    curve = 0
    for name in temperatures(results, "radial"):
        distance = results.array(_STAGE, f"radial/{name}/distance")
        for pair in _columns(results, f"radial/{name}", ("distance",)):
            label = f"{pair.replace('-', '–')}, {name.replace('K', ' K')}"
            _curve(left, results, distance, f"radial/{name}/{pair}", line_look(curve), label)
            curve += 1
    curve = 0
    for name in temperatures(results, "displacement"):
        time = results.array(_STAGE, f"displacement/{name}/time")
        for element in _columns(results, f"displacement/{name}", ("time",)):
            label = f"{element}, {name.replace('K', ' K')}"
            _curve(right, results, time, f"displacement/{name}/{element}", line_look(curve), label)
            curve += 1
    left.set_xlabel("Distance $r$ (Å)")
    left.set_ylabel("Radial distribution $g(r)$")
    right.set_xlabel("Time $t$ (ps)")
    right.set_ylabel("Mean-square displacement (Å²)")
    for panel in (left, right):
        panel.set_ylim(0, None)
        panel.legend()
    return figure


def broadened(frequency: Floats, density: Floats, width: float) -> Floats:
    """A spectrum seen with a limited resolution.

    Args:
        frequency: evenly spaced, shape (n,), THz.
        density: shape (n,), 1/THz.
        width: full width at half maximum of a single mode, THz.

    Returns:
        Shape (n,), 1/THz; each mode is a Gaussian of area one.
    """
    deviation = width / np.sqrt(8 * np.log(2))
    apart = (frequency[:, None] - frequency[None]) / deviation
    weight = np.exp(-(apart**2) / 2) / (deviation * np.sqrt(2 * np.pi))
    return np.asarray(weight @ density * (frequency[1] - frequency[0]))


@styled
def spectrum(results: Results) -> Figure:
    """Spectrum of the velocities at each temperature over the harmonic density of states.

    Args:
        results: of a run.

    Raises:
        InputError: when there is none.
    """
    figure, (axes,) = panels(1, 3.0)
    highest = 0.0
    if results.has("phonons", "dos/frequency"):
        known, modes = (results.array("phonons", f"dos/{key}") for key in ("frequency", "density"))
        axes.fill_between(
            known, modes, color=COLOURS[4], alpha=0.35, lw=0, label="harmonic, at the relaxed cell"
        )
        highest = float(known.max())
        width = float(results.array(_STAGE, f"spectrum/{temperatures(results, 'spectrum')[0]}/resolution"))
        axes.plot(
            known, broadened(known, modes, width), color="black", linestyle=":", linewidth=1.1,
            label="harmonic, as wide as the trajectories allow",
        )  # fmt: skip
    for index, name in enumerate(temperatures(results, "spectrum")):
        frequency = results.array(_STAGE, f"spectrum/{name}/frequency")
        label = f"molecular dynamics, {name.replace('K', ' K')}"
        _curve(axes, results, frequency, f"spectrum/{name}/density", line_look(index), label)
        density = results.array(_STAGE, f"spectrum/{name}/density")
        highest = max(highest, float(frequency[density > 0.02 * density.max()].max()))
    axes.set_xlim(0, 1.1 * highest)
    axes.set_ylim(0, None)
    axes.set_xlabel("Frequency $ν$ (THz)")
    axes.set_ylabel("Density of states (1/THz)")
    axes.legend()
    return figure
