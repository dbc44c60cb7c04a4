"""What a study's files say of its microstructure, as the worker is given it: a grid of grains, and orientations.

Groups of the HDF5 file: `grid` with `grain_id` (nz, ny, nx), `material` (n_grains,) and perhaps `quaternions`
(n_grains, 4); `texture` with `quaternions` (n, 4) and perhaps `weights` (n,). Either may be missing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.homogenization.microstructure import Geometry, Shape, count
from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.errors import InputError


@dataclass(frozen=True)
class GivenGrid:
    """A grid of grains in a file.

    Attributes:
        path: of the file.
        shape: number of voxels along z, y, x.
        material: of each grain, shape (n_grains,), index; 0 is the study's crystal.
        quaternions: orientation of each grain, crystal to sample axes, scalar last, shape (n_grains, 4),
            dimensionless; None where the file has none.
        origin: where it is from, in plain values.
    """

    path: Path
    shape: Shape
    material: NDArray[np.int32]
    quaternions: Floats | None
    origin: dict[str, Any]

    def geometry(self, planes: slice, comm: Any) -> Geometry:
        """The cells; only the planes asked for are read.

        Args:
            planes: indices of the z planes to read here.
            comm: communicator over which the planes of all ranks make up the grid.
        """
        with h5py.File(self.path, "r") as file:
            grain_id = np.asarray(file["grid/grain_id"][planes], dtype=np.int32)
        return Geometry(grain_id, count(grain_id, len(self.material), comm), self.material)


@dataclass(frozen=True)
class Given:
    """All that the files of a study give.

    Attributes:
        grid: grains; None where no file has any.
        quaternions: list of orientations, crystal to sample axes, scalar last, shape (n, 4), dimensionless; None
            without one.
        weights: of the list, shape (n,), share of the volume up to a factor, dimensionless; None without any.
    """

    grid: GivenGrid | None = None
    quaternions: Floats | None = None
    weights: Floats | None = None


def write_given(
    path: Path,
    *,
    grid: dict[str, NDArray[Any] | None] | None = None,
    texture: dict[str, NDArray[Any] | None] | None = None,
    origin: dict[str, Any] | None = None,
) -> None:
    """Write a worker's file; equal content gives equal files.

    Args:
        path: file to write.
        grid: arrays of the group `grid` by name, each of the shape told above, indices and dimensionless; None without.
        texture: arrays of the group `texture` by name, of the shape told above, dimensionless; None without a list.
        origin: where the grid is from, in plain values.
    """
    with h5py.File(path, "w") as file:
        for name, arrays in (("grid", grid), ("texture", texture)):
            for key, array in (arrays or {}).items():
                if array is not None:
                    packed = {"compression": "gzip", "shuffle": True} if array.ndim == 3 else {}
                    file.create_dataset(f"{name}/{key}", data=array, **packed)
        if grid is not None:
            file["grid"].attrs["origin"] = json.dumps(origin or {}, sort_keys=True)


def read_given(path: Path) -> Given:
    """Read a worker's file, but for the grid's voxels.

    Raises:
        InputError: when it is no such file.
    """
    try:
        with h5py.File(path, "r") as file:
            grid = None
            if "grid" in file:
                group = file["grid"]
                shape = tuple(int(n) for n in group["grain_id"].shape)
                material = np.asarray(group["material"], dtype=np.int32)
                origin = json.loads(group.attrs["origin"])
                grid = GivenGrid(path, shape, material, _optional(group, "quaternions"), origin)  # type: ignore[arg-type]
            texture = file.get("texture", {})
            return Given(grid, _optional(texture, "quaternions"), _optional(texture, "weights"))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path.name} is no microstructure as a study hands it on: {error!r}") from None


def _optional(group: Any, name: str) -> Floats | None:
    return np.asarray(group[name], dtype=float) if name in group else None
