"""Periodic microstructures on a grid of cubic voxels: what every kind has, and polycrystals of Voronoi."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.errors import InputError

Indices = NDArray[np.int32]
#: Number of voxels along z, y, x.
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Geometry:
    """Which grain each voxel belongs to; each rank holds some planes of the grid.

    Attributes:
        grain_id: grain of each voxel of this rank's planes, shape (planes, ny, nx), indices.
        counts: voxels of each grain on the whole grid, shape (n_grains,), number.
        material: of each grain, shape (n_grains,), index; 0 is the study's crystal.
    """

    grain_id: Indices
    counts: NDArray[np.int64]
    material: Indices

    def without_empty(self) -> Geometry:
        """The same with grains numbered anew, without those that have no voxel."""
        kept = self.counts > 0
        number = np.cumsum(kept, dtype=np.int32) - np.int32(1)
        return Geometry(number[self.grain_id], self.counts[kept], self.material[kept])


@dataclass(frozen=True)
class Microstructure:
    """A periodic arrangement of grains; each rank holds some planes of its grid.

    Attributes:
        grain_id: grain of each voxel of this rank's planes, shape (planes, ny, nx), indices.
        quaternions: orientation of each grain, crystal to sample axes, scalar last, shape (n_grains, 4),
            dimensionless.
        fractions: volume fraction of each grain on the whole grid, shape (n_grains,), dimensionless.
        material: of each grain, shape (n_grains,), index; 0 is the study's crystal, others its materials.
        shape: number of voxels of the whole grid along z, y, x.
    """

    grain_id: Indices
    quaternions: Floats
    fractions: Floats
    material: Indices
    shape: Shape

    @property
    def rotations(self) -> Floats:
        """Rotation matrices from crystal to sample axes, shape (n_grains, 3, 3), dimensionless."""
        return np.asarray(Rotation.from_quat(self.quaternions).as_matrix())

    @property
    def _voxels_across(self) -> Floats:
        """Sphere-equivalent diameters in voxels; of a circle where the sample is one voxel thick."""
        axes = extended_axes(self.shape)
        factor = {3: 6.0 / np.pi, 2: 4.0 / np.pi, 1: 1.0}[axes]
        return np.asarray((factor * self.fractions * math.prod(self.shape)) ** (1.0 / axes))

    @property
    def crystals(self) -> NDArray[np.bool_]:
        """Which grains are of the study's crystal; all where none is, shape (n_grains,)."""
        crystal = self.material == 0
        return crystal if crystal.any() else np.ones_like(crystal)

    @property
    def mean_diameter(self) -> float:
        """Mean sphere-equivalent diameter of the crystal's grains over the box's edge along x, dimensionless."""
        return float(np.mean(self._voxels_across[self.crystals])) / self.shape[2]

    @property
    def diameters(self) -> Floats:
        """Sphere-equivalent diameters over the arithmetic mean of the crystal's, shape (n_grains,), dimensionless."""
        return self._voxels_across / (self.mean_diameter * self.shape[2])

    @property
    def spacing(self) -> float:
        """Edge of a voxel over the mean diameter of the crystal's grains, dimensionless."""
        return 1.0 / (self.mean_diameter * self.shape[2])


def extended_axes(shape: Shape) -> int:
    """Number of axes along which a sample has more than one voxel; at least 1.

    Args:
        shape: number of voxels along z, y, x.
    """
    return max(1, sum(n > 1 for n in shape))


def smallest_grid(grains: int) -> int:
    """Voxels per edge that give an average grain four voxels across.

    Args:
        grains: number of grains.

    Returns:
        Number of voxels per edge.
    """
    return math.ceil(4.0 * grains ** (1.0 / 3.0) - 1e-9)


def centres(shape: Shape, planes: slice) -> Floats:
    """Centres of voxels.

    Args:
        shape: number of voxels along z, y, x.
        planes: indices of the z planes.

    Returns:
        As x, y, z over the longest edge of the box, shape (planes, ny, nx, 3), dimensionless.
    """
    longest = max(shape)
    z, y, x = np.meshgrid(*[(np.arange(n) + 0.5) / longest for n in shape], indexing="ij", sparse=True)
    parts = np.broadcast_arrays(x, y, z[planes])
    return np.stack(parts, axis=-1)


