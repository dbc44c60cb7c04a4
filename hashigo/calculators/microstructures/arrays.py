"""Microstructures in NumPy files, and in images."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.microstructures.sample import Imported, check_voxels, whole_numbers
from hashigo.errors import InputError

#: What NumPy, its archives and readers of images say of damaged files.
_DAMAGED = (
    OSError, ValueError, TypeError, KeyError, EOFError, SyntaxError, OverflowError, NotImplementedError,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
#: Arrays of an .npz file.
_MEMBERS = ("grain_id", "quaternions", "phase")


def read_numpy(path: Path) -> Imported:
    """Read numbers of grains, shape (nz, ny, nx) or (ny, nx), from an .npy or .npz file.

    An .npz file has them as `grain_id`, and may have by number of the grain `quaternions`, shape (n_rows, 4), crystal
    to sample axes, scalar last, and `phase`, shape (n_rows,).

    Raises:
        InputError: when it does not.
    """
    try:
        if path.suffix == ".npz":
            arrays = _members(path)
        else:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            check_voxels(path.name, mapped.shape)
            arrays = {"grain_id": np.array(mapped)}
    except _DAMAGED as error:
        raise InputError(f"{path.name} is no NumPy file of plain arrays: {error}") from None
    if "grain_id" not in arrays:
        raise InputError(f"{path.name} has no array 'grain_id'", fix="numpy.savez(file, grain_id=…)")
    quaternions = arrays.get("quaternions")
    if quaternions is not None and (quaternions.ndim != 2 or quaternions.shape[1] != 4):
        raise InputError(f"'quaternions' of {path.name} has shape {quaternions.shape}, expected (n, 4)")
    phase = arrays.get("phase")
    return Imported(
        path.name,
        _grid(path.name, arrays["grain_id"]),
        None if quaternions is None else quaternions.astype(float),
        None if phase is None else [str(name) for name in phase.ravel()],
    )


def _members(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of an archive, after a look at their headers: an archive can be much smaller than what is in it."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in _MEMBERS:
            member = f"{name}.npy"
            if member not in archive.namelist():
                continue
            with archive.open(member) as stream:
                version = np.lib.format.read_magic(stream)
                reader = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }
                if version not in reader:
                    raise ValueError(f"array '{name}' is of version {version}")
                shape, _, _ = reader[version](stream)
            check_voxels(path.name, (*shape, 2))
            with archive.open(member) as stream:
                arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return arrays


def _grid(name: str, array: NDArray[Any]) -> NDArray[np.int64]:
    """A plane is one voxel thick."""
    whole = array[None] if array.ndim == 2 else array
    if whole.ndim != 3:
        raise InputError(f"{name} has {array.ndim} axes, expected z, y, x")
    check_voxels(name, whole.shape)
    return whole_numbers(name, whole)


def read_image(path: Path) -> Imported:
    """Read grey levels of an image as phases; frames of a TIFF file are planes along z, its lowest row is y = 0.

    Raises:
        InputError: when it is no image, or not grey.
    """
    from PIL import Image, ImageSequence, UnidentifiedImageError  # not needed unless there is an image

    try:
        with Image.open(path) as image:
            check_voxels(path.name, (getattr(image, "n_frames", 1), image.height, image.width))
            frames = [_grey(path.name, frame) for frame in ImageSequence.Iterator(image)]
    except (UnidentifiedImageError, Image.DecompressionBombError, struct.error, *_DAMAGED) as error:
        raise InputError(f"{path.name} is no image that can be read: {error}") from None
    if len({frame.shape for frame in frames}) != 1:
        raise InputError(f"the frames of {path.name} are of different sizes")
    return Imported(path.name, np.stack(frames)[:, ::-1], levels=True)


def _grey(name: str, image: Any) -> NDArray[np.int64]:
    if image.mode in ("1", "P"):
        image = image.convert("RGB" if image.mode == "P" else "L")
    pixels = np.asarray(image)
    if image.mode in ("LA", "RGBA"):
        pixels = pixels[..., :-1]
    if pixels.ndim == 3:
        if not (pixels == pixels[..., :1]).all():
            raise InputError(f"image {name} is coloured", fix="save it in grey levels, one a phase")
        pixels = pixels[..., 0]
    return whole_numbers(name, pixels)
