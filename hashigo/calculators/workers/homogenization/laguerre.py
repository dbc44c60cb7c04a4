"""Polycrystals of Laguerre cells (power diagrams) whose volumes are those asked for.

Each voxel belongs to the grain with the least |x - p|² - w. The weights w are found by damped Newton steps: the
derivative of the volumes with respect to them is a Laplacian of the graph of neighbours, with A / (2 d) for two cells
that share a face A and whose points are d apart. Between the fits points move to their cells' centroids, so that
grains are as compact as grains are.

Source: Kitagawa, Mérigot & Thibert, J. Eur. Math. Soc. 21, 2603 (2019), damped Newton method; Bourne et al.,
Philos. Mag. 100, 2677 (2020), cells of given volumes; Lloyd, IEEE Trans. Inf. Theory 28, 129 (1982), centroids.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve
from scipy.special import ndtri

from hashigo.calculators.workers.homogenization.faces import Faces, find_faces
from hashigo.calculators.workers.homogenization.microstructure import (
    Geometry,
    Indices,
    Shape,
    count,
    extended_axes,
    require_resolved,
)
from hashigo.calculators.workers.homogenization.power_cells import add_up, power_cells
from hashigo.calculators.workers.homogenization.slabs import split
from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.errors import InputError

#: Voxels that an average grain has on the grid on which volumes are fitted while points move, and at last, number;
#: the sample's own if that is coarser.
COARSE, FINE = 1000, 8000
#: Fits of the volumes, with a move of the points to the centroids before each, number.
FITS = 4
#: Newton steps of a fit, and halvings of one, at most, number.
STEPS, HALVINGS = 12, 6
#: A volume is hit within this share of it, or one voxel, dimensionless.
HIT = 0.01
#: How many times that is near enough while points still move, dimensionless.
ROUGHLY = 10.0
#: Least voxels of the smallest grain, number.
FEWEST = 8


def lognormal_volumes(grains: int, spread: float, generator: np.random.Generator, axes: int = 3) -> Floats:
    """Volume fractions of grains with log-normal diameters, one from each n-th part of the distribution.

    Those of the outermost parts are not further out than the middle of these.

    Args:
        grains: number of grains.
        spread: standard deviation of the logarithm of the diameter, dimensionless.
        generator: of the random numbers.
        axes: number of axes along which a grain extends.

    Returns:
        In random order, sum 1, shape (n_grains,), dimensionless.
    """
    share = (generator.permutation(grains) + generator.random(grains)) / grains
    volumes = np.exp(axes * spread * ndtri(np.clip(share, 0.5 / grains, 1.0 - 0.5 / grains)))
    return np.asarray(volumes / volumes.sum())


def require_smallest(grains: int, shape: Shape, spread: float) -> None:
    """Make sure that the smallest of log-normal grains has some voxels.

    Args:
        grains: number of grains.
        shape: number of voxels along z, y, x.
        spread: standard deviation of the logarithm of the diameter, dimensionless.

    Raises:
        InputError: tells how many voxels it would take.
    """
    axes = extended_axes(shape)
    width = axes * spread  # of the logarithm of volumes, whose mean is exp(width² / 2) of the median
    share = float(np.exp(width * ndtri(0.5 / grains) - 0.5 * width**2)) / grains if grains > 1 else 1.0
    smallest = share * math.prod(shape)
    if smallest < FEWEST:
        raise InputError(
            f"the smallest of {grains} grains would have {smallest:.1f} voxels, fewer than {FEWEST}",
            fix=f"set voxels to {math.ceil(max(shape) * (FEWEST / smallest) ** (1 / axes))} or more, or lower "
            "size_spread or grains",
        )


@dataclass(frozen=True)
class _Grid:
    """Voxels on which cells are measured: `steps` of the sample's own along x, y, z."""

    shape: Shape
    steps: Floats

    @classmethod
    def of(cls, shape: Shape, voxels: int) -> _Grid:
        coarser = max(1.0, (math.prod(shape) / voxels) ** (1 / 3))
        z, y, x = (max(1, round(n / coarser)) for n in shape)
        return cls((z, y, x), np.array([shape[2] / x, shape[1] / y, shape[0] / z]))


class _Diagram:
    """Points in a periodic box, in voxels of the sample as x, y, z, with their weights."""

    def __init__(self, points: Floats, weights: Floats, lengths: Floats) -> None:
        self.points, self.weights, self.lengths = np.mod(points, lengths), weights, lengths

    def cells(self, grid: _Grid, planes: NDArray[np.int64]) -> Indices:
        """Cell of each voxel of some planes, shape (planes, ny, nx)."""
        return power_cells(self.points, self.weights, grid.steps, grid.shape, planes)


@dataclass(frozen=True)
class _Cells:
    """Volume in voxels of the sample, centroid, and Laplacian of the neighbours, of each cell of a diagram."""

    volumes: Floats
    centroids: Floats
    laplacian: Any


