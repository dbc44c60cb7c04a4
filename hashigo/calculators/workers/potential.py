"""What every later stage asks of a potential: energies, forces and stresses, by a mean model and members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from hashigo.errors import InputError

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
class CommitteeEvaluation:
    """What all models of a committee say of one structure: the mean model first, then the members.

    A spread is the members' standard deviation (over their number less one), without the mean model.

    Attributes:
        energies: of the whole cell, shape (n_models,), eV.
        forces: shape (n_models, n_atoms, 3), eV/Å.
        stresses: shape (n_models, 6), eV/Å^3, Voigt xx, yy, zz, yz, xz, xy; positive under tension.
    """

    energies: Floats
    forces: Floats
    stresses: Floats

    @classmethod
    def gathered(cls, evaluations: Sequence[Evaluation]) -> CommitteeEvaluation:
        """Put together what the mean model and the members say of one structure."""
        return cls(
            np.array([one.energy for one in evaluations]),
            np.array([one.forces for one in evaluations]),
            np.array([one.stress for one in evaluations]),
        )

    @property
    def mean(self) -> Evaluation:
        """What the mean model says."""
        return Evaluation(float(self.energies[0]), self.forces[0], self.stresses[0])

    @property
    def members(self) -> list[Evaluation]:
        """What each member says."""
        columns = zip(self.energies[1:], self.forces[1:], self.stresses[1:], strict=True)
        return [Evaluation(float(energy), forces, stress) for energy, forces, stress in columns]

    @property
    def energy_spread(self) -> float:
        """Spread of the energy of the whole cell, eV."""
        return float(self._deviation(self.energies))

    @property
    def component_force_spread(self) -> Floats:
        """Spread of each component of the force on each atom, shape (n_atoms, 3), eV/Å."""
        return np.asarray(self._deviation(self.forces))

    @property
    def atom_force_spread(self) -> Floats:
        """Spread of the force on each atom, root of the sum over x, y, z of the variances; shape (n_atoms,), eV/Å."""
        return np.asarray(np.linalg.norm(self.component_force_spread, axis=-1))

    @property
    def force_spread(self) -> float:
        """Root-mean-square spread of all components of forces, eV/Å."""
        return float(np.sqrt(np.mean(self.component_force_spread**2)))

    @property
    def component_stress_spread(self) -> Floats:
        """Spread of each component of the stress, Voigt order, shape (6,), eV/Å^3."""
        return np.asarray(self._deviation(self.stresses))

    @property
    def stress_spread(self) -> float:
        """Root-mean-square spread of the six components of the stress, eV/Å^3."""
        return float(np.sqrt(np.mean(self.component_stress_spread**2)))

    def _deviation(self, values: Floats) -> Any:
        if len(values) < 3:
            raise InputError(
                f"a committee of {len(values) - 1} members has no spread", fix="train one of 2 or more"
            )
        return np.std(values[1:], axis=0, ddof=1)


class JointModel(Protocol):
    """Evaluates all models of a committee at once."""

    def evaluate(self, structures: Sequence[Atoms]) -> list[CommitteeEvaluation]:
        """Evaluate structures one by one by all models; their order is kept."""


@dataclass(frozen=True)
class Committee:
    """A model fitted to all training frames, and members whose distance from it tells its uncertainty.

    Attributes:
        mean: the model whose results are quoted.
        members: models whose spread tells the uncertainty; may be empty.
        together: evaluates mean and members at once; None evaluates one after the other.
        calibrated: whether that spread was scaled, and judged on frames held out.
    """

    mean: Model
    members: tuple[Model, ...] = ()
    together: JointModel | None = None
    calibrated: bool = False

    def evaluate_all(self, structures: Sequence[Atoms]) -> list[CommitteeEvaluation]:
        """Evaluate structures by mean and members; their order is kept.

        Args:
            structures: periodic atoms; lengths in Å.

        Raises:
            InputError: when a structure has an element that the models do not know.
        """
        if self.together is not None:
            return self.together.evaluate(structures)
        return one_by_one((self.mean, *self.members), structures)


def one_by_one(models: Sequence[Model], structures: Sequence[Atoms]) -> list[CommitteeEvaluation]:
    """Evaluate structures by one model after the other; the mean model comes first.

    Args:
        models: mean model and members.
        structures: periodic atoms; lengths in Å.
    """
    by_model = [model.evaluate(structures) for model in models]
    return [CommitteeEvaluation.gathered(evaluations) for evaluations in zip(*by_model, strict=True)]


def element_indices(atoms: Atoms, elements: Sequence[str]) -> NDArray[np.int64]:
    """Where each atom's element stands among a potential's, shape (n_atoms,), dimensionless.

    Args:
        atoms: the structure.
        elements: chemical symbols in the potential's order.

    Raises:
        InputError: when the structure has an element that the potential does not know.
    """
    symbols = atoms.get_chemical_symbols()
    unknown = sorted(set(symbols) - set(elements))
    if unknown:
        raise InputError(
            f"the structure {atoms.get_chemical_formula()} has {unknown[0]}, "
            f"the potential was trained on {', '.join(elements)} only",
            fix="train on frames that hold every element of the structure",
        )
    place = {symbol: index for index, symbol in enumerate(elements)}
    return np.array([place[symbol] for symbol in symbols], dtype=np.int64)


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
