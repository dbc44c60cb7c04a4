"""Figures of the stage "component": temperatures in time, and a slice through the body."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hashigo.errors import InputError
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import GREY, PLANES, line_look, panels, styled

_STAGE = "component"
#: Field, title with unit, colour map that is even in lightness.
_FIELDS = (("temperature", "temperature (K)", "inferno"), ("von_mises", "von Mises stress (MPa)", "cividis"))


@styled
def history(results: Results) -> Figure:
    """Temperatures at the probes and the range of all over time, and how far they are from the steady state.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no component.
    """
    time = results.array(_STAGE, "history/time")
    settles = results.has(_STAGE, "history/distance")
    figure, axes = panels(2 if settles else 1, 3.0)
    low, high = (results.array(_STAGE, f"history/{name}") for name in ("lowest", "highest"))
    axes[0].fill_between(time, low, high, color=GREY, alpha=0.25, lw=0, label="all of the body")
    probes, places = results.array(_STAGE, "history/probes"), results.array(_STAGE, "probes")
    for index, place in enumerate(places):
        label = "at " + ", ".join(f"{value:g}" for value in place) + " mm"
        axes[0].plot(time, probes[:, index], label=label, **line_look(index))
    axes[0].set_xlabel("Time (s)")
    axes[0].set_ylabel("Temperature (K)")
    axes[0].legend()
    if settles:
        distance = results.array(_STAGE, "history/distance")
        shown = distance > 1e-6 * max(float(distance.max()), 1e-300)
        axes[1].semilogy(time[shown], distance[shown], **line_look(0))
        axes[1].axhline(0.05 * distance[0], color=GREY, linestyle=":")
        axes[1].set_xlabel("Time (s)")
        axes[1].set_ylabel("Largest distance from the steady state (K)")
    for panel in axes:
        panel.set_xlim(0, float(time[-1]))
    return figure


@styled
def slices(results: Results) -> Figure:
    """Temperature and stress in the middle plane in which temperatures differ most, at the last output.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no slice.
    """
    fields = [field for field in _FIELDS if results.has(_STAGE, f"slice/{field[0]}")]
    edges = results.note(_STAGE, "component").get("cell_edges_mm")
    if not fields or not edges:
        raise InputError("no slice through a component is kept")
    across, up = PLANES[results.note(_STAGE, "slice").get("normal", "z")]
    rows, columns = results.array(_STAGE, f"slice/{fields[0][0]}").shape
    width, height = columns * edges["xyz".index(across)], rows * edges["xyz".index(up)]
    look: dict[str, Any] = {"origin": "lower", "extent": (0, width, 0, height), "interpolation": "nearest"}
    tall = float(np.clip(3.6 * height / width, 0.6, 5.0)) + 1.2
    figure, axes = panels(len(fields), tall, layout="compressed")
    for panel, (name, title, colours) in zip(axes, fields, strict=True):
        picture = panel.imshow(results.array(_STAGE, f"slice/{name}"), cmap=colours, **look)
        panel.set_title(title)
        panel.grid(visible=False)
        panel.set_xlabel(f"${across}$ (mm)")
        bar = figure.colorbar(picture, ax=panel, location="bottom", shrink=0.9, aspect=25)
        bar.outline.set_linewidth(0.5)
    axes[0].set_ylabel(f"${up}$ (mm)")
    return figure
