"""Cell fields on a regular grid as a VTKHDF group, which ParaView (5.12 and later) and VTK open directly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hashigo.errors import WorkerError


def write_image(file: h5py.File, fields: Mapping[str, NDArray[Any]], spacing: float) -> None:
    """Write cell data of a cubic-voxel grid into an open HDF5 file, as the group /VTKHDF.

    Args:
        file: HDF5 file open for writing; what stands beside /VTKHDF is left alone.
        fields: by name, each of shape (nz, ny, nx) or (nz, ny, nx, components), in any unit.
        spacing: edge of a voxel, in the length unit of the picture.

    Raises:
        WorkerError: when the fields are not on one grid.

    Source: VTK file formats, "VTKHDF: ImageData".
    """
    shapes = {name: np.shape(field)[:3] for name, field in fields.items()}
    shape = next(iter(shapes.values()))
    for name, found in shapes.items():
        if found != shape:
            raise WorkerError(f"field '{name}' has grid {found}, the others {shape}")
    group = file.create_group("VTKHDF")
    group.attrs["Version"] = np.array([2, 0], dtype="i8")
    # VTK reads the type only as a string of fixed length in ASCII.
    kind = np.bytes_("ImageData")
    group.attrs.create("Type", kind, dtype=h5py.string_dtype("ascii", len(kind)))
    nz, ny, nx = shape
    group.attrs["WholeExtent"] = np.array([0, nx, 0, ny, 0, nz], dtype="i4")
    group.attrs["Origin"] = np.zeros(3)
    group.attrs["Spacing"] = np.full(3, float(spacing))
    group.attrs["Direction"] = np.eye(3).ravel()
    cells = group.create_group("CellData")
    for name, field in fields.items():
        cells.create_dataset(name, data=field, compression="gzip", shuffle=True)
