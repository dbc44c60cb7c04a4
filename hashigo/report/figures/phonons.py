"""Figures of the stage "phonons": bands beside the density of states, thermal properties, and single modes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hashigo.errors import InputError
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import COLOURS, GREY, axis_label, line_look, panels, styled

Floats = NDArray[np.float64]

#: Routes: group in the file, label, line.
_ROUTES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("", "potential, own cell", {"color": COLOURS[0], "linestyle": "-", "zorder": 3}),
    ("symfc/", "reference frames (symfc)", {"color": COLOURS[1], "linestyle": "--", "zorder": 4}),
    ("reference_cell/", "potential, reference's cell", {"color": "black", "linestyle": ":", "zorder": 5}),
)


@styled
def bands(results: Results) -> Figure:
    """Phonon bands by all routes, and their densities of states beside.

    Args:
        results: of a run.

    Raises:
        InputError: when there are no bands.
    """
    # All routes have the same wave vectors; drawn over those of the result's own cell they lie on each other.
    distance = results.array("phonons", "bands/distance")
    note = results.note("phonons", "bands")
    segments = note.get("segments") or [(0, len(distance))]
    figure, (left, right) = panels(2, 3.7, sharey=True, gridspec_kw={"width_ratios": [4, 1]})
    for group, label, look in _ROUTES:
        if not results.has("phonons", f"{group}bands/frequency"):
            continue
        frequency = results.array("phonons", f"{group}bands/frequency")
        for index, (start, stop) in enumerate(segments):
            lines = left.plot(distance[start:stop], frequency[start:stop], linewidth=1.1, **look)
            lines[0].set_label(label if index == 0 else "_")
        if results.has("phonons", f"{group}dos/frequency"):
            spectrum = (results.array("phonons", f"{group}dos/{axis}") for axis in ("density", "frequency"))
            right.plot(*spectrum, linewidth=1.1, **look)
    if results.has("phonons", "bands/spread"):
        _spread(left, distance, results, segments)
    _marks(left, distance, note)
    left.set_ylabel("Frequency $ν$ (THz)")
    right.set_xlabel("DOS (1/THz)")
    right.set_xlim(0, None)
    right.xaxis.set_major_locator(MaxNLocator(3, prune="lower"))
    lowest = float(results.array("phonons", "bands/frequency").min())
    left.set_ylim(min(0.0, 1.1 * lowest), None)
    for panel in (left, right):
        panel.axhline(0.0, color="black", linewidth=0.6)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _spread(axes: Axes, distance: Floats, results: Results, segments: Any) -> None:
    frequency = results.array("phonons", "bands/frequency")
    spread = results.array("phonons", "bands/spread")
    label = "committee spread"
    for start, stop in segments:
        rows = slice(start, stop)
        for band, width in zip(frequency[rows].T, spread[rows].T, strict=True):
            axes.fill_between(
                distance[rows], band - width, band + width, color=COLOURS[4], alpha=0.6, lw=0, label=label
            )
            label = "_"


def _marks(axes: Axes, distance: Floats, note: dict[str, Any]) -> None:
    positions = note.get("positions") or []
    axes.set_xlim(float(distance[0]), float(distance[-1]))
    axes.set_xticks(positions, note.get("labels") or [""] * len(positions))
    axes.grid(visible=False)
    for position in positions:
        axes.axvline(position, color="#999999", linewidth=0.6)


@styled
def thermal_properties(results: Results) -> Figure:
    """Heat capacity and entropy, and Helmholtz energy, over temperature.

    Args:
        results: of a run.

    Raises:
        InputError: when they are not there, or at one temperature only.
    """
    if len(results.quantity("phonons", "heat_capacity").conditions) < 2:
        raise InputError("one temperature is no curve")
    figure, axes = panels(2, 2.6)
    for panel, names in zip(axes, (("heat_capacity", "entropy"), ("helmholtz_energy",)), strict=True):
        for index, name in enumerate(names):
            record = results.quantity("phonons", name)
            temperature = [condition["temperature"] for condition in record.conditions]
            look = line_look(index)
            panel.plot(temperature, record.value, label=axis_label(name), **look)
            if record.standard_uncertainty is not None:
                edges = (
                    record.value - record.standard_uncertainty,
                    record.value + record.standard_uncertainty,
                )
                panel.fill_between(temperature, *edges, color=look["color"], alpha=0.3, lw=0)
        panel.set_xlabel(axis_label("temperature"))
        panel.legend()
    axes[0].set_ylabel("per mole of primitive cells")
    axes[1].set_ylabel(axis_label("helmholtz_energy"))
    return figure


@styled
def gruneisen(results: Results) -> Figure:
    """Mode Grüneisen parameters along the bands, and their thermal mean over temperature.

    Args:
        results: of a run.

    Raises:
        InputError: when there are none.
    """
    distance = results.array("phonons", "bands/distance")
    parameter = results.array("phonons", "gruneisen/bands/parameter")
    frequency = results.array("phonons", "gruneisen/bands/frequency")
    note = results.note("phonons", "bands")
    figure, (left, right) = panels(2, 3.0, gridspec_kw={"width_ratios": [2.2, 1]})
    # Close to Γ the acoustic ones are a small number over a small number.
    shown = np.where(frequency > 0.02 * frequency.max(), parameter, np.nan)
    for start, stop in note.get("segments") or [(0, len(distance))]:
        for band in range(parameter.shape[1]):
            look: dict[str, Any] = {"color": COLOURS[band % len(COLOURS)], "linewidth": 1.0}
            left.plot(distance[start:stop], shown[start:stop, band], **look)
    _marks(left, distance, note)
    left.axhline(0.0, color="black", linewidth=0.6)
    left.set_ylabel("Mode Grüneisen parameter $γ$")
    try:
        record = results.quantity("phonons", "gruneisen_parameter")
    except InputError:  # an unstable crystal has no mean
        right.set_axis_off()
        return figure
    temperature = [condition["temperature"] for condition in record.conditions]
    right.plot(temperature, record.value, color=COLOURS[0], marker="o" if len(temperature) < 3 else None)
    if record.standard_uncertainty is not None:
        low, high = (record.value + sign * record.standard_uncertainty for sign in (-1, 1))
        right.fill_between(temperature, low, high, color=COLOURS[0], alpha=0.3, lw=0)
    right.set_xlabel(axis_label("temperature"))
    right.set_ylabel("Thermal Grüneisen parameter $γ$")
    return figure


@styled
def single_modes(results: Results) -> Figure:
    """Group speed and participation of the modes of a mesh, and the density of states by element.

    Args:
        results: of a run.

    Raises:
        InputError: when there are none.
    """
    frequency = results.array("phonons", "modes/frequency").ravel()
    speed = np.linalg.norm(results.array("phonons", "modes/velocity"), axis=-1).ravel()
    share = results.array("phonons", "modes/participation").ravel()
    figure, axes = panels(3, 2.7)
    points: dict[str, Any] = {
        "linestyle": "none",
        "marker": ".",
        "markersize": 2.5,
        "color": GREY,
        "rasterized": True,
    }
    axes[0].plot(frequency, speed / 1e3, **points)
    axes[0].set_ylabel("Group speed (km/s)")
    axes[1].plot(frequency, share, **points)
    axes[1].set_ylabel("Participation ratio")
    axes[1].set_ylim(0, 1.05)
    density = results.array("phonons", "projected_dos/density")
    sites = list(results.note("phonons", "modes").get("sites") or [])
    axis = results.array("phonons", "projected_dos/frequency")
    axes[2].plot(axis, density.sum(axis=0), color="black", linewidth=0.8, label="all")
    for index, element in enumerate(dict.fromkeys(sites)):
        rows = [row for row, name in enumerate(sites) if name == element]
        axes[2].plot(axis, density[rows].sum(axis=0), label=element, **line_look(index))
    axes[2].set_ylabel("DOS (1/THz)")
    axes[2].set_ylim(0, None)
    axes[2].legend()
    for panel in axes:
        panel.set_xlabel("Frequency $ν$ (THz)")
    return figure
