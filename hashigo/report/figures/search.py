"""Figure of a search for hyperparameters: error of the models against their cost."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hashigo.errors import InputError
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import COLOURS, GREY, MARKERS, panels, styled

Floats = NDArray[np.float64]

STAGE = "potential_search"


@styled
def search(results: Results) -> Figure:
    """Cross-validated errors against cost, the chosen model marked.

    Args:
        results: of a run.

    Raises:
        InputError: when no model was searched for.
    """
    note = results.note(STAGE, "search")
    if not note:
        raise InputError("the potential's model was given, not searched for")
    figure, (forces, weighted) = panels(2, 3.2)
    angular = [tuple(row) for row in results.array(STAGE, "search/invariant_max_l").tolist()]
    _points(results, forces, "force_error", 1e3, angular)
    _points(results, weighted, "weighted_error", 1.0, angular)
    error = results.array(STAGE, "search/weighted_error")
    best = int(note["best"])
    limit = error[best] + results.array(STAGE, "search/weighted_error_standard_error")[best]
    weighted.axhline(limit, color=GREY, linestyle="--", linewidth=1.0, label="best + one standard error")
    for axes, name, factor in ((forces, "force_error", 1e3), (weighted, "weighted_error", 1.0)):
        _mark(results, axes, name, factor, int(note["chosen"]))
        axes.set_ylim(bottom=0)
        axes.set_xlabel("cost of an evaluation (10³ basis functions per atom)")
    forces.set_ylabel("force error (meV/Å)")
    weighted.set_ylabel("weighted error")
    handles, labels = weighted.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)))
    return figure


def _points(results: Results, axes: Axes, name: str, factor: float, angular: list[tuple[int, ...]]) -> None:
    """One series for each angular resolution."""
    cost = results.array(STAGE, "search/cost") / 1e3
    value = factor * results.array(STAGE, f"search/{name}")
    bars = factor * results.array(STAGE, f"search/{name}_standard_error")
    for number, kind in enumerate(sorted(set(angular))):
        chosen = [index for index, entry in enumerate(angular) if entry == kind]
        axes.errorbar(
            cost[chosen], value[chosen], yerr=bars[chosen], linestyle="none", elinewidth=0.8,
            color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)],
            label=f"$l$ up to {', '.join(map(str, kind))}",
        )  # fmt: skip


def _mark(results: Results, axes: Axes, name: str, factor: float, chosen: int) -> None:
    x = results.array(STAGE, "search/cost")[chosen] / 1e3
    y = factor * results.array(STAGE, f"search/{name}")[chosen]
    axes.plot(
        [x], [y], linestyle="none", marker="o", markersize=11, markerfacecolor="none", color="black",
        markeredgewidth=1.2, label="chosen",
    )  # fmt: skip
