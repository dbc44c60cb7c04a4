from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hashigo.calculators.workers.committee import together as module
from hashigo.calculators.workers.committee.together import PolynomialCommittee
from hashigo.calculators.workers.fitting import polymlp_parameters
from hashigo.calculators.workers.polynomial import PolynomialModel, load_committee, polynomial_text
from hashigo.calculators.workers.potential import one_by_one
from hashigo.calculators.workers.training import DEFAULTS
from hashigo.errors import InputError

libmlpcpp = pytest.importorskip("pypolymlp.cxx.lib.libmlpcpp")

SMALL = {**DEFAULTS, "cutoff": 4.5, "radial_functions": 3, "invariant_max_l": [4, 3]}
FREE = {"Si": -1.25, "Cl": -1.5, "Na": -0.25}


def models(elements: list[str], count: int = 3, **settings: Any) -> list[PolynomialModel]:
    """Models of random coefficients."""
    parameters = polymlp_parameters(elements, {**SMALL, **settings}, FREE)[0]
    names = libmlpcpp.FeaturesAttr(parameters.as_dict())
    size = len(names.get_radial_ids()) + len(names.get_polynomial_ids())
    generator = np.random.default_rng(3)
    return [
        PolynomialModel(polynomial_text(parameters, 1e-2 * generator.normal(size=size))) for _ in range(count)
    ]


def displaced(atoms: Atoms, size: float = 0.15) -> Atoms:
    """Atoms off their sites in a triclinic cell."""
    generator = np.random.default_rng(0)
    cell = atoms.cell.array @ (np.eye(3) + 0.05 * generator.normal(size=(3, 3)))
    atoms.set_cell(cell, scale_atoms=True)
    atoms.positions += size * generator.normal(size=atoms.positions.shape)
    return atoms


def silicon() -> list[Atoms]:
    """One and two atoms in cells smaller than the cut-off, a chunk, more than a chunk, and isolated atoms."""
    far = displaced(bulk("Si"))
    far += Atoms("Si2", positions=[[9.0, 9.0, 9.0], [20.0, 9.0, 9.0]])
    far.set_cell(np.diag([30.0, 31.0, 32.0]))
    return [
        displaced(Atoms("Si", cell=[[2.6, 0.0, 0.0], [0.4, 2.7, 0.0], [0.3, 0.5, 2.5]], pbc=True)),
        displaced(bulk("Si")),
        displaced(bulk("Si", cubic=True)),
        displaced(bulk("Si", cubic=True).repeat((3, 3, 1))),
        far,
        Atoms("Si", cell=np.diag([20.0, 20.0, 20.0]), pbc=True),
    ]


def salt() -> list[Atoms]:
    """Two elements in mixed order, each of them alone, and one far from all."""
    mixed = displaced(bulk("NaCl", "rocksalt", 5.64, cubic=True)[[7, 0, 3, 4, 5, 1, 2, 6]])
    lone = Atoms("Cl2Na", positions=[[1.0, 1.0, 1.0], [3.0, 1.0, 1.5], [10.0, 10.0, 10.0]])
    lone.set_cell(np.diag([20.0, 21.0, 22.0]))
    return [
        mixed,
        displaced(bulk("NaCl", "rocksalt", 5.64)),
        displaced(bulk("Na", "bcc", 4.3)),
        displaced(bulk("NaCl", "rocksalt", 5.64, cubic=True).repeat((2, 1, 1)))[:13],
        lone,
    ]


def assert_equal_to_the_library(committee: PolynomialCommittee, given: Any, structures: list[Atoms]) -> None:
    assert committee.obstacle is None
    for found, known in zip(committee.evaluate(structures), one_by_one(given, structures), strict=True):
        for mine, its in (
            (found.energies, known.energies),
            (found.forces, known.forces),
            (found.stresses, known.stresses),
        ):
            np.testing.assert_allclose(mine, its, rtol=0, atol=1e-10 * max(abs(its).max(), 1e-3))


CASES = [
    {},
    {"max_power": 1},
    {"max_power": 3},
    {"model_type": 1, "max_power": 3},
    {"model_type": 2, "max_power": 1},
    {"invariant_order": 2, "invariant_max_l": [6]},
    {"invariant_order": 4, "invariant_max_l": [4, 2, 2]},
    {"invariant_order": 5, "invariant_max_l": [2, 2, 1, 1], "radial_functions": 2},
    {"radial_functions": 8, "cutoff": 6.0},
]


@pytest.mark.parametrize("settings", CASES)
def test_one_element_is_as_the_library_has_it(settings: dict[str, Any]) -> None:
    given = models(["Si"], **settings)
    assert_equal_to_the_library(PolynomialCommittee(given), given, silicon())


@pytest.mark.parametrize("settings", CASES)
def test_two_elements_are_as_the_library_has_them(settings: dict[str, Any]) -> None:
    given = models(["Cl", "Na"], **settings)
    assert_equal_to_the_library(PolynomialCommittee(given), given, salt())


def test_order_of_elements_is_the_potentials() -> None:
    given = models(["Na", "Cl", "Si"], radial_functions=1, invariant_max_l=[2, 2])
    three = displaced(bulk("NaCl", "rocksalt", 5.64, cubic=True))
    three.symbols[[1, 4]] = "Si"
    assert_equal_to_the_library(PolynomialCommittee(given), given, [three, *salt()])


