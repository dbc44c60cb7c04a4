"""Figure of `hashigo converge`: errors of forces and stress over cut-off and k-mesh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from hashigo.report.figures.style import COLOURS, GREY, marker_look, panels, styled, warn

ROWS = (("force", "Change of force (eV/Å)"), ("stress", "Change of stress (GPa)"))


@styled
def convergence(content: Mapping[str, Any]) -> Figure:
    """Largest change of forces and stress against the finest value of each setting, with the tolerances.

    Args:
        content: as `hashigo converge --json` prints it.
    """
    series = content["series"]
    figure, axes = panels(len(series), 4.4, rows=2, sharex="col", sharey="row")
    for row, (kind, label) in enumerate(ROWS):
        for column, one in enumerate(series):
            panel = axes[row * len(series) + column]
            _draw(panel, one, kind, content[f"{kind}_tolerance"])
            if column == 0:
                panel.set_ylabel(label)
            if row == 1:
                panel.set_xlabel(_axis_title(one))
    for column, one in enumerate(series):
        if not one["converged"]:
            warn(axes[column], "not converged")
    axes[0].legend(loc="upper right")
    return figure


def _axis_title(series: Mapping[str, Any]) -> str:
    if series["setting"] == "kpoint_spacing":
        return "k-mesh of the conventional cell"
    return f"Cut-off ({series['unit']})"


def _draw(panel: Axes, series: Mapping[str, Any], kind: str, tolerance: float) -> None:
    steps = [step for step in series["steps"] if not step["error"]]
    places = range(len(steps))
    shown = [(at, step[f"{kind}_error"]) for at, step in zip(places, steps, strict=True)]
    # Equal numbers have no place on a logarithmic axis.
    points = [(at, error) for at, error in shown if error]
    panel.set_yscale("log")
    if points:
        panel.plot(*zip(*points, strict=True), label="against the finest", **marker_look(0))
    panel.axhline(tolerance, color=COLOURS[1], linestyle="--", linewidth=1.0, label="tolerance")
    for at, step in zip(places, steps, strict=True):
        if step["value"] == series["enough"]:
            panel.axvspan(at - 0.3, at + 0.3, color=COLOURS[2], alpha=0.2, lw=0, label="enough")
        if step["value"] == series["own"]:
            panel.axvline(at, color=GREY, linestyle=":", linewidth=1.2, label="the study's own")
    panel.set_xlim(-0.5, len(steps) - 0.5)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xticks(list(places), [_tick(step, series) for step in steps])


def _tick(step: Mapping[str, Any], series: Mapping[str, Any]) -> str:
    if series["setting"] == "kpoint_spacing":
        mesh = step["mesh"]
        words = f"{mesh[0]}³" if len(set(mesh)) == 1 else "×".join(map(str, mesh))
    else:
        words = f"{step['value']:g}"
    return words + ("\n(finest)" if step["finest"] else "")
