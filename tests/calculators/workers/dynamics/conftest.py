"""Models whose dynamics is exactly known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.units import GPa
from numpy.typing import NDArray

from hashigo.calculators.workers.potential import Evaluation


class IdealGas:
    """Atoms that do not feel each other."""

    elements = ("Ar",)

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Nothing but zeros."""
        return [Evaluation(0.0, np.zeros((len(atoms), 3)), np.zeros(6)) for atoms in structures]


@dataclass
class Einstein:
    """Each atom on a spring to its own place, with a part of fourth order."""

    places: NDArray[np.float64]
    spring: float = 5.0  # eV/Å^2
    quartic: float = 0.0  # eV/Å^4
    elements: tuple[str, ...] = ("Ar",)

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Energy and forces; no stress."""
        return [self._one(atoms.positions - self.places) for atoms in structures]

    def _one(self, away: NDArray[np.float64]) -> Evaluation:
        square = (away**2).sum(axis=1, keepdims=True)
        energy = float((self.spring / 2 * square + self.quartic / 4 * square**2).sum())
        return Evaluation(energy, -(self.spring + self.quartic * square) * away, np.zeros(6))


@dataclass
class ElasticBox:
    """Atoms that do not feel each other, in a box with energy K V0 ln(V / V0)^2 / 2."""

    volume: float  # Å^3
    modulus: float  # eV/Å^3
    elements: tuple[str, ...] = ("Ar",)

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Energy and stress; no forces."""
        return [self._one(atoms) for atoms in structures]

    def _one(self, atoms: Atoms) -> Evaluation:
        strain = np.log(atoms.get_volume() / self.volume)
        stress = self.modulus * self.volume * strain / atoms.get_volume()
        energy = self.modulus * self.volume * strain**2 / 2
        return Evaluation(energy, np.zeros((len(atoms), 3)), np.array([stress] * 3 + [0.0] * 3))


@pytest.fixture
def elastic_box(argon: Atoms) -> ElasticBox:
    """A box of 20 GPa."""
    return ElasticBox(argon.get_volume(), 20.0 * GPa)


@pytest.fixture
def argon() -> Atoms:
    """Four atoms in their cubic cell: few, so that miscounted degrees of freedom show."""
    return bulk("Ar", "fcc", 5.4, cubic=True)


@pytest.fixture
def ideal_gas() -> IdealGas:
    """Atoms that do not feel each other."""
    return IdealGas()


@pytest.fixture
def einstein(argon: Atoms) -> Einstein:
    """Springs of a little fourth order, so that modes exchange energy."""
    return Einstein(argon.get_positions(), spring=5.0, quartic=10.0)
