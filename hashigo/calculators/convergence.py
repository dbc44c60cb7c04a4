"""Which cut-off and k-mesh are enough: the values that are tried, and the judgement on what they gave (no AiiDA)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.engines.kpoints import kpoint_mesh

Floats = NDArray[np.float64]

#: One value for each axis, in the units of their settings.
Point = tuple[float, ...]

#: So many values below the finest must be within tolerance: one alone may be so by chance.
NEEDED = 2

#: Most values below the study's own.
BELOW = 3

#: Ratio of successive cut-offs, and least ratio of successive k-point spacings.
CUTOFF_RATIO, SPACING_RATIO = 1.2, 1.15

#: A range of spacings is a mesh of its own when it is wider than this, relative: narrower ones are rounding.
NARROW = 0.02


@dataclass(frozen=True)
class Axis:
    """One setting that is varied.

    Attributes:
        setting: its name.
        values: from coarse to fine, in the setting's unit.
        own: index of the study's own value.
    """

    setting: str
    values: tuple[float, ...]
    own: int


@dataclass(frozen=True)
class Sample:
    """What an engine gave with one value of each setting.

    Attributes:
        forces: on the atoms of all frames, shape (n_atoms, 3), eV/Å.
        stress: of all frames, shape (n_frames, 6), GPa; None when a frame has none.
    """

    forces: Floats
    stress: Floats | None


@dataclass(frozen=True)
class Deviation:
    """How far a sample is from a finer one.

    Attributes:
        force: largest norm of the difference of a force, eV/Å.
        stress: largest difference of a component of stress, GPa; None when there is no stress.
    """

    force: float
    stress: float | None


@dataclass(frozen=True)
class Tolerances:
    """What deviations are allowed.

    Attributes:
        force: eV/Å.
        stress: GPa.
    """

    force: float
    stress: float

    def share(self, deviation: Deviation) -> float:
        """The larger of both deviations in parts of its tolerance, dimensionless: within tolerance up to 1."""
        parts = [deviation.force / self.force]
        if deviation.stress is not None:
            parts.append(deviation.stress / self.stress)
        return max(parts)


def deviation(sample: Sample, finest: Sample) -> Deviation:
    """Largest differences of two samples of the same frames: the worst atom and the worst component count."""
    stress = None
    if sample.stress is not None and finest.stress is not None:
        stress = float(np.abs(sample.stress - finest.stress).max())
    return Deviation(float(np.linalg.norm(sample.forces - finest.forces, axis=1).max()), stress)


def converged_from(shares: Sequence[float]) -> int | None:
    """Index of the first value from which on all are within tolerance; None when those are too few.

    Args:
        shares: of the values below the finest, from coarse to fine, dimensionless.

    A value that is within tolerance before one that is not does not count: it is so by chance.
    """
    first = len(shares)
    while first > 0 and shares[first - 1] <= 1:
        first -= 1
    return first if len(shares) - first >= NEEDED else None


def cutoff_axis(own: float, count: int) -> Axis:
    """Cut-offs of equal ratio around the study's own, with two digits.

    Args:
        own: the study's, in the unit of its setting.
        count: most values.
    """
    below = min(BELOW, count - NEEDED)
    values = [own * CUTOFF_RATIO ** (index - below) for index in range(count)]
    rounded = [own if index == below else float(f"{value:.2g}") for index, value in enumerate(values)]
    return Axis("cutoff", tuple(rounded), below)


def mesh_axis(cell: Any, own: float, count: int) -> Axis:
    """Spacings of k-points that give one mesh after the other, around the study's own.

    Args:
        cell: lattice vectors of the conventional cell as rows, shape (3, 3), Å.
        own: the study's, 1/Å.
        count: most values.
    """
    spacings = _spacings(cell)
    mesh = kpoint_mesh(cell, own)
    coarser = [s for s in spacings if _points(cell, s) < np.prod(mesh) and s > own]
    finer = [s for s in spacings if _points(cell, s) > np.prod(mesh) and s < own]
    below = _stepwise(coarser[::-1], own, 1, most=min(BELOW, count - NEEDED), limit=2.1 * own)[::-1]
    above = _stepwise(finer, own, -1, most=count - 1 - len(below), limit=np.inf)
    return Axis("kpoint_spacing", (*below, own, *above), len(below))


def _points(cell: Any, spacing: float) -> int:
    return int(np.prod(kpoint_mesh(cell, spacing)))


def _spacings(cell: Any) -> list[float]:
    """One spacing for each mesh of a cell, falling, 1/Å; each well inside the range that gives its mesh."""
    lengths = np.linalg.norm(2 * np.pi * np.linalg.inv(np.asarray(cell)).T, axis=1)
    edges = {length / (n + 0.5) for length in lengths for n in range(1, round(1 / NARROW) + 1)}
    falling = sorted(edges, reverse=True)
    out = [_short(cell, float(max(lengths)))]
    for high, low in pairwise(falling):
        if (high - low) / low > NARROW:
            # Nearer to the finer mesh: a supercell twice as long then gets (n + 1)/2 points where n is odd, not less.
            out.append(_short(cell, low + 0.3 * (high - low)))
    return out


def _short(cell: Any, spacing: float) -> float:
    """The spacing with as few digits as give the same mesh, 1/Å."""
    mesh = kpoint_mesh(cell, spacing)
    rounded = (float(f"{spacing:.{digits}g}") for digits in range(3, 12))
    return next((value for value in rounded if kpoint_mesh(cell, value) == mesh), spacing)


def _stepwise(
    spacings: Sequence[float], start: float, direction: int, *, most: int, limit: float
) -> list[float]:
    chosen: list[float] = []
    last = start
    for spacing in spacings:
        if (spacing / last) ** direction >= SPACING_RATIO and len(chosen) < most and spacing <= limit:
            chosen.append(spacing)
            last = spacing
    return chosen


def axes_of(settings: Mapping[str, Any], cell: Any, count: int) -> list[Axis]:
    """What can be varied of an engine.

    Args:
        settings: of the engine, complete.
        cell: lattice vectors of the conventional cell as rows, shape (3, 3), Å.
        count: most values of each setting.
    """
    axes = []
    if "cutoff" in settings:
        axes.append(cutoff_axis(settings["cutoff"], count))
    if "kpoint_spacing" in settings:
        axes.append(mesh_axis(cell, settings["kpoint_spacing"], count))
    return axes


def varied(settings: Mapping[str, Any], axes: Sequence[Axis], point: Point) -> dict[str, Any]:
    """Settings with the values of a point; the cut-off of the density, where it is set, keeps its ratio.

    Args:
        settings: of the engine, complete.
        axes: what is varied.
        point: the values.
    """
    out = {**settings, **{axis.setting: value for axis, value in zip(axes, point, strict=True)}}
    if settings.get("density_cutoff") and out["cutoff"] != settings["cutoff"]:
        ratio = out["cutoff"] / settings["cutoff"]
        out["density_cutoff"] = float(f"{settings['density_cutoff'] * ratio:.3g}")
    return out