@pytest.fixture(scope="module")
def committee() -> PolynomialCommittee:
    return PolynomialCommittee(models(["Cl", "Na"]))


def test_forces_and_stresses_are_derivatives_of_the_energies(committee: PolynomialCommittee) -> None:
    atoms, step = salt()[0], 1e-4
    known = committee.evaluate([atoms])[0]

    def slopes(moved: list[Atoms]) -> Any:
        ends = committee.evaluate(moved)
        return (ends[0].energies - ends[1].energies) / (2 * step)

    for index, axis in ((0, 0), (3, 2), (6, 1)):
        ends = [atoms.copy(), atoms.copy()]
        ends[0].positions[index, axis] += step
        ends[1].positions[index, axis] -= step
        np.testing.assert_allclose(known.forces[:, index, axis], -slopes(ends), atol=1e-5)
    for component, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        ends = []
        for sign in (1, -1):
            gradient = np.eye(3)
            gradient[i, j] += sign * step / 2
            gradient[j, i] += sign * step / 2
            ends.append(atoms.copy())
            ends[-1].set_cell(atoms.cell.array @ gradient, scale_atoms=True)
        np.testing.assert_allclose(known.stresses[:, component], slopes(ends) / atoms.get_volume(), atol=1e-6)


def test_forces_add_up_to_nothing_and_turn_with_the_crystal(committee: PolynomialCommittee) -> None:
    atoms = salt()[0]
    rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ rotation.T, scale_atoms=True)
    before, after = committee.evaluate([atoms, turned])
    np.testing.assert_allclose(before.forces.sum(axis=1), 0, atol=1e-11)
    np.testing.assert_allclose(after.energies, before.energies, rtol=1e-12)
    np.testing.assert_allclose(after.forces, before.forces @ rotation.T, atol=1e-11)


def test_atoms_far_from_all_others_have_the_energy_of_free_atoms() -> None:
    atoms = Atoms("Si", cell=np.diag([20.0, 20.0, 20.0]), pbc=True)
    found = PolynomialCommittee(models(["Si"])).evaluate([atoms])[0]
    np.testing.assert_array_equal(found.energies, FREE["Si"])
    np.testing.assert_array_equal(found.forces, 0)
    np.testing.assert_array_equal(found.stresses, 0)


def test_the_same_numbers_come_again(committee: PolynomialCommittee) -> None:
    first, second = committee.evaluate([salt()[0]] * 2)
    np.testing.assert_array_equal(first.forces, second.forces)


def test_what_is_not_supported_is_evaluated_by_the_library() -> None:
    given = models(["Si"], model_type=4, invariant_max_l=[1, 1], radial_functions=2)
    committee = PolynomialCommittee(given)
    assert committee.obstacle == "its model type 4 multiplies invariants of degree 2 and more"
    found = committee.evaluate([bulk("Si")])[0]
    assert found.energies[2] == given[2].evaluate([bulk("Si")])[0].energy


def test_members_of_different_features_are_evaluated_by_the_library() -> None:
    given = [*models(["Si"], 2), *models(["Si"], 1, cutoff=4.0)]
    committee = PolynomialCommittee(given)
    assert committee.obstacle == "its members have different features"
    assert committee.evaluate([bulk("Si")])[0].energies[2] == given[2].evaluate([bulk("Si")])[0].energy


def test_members_are_not_compiled_by_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("member by member")

    monkeypatch.setattr(module, "one_by_one", fail)
    given = models(["Si"])
    PolynomialCommittee(given).evaluate([bulk("Si")])
    assert all("_properties" not in vars(model) for model in given)


def test_a_trained_committee_is_evaluated_together(tersoff_potential: Any, diamond: Atoms) -> None:
    committee = load_committee(tersoff_potential)
    assert isinstance(committee.together, PolynomialCommittee)
    structures = [displaced(diamond.copy(), 0.05), diamond]
    given = (committee.mean, *committee.members)
    assert_equal_to_the_library(committee.together, given, structures)
    assert committee.evaluate_all(structures)[0].energies.shape == (5,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda atoms: atoms.symbols.__setitem__(0, "K"), "has K, the potential was trained on Cl, Na only"),
        (lambda atoms: atoms.positions.__setitem__((1, 2), np.nan), "are not finite"),
        (lambda atoms: atoms.set_cell([5, 5, 0]), "has no volume"),
        (
            lambda atoms: atoms.positions.__setitem__(5, atoms.positions[2] + atoms.cell[0]),
            "atoms 2 and 5 of",
        ),
    ],
)
def test_structures_that_make_no_sense_are_named(
    committee: PolynomialCommittee, change: Any, message: str
) -> None:
    atoms = salt()[0]
    change(atoms)
    with pytest.raises(InputError, match=message):
        committee.evaluate([atoms])


def test_coefficients_that_were_cut_are_named() -> None:
    given = models(["Si"], 1)[0]
    text = polynomial_text(given.parameters, given.coefficients[:-2])
    with pytest.raises(InputError, match="coefficients, its features are"):
        PolynomialCommittee([PolynomialModel(text)]).evaluate([bulk("Si")])
