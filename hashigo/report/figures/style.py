"""One look for all figures: safe for the colour-blind, told apart in black and white, ready for print."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hashigo.quantities import quantity

Floats = NDArray[np.float64]

#: Colours of Okabe and Ito (2008), dark ones first.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
#: One line style and one marker for each colour, so that print without colour tells them apart.
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")
#: Axes to the right and upwards of a slice, by its normal.
PLANES = {"z": ("x", "y"), "y": ("x", "z"), "x": ("y", "z")}
GREY = "#777777"
WARNING = "#A03000"

#: Width of a figure over the whole page, inch.
WIDE = 7.2

_SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.fontsize": 7.5,
    "legend.frameon": True,
    "legend.framealpha": 0.9,
    "legend.edgecolor": "#cccccc",
    "xtick.direction": "in",
    "ytick.direction": "in",
    "errorbar.capsize": 2.5,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "mathtext.fontset": "dejavusans",
    "svg.fonttype": "path",
    # Equal figures are equal files.
    "svg.hashsalt": "hashigo",
}


@contextmanager
def look() -> Iterator[None]:
    """The house style, for as long as the context lasts."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the house style."""

    @wraps(draw)
    def drawn(*arguments: Any, **named: Any) -> Figure:
        with look():
            return draw(*arguments, **named)

    return drawn


def panels(
    count: int,
    height: float,
    *,
    rows: int = 1,
    layout: Literal["constrained", "compressed"] = "constrained",
    **named: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure of panels side by side, without pyplot's global state.

    Args:
        count: number of panels in a row.
        height: of the whole figure; unit: inch.
        rows: number of rows.
        layout: matplotlib's name of how panels are placed; "compressed" for panels of fixed shape.
        named: for `Figure.subplots`.

    Returns:
        The figure and its panels, row by row.
    """
    figure = Figure(figsize=(WIDE, height), layout=layout)
    axes = figure.subplots(rows, count, squeeze=False, **named)
    return figure, list(axes.ravel())


def svg(figure: Figure) -> str:
    """A figure as an SVG document that needs no font and no other file; dense parts of it are pictures."""
    stream = io.StringIO()
    with look():
        layout = figure.get_layout_engine()
        if layout is not None:
            # Placed once: savefig would draw everything a second time to find the places.
            layout.execute(figure)
            figure.set_layout_engine("none")
        figure.savefig(stream, format="svg", dpi=170, metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def symbol_text(symbol: str) -> str:
    """A symbol of the vocabulary with its index set low, e.g. "κ_eff", in matplotlib's notation."""
    base, _, index = symbol.partition("_")
    return f"${base}_{{\\mathrm{{{index}}}}}$" if index else f"${base}$"


def unit_text(unit: str) -> str:
    """A unit as it is printed: "Å^3" with a raised 3."""
    return unit.replace("^2", "²").replace("^3", "³")


def axis_label(name: str, words: str = "") -> str:
    """Name, symbol and unit of a quantity of the vocabulary.

    Args:
        name: its key.
        words: printed instead of the key.
    """
    entry = quantity(name)
    text = words or name.replace("_", " ").capitalize()
    return f"{text} {symbol_text(entry.symbol)} ({unit_text(entry.unit)})"


def line_look(index: int) -> dict[str, Any]:
    """Colour and dashes of a curve.

    Args:
        index: which of a panel's curves.
    """
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": LINES[index % len(LINES)]}


def marker_look(index: int) -> dict[str, Any]:
    """Colour, dashes and marker of a series of points.

    Args:
        index: which of a panel's series.
    """
    return {**line_look(index), "marker": MARKERS[index % len(MARKERS)]}


def warn(axes: Axes, text: str) -> None:
    """Write what the reader must know of the numbers into a panel, e.g. "not converged"."""
    axes.text(
        0.03, 0.04, text, transform=axes.transAxes, color=WARNING, fontweight="bold", ha="left", va="bottom",
        bbox={"facecolor": "white", "edgecolor": WARNING, "linewidth": 0.8, "pad": 2.5}, zorder=10,
    )  # fmt: skip


def isotropic(tensors: Floats) -> Floats:
    """A third of the trace.

    Args:
        tensors: shape (..., 3, 3), any unit.

    Returns:
        Shape (...), same unit.
    """
    return np.asarray(np.trace(tensors, axis1=-2, axis2=-1) / 3)


def middle(temperatures: Floats) -> int:
    """Index of the temperature nearest to 300 K.

    Args:
        temperatures: shape (n,), K.
    """
    return int(np.argmin(np.abs(np.asarray(temperatures) - 300.0)))


def evenly(count: int, most: int, *always: int) -> list[int]:
    """Indices of a few of many curves, spread over all, first and last among them.

    Args:
        count: number of curves there are.
        most: number of curves to take.
        always: indices to take in any case, in place of their nearest.
    """
    chosen = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    for index in always:
        chosen[np.argmin(np.abs(chosen - index))] = index
    return sorted(set(chosen.tolist()))
