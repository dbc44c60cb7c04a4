"""Figure of the stage "learning": how well each property is known over the frames spent."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hashigo.errors import InputError
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import COLOURS, marker_look, panels, styled

_TITLES = {"thermal_conductivity": "thermal conductivity", "stiffness": "stiffness"}


@styled
def rounds(results: Results) -> Figure:
    """Relative uncertainty of each property and the force error over frames labelled, round by round.

    Args:
        results: of a run.

    Raises:
        InputError: when nothing was learned in rounds.
    """
    goal = results.note("learning", "goal")
    if not goal:
        raise InputError("the study was not learned in rounds")
    frames = results.array("learning", "rounds/frames")
    figure, (left, right) = panels(2, 2.8)
    for place, name in enumerate(goal):
        share = 100 * results.array("learning", f"rounds/{name}/uncertainty")
        left.plot(frames, share, label=_TITLES[name], **marker_look(place))
        left.axhline(100 * goal[name], color=COLOURS[place], linestyle="--", linewidth=1.0)
    calibrated = [bool(one["calibrated"]) for one in results.reader("learning").note("rounds")]
    for count, known in zip(frames, calibrated, strict=True):
        if not known:
            left.axvspan(count - 0.5, count + 0.5, color="#dddddd", lw=0, zorder=0)
    left.set_ylabel("standard uncertainty (%)")
    left.legend()
    error = 1e3 * results.array("learning", "rounds/force_error")
    right.plot(frames, error, **marker_look(len(goal)))
    right.set_ylabel("force error held out (meV/Å)")
    for panel in (left, right):
        panel.set_xlabel("frames labelled")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        _log(panel)
    return figure


def _log(panel: Axes) -> None:
    shown = np.concatenate([np.ravel(line.get_ydata()) for line in panel.get_lines()])
    positive = shown[np.isfinite(shown) & (shown > 0)]
    if len(positive) and positive.max() > 3 * positive.min():
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("{x:g}")
