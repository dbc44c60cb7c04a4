"""Composites: ellipsoids of a second material that do not overlap, and layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hashigo.calculators.workers.homogenization.microstructure import Geometry, Shape, count
from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.errors import InputError

#: Distance of centres over the diameter that is kept at least, dimensionless.
GAP = 1.02
#: Times that overlapping ellipsoids are pushed apart, at most, number.
SWEEPS = 20_000


def semi_axes_of(fraction: float, number: int, ratios: Sequence[float], shape: Shape) -> Floats:
    """Semi-axes of equal ellipsoids that fill a fraction of the box.

    Args:
        fraction: of the volume, dimensionless.
        number: of ellipsoids.
        ratios: of the axes along x, y, z, dimensionless.
        shape: number of voxels along z, y, x.

    Returns:
        Along x, y, z, shape (3,), number of voxels; infinite along an axis of one voxel, where they are cylinders.
    """
    ratio, wide = np.asarray(ratios, dtype=float), _extended(shape)
    volume = fraction * math.prod(shape) / number
    ball = {3: 4.0 * np.pi / 3.0, 2: np.pi, 1: 2.0}[int(wide.sum())]
    axes = np.full(3, np.inf)
    axes[wide] = ratio[wide] * (volume / (ball * ratio[wide].prod())) ** (1.0 / wide.sum())
    return axes


def _extended(shape: Shape) -> NDArray[np.bool_]:
    """Axes x, y, z along which there is more than one voxel."""
    return np.array(shape[::-1]) > 1


def pack(number: int, lengths: Floats, generator: np.random.Generator) -> Floats | None:
    """Centres of spheres of radius 1 that do not overlap, in a periodic box.

    Spheres start anywhere; those that overlap are pushed apart, all at once, until none do.

    Args:
        number: of spheres.
        lengths: edges of the box along its axes, shape (n_axes,), in radii, dimensionless.
        generator: of the random numbers.

    Returns:
        Shape (number, n_axes), in radii, dimensionless; None where they do not come apart.

    Source: after Jodrey & Tory, Phys. Rev. A 32, 2347 (1985).
    """
    apart = 2.0 * GAP
    if lengths.min() < apart:
        return None
    centres = generator.random((number, len(lengths))) * lengths
    for _ in range(SWEEPS):
        pairs = cKDTree(centres, boxsize=lengths).query_pairs(apart * (1 - 1e-9), output_type="ndarray")
        if not len(pairs):
            return centres
        pairs = pairs[np.lexsort(pairs.T)]
        between = centres[pairs[:, 0]] - centres[pairs[:, 1]]
        between -= lengths * np.round(between / lengths)
        distance = np.linalg.norm(between, axis=1)
        push = between * (0.5 * (apart - distance) / np.maximum(distance, 1e-12))[:, None]
        np.add.at(centres, pairs[:, 0], push)
        np.add.at(centres, pairs[:, 1], -push)
        centres = np.mod(centres, lengths)
    return None


def with_inclusions(
    matrix: Geometry,
    fraction: float,
    number: int,
    ratios: Sequence[float],
    material: int,
    shape: Shape,
    generator: np.random.Generator,
    planes: slice,
    comm: Any,
) -> Geometry:
    """Put equal ellipsoids, their axes along x, y, z, into a microstructure; each is a grain of its own.

    Args:
        matrix: the grains that they are put into.
        fraction: of the volume that they fill, dimensionless.
        number: of ellipsoids.
        ratios: of their axes along x, y, z, dimensionless.
        material: index of theirs.
        shape: number of voxels along z, y, x.
        generator: of the random numbers; in the same state on all ranks.
        planes: indices of the z planes that `matrix` has here.
        comm: communicator over which the planes of all ranks make up the grid.

    Raises:
        InputError: when they do not fit without overlap, or are smaller than the voxels.
    """
    axes = semi_axes_of(fraction, number, ratios, shape)
    if axes.min() < 1.0:
        raise InputError(
            f"{number} inclusions of a fraction of {fraction:g} have a semi-axis of {axes.min():.2g} voxels",
            fix=f"set voxels to {math.ceil(max(shape) * 2.0 / axes.min())} or more, or take fewer inclusions",
        )
    wide = _extended(shape)
    lengths = np.array(shape[::-1], dtype=float)[wide] / axes[wide]
    centres = pack(number, lengths, generator)
    if centres is None:
        raise InputError(
            f"{number} inclusions of a fraction of {fraction:g} do not fit into the box without overlap",
            fix="lower microstructure.fraction, or take more and rounder inclusions",
        )
    edges = [(np.arange(n) + 0.5) / axis for n, axis in zip(shape, axes[::-1], strict=True)]
    z, y, x = np.meshgrid(edges[0][planes], edges[1], edges[2], indexing="ij")
    places = np.stack([x, y, z], axis=-1).reshape(-1, 3)[:, wide]
    tree = cKDTree(centres, boxsize=lengths)
    _, nearest = tree.query(places, distance_upper_bound=1.0)
    found = nearest.reshape(x.shape)
    grains = len(matrix.material)
    grain_id = np.where(found < number, grains + found, matrix.grain_id).astype(np.int32)
    return Geometry(
        grain_id,
        count(grain_id, grains + number, comm),
        np.concatenate([matrix.material, np.full(number, material, dtype=np.int32)]),
    ).without_empty()


def laminate_geometry(
    layers: Sequence[tuple[int, float]], axis: str, shape: Shape, planes: slice, comm: Any
) -> Geometry:
    """Layers normal to an axis, each a grain.

    Args:
        layers: index of the material and volume fraction (dimensionless) of each.
        axis: "x", "y" or "z".
        shape: number of voxels along z, y, x.
        planes: indices of the z planes to fill here.
        comm: communicator over which the planes of all ranks make up the grid.

    Raises:
        InputError: when a layer is thinner than a voxel.
    """
    place = "zyx".index(axis)
    ends = np.rint(np.cumsum([share for _, share in layers]) * shape[place]).astype(int)
    ends[-1] = shape[place]
    thickness = np.diff(ends, prepend=0)
    if thickness.min() < 1:
        raise InputError(
            f"layer {int(np.argmin(thickness)) + 1} is thinner than a voxel of the {shape[place]} along {axis}",
            fix="set more voxels, or make it thicker",
        )
    along = np.repeat(np.arange(len(layers), dtype=np.int32), thickness)
    sides = [1, 1, 1]
    sides[place] = shape[place]
    whole = np.broadcast_to(along.reshape(sides), shape)
    grain_id = np.ascontiguousarray(whole[planes])
    material = np.array([index for index, _ in layers], dtype=np.int32)
    return Geometry(grain_id, count(grain_id, len(layers), comm), material)
