"""Microstructures in NumPy files, and in images."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.microstructures.sample import Imported, check_voxels, whole_numbers
from hashigo.errors import InputError
from hashigo.study.numpy_file import NotPlain, read_arrays

#: What is said of damaged images.
_DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    SyntaxError,
    OverflowError,
    NotImplementedError,
)
#: Formats that are looked for in an image: others, such as PostScript, would start programs.
_FORMATS = ("PNG", "TIFF")
#: Arrays of an .npz file.
_MEMBERS = ("grain_id", "quaternions", "phase")


def read_numpy(path: Path) -> Imported:
    """Read numbers of grains, shape (nz, ny, nx) or (ny, nx), from an .npy or .npz file.

    An .npz file has them as `grain_id`, and may have by number of the grain `quaternions`, shape (n_rows, 4), crystal
    to sample axes, scalar last, and `phase`, shape (n_rows,).

    Raises:
        InputError: when it does not.
    """

    def check(shape: tuple[int, ...]) -> None:
        check_voxels(path.name, shape if len(shape) > 1 else (*shape, 2))

    try:
        arrays = read_arrays(path, check, _MEMBERS)
    except NotPlain as error:
        raise InputError(f"{path.name} is no NumPy file of plain arrays: {error}") from None
    arrays = {name or "grain_id": array for name, array in arrays.items()}
    if "grain_id" not in arrays:
        raise InputError(f"{path.name} has no array 'grain_id'", fix="numpy.savez(file, grain_id=…)")
    quaternions = arrays.get("quaternions")
    if quaternions is not None and (quaternions.ndim != 2 or quaternions.shape[1] != 4):
        raise InputError(f"'quaternions' of {path.name} has shape {quaternions.shape}, expected (n, 4)")
    if quaternions is not None and quaternions.dtype.kind not in "iuf":
        raise InputError(f"'quaternions' of {path.name} holds {quaternions.dtype}, expected numbers")
    phase = arrays.get("phase")
    return Imported(
        path.name,
        _grid(path.name, arrays["grain_id"]),
        None if quaternions is None else quaternions.astype(float),
        None if phase is None else [str(name) for name in phase.ravel()],
    )


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
        with Image.open(path, formats=_FORMATS) as image:
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
