"""A crystal whose phonons are known: a simple cubic lattice of scalar springs between nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

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
