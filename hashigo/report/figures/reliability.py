"""Figure of the potential's uncertainty: whether its intervals hold on frames that were used for nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import norm

from hashigo.errors import InputError
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import GREY, marker_look, panels, styled

Floats = NDArray[np.float64]

#: Arrays of the parity data and what they are called.
KINDS = {"energy": "energies", "forces": "force components", "stress": "stress components"}
#: Nominal coverage of the two calibrated intervals, as the training has them.
LEVELS = (0.683, 0.95)
#: Terciles of fewer values each say nothing.
_LEAST = 5


@dataclass(frozen=True)
class HeldOut:
    """Errors and intervals of the values held out of one kind.

    Attributes:
        errors: predicted minus reference, shape (n,), eV/atom, eV/Å or GPa.
        widths: half-widths of the intervals of `LEVELS`, shape (2, n), same unit.
    """

    errors: Floats
    widths: Floats

    def coverage(self, level: float) -> float:
        """Share of the values inside their intervals.

        Between and beyond `LEVELS`, half-widths are linear in the quantile of a normal distribution.

        Args:
            level: nominal coverage, share.
        """
        known = norm.ppf((1 + np.array(LEVELS)) / 2)
        at = norm.ppf((1 + level) / 2)
        # From (0, 0) to the first level, and along the line of both beyond.
        if at <= known[0]:
            width = self.widths[0] * at / known[0]
        else:
            slope = (self.widths[1] - self.widths[0]) / (known[1] - known[0])
            width = self.widths[0] + slope * (at - known[0])
        return float(np.mean(np.abs(self.errors) <= width))

    def terciles(self) -> Floats:
        """Root mean square of the predicted uncertainty and of the error, over thirds by predicted uncertainty.

        Returns:
            Shape (2, 3), relative to the error of all values.
        """
        scale = np.sqrt(np.mean(self.errors**2))
        thirds = np.array_split(np.argsort(self.widths[0], kind="stable"), 3)
        rows = [
            [np.sqrt(np.mean(values[third] ** 2)) for third in thirds]
            for values in (self.widths[0], self.errors)
        ]
        return np.array(rows) / scale


def held_out(results: Results) -> dict[str, HeldOut]:
    """What was held out, by the array of its kind; kinds without values are left out.

    Args:
        results: of a run.
    """
    found = {}
    for name in KINDS:
        parts = ("reference", "predicted", "spread", "interval_95")
        if not all(results.has("potential", f"parity/{name}/{part}") for part in parts):
            continue
        reference, predicted, spread, wide = (
            results.array("potential", f"parity/{name}/{part}") for part in parts
        )
        if len(reference):
            found[name] = HeldOut(predicted - reference, np.array([spread, wide]))
    return found


def binomial_interval(share: float, count: int) -> tuple[float, float]:
    """Interval of one standard deviation of a share, by Wilson's score.

    Args:
        share: observed share.
        count: number of values.

    Returns:
        Lower and upper end, shares.

    Source: Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    centre = (share + 1 / (2 * count)) / (1 + 1 / count)
    half = np.sqrt(share * (1 - share) / count + 1 / (4 * count**2)) / (1 + 1 / count)
    return float(centre - half), float(centre + half)


@styled
def reliability(results: Results) -> Figure:
    """Observed against nominal coverage of the intervals, and error against predicted uncertainty.

    Args:
        results: of a run.

    Raises:
        InputError: when no interval was predicted for a frame held out.
    """
    kinds = held_out(results)
    if not kinds:
        raise InputError("the potential has no intervals of frames held out")
    figure, (left, right) = panels(2, 3.3)
    for index, (name, values) in enumerate(kinds.items()):
        _coverage(left, index, f"{KINDS[name]} ({len(values.errors)} values)", values)
        if len(values.errors) >= 3 * _LEAST and np.any(values.errors):
            _terciles(right, index, values)
    left.plot([0, 1], [0, 1], color="black", linewidth=0.7, zorder=0.5)
    left.set_xlim(0, 1)
    left.set_ylim(0, 1.02)
    left.set_xlabel("nominal coverage")
    left.set_ylabel("observed coverage, held out")
    low, high = sorted(_ends(right))
    right.plot([low, high], [low, high], color="black", linewidth=0.7, zorder=0.5)
    right.set_xlabel("predicted uncertainty of a third / error of all")
    right.set_ylabel("error of the third / error of all")
    note = results.note("potential", "calibration")
    if note and not note.get("calibrated"):
        left.set_title("not calibrated")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _coverage(axes: Axes, index: int, label: str, values: HeldOut) -> None:
    levels = np.linspace(0.02, 0.99, 60)
    look = marker_look(index)
    axes.plot(
        levels, [values.coverage(level) for level in levels], color=look["color"], linewidth=0.9,
        linestyle=look["linestyle"],
    )  # fmt: skip
    shares = np.array([values.coverage(level) for level in LEVELS])
    ends = np.array([binomial_interval(share, len(values.errors)) for share in shares])
    bars = np.abs(ends.T - shares)
    axes.errorbar(LEVELS, shares, yerr=bars, label=label, **{**look, "linestyle": "none"})


def _terciles(axes: Axes, index: int, values: HeldOut) -> None:
    axes.plot(*values.terciles(), linewidth=0.9, **marker_look(index))


def _ends(axes: Axes) -> tuple[float, float]:
    lines = [line.get_xydata() for line in axes.lines]
    if not lines:
        axes.text(0.5, 0.5, "too few values", transform=axes.transAxes, ha="center", color=GREY)
        return 0.0, 1.0
    points = np.concatenate(lines)
    return 0.0, float(1.05 * points.max())
