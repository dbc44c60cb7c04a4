"""Microstructures of DREAM3D, in HDF5: file version 7 (DataContainers) and 8 (DREAM3D-NX, DataStructure).

Source: DREAM3D File Specification (simplnx documentation) and SIMPL's native file format; angles in rad, quaternions
vector first with P = +1, the inverse of those from crystal to sample axes (Rowenhorst et al. 2015).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.microstructures.orientations import from_bunge
from hashigo.calculators.microstructures.sample import (
    Floats,
    Imported,
    check_voxels,
    cubic_voxels,
    whole_numbers,
)
from hashigo.errors import InputError

#: Largest Euler angle, with room for rounding, rad.
FULL_TURN = 2.001 * np.pi

_ANGLES = ("AvgEulerAngles", "EulerAngles")
_QUATERNIONS = ("AvgQuats", "Quats")


def read_dream3d(path: Path) -> Imported:
    """Read numbers of features with their orientations and phases.

    Where cells were not grouped to features, those of equal angles and phase are taken for one.

    Raises:
        InputError: tells what the file lacks.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read(path.name, file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # as h5py says of damaged files
        raise InputError(f"{path.name} is no HDF5 file that can be read: {error}") from None


def _read(name: str, file: h5py.File) -> Imported:
    base, cells, spacing = _geometry(name, file)
    shape = tuple(int(n) for n in cells[::-1])
    check_voxels(name, shape)
    cubic_voxels(name, spacing.tolist())
    groups = [item for _, item in _items(base) if isinstance(item, h5py.Group)]
    cell = _with_shape(groups, shape)
    if cell is None:
        raise InputError(f"{name} has no data of cells on its grid of {shape[::-1]}")
    if "FeatureIds" not in cell:
        return replace(_grouped(name, cell, shape), voxel=float(spacing[0]))
    ids = whole_numbers(name, _array(name, cell, "FeatureIds").reshape(shape))
    quaternions, phases = None, None
    for group in groups:
        if group == cell:
            continue
        if quaternions is None:
            quaternions = _orientations(name, group)
        if phases is None and "Phases" in group:
            phases = [str(value) for value in _phases(name, group)]
    return Imported(name, ids, quaternions, phases, voxel=float(spacing[0]))


def _geometry(name: str, file: h5py.File) -> tuple[h5py.Group, NDArray[np.int64], Floats]:
    """Group of the first regular grid, number of cells and spacing along x, y, z."""
    for root in ("DataContainers", "DataStructure"):
        for _, group in _items(file[root]) if _is_group(file, root) else ():
            if not isinstance(group, h5py.Group):
                continue
            if "_SPACING" in group.attrs and "_DIMENSIONS" in group.attrs:
                return group, _three(name, group.attrs["_DIMENSIONS"]), _three(name, group.attrs["_SPACING"])
            if _is_group(group, "_SIMPL_GEOMETRY") and "SPACING" in group["_SIMPL_GEOMETRY"]:
                box = group["_SIMPL_GEOMETRY"]
                dimensions = _three(name, _array(name, box, "DIMENSIONS"))
                return group, dimensions, _three(name, _array(name, box, "SPACING"))
    raise InputError(f"{name} has no regular grid of DREAM3D (an image geometry)")


def _three(name: str, value: Any) -> Any:
    numbers = np.asarray(value).ravel()
    if numbers.shape != (3,) or numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        raise InputError(f"the grid of {name} is not told by three numbers")
    return numbers.astype(np.int64) if numbers.dtype.kind in "iu" else numbers.astype(float)


def _items(group: h5py.Group) -> Iterator[tuple[str, Any]]:
    """What stands in a group itself; links to other files and places are not followed."""
    for key in group:
        if isinstance(group.get(key, getlink=True), h5py.HardLink):
            yield key, group[key]


def _is_group(group: h5py.Group, key: str) -> bool:
    link = group.get(key, getlink=True) if key in group else None
    return isinstance(link, h5py.HardLink) and isinstance(group[key], h5py.Group)


def _array(name: str, group: h5py.Group, key: str) -> NDArray[Any]:
    """A plain array; none whose content is elsewhere, nor larger than a grid may be."""
    link = group.get(key, getlink=True)
    item = group[key] if isinstance(link, h5py.HardLink) else None
    plain = isinstance(item, h5py.Dataset) and not item.external and not item.is_virtual
    if item is None or not plain or item.dtype.kind not in "iuf" or not item.shape:
        raise InputError(f"'{key}' of {name} is no array of numbers")
    check_voxels(name, (*item.shape, 2))
    return np.asarray(item[()])


def _with_shape(groups: list[h5py.Group], shape: tuple[int, ...]) -> h5py.Group | None:
    """The group of the cells' data."""
    for group in groups:
        for _, item in _items(group):
            if isinstance(item, h5py.Dataset) and item.shape[:3] == shape:
                return group
    return None


def _orientations(name: str, group: h5py.Group) -> Floats | None:
    """Of features, by number, crystal to sample axes; feature 0 is none."""
    for key, width in (*((key, 3) for key in _ANGLES), *((key, 4) for key in _QUATERNIONS)):
        if key in group:
            values = _array(name, group, key).astype(float)
            if values.ndim != 2 or values.shape[1] != width:
                raise InputError(f"'{key}' of {name} has shape {values.shape}, expected (n, {width})")
            known = np.isfinite(values).all(axis=1)
            found = np.full((len(values), 4), np.nan)
            if width == 3:
                found[known] = _from_radians(name, values[known])
            else:
                found[known] = values[known] * [-1.0, -1.0, -1.0, 1.0]
            found[0] = np.nan
            return found
    return None


def _from_radians(name: str, angles: Floats) -> Floats:
    """Degrees would be taken for other orientations without a word."""
    largest = float(np.abs(angles).max(initial=0.0))
    if largest > FULL_TURN:
        raise InputError(
            f"the Euler angles of {name} reach {largest:g}, and those of DREAM3D are in radians",
            fix="convert them",
        )
    return from_bunge(angles)


def _phases(name: str, group: h5py.Group) -> NDArray[np.int64]:
    return whole_numbers(f"'Phases' of {name}", _array(name, group, "Phases").ravel())


def _grouped(name: str, cell: h5py.Group, shape: tuple[int, ...]) -> Imported:
    """Cells of one orientation and phase as a grain."""
    if "EulerAngles" not in cell:
        raise InputError(
            f"{name} has neither FeatureIds nor EulerAngles of cells", fix="segment it to features"
        )
    angles = _array(name, cell, "EulerAngles").astype(float).reshape(-1, 3)
    if not np.isfinite(angles).all():
        raise InputError(f"{name} has cells whose angles are no numbers (NaN or infinite)")
    phase = np.zeros(len(angles)) if "Phases" not in cell else _phases(name, cell)
    unique, ids = np.unique(np.column_stack([angles, phase]), axis=0, return_inverse=True)
    if len(unique) > len(angles) // 8:
        raise InputError(
            f"nearly every cell of {name} has an orientation of its own", fix="segment it to features"
        )
    phases = None if "Phases" not in cell else [str(int(value)) for value in unique[:, 3]]
    return Imported(name, ids.reshape(shape).astype(np.int64), _from_radians(name, unique[:, :3]), phases)
