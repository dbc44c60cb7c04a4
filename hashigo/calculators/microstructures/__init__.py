"""Microstructures from files of other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hashigo.calculators.microstructures.arrays import read_image, read_numpy
from hashigo.calculators.microstructures.dream3d import read_dream3d
from hashigo.calculators.microstructures.orientations import read_orientations
from hashigo.calculators.microstructures.sample import Imported, check_size
from hashigo.calculators.microstructures.vti import read_vti
from hashigo.errors import InputError

#: Reader by the end of a file's name.
READERS: dict[str, Callable[[Path], Imported]] = {
    ".npy": read_numpy,
    ".npz": read_numpy,
    ".dream3d": read_dream3d,
    ".h5": read_dream3d,
    ".hdf5": read_dream3d,
    ".vti": read_vti,
    ".png": read_image,
    ".tif": read_image,
    ".tiff": read_image,
}


def read_microstructure(path: Path, orientations: Path | None = None) -> Imported:
    """Read a microstructure.

    Args:
        path: a file of one of the kinds in `READERS`.
        orientations: a list of orientations by number of the grain, or DAMASK's material.yaml; None without.

    Raises:
        InputError: names the file and what is wrong with it.
    """
    check_size(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path.name} is no file of a microstructure that is known", fix=f"one of {', '.join(READERS)}"
        )
    imported = reader(path)
    if orientations is None:
        return imported
    if imported.quaternions is not None:
        raise InputError(f"{path.name} has orientations of its own, and {orientations.name} gives others")
    given = read_orientations(orientations)
    return replace(imported, quaternions=given.quaternions, phases=given.phases or imported.phases)