def _measure(diagram: _Diagram, grid: _Grid, comm: Any) -> _Cells:
    """Each rank looks at some planes; sums are of integers, and so the same for any number of ranks."""
    parts = split(grid.shape[0], comm.size)[comm.rank] if comm.size > 1 else slice(0, grid.shape[0])
    planes = np.arange(parts.start, parts.stop + 1) % grid.shape[0]
    padded = diagram.cells(grid, planes)
    cells = padded[:-1]
    n = len(diagram.points)
    anchor = np.floor(diagram.points / grid.steps).astype(np.int64)
    counts, offsets = np.zeros(n, dtype=np.int64), np.zeros((n, 3), dtype=np.int64)
    add_up(cells, parts.start, anchor, np.array(grid.shape), counts, offsets)
    if comm.size > 1:
        counts, offsets = comm.allreduce(counts), comm.allreduce(offsets)
    centre = anchor + 0.5 + offsets / np.maximum(counts, 1)[:, None]
    volumes = np.asarray(counts * float(np.prod(grid.steps)))
    return _Cells(
        volumes, centre * grid.steps, _laplacian(diagram, grid, find_faces(cells, padded[1:], n, comm))
    )


def _laplacian(diagram: _Diagram, grid: _Grid, faces: Faces) -> Any:
    """Derivative of the volumes; the area of a flat face is the norm of its three projections."""
    n = len(diagram.points)
    first, second = faces.first, faces.second
    area = np.linalg.norm(faces.number * (np.prod(grid.steps) / grid.steps), axis=1)
    apart = diagram.points[first] - diagram.points[second]
    apart -= diagram.lengths * np.round(apart / diagram.lengths)
    rate = area / (2.0 * np.maximum(np.linalg.norm(apart, axis=1), 1e-9))
    rows = np.concatenate([first, second, first, second])
    columns = np.concatenate([first, second, second, first])
    return coo_matrix((np.concatenate([rate, rate, -rate, -rate]), (rows, columns)), shape=(n, n)).tocsc()


def _misfit(cells: _Cells, targets: Floats, grid: _Grid) -> float:
    """Largest distance from a volume asked for, in units of what counts as hit."""
    allowed = np.maximum(HIT * targets, float(np.prod(grid.steps)))
    return float((np.abs(cells.volumes - targets) / allowed).max())


def _fit(
    diagram: _Diagram, cells: _Cells, targets: Floats, grid: _Grid, comm: Any, enough: float
) -> tuple[_Diagram, _Cells]:
    """Damped Newton steps until every volume is near enough, or none helps."""
    least = 0.5 * min(float(cells.volumes.min()), float(targets.min()))
    for _ in range(STEPS):
        misfit = _misfit(cells, targets, grid)
        if misfit <= enough:
            break
        step = np.zeros(len(targets))
        step[1:] = spsolve(cells.laplacian[1:, 1:], (targets - cells.volumes)[1:])
        for halving in range(HALVINGS):
            tried = _Diagram(diagram.points, diagram.weights + step / 2**halving, diagram.lengths)
            found = _measure(tried, grid, comm)
            if found.volumes.min() >= least and _misfit(found, targets, grid) < misfit:
                diagram, cells = tried, found
                break
        else:
            break
    return diagram, cells


def _fitted(points: Floats, targets: Floats, shape: Shape, comm: Any) -> _Diagram:
    """Cells of the volumes asked for, with points near their centroids."""
    grains, lengths = len(points), np.array(shape[::-1], dtype=float)
    diagram = _Diagram(points, np.zeros(grains), lengths)
    if grains == 1:
        return diagram
    grid = _Grid.of(shape, COARSE * grains)
    cells = _measure(diagram, grid, comm)
    for _ in range(FITS):
        diagram = _Diagram(cells.centroids, diagram.weights, lengths)
        cells = _measure(diagram, grid, comm)
        if cells.volumes.min() == 0:  # the weights were for the places before
            diagram = _Diagram(diagram.points, np.zeros(grains), lengths)
            cells = _measure(diagram, grid, comm)
        diagram, cells = _fit(diagram, cells, targets, grid, comm, ROUGHLY)
    grid = _Grid.of(shape, FINE * grains)
    return _fit(diagram, _measure(diagram, grid, comm), targets, grid, comm, 1.0)[0]


def laguerre_geometry(
    grains: int, shape: Shape, spread: float, generator: np.random.Generator, planes: slice, comm: Any
) -> Geometry:
    """Periodic Laguerre cells of log-normal sizes.

    Args:
        grains: number of grains.
        shape: number of voxels along z, y, x.
        spread: standard deviation of the logarithm of the sphere-equivalent diameter, dimensionless.
        generator: of the random numbers; in the same state on all ranks.
        planes: indices of the z planes to fill here.
        comm: communicator over which the planes of all ranks make up the grid.

    Raises:
        InputError: when the smallest grain would have too few voxels.
    """
    require_smallest(grains, shape, spread)
    targets = lognormal_volumes(grains, spread, generator, extended_axes(shape)) * math.prod(shape)
    start = generator.random((grains, 3)) * np.array(shape[::-1], dtype=float)
    diagram = _fitted(start, targets, shape, comm)
    every = np.arange(shape[0])[planes]
    grain_id = diagram.cells(_Grid(shape, np.ones(3)), every)
    counts = count(grain_id, grains, comm)
    require_resolved(counts, shape)
    return Geometry(grain_id, counts, np.zeros(grains, dtype=np.int32))
