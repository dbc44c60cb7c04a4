from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms

from hashigo.calculators.workers.potential import AseModel, Committee, CommitteeEvaluation, Evaluation
from hashigo.errors import InputError


class Constant:
    """A model that says the same of every structure."""

    elements = ("Si",)

    def __init__(self, value: float) -> None:
        self._value = value

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        return [
            Evaluation(self._value, np.full((len(atoms), 3), self._value), np.full(6, self._value))
            for atoms in structures
        ]


def test_spreads_are_standard_deviations_of_the_members() -> None:
    generator = np.random.default_rng(0)
    energies, forces = generator.normal(size=5), generator.normal(size=(5, 7, 3))
    stresses = generator.normal(size=(5, 6))
    found = CommitteeEvaluation(energies, forces, stresses)
    assert found.energy_spread == pytest.approx(np.std(energies[1:], ddof=1))
    variances = np.var(forces[1:], axis=0, ddof=1)
    np.testing.assert_allclose(found.component_force_spread, np.sqrt(variances))
    np.testing.assert_allclose(found.atom_force_spread, np.sqrt(variances.sum(axis=1)))
    assert found.force_spread == pytest.approx(np.sqrt(variances.mean()))
    np.testing.assert_allclose(found.component_stress_spread, np.std(stresses[1:], axis=0, ddof=1))
    assert found.stress_spread == pytest.approx(np.sqrt(np.mean(found.component_stress_spread**2)))


def test_members_and_mean_are_kept_apart() -> None:
    found = Committee(Constant(1.0), (Constant(2.0), Constant(4.0))).evaluate_all([Atoms("Si")])[0]
    assert found.mean.energy == 1.0
    assert [member.energy for member in found.members] == [2.0, 4.0]
    assert found.members[1].forces[0, 0] == 4.0
    assert found.energy_spread == pytest.approx(np.sqrt(2))


def test_models_of_any_kind_are_evaluated_in_turn(tersoff: AseModel, diamond: Atoms) -> None:
    found = Committee(tersoff, (tersoff,)).evaluate_all([diamond, diamond.repeat(2)])
    known = tersoff.evaluate([diamond.repeat(2)])[0]
    assert found[1].forces.shape == (2, 64, 3)
    np.testing.assert_array_equal(found[1].energies, known.energy)
    np.testing.assert_array_equal(found[1].stresses[1], known.stress)


def test_no_structures_no_evaluations(tersoff: AseModel) -> None:
    assert Committee(tersoff).evaluate_all([]) == []


def test_one_member_has_no_spread() -> None:
    found = Committee(Constant(1.0), (Constant(2.0),)).evaluate_all([Atoms("Si")])[0]
    with pytest.raises(InputError, match="a committee of 1 members has no spread"):
        _ = found.force_spread
