"""A body as voxels in a NumPy file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import InputError
from hashigo.study.numpy_file import NotPlain, read_arrays

#: Most voxels: far more than a component may have cells.
MOST_VOXELS = 50_000_000


def read_voxels(path: Path) -> NDArray[np.uint8]:
    """Read a mask.

    Args:
        path: `.npy`, or `.npz` with one array, of whole numbers or booleans in three dimensions.

    Returns:
        Region of each voxel, 0 outside, shape (nz, ny, nx), dimensionless.

    Raises:
        InputError: names the file and what is wrong.
    """
    if not path.is_file():
        raise InputError(f"the mask {path} does not exist, or is no file", fix="check component.mask")

    def check(shape: tuple[int, ...]) -> None:
        if math.prod(shape) > MOST_VOXELS:
            raise InputError(
                f"{path.name} holds {math.prod(shape)} voxels, more than {MOST_VOXELS}", fix="make it coarser"
            )

    try:
        arrays = list(read_arrays(path, check).values())
    except NotPlain as error:
        raise InputError(
            f"{path.name} is no NumPy file of numbers: {error}", fix="write it by numpy.save"
        ) from None
    if len(arrays) != 1:
        raise InputError(f"{path.name} holds {len(arrays)} arrays, and a mask is one", fix="save it alone")
    loaded = arrays[0]
    if loaded.ndim != 3 or loaded.dtype.kind not in "biu":
        raise InputError(
            f"{path.name} holds {loaded.dtype} of {loaded.ndim} dimensions, and a mask is whole numbers of three",
            fix="save an array of integers with axes z, y, x",
        )
    if loaded.size == 0 or loaded.min() < 0 or loaded.max() > 255:
        raise InputError(f"{path.name} must hold numbers from 0 to 255", fix="number regions from 1")
    return np.asarray(loaded, dtype=np.uint8)
