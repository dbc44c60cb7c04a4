"""Figures of the stage "potential": how well it predicts frames it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hashigo.errors import InputError
from hashigo.quantities import quantity
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import COLOURS, GREY, panels, styled

Floats = NDArray[np.float64]

#: Array, quantity of its error, title, symbol, and the unit that small errors are printed in with its factor.
_KINDS = (
    ("energy", "energy_error", "energy", "E", "meV/atom", 1e3),
    ("forces", "force_error", "force components", "F", "meV/Å", 1e3),
    ("stress", "stress_error", "stress components", "σ", "MPa", 1e3),
)


@styled
def parity(results: Results) -> Figure:
    """Predicted against reference values, and their difference below.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no potential.
    """
    kinds = [kind for kind in _KINDS if _length(results, kind[0])]
    if not kinds:
        raise InputError("the potential has no parity data")
    figure, axes = panels(len(kinds), 4.4, rows=2, sharex="col", gridspec_kw={"height_ratios": [2, 1]})
    for column, kind in enumerate(kinds):
        _column(results, axes[column], axes[column + len(kinds)], *kind)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _length(results: Results, name: str) -> int:
    parts = [f"parity/{name}/{prefix}reference" for prefix in ("", "train_")]
    return sum(len(results.array("potential", part)) for part in parts if results.has("potential", part))


def _column(
    results: Results,
    above: Axes,
    below: Axes,
    name: str,
    error: str,
    title: str,
    symbol: str,
    small_unit: str,
    factor: float,
) -> None:
    unit = quantity(error).unit
    # Thousands of points are drawn as a picture inside the figure.
    looks: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("train_", "trained on", {"color": GREY, "marker": ".", "markersize": 2.5}),
        ("", "held out, with standard uncertainty",
         {"color": COLOURS[1], "marker": "o", "markersize": 3.2, "markerfacecolor": "none"}),
    )  # fmt: skip
    seen: list[Floats] = []
    for prefix, label, look in looks:
        if not results.has("potential", f"parity/{name}/{prefix}reference"):
            continue
        reference, predicted = (
            results.array("potential", f"parity/{name}/{prefix}{part}") for part in ("reference", "predicted")
        )
        if not len(reference):
            continue
        seen += [reference, predicted]
        # A universal potential as it is has no spread.
        spread = f"parity/{name}/{prefix}spread"
        bars = results.array("potential", spread) if not prefix and results.has("potential", spread) else None
        told = label if prefix or bars is not None else label.partition(",")[0]
        style = {
            **look,
            "linestyle": "none",
            "elinewidth": 0.8,
            "capsize": 0,
            "rasterized": len(reference) > 60,
        }
        above.errorbar(reference, predicted, yerr=bars, label=told, **style)
        small = None if bars is None else bars * factor
        below.errorbar(reference, (predicted - reference) * factor, yerr=small, **style)
    everything = np.concatenate(seen)
    ends = [float(everything.min()), float(everything.max())]
    above.plot(ends, ends, color="black", linewidth=0.7, zorder=0.5)
    below.axhline(0.0, color="black", linewidth=0.7, zorder=0.5)
    above.set_title(title)
    above.set_ylabel(f"${symbol}$ predicted ({unit})")
    below.set_xlabel(f"${symbol}$ reference ({unit})")
    below.set_ylabel(f"difference\n({small_unit})")
    if error in results.reader("potential").quantities():
        value = float(results.quantity("potential", error).value[0]) * factor
        above.text(
            0.04, 0.95, f"RMSE held out\n{value:.3g} {small_unit}", transform=above.transAxes, va="top",
            bbox={"facecolor": "white", "edgecolor": "#cccccc", "pad": 2.0},
        )  # fmt: skip
