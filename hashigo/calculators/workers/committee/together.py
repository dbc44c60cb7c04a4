"""All members of a committee of polynomial potentials, evaluated together from one set of features."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.workers.committee.tables import Invariants, invariants, obstacle
from hashigo.calculators.workers.potential import (
    CommitteeEvaluation,
    Evaluation,
    element_indices,
    one_by_one,
)
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Closer atoms than this are at the same place, Å.
_SAME_PLACE = 1e-6


class LinearModel(Protocol):
    """A potential that is linear in its coefficients."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols it knows, in its own order."""

    @property
    def atomic_energies(self) -> dict[str, float]:
        """Energy of a free atom of each element, eV."""

    @property
    def parameters(self) -> Any:
        """pypolymlp's PolymlpParamsSingle."""

    @property
    def coefficients(self) -> Floats:
        """Of the features, shape (n_features,), eV."""

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Evaluate structures one by one; their order is kept."""


class _Totals(NamedTuple):
    """What the evaluation adds up.

    Attributes:
        energy: shape (n_models,), eV.
        forces: shape (n_atoms, 3, n_models), eV/Å.
        virial: derivative of the energy by strain, Voigt xx, yy, zz, yz, xz, xy; shape (6, n_models), eV.
    """

    energy: Floats
    forces: Floats
    virial: Floats


class PolynomialCommittee:
    """Polynomial potentials that differ in their coefficients only.

    Neighbours, radial functions, spherical harmonics, invariants and their derivatives are computed once for all.
    Potentials of another kind are evaluated one after the other by pypolymlp; `obstacle` says why.

    Args:
        models: the mean model, then the members.
    """

    def __init__(self, models: Sequence[LinearModel]) -> None:
        self._models = tuple(models)
        self.obstacle = obstacle([model.parameters for model in models])

    def evaluate(self, structures: Sequence[Atoms]) -> list[CommitteeEvaluation]:
        """Evaluate structures by all models; their order is kept.

        Args:
            structures: periodic atoms; lengths in Å.

        Raises:
            InputError: when a structure has an element that the potential does not know, no volume, positions that
                are no numbers, or two atoms at the same place.
        """
        if self.obstacle is not None:
            return one_by_one(self._models, structures)
        return [self._evaluate(atoms) for atoms in structures]

    @cached_property
    def _tables(self) -> list[Invariants]:
        coefficients = np.array([model.coefficients for model in self._models])
        return invariants(self._models[0].parameters, coefficients)

    @cached_property
    def _free_atoms(self) -> Floats:
        """Energies of the free atoms, shape (n_elements, n_models), eV."""
        elements = self._models[0].elements
        return np.array([[model.atomic_energies[symbol] for model in self._models] for symbol in elements])

    def _evaluate(self, atoms: Atoms) -> CommitteeEvaluation:
        # numba takes a second to load; only what evaluates a committee needs it.
        from hashigo.calculators.workers.committee.pairs import Radial, find_pairs

        model, n_models = self._models[0].parameters.model, len(self._models)
        types = element_indices(atoms, self._models[0].elements)
        _check(atoms)
        order = np.argsort(types, kind="stable")
        first = np.searchsorted(types[order], np.arange(len(self._models[0].elements) + 1)).astype(np.int64)
        cell = np.ascontiguousarray(atoms.cell.array, dtype=float)
        pairs = find_pairs(cell, atoms.positions[order], first, float(model.cutoff))
        _check_distances(atoms, order, pairs)
        exponent, centre = np.array(model.pair_params, dtype=float).T.copy()
        radial = Radial(exponent, centre, float(model.cutoff))
        totals = _Totals(np.zeros(n_models), np.zeros((len(atoms), 3, n_models)), np.zeros((6, n_models)))
        for element, table in enumerate(self._tables):
            _add_element(table, radial, pairs, first[element], first[element + 1], totals)
        forces = np.empty((n_models, len(atoms), 3))
        forces[:, order] = np.moveaxis(totals.forces, -1, 0)
        return CommitteeEvaluation(
            energies=totals.energy + self._free_atoms[types].sum(axis=0),
            forces=forces,
            stresses=np.ascontiguousarray(totals.virial.T) / atoms.get_volume(),
        )


def _add_element(table: Invariants, radial: Any, pairs: Any, begin: int, end: int, totals: _Totals) -> None:
    """Add the energies of the atoms of one element, from `begin` to `end`, and what follows from them for all.

    Order parameters from the pairs; derivatives of the invariants by them, times the models' coefficients; and these
    times the gradients of the pairs.
    """
    # numba takes a second to load; only what evaluates a committee needs it.
    from hashigo.calculators.workers.committee.adjoint import (
        LANES,
        adjoint_of_invariants,
        adjoint_of_pair_features,
    )
    from hashigo.calculators.workers.committee.forces import add_forces
    from hashigo.calculators.workers.committee.pairs import order_parameters

    n_radial, n_lm, n_models = radial.centre.size, (table.max_l + 1) ** 2, totals.energy.size
    n_types = table.n_heads // n_lm
    for start in range(begin, end, LANES):
        stop = min(start + LANES, end)
        n_pairs = pairs.first[stop * n_types] - pairs.first[start * n_types]
        functions, angular = np.empty(n_pairs * 2 * n_radial), np.empty(n_pairs * 4 * n_lm)
        parameters = np.zeros((n_radial, table.n_heads, stop - start))
        adjoint = np.zeros((n_radial, table.n_heads, stop - start, n_models))
        order_parameters(radial, pairs, start, table.max_l, functions, angular, parameters)
        adjoint_of_invariants(table, parameters, adjoint, totals.energy)
        adjoint_of_pair_features(
            table.scale, table.single, table.products, table.product_coefficients, parameters, adjoint,
            totals.energy,
        )  # fmt: skip
        add_forces(pairs, start, functions, angular, adjoint, totals.forces, totals.virial)


def _check(atoms: Atoms) -> None:
    name = atoms.get_chemical_formula()
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise InputError(
            f"the structure {name} has positions or lattice vectors that are not finite",
            fix="look at the step before: a dynamics that diverged needs a shorter time step",
        )
    lengths = np.linalg.norm(atoms.cell.array, axis=1)
    if atoms.cell.volume <= 1e-12 * lengths.prod():
        raise InputError(
            f"the cell of the structure {name} has no volume", fix="give it three lattice vectors"
        )


def _check_distances(atoms: Atoms, order: NDArray[np.int64], pairs: Any) -> None:
    squares = np.einsum("ij,ij->i", pairs.vector, pairs.vector)
    if not len(squares) or squares.min() >= _SAME_PLACE**2:
        return
    pair = int(squares.argmin())
    n_elements = (len(pairs.first) - 1) // len(atoms)
    segment = int(np.searchsorted(pairs.first, pair, side="right")) - 1
    one, other = sorted((int(order[segment // n_elements]), int(order[pairs.other[pair]])))
    raise InputError(
        f"atoms {one} and {other} of the structure {atoms.get_chemical_formula()} are at the same place",
        fix="move or remove one of them",
    )
