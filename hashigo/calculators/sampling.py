"""Which configurations the reference is asked for: displaced supercells, strained cells, free atoms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame

#: Edge of the box of a free atom, Å.
ATOM_BOX = 10.0

_STREAMS = {"displaced": 1, "strained": 2, "volume": 3}


def _generator(seed: int, stream: str, index: int) -> np.random.Generator:
    # One generator a frame: the first 20 of 40 frames are the 20 of an earlier, smaller set.
    return np.random.default_rng([seed, _STREAMS[stream], index])


def random_directions(generator: np.random.Generator, n_atoms: int, distance: float) -> NDArray[np.float64]:
    """Displacements of one length in random directions.

    Args:
        generator: source of random numbers.
        n_atoms: count.
        distance: length of each displacement, Å.

    Returns:
        Shape (n_atoms, 3), Å.
    """
    vectors = generator.normal(size=(n_atoms, 3))
    return distance * vectors / np.linalg.norm(vectors, axis=1)[:, None]


def displaced_supercells(
    cell: Atoms, supercell: tuple[int, int, int], count: int, distance: float, seed: int
) -> list[Atoms]:
    """Supercells with every atom displaced by one distance in a random direction.

    Args:
        cell: conventional cell at the reference's lattice constant.
        supercell: count of repeats along each edge.
        count: how many.
        distance: displacement of each atom, Å.
        seed: of the random directions.
    """
    out = []
    for index in range(count):
        atoms = cell.repeat(supercell)
        atoms.positions += random_directions(_generator(seed, "displaced", index), len(atoms), distance)
        out.append(atoms)
    return out


def strained_cells(cell: Atoms, count: int, strain: float, distance: float, seed: int) -> list[Atoms]:
    """Conventional cells under random symmetric strain, internal coordinates displaced too.

    Args:
        cell: conventional cell at the reference's lattice constant.
        count: how many.
        strain: largest component, dimensionless.
        distance: displacement of each atom, Å.
        seed: of the strains and displacements.
    """
    out = []
    for index in range(count):
        generator = _generator(seed, "strained", index)
        random = generator.uniform(-strain, strain, size=(3, 3))
        symmetric = (random + random.T) / 2
        out.append(_deformed(cell, np.eye(3) + symmetric, generator, distance))
    return out


def scaled_cells(cell: Atoms, count: int, volume_range: float, distance: float, seed: int) -> list[Atoms]:
    """Conventional cells of evenly spaced volumes, internal coordinates displaced too.

    Args:
        cell: conventional cell at the reference's lattice constant.
        count: how many.
        volume_range: volumes reach from 1 - range to 1 + range of the reference's, dimensionless.
        distance: displacement of each atom, Å.
        seed: of the displacements.
    """
    ratios = 1 + volume_range * np.linspace(-1, 1, count) if count > 1 else np.ones(count)
    return [
        _deformed(cell, np.eye(3) * ratio ** (1 / 3), _generator(seed, "volume", index), distance)
        for index, ratio in enumerate(ratios)
    ]


def _deformed(
    cell: Atoms, gradient: NDArray[np.float64], generator: np.random.Generator, distance: float
) -> Atoms:
    atoms = cell.copy()
    atoms.set_cell(cell.cell.array @ gradient.T, scale_atoms=True)
    atoms.positions += random_directions(generator, len(atoms), distance)
    return atoms


def sample(cell: Atoms, sampling: Mapping[str, Any], seed: int, settings: str) -> list[Frame]:
    """All configurations of a study's reference, without energies.

    Args:
        cell: conventional cell at the reference's lattice constant.
        sampling: the study's `reference.sampling`: supercell, displaced, displacement [Å], strained, strain, volumes,
            volume_range; and, where free atoms are not wanted, free_atoms: false.
        seed: of all random numbers.
        settings: the engine's settings as a canonical string.
    """
    distance = float(sampling["displacement"])
    groups = {
        "displaced": displaced_supercells(
            cell, tuple(sampling["supercell"]), int(sampling["displaced"]), distance, seed
        ),
        "strained": [
            *strained_cells(cell, int(sampling["strained"]), float(sampling["strain"]), distance, seed),
            *scaled_cells(cell, int(sampling["volumes"]), float(sampling["volume_range"]), distance, seed),
        ],
        "atom": [
            Atoms([symbol], cell=[ATOM_BOX] * 3, positions=[[0.0, 0.0, 0.0]], pbc=True)
            for symbol in (
                sorted(set(cell.get_chemical_symbols())) if sampling.get("free_atoms", True) else []
            )
        ],
    }
    return [
        Frame(
            cell=atoms.cell.array.copy(),
            positions=atoms.positions.copy(),
            symbols=tuple(atoms.get_chemical_symbols()),
            kind=kind,
            settings=settings,
        )
        for kind, members in groups.items()
        for atoms in members
    ]
