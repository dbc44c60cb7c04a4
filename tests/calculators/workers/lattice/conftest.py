"""Crystals of springs, whose phonons or elastic constants are known exactly."""

from __future__ import annotations

from collections.abc import Sequence

import ase.lattice
import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal

from hashigo.calculators.workers.potential import Evaluation

SPACING = 3.0
MASS = 26.9815385
#: Frequency of sqrt(1 eV/Å^2/amu), THz.
UNIT = 15.633302


class Springs:
    """Forces k (u_j - u_i) between nearest neighbours; exactly harmonic.

    Args:
        stiffness: k, eV/Å^2.
    """

    elements = ("Al",)

    def __init__(self, stiffness: float) -> None:
        self.stiffness = stiffness

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Energy, forces and no stress."""
        return [self._one(atoms) for atoms in structures]

    def _one(self, atoms: Atoms) -> Evaluation:
        first, vectors = neighbor_list("iD", atoms, 1.2 * SPACING)
        stretch = vectors - SPACING * np.rint(vectors / SPACING)
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, first, self.stiffness * stretch)
        return Evaluation(self.stiffness / 4 * float(np.sum(stretch**2)), forces, np.zeros(6))

    def frequency(self, qpoints: np.ndarray) -> np.ndarray:
        """Exact frequency, threefold, shape (n_q,), THz; negative when imaginary."""
        square = 2 * self.stiffness / MASS * (1 - np.cos(2 * np.pi * np.asarray(qpoints))).sum(axis=1)
        return UNIT * np.sign(square) * np.sqrt(np.abs(square))


@pytest.fixture(scope="session")
def springs() -> type[Springs]:
    """Makes a model of springs of a stiffness, eV/Å^2."""
    return Springs


@pytest.fixture(scope="session")
def cubic() -> Atoms:
    """One atom in a cubic cell."""
    return Atoms("Al", cell=[SPACING] * 3, positions=[[0, 0, 0]], pbc=True)


class Network:
    """Central springs between all atoms within a radius, each at its natural length in the crystal given.

    Crystal and strained cell are then free of forces and stress, whatever the lattice, and all second derivatives have
    closed forms.

    Args:
        atoms: the crystal; lengths in Å.
        radius: of the longest spring, Å.
        decay: length over which springs become softer, Å.
        anharmonicity: of the cubic term, 1/Å.
    """

    def __init__(self, atoms: Atoms, radius: float, decay: float = 1.0, anharmonicity: float = 0.0) -> None:
        self.atoms = atoms
        self.elements = tuple(sorted(set(atoms.get_chemical_symbols())))
        self.first, self.second, self.shifts = neighbor_list("ijS", atoms, radius)
        self.lengths = np.linalg.norm(self._vectors(atoms), axis=1)
        masses = atoms.get_masses()
        # softer with distance, and different for each pair of elements
        self.springs = 5.0 * np.exp(-(self.lengths - self.lengths.min()) / decay)
        self.springs *= 1 + 0.3 * np.cos(masses[self.first] + masses[self.second])
        self.anharmonicity = anharmonicity

    def _vectors(self, atoms: Atoms) -> np.ndarray:
        return atoms.positions[self.second] - atoms.positions[self.first] + self.shifts @ atoms.cell.array

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Energy, forces and stress of cells whose atoms are those of the crystal, in its order."""
        return [self._one(atoms) for atoms in structures]

    def _one(self, atoms: Atoms) -> Evaluation:
        vectors = self._vectors(atoms)
        lengths = np.linalg.norm(vectors, axis=1)
        stretch = lengths - self.lengths
        energy = self.springs * (stretch**2 / 2 - self.anharmonicity * stretch**3 / 3) / 2
        slope = self.springs * (stretch - self.anharmonicity * stretch**2) / 2
        pulls = (slope / lengths)[:, None] * vectors
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, self.first, pulls)
        np.add.at(forces, self.second, -pulls)
        stress = np.einsum("bi,bj->ij", pulls, vectors) / atoms.get_volume()
        return Evaluation(float(energy.sum()), forces, stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]])

    def stiffness(self, relaxed: bool = True) -> np.ndarray:
        """Exact stiffness, with or without atoms that follow the strain freely, shape (6, 6), eV/Å^3.

        Source: Born & Huang, Dynamical Theory of Crystal Lattices (1954), section 12.
        """
        vectors = self._vectors(self.atoms)
        units = vectors / self.lengths[:, None]
        strained = (units[:, :, None] * vectors[:, None])[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        moved = np.zeros((len(vectors), len(self.atoms), 3))
        rows = np.arange(len(vectors))
        moved[rows, self.second] += units
        moved[rows, self.first] -= units
        moved = moved.reshape(len(vectors), -1)
        # every spring is in the list twice
        weighted = (self.springs / 2)[:, None]
        clamped = strained.T @ (weighted * strained)
        if relaxed:
            coupling = strained.T @ (weighted * moved)
            clamped -= coupling @ np.linalg.pinv(moved.T @ (weighted * moved), rcond=1e-10) @ coupling.T
        return clamped / self.atoms.get_volume()


@pytest.fixture(scope="session")
def network() -> type[Network]:
    """Makes a model of springs at their natural lengths from a crystal and a radius, Å."""
    return Network


def _lattice(name: str, *parameters: float) -> Atoms:
    cell = getattr(ase.lattice, name)(*parameters).tocell()
    return Atoms("Al", cell=cell, pbc=True)


def _crystal(group: int, cell: Sequence[float], **sites: Sequence[float]) -> Atoms:
    return crystal(list(sites), list(sites.values()), spacegroup=group, cellpar=cell, primitive_cell=True)


#: The 14 Bravais lattices, and a crystal with atoms that follow the strain for each Laue class; with the number of
#: constants that Nye (1957), table 9, counts.
CRYSTALS = {
    "cP": (lambda: _lattice("CUB", 3.0), 3),
    "cI": (lambda: _lattice("BCC", 3.3), 3),
    "cF": (lambda: _lattice("FCC", 4.1), 3),
    "hP": (lambda: _lattice("HEX", 2.9, 3.4), 5),
    "hR": (lambda: _lattice("RHL", 3.0, 75.0), 6),
    "tP": (lambda: _lattice("TET", 2.9, 3.3), 6),
    "tI": (lambda: _lattice("BCT", 3.0, 3.9), 6),
    "oP": (lambda: _lattice("ORC", 2.8, 3.1, 3.5), 9),
    "oC": (lambda: _lattice("ORCC", 3.6, 4.2, 3.1), 9),
    "oI": (lambda: _lattice("ORCI", 3.2, 3.6, 4.0), 9),
    "oF": (lambda: _lattice("ORCF", 4.0, 4.4, 4.9), 9),
    "mP": (lambda: _lattice("MCL", 2.8, 3.2, 3.5, 75.0), 13),
    "mC": (lambda: _lattice("MCLC", 3.7, 4.3, 4.6, 72.0), 13),
    "aP": (lambda: Atoms("Al", cell=[2.9, 3.2, 3.6, 72.0, 80.0, 77.0], pbc=True), 21),
    "m-3": (lambda: _crystal(200, [5.6, 5.6, 5.6, 90, 90, 90], Si=(0, 0, 0), O=(0.5, 0.22, 0)), 3),
    "-43m": (lambda: _crystal(216, [5.4, 5.4, 5.4, 90, 90, 90], Al=(0, 0, 0), P=(0.25, 0.25, 0.25)), 3),
    "6/m": (lambda: _crystal(175, [5.1, 5.1, 3.4, 90, 90, 120], Si=(0, 0, 0), O=(0.37, 0.12, 0)), 5),
    "6mm": (lambda: _crystal(186, [3.1, 3.1, 5.0, 90, 90, 120], Al=(1 / 3, 2 / 3, 0), N=(1 / 3, 2 / 3, 0.39)), 5),
    "4/m": (lambda: _crystal(83, [4.9, 4.9, 3.3, 90, 90, 90], Si=(0, 0, 0), O=(0.34, 0.13, 0)), 7),
    "-42m": (lambda: _crystal(115, [3.6, 3.6, 3.9, 90, 90, 90], Si=(0, 0, 0), O=(0, 0.5, 0.21)), 6),
    "-3": (lambda: _crystal(147, [4.6, 4.6, 3.7, 90, 90, 120], Si=(0, 0, 0), O=(0.31, 0.07, 0.23)), 7),
    "32": (lambda: _crystal(152, [4.9, 4.9, 5.4, 90, 90, 120], Si=(0.47, 0, 1 / 3), O=(0.41, 0.27, 0.45)), 6),
    "mm2": (lambda: _crystal(25, [3.1, 3.5, 4.0, 90, 90, 90], Si=(0, 0, 0), O=(0, 0.5, 0.31)), 9),
    "2/m": (lambda: _crystal(10, [4.6, 3.1, 4.3, 90, 103, 90], Si=(0, 0, 0), O=(0.37, 0, 0.29)), 13),
    "1": (lambda: _crystal(1, [3.9, 4.3, 4.7, 82, 97, 76], Si=(0, 0, 0), O=(0.4, 0.1, 0.3), Al=(0.6, 0.5, 0.7)), 21),
}  # fmt: skip


@pytest.fixture(scope="session", params=list(CRYSTALS))
def any_crystal(request: pytest.FixtureRequest) -> tuple[Atoms, int]:
    """A crystal of each Bravais lattice and Laue class, and its number of elastic constants."""
    make, constants = CRYSTALS[request.param]
    return make(), constants
