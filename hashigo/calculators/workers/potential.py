"""What every later stage asks of a potential: energies, forces and stresses, by a mean model and members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evaluation:
    """What a model says of one structure.

    Attributes:
        energy: of the whole cell, eV.
        forces: shape (n_atoms, 3), eV/Å.
        stress: shape (6,), eV/Å^3, Voigt xx, yy, zz, yz, xz, xy; positive under tension.
    """

    energy: float
    forces: Floats
    stress: Floats


class Model(Protocol):
    """A potential that can be evaluated."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols it knows."""

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Evaluate structures one by one; their order is kept."""


@dataclass(frozen=True)
class Committee:
    """A model fitted to all training frames, and members fitted to resampled ones.

    Attributes:
        mean: the model whose results are quoted.
        members: models whose spread tells the uncertainty; may be empty.
    """

    mean: Model
    members: tuple[Model, ...] = ()


class AseModel:
    """An ASE calculator as a model.

    Args:
        calculator: any calculator with energy, forces and stress.
        elements: chemical symbols it knows.
    """

    def __init__(self, calculator: Calculator, elements: Sequence[str]) -> None:
        self._calculator = calculator
        self._elements = tuple(elements)

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols it knows."""
        return self._elements

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Evaluate structures one by one; their order is kept."""
        out = []
        for structure in structures:
            atoms = structure.copy()
            atoms.calc = self._calculator
            out.append(Evaluation(atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()))
        return out


class ModelCalculator(Calculator):
    """A model as an ASE calculator, for ASE's optimisers and filters.

    Args:
        model: the model to ask.
    """

    implemented_properties = ["energy", "forces", "stress", "free_energy"]

    def __init__(self, model: Model, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._model = model

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        """Fill `results` for the given atoms; energy in eV, forces in eV/Å, stress in eV/Å^3."""
        super().calculate(atoms, properties, system_changes)
        evaluation = self._model.evaluate([self.atoms])[0]
        self.results = {
            "energy": evaluation.energy,
            "free_energy": evaluation.energy,
            "forces": evaluation.forces,
            "stress": evaluation.stress,
        }
