"""Supercells by the distance of an atom to its own image."""

from __future__ import annotations

from itertools import product
from math import ceil
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from ase.build import niggli_reduce
from numpy.typing import NDArray

from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Most repeats of the conventional cell along an edge, count.
MOST = 20
#: A distance short of what was asked for by less than this still serves, Å: cells are relaxed.
_SLACK = 1e-3


def image_distance(cell: Floats) -> float:
    """Shortest distance of an atom to its own image, Å.

    Args:
        cell: lattice vectors as rows, shape (3, 3), Å.
    """
    reduced = Atoms(cell=cell, pbc=True)
    niggli_reduce(reduced)
    steps = np.array([step for step in product((-1, 0, 1), repeat=3) if any(step)])
    return float(np.linalg.norm(steps @ reduced.cell.array, axis=1).min())


def smallest_supercell(atoms: Atoms, distance: float) -> tuple[int, int, int]:
    """The repeats n1×n2×n3 of the conventional cell with fewest atoms whose images are far enough from each other.

    Of all up to 20 along an edge those are searched that keep the crystal's point group: equal along edges that its
    rotations turn into each other. Of those with as few atoms the one whose images are farthest apart is taken.

    Args:
        atoms: conventional cell; lengths in Å.
        distance: least distance of an atom to its own image, Å.

    Returns:
        Repeats along the three edges, count.

    Raises:
        InputError: when more than 20 repeats were needed.
    """
    cell = atoms.cell.array
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    # So many repeats along every edge put its planes that far apart, and hence all images.
    enough = ceil((distance - _SLACK) / heights.min())
    rotations = _rotations(atoms)
    found = []
    for repeats in product(range(1, min(MOST, max(1, enough)) + 1), repeat=3):
        if not _keeps(repeats, rotations):
            continue
        own = image_distance(np.diag(repeats) @ cell)
        if own >= distance - _SLACK:
            found.append((int(np.prod(repeats)), -round(own, 3), repeats))
    if not found:
        raise InputError(
            f"an atom {distance:g} Å from its own image needs more than {MOST} repeats of a cell with edges "
            f"{', '.join(f'{x:.2f}' for x in atoms.cell.lengths())} Å",
            fix="give a shorter distance, or repeats such as [2, 2, 2]",
        )
    first, second, third = min(found)[2]
    return first, second, third


def _rotations(atoms: Atoms) -> NDArray[np.int64]:
    found = spglib.get_symmetry_dataset(
        (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=1e-3
    )
    if found is None:
        return np.eye(3, dtype=np.int64)[None]
    return np.unique(np.asarray(found.rotations, dtype=np.int64), axis=0)


def _keeps(repeats: tuple[int, ...], rotations: NDArray[np.int64]) -> bool:
    """Whether every rotation maps the repeated lattice onto itself."""
    sizes = np.array(repeats)
    turned = rotations * sizes[None, None, :]
    return bool(np.all(turned % sizes[None, :, None] == 0))


def resolve(content: Any, atoms: Atoms) -> Any:
    """A study's plain values with every supercell that is a length replaced by repeats.

    Args:
        content: of a study or a part of it.
        atoms: conventional cell of its crystal; lengths in Å.
    """
    if not isinstance(content, dict):
        return content
    return {
        key: list(smallest_supercell(atoms, float(value)))
        if key == "supercell" and isinstance(value, (int, float))
        else resolve(value, atoms)
        for key, value in content.items()
    }