def box_lengths(shape: Shape) -> Floats:
    """Edges of the box along x, y, z over the longest, shape (3,), dimensionless.

    Args:
        shape: number of voxels along z, y, x.
    """
    return np.array(shape[::-1], dtype=float) / max(shape)


def count(grain_id: Indices, grains: int, comm: Any) -> NDArray[np.int64]:
    """Voxels of each grain over all ranks.

    Args:
        grain_id: grain of each voxel of this rank's planes, any shape, indices.
        grains: number of grains.
        comm: communicator; None when all planes are here.

    Returns:
        Shape (n_grains,), number.
    """
    counts = np.bincount(grain_id.ravel(), minlength=grains)
    if comm is not None and comm.size > 1:
        counts = comm.allreduce(counts)
    return np.asarray(counts, dtype=np.int64)


def require_resolved(counts: NDArray[np.int64], shape: Shape) -> None:
    """Make sure that every grain has a voxel.

    Args:
        counts: voxels of each grain, shape (n_grains,), number.
        shape: number of voxels along z, y, x.

    Raises:
        InputError: names the first grain without.
    """
    if counts.min() == 0:
        grains = len(counts)
        raise InputError(
            f"a grid of {'×'.join(str(n) for n in shape[::-1])} voxels is too small for {grains} grains: "
            f"grain {int(np.argmin(counts))} gets no voxel",
            fix=f"set voxels to {max(smallest_grid(grains), max(shape) + 1)} or more, or take fewer grains",
        )


def voronoi_geometry(
    grains: int, shape: Shape, generator: np.random.Generator, planes: slice, comm: Any
) -> Geometry:
    """Periodic Voronoi cells of uniformly random seeds.

    Args:
        grains: number of grains.
        shape: number of voxels along z, y, x.
        generator: of the random numbers; in the same state on all ranks.
        planes: indices of the z planes to fill here.
        comm: communicator over which the planes of all ranks make up the grid; None when they are all here.

    Raises:
        InputError: when a grain gets no voxel.
    """
    lengths = box_lengths(shape)
    tree = cKDTree(generator.random((grains, 3)) * lengths, boxsize=lengths)
    places = centres(shape, planes)
    _, nearest = tree.query(places.reshape(-1, 3))
    grain_id = np.asarray(nearest, dtype=np.int32).reshape(places.shape[:3])
    counts = count(grain_id, grains, comm)
    require_resolved(counts, shape)
    return Geometry(grain_id, counts, np.zeros(grains, dtype=np.int32))


def random_orientations(grains: int, generator: np.random.Generator) -> Floats:
    """Uniformly random rotations: four normal deviates on the unit sphere.

    Args:
        grains: number of them.
        generator: of the random numbers.

    Returns:
        Quaternions, scalar last, shape (n, 4), dimensionless.
    """
    return np.asarray(Rotation.from_quat(generator.standard_normal((grains, 4))).as_quat())


def with_orientations(geometry: Geometry, quaternions: Floats, shape: Shape) -> Microstructure:
    """A microstructure of cells and their orientations.

    Args:
        geometry: the cells.
        quaternions: of each grain, crystal to sample axes, scalar last, shape (n_grains, 4), dimensionless.
        shape: number of voxels along z, y, x.
    """
    fractions = geometry.counts / float(math.prod(shape))
    return Microstructure(geometry.grain_id, quaternions, fractions, geometry.material, shape)


def voronoi_polycrystal(
    grains: int, voxels: int, seed: int | tuple[int, ...], *, planes: slice = slice(None), comm: Any = None
) -> Microstructure:
    """Make a periodic Voronoi polycrystal of uniformly random seeds and orientations in a cube.

    Args:
        grains: number of grains.
        voxels: number of voxels along each edge of the box.
        seed: seed of the random numbers; equal seeds give equal polycrystals on any number of ranks.
        planes: indices of the z planes to fill here.
        comm: communicator over which the planes of all ranks make up the grid; None when they are all here.

    Returns:
        The polycrystal, with the planes asked for.

    Raises:
        InputError: when a grain gets no voxel.
    """
    generator = np.random.default_rng(seed)
    shape = (voxels,) * 3
    geometry = voronoi_geometry(grains, shape, generator, planes, comm)
    return with_orientations(geometry, random_orientations(grains, generator), shape)
