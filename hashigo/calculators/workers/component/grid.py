"""The component's body: cells of one size in a box, each in a region, and how they touch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Faces of the box, by axis and side.
FACES = ("x-", "x+", "y-", "y+", "z-", "z+")
#: Surfaces of the body that are not at a face of the box, by the side that they look to.
INNER = tuple(f"{face} inner" for face in FACES)
#: Reach of the smoothing that gives normals of inner surfaces, edges of a voxel of the mask.
REACH = 1.5
#: Share of a step that counts at least, so that convection there stays finite, dimensionless.
LEAST_SHARE = 1e-6
#: Axis of the arrays that lies along x, y, z.
ARRAY_AXIS = (2, 1, 0)


@dataclass(frozen=True)
class Grid:
    """Cells of a box.

    Attributes:
        region: number of each cell's region, 0 outside the body, shape (nz, ny, nx), dimensionless.
        spacing: edges of a cell along x, y, z, shape (3,), m.
        voxel: cells along each edge of a voxel of the mask, count.
    """

    region: Integers
    spacing: Floats
    voxel: int = 1

    @classmethod
    def box(cls, size: Floats, cells: tuple[int, int, int]) -> Grid:
        """A full box of one region.

        Args:
            size: edges, shape (3,), m.
            cells: count of cells along x, y, z.
        """
        return cls(np.ones(cells[::-1], dtype=np.int64), np.asarray(size, dtype=float) / np.array(cells))

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Whether a cell belongs to the body, shape (nz, ny, nx), dimensionless."""
        return np.asarray(self.region > 0)

    @property
    def n_cells(self) -> int:
        """Number of cells of the body."""
        return int(self.inside.sum())

    @property
    def volume(self) -> float:
        """Volume of a cell, m^3."""
        return float(np.prod(self.spacing))

    @cached_property
    def regions(self) -> Integers:
        """Region of each cell of the body, shape (n_cells,), dimensionless."""
        return self.region[self.inside]

    @cached_property
    def number(self) -> Integers:
        """Index of each cell among those of the body, -1 outside, shape (nz, ny, nx), dimensionless."""
        out = np.full(self.region.shape, -1, dtype=np.int64)
        out[self.inside] = np.arange(self.n_cells)
        return out

    @cached_property
    def centres(self) -> Floats:
        """Centres of the body's cells, x, y, z from the box's corner, shape (n_cells, 3), m."""
        places = np.argwhere(self.inside)[:, ::-1]
        return np.asarray((places + 0.5) * self.spacing)

    def area(self, axis: int) -> float:
        """Area of a cell's face across an axis, m^2.

        Args:
            axis: index of x, y, z.
        """
        return self.volume / float(self.spacing[axis])

    def links(self, axis: int) -> tuple[Integers, Integers]:
        """Pairs of the body's cells that touch along an axis, the lower one first.

        Args:
            axis: index of x, y, z.

        Returns:
            Indices of both, each of shape (n_links,), dimensionless.
        """
        along = np.moveaxis(self.number, ARRAY_AXIS[axis], 0)
        low, high = along[:-1].ravel(), along[1:].ravel()
        both = (low >= 0) & (high >= 0)
        return low[both], high[both]

    def at_face(self, face: str) -> Integers:
        """Cells of the body at a face of the box, or at inner surfaces that look to one side.

        Args:
            face: one of `FACES` or `INNER`.

        Returns:
            Indices, shape (n,), dimensionless.
        """
        axis, high = face_axis(face)
        plane = np.take(self.number, -1 if high else 0, axis=ARRAY_AXIS[axis]).ravel()
        if face in FACES:
            return plane[plane >= 0]
        inner = self.exposed(axis, high)
        inner[plane[plane >= 0]] = False
        return np.flatnonzero(inner)

    def face_shares(self, face: str) -> Floats:
        """Area of the surface that each cell has at a face, over that of the cell's side.

        Inner surfaces of a mask are stairs, whose area is up to √3 too large; each step counts by the part of it that
        lies across the normal of the smoothed mask, which sums up to the area of the smooth surface.

        Args:
            face: one of `FACES` or `INNER`.

        Returns:
            In the order of `at_face`, shape (n,), dimensionless.
        """
        axis, high = face_axis(face)
        cells = self.at_face(face)
        if face in FACES:
            return np.ones(len(cells))
        places = np.argwhere(self.inside)[cells]
        beyond = places.copy()
        beyond[:, ARRAY_AXIS[axis]] += 1 if high else -1
        # The normal in the middle of the step, between the cell and its neighbour outside.
        normal = self._slopes[(slice(None), *places.T)] + self._slopes[(slice(None), *beyond.T)]
        length = np.maximum(np.linalg.norm(normal, axis=0), np.finfo(float).tiny)
        return np.maximum(np.abs(normal[axis]) / length, LEAST_SHARE)

    @cached_property
    def _slopes(self) -> Floats:
        """Gradient of the smoothed mask along x, y, z, shape (3, nz, ny, nx); the box's faces are no surfaces."""
        from scipy.ndimage import gaussian_filter

        indicator = self.inside.astype(float)
        found = []
        for axis in range(3):
            order = [0, 0, 0]
            order[ARRAY_AXIS[axis]] = 1
            found.append(gaussian_filter(indicator, REACH * self.voxel, order=order, mode="nearest"))
        return np.array(found)

    def exposed(self, axis: int, high: bool) -> NDArray[np.bool_]:
        """Cells of the body without a neighbour on one side.

        Args:
            axis: index of x, y, z.
            high: the upper side of it, else the lower.

        Returns:
            Shape (n_cells,), dimensionless.
        """
        bare = np.ones(self.n_cells, dtype=bool)
        low, above = self.links(axis)
        bare[low if high else above] = False
        return bare

    def refined(self, factor: int) -> Grid:
        """The same body in smaller cells.

        Args:
            factor: count of new cells along each edge of an old one.
        """
        region = self.region
        for axis in range(3):
            region = np.repeat(region, factor, axis=axis)
        return Grid(region, self.spacing / factor, self.voxel * factor)

    def spread(self, values: NDArray[Any], outside: float = np.nan) -> NDArray[Any]:
        """Values of the body's cells on the whole box.

        Args:
            values: shape (n_cells, \\*components), any unit.
            outside: of cells outside the body, unit of `values`.

        Returns:
            Shape (nz, ny, nx, \\*components), unit of `values`.
        """
        out = np.full((*self.region.shape, *values.shape[1:]), outside, dtype=float)
        out[self.inside] = values
        return out


def face_axis(face: str) -> tuple[int, bool]:
    """Axis (index of x, y, z) that a face lies across, and whether it is the upper one."""
    return "xyz".index(face[0]), face[1] == "+"


def check_connected(grid: Grid) -> None:
    """Refuse a body of several pieces.

    Raises:
        InputError: when cells do not hang together by faces, or there is none.
    """
    from scipy.ndimage import label  # no other part of a component needs it

    count = label(grid.inside)[1]
    if count == 0:
        raise InputError("the component's mask has no cell inside", fix="mark cells of the body by 1 or more")
    if count > 1:
        raise InputError(
            f"the component falls into {count} pieces that share no face of a voxel",
            fix="give one body, or a study for each",
        )
