"""Fields over time on a regular grid as a VTKHDF group, which ParaView (5.12 and later) and VTK open directly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def write_steps(
    file: h5py.File,
    fields: Mapping[str, NDArray[Any]],
    still: Mapping[str, NDArray[Any]],
    times: Floats,
    spacing: Floats,
) -> None:
    """Write cell data of a grid over time into an open HDF5 file, as the group /VTKHDF.

    Args:
        file: HDF5 file open for writing; what stands beside /VTKHDF is left alone.
        fields: by name, each of shape (n_times, nz, ny, nx) or (n_times, nz, ny, nx, components), in any unit.
        still: the same at all times, by name, each of shape (nz, ny, nx) or (nz, ny, nx, components), in any unit.
        times: shape (n_times,), s.
        spacing: edges of a cell along x, y, z, shape (3,), in the length unit of the picture.

    Source: VTK file formats, "VTKHDF: ImageData" and "Transient data".
    """
    group = file.create_group("VTKHDF")
    group.attrs["Version"] = np.array([2, 0], dtype="i8")
    # VTK reads the type only as a string of fixed length in ASCII.
    kind = np.bytes_("ImageData")
    group.attrs.create("Type", kind, dtype=h5py.string_dtype("ascii", len(kind)))
    nz, ny, nx = next(iter(fields.values())).shape[1:4]
    group.attrs["WholeExtent"] = np.array([0, nx, 0, ny, 0, nz], dtype="i4")
    group.attrs["Origin"] = np.zeros(3)
    group.attrs["Spacing"] = np.asarray(spacing, dtype=float)
    group.attrs["Direction"] = np.eye(3).ravel()
    cells = group.create_group("CellData")
    steps = group.create_group("Steps")
    steps.attrs["NSteps"] = len(times)
    steps.create_dataset("Values", data=np.asarray(times, dtype=float))
    offsets = steps.create_group("CellDataOffsets")
    for name, field in fields.items():
        cells.create_dataset(name, data=field, compression="gzip", shuffle=True)
        offsets.create_dataset(name, data=np.arange(len(times)))
    for name, field in still.items():
        cells.create_dataset(name, data=field[None], compression="gzip", shuffle=True)
        offsets.create_dataset(name, data=np.zeros(len(times), dtype=int))
