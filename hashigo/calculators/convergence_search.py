"""The search for the cut-off and k-mesh that are enough: which values to compute next, and what is to be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashigo.calculators.convergence import (
    Axis,
    Deviation,
    Point,
    Sample,
    Tolerances,
    converged_from,
    deviation,
)

#: What is known of points; None where the frames could not be computed.
Known = Mapping[Point, Sample | None]


@dataclass(frozen=True)
class Series:
    """One setting raised while the others keep the study's values.

    Attributes:
        axis: the setting and its values.
        points: that could be computed, from coarse to fine; the last is the finest.
        deviations: of all but the last from the last.
        recommended: index in `points` of the first value from which on all are within tolerance; None: not converged.
    """

    axis: Axis
    points: tuple[Point, ...]
    deviations: tuple[Deviation, ...]
    recommended: int | None


@dataclass(frozen=True)
class Check:
    """All settings together against all finest together.

    Attributes:
        finest: where every setting has its finest value.
        point: that is recommended, or still to be looked at; None when none is within tolerance.
        deviation: of `point` from `finest`; None while it is not known.
    """

    finest: Point
    point: Point | None
    deviation: Deviation | None = None


class Search:
    """Raises each setting from below the study's value until its series is converged, then checks them together.

    Args:
        axes: what is varied.
        tolerances: of the deviations.
    """

    def __init__(self, axes: Sequence[Axis], tolerances: Tolerances) -> None:
        self.axes = tuple(axes)
        self.tolerances = tolerances

    @property
    def base(self) -> Point:
        """The study's own values."""
        return tuple(axis.values[axis.own] for axis in self.axes)

    def wanted(self, known: Known) -> list[Point]:
        """Points to be computed next; none when all is decided, or when the study's own values cannot be computed."""
        if self.base not in known:
            return [self.base]
        if known[self.base] is None:
            return []
        todo = [point for index in range(len(self.axes)) for point in self._next(index, known)]
        if todo:
            return todo
        check = self.check(known)
        if check is None or check.point is None:
            return []
        return [point for point in (check.finest, check.point) if point not in known]

    def _line(self, index: int) -> list[Point]:
        return [(*self.base[:index], value, *self.base[index + 1 :]) for value in self.axes[index].values]

    def _next(self, index: int, known: Known) -> list[Point]:
        """What the series of one setting wants: all up to the study's value, then one after the other."""
        line, own = self._line(index), self.axes[index].own
        start = [point for point in line[: own + 1] if point not in known]
        if start:
            return start
        beyond = [point for point in line[own + 1 :] if point in known]
        failed = any(known[point] is None for point in beyond)
        if failed or self.series(index, known).recommended is not None:
            return []
        return line[own + 1 + len(beyond) :][:1]

    def series(self, index: int, known: Known) -> Series:
        """The series of one setting as far as it is known.

        Args:
            index: of its axis.
            known: what is known of points.
        """
        points = [point for point in self._line(index) if known.get(point) is not None]
        samples = [known[point] for point in points]
        apart = [deviation(sample, samples[-1]) for sample in samples[:-1] if sample and samples[-1]]
        found = converged_from([self.tolerances.share(each) for each in apart])
        return Series(self.axes[index], tuple(points), tuple(apart), found)

    def check(self, known: Known) -> Check | None:
        """What is recommended, against all finest values together; None while a series is not converged.

        Where the errors of several settings add up to more than the tolerance, the setting whose own error is the
        largest is raised, as long as there are values below the finest.
        """
        lines = [self.series(index, known) for index in range(len(self.axes))]
        if not lines or any(line.recommended is None for line in lines):
            return None
        finest = tuple(line.points[-1][index] for index, line in enumerate(lines))
        chosen = [line.recommended or 0 for line in lines]
        while True:
            point = tuple(
                line.points[at][index] for index, (line, at) in enumerate(zip(lines, chosen, strict=True))
            )
            if point not in known or finest not in known:
                return Check(finest, point)
            here, best = known[point], known[finest]
            if here is None or best is None:
                return Check(finest, None)
            apart = deviation(here, best)
            if self.tolerances.share(apart) <= 1:
                return Check(finest, point, apart)
            movable = [index for index, line in enumerate(lines) if chosen[index] < len(line.deviations) - 1]
            if not movable:
                return Check(finest, None, apart)
            worst = max(
                movable, key=lambda index: self.tolerances.share(lines[index].deviations[chosen[index]])
            )
            chosen[worst] += 1
