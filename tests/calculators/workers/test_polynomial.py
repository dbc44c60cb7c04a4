from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hashigo.calculators.frames import Frame
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.fitting import ENERGY, FORCE, STRESS, design_matrix, polymlp_parameters
from hashigo.calculators.workers.polynomial import (
    PolynomialModel,
    committee_for,
    load_committee,
    polynomial_text,
)
from hashigo.calculators.workers.training import DEFAULTS
from hashigo.errors import InputError, MissingComponent

FREE = {"Cl": -1.5, "Na": -0.25}
SMALL = {**DEFAULTS, "cutoff": 4.5, "radial_functions": 3, "invariant_max_l": [2, 2]}


def rock_salt() -> Atoms:
    """A distorted cell of two elements in mixed order."""
    generator = np.random.default_rng(0)
    atoms = bulk("NaCl", "rocksalt", 5.64, cubic=True)[[7, 0, 3, 4, 5, 1, 2, 6]]
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * generator.normal(size=(3, 3))), scale_atoms=True)
    atoms.positions += 0.1 * generator.normal(size=(8, 3))
    return atoms


@pytest.fixture(scope="module")
def made() -> tuple[PolynomialModel, dict[int, np.ndarray]]:
    """A model of random coefficients, and what its design matrix predicts for the rock salt."""
    atoms = rock_salt()
    frame = Frame(atoms.cell.array, atoms.positions, tuple(atoms.get_chemical_symbols()), 0.0,
                  np.zeros((8, 3)), np.zeros(6))  # fmt: skip
    parameters = polymlp_parameters(["Cl", "Na"], SMALL, FREE)
    design = design_matrix([frame], parameters, {ENERGY: 1, FORCE: 1, STRESS: 1})
    size = np.maximum(abs(design.features).max(axis=0), 1e-6)
    coefficients = np.random.default_rng(1).normal(size=design.features.shape[1]) / size / 10
    predicted = design.features @ coefficients
    model = PolynomialModel(polynomial_text(parameters[0], coefficients))
    return model, {kind: predicted[design.kind == kind] for kind in (ENERGY, FORCE, STRESS)}


@pytest.fixture(scope="module")
def model(made: tuple[PolynomialModel, dict[int, np.ndarray]]) -> PolynomialModel:
    return made[0]


def test_the_saved_model_is_the_product_of_matrix_and_coefficients(
    made: tuple[PolynomialModel, dict[int, np.ndarray]],
) -> None:
    model, predicted = made
    evaluation = model.evaluate([rock_salt()])[0]
    free = 4 * (FREE["Na"] + FREE["Cl"])
    assert (evaluation.energy - free) / 8 == pytest.approx(predicted[ENERGY][0], abs=1e-12)
    np.testing.assert_allclose(evaluation.forces.ravel(), predicted[FORCE], atol=1e-12)
    np.testing.assert_allclose(evaluation.stress, predicted[STRESS], atol=1e-12)


def test_forces_and_stress_are_derivatives_of_the_energy(model: PolynomialModel) -> None:
    atoms, step = rock_salt(), 1e-4
    evaluation = model.evaluate([atoms])[0]
    for index, axis in ((0, 0), (3, 2), (6, 1)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[index, axis] += sign * step
            ends.append(model.evaluate([moved])[0].energy)
        assert evaluation.forces[index, axis] == pytest.approx(-(ends[0] - ends[1]) / (2 * step), abs=1e-6)
    pairs = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
    for component, (i, j) in enumerate(pairs):
        ends = []
        for sign in (1, -1):
            gradient = np.eye(3)
            gradient[i, j] += sign * step / 2
            gradient[j, i] += sign * step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ gradient, scale_atoms=True)
            ends.append(model.evaluate([strained])[0].energy)
        slope = (ends[0] - ends[1]) / (2 * step) / atoms.get_volume()
        assert evaluation.stress[component] == pytest.approx(slope, abs=2e-6)


def test_order_of_atoms_and_choice_of_cell_do_not_matter(model: PolynomialModel) -> None:
    atoms = rock_salt()
    order = np.random.default_rng(2).permutation(8)
    sheared = atoms.copy()
    sheared.set_cell(np.array([[1, 0, 0], [2, 1, 0], [-1, 3, 1]]) @ atoms.cell.array)
    outside = atoms.copy()
    outside.positions += 3 * atoms.cell.array[0]
    reference, permuted, skewed, shifted, double = model.evaluate(
        [atoms, atoms[order], sheared, outside, atoms.repeat((1, 2, 1))]
    )
    np.testing.assert_allclose(permuted.forces, reference.forces[order], atol=1e-12)
    for other in (permuted, skewed, shifted):
        assert other.energy == pytest.approx(reference.energy, abs=1e-10)
        np.testing.assert_allclose(other.stress, reference.stress, atol=1e-12)
    assert double.energy == pytest.approx(2 * reference.energy, abs=1e-10)


def test_an_unknown_element_is_named(model: PolynomialModel) -> None:
    with pytest.raises(InputError, match="has K, the potential was trained on Cl, Na only"):
        model.evaluate([bulk("KCl", "rocksalt", 6.3)])


def test_nonsense_is_no_potential() -> None:
    with pytest.raises(InputError, match=r"not a polymlp\.yaml"):
        PolynomialModel("elements: [Si]\n")


def test_without_pypolymlp_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypolymlp.calculator.properties", None)
    with pytest.raises(MissingComponent) as caught:
        PolynomialModel("")
    assert "aiida-hashigo[potential]" in caught.value.fix
    assert "Eigen" in caught.value.fix


def test_writing_a_potential_leaves_numpy_printing_alone(made: object) -> None:
    assert np.get_printoptions()["legacy"] is False


def test_the_committee_is_read_in_order(tersoff_potential: Path, diamond: Atoms) -> None:
    committee = load_committee(tersoff_potential)
    assert len(committee.members) == 4
    assert committee.mean.elements == ("Si",)
    energies = [member.evaluate([diamond])[0].energy for member in committee.members]
    assert len(set(energies)) == 4


def test_another_result_is_no_potential(tmp_path: Path) -> None:
    with ResultWriter(tmp_path / "phonons.h5", task="phonons", task_version=1):
        pass
    with pytest.raises(InputError, match=r"phonons\.h5 is a result of 'phonons', not of a training"):
        load_committee(tmp_path / "phonons.h5")


def test_a_truncated_potential_is_named(tersoff_potential: Path, tmp_path: Path) -> None:
    (tmp_path / "potential.h5").write_bytes(tersoff_potential.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"potential\.h5 cannot be read"):
        load_committee(tmp_path / "potential.h5")


def test_an_engine_can_stand_in_for_the_potential(diamond: Atoms) -> None:
    committee = committee_for({}, {"engine": "tersoff", "parameters": {}}, ["Si"])
    assert committee.members == ()
    assert committee.mean.evaluate([diamond])[0].energy / 8 == pytest.approx(-4.63, abs=0.01)
    with pytest.raises(InputError, match="neither a trained potential nor an engine"):
        committee_for({}, None, ["Si"])
