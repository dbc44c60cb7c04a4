"""Derivatives of free energies against a crystal whose free energy is a closed function of its cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from scipy.constants import physical_constants

from hashigo.calculators.workers.lattice.crystal import PrimitiveCell, point_group
from hashigo.calculators.workers.lattice.elastic import strain_tensor, symmetrise
from hashigo.calculators.workers.lattice.free_energy import Vibrations
from hashigo.calculators.workers.lattice.thermal_path import GPA, Node, shifted, state
from hashigo.calculators.workers.lattice.thermoelastic import (
    StaticDerivatives,
    Symmetry,
    ThermalDerivatives,
    deformation,
    interpolation_weights,
    node_cells,
    second_piola_kirchhoff,
    static_derivatives,
    thermal_derivatives,
)
from hashigo.calculators.workers.potential import Evaluation

K_B = physical_constants["Boltzmann constant in eV/K"][0]
#: Bonds of a body-centred orthorhombic lattice, in fractions of its edges.
BONDS = np.array(
    [[x / 2, y / 2, z / 2] for x in (1, -1) for y in (1, -1) for z in (1, -1)]
    + [[x, 0, 0] for x in (1, -1)] + [[0, x, 0] for x in (1, -1)] + [[0, 0, x] for x in (1, -1)]
)  # fmt: skip
EDGES = np.array([3.9, 4.3, 4.9])
LENGTHS = np.linalg.norm(BONDS * EDGES, axis=1)
TEMPERATURES = np.array([0.0, 150.0, 600.0])
PARTS = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]


class Einstein:
    """Bonds with Morse's energy, and one oscillator a bond whose quantum falls with the bond's length.

    All is a function of lengths alone, and so of Lagrange's strain; the cell has two atoms, each with these bonds.
    """

    elements = ("Al",)

    def bonds(self, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors = BONDS @ cell
        return vectors, np.linalg.norm(vectors, axis=1)

    def static(self, cell: np.ndarray) -> float:
        _, lengths = self.bonds(cell)
        return float(np.sum((1 - np.exp(-1.3 * (lengths - LENGTHS))) ** 2))

    def quanta(self, cell: np.ndarray) -> np.ndarray:
        _, lengths = self.bonds(cell)
        return 0.03 * np.exp(-2.5 * (lengths - LENGTHS))

    def helmholtz(self, cell: np.ndarray, temperature: float) -> float:
        quanta = self.quanta(cell)
        free = quanta / 2
        if temperature:
            free = free + K_B * temperature * np.log1p(-np.exp(-quanta / (K_B * temperature)))
        return float(np.sum(free))

    def entropy(self, cell: np.ndarray, temperature: float) -> float:
        if not temperature:
            return 0.0
        x = self.quanta(cell) / (K_B * temperature)
        return float(K_B * np.sum(x / np.expm1(x) - np.log1p(-np.exp(-x))))

    def heat_capacity(self, cell: np.ndarray, temperature: float) -> float:
        if not temperature:
            return 0.0
        x = self.quanta(cell) / (K_B * temperature)
        return float(K_B * np.sum((x / 2 / np.sinh(x / 2)) ** 2))

    def evaluate(self, structures: Any) -> list[Evaluation]:
        out = []
        for atoms in structures:
            cell = atoms.cell.array
            # the conventional cell is asked for, or the primitive one of half its volume
            conventional = EDGES_OF(cell)
            vectors, lengths = self.bonds(conventional)
            slope = 2 * 1.3 * np.exp(-1.3 * (lengths - LENGTHS)) * (1 - np.exp(-1.3 * (lengths - LENGTHS)))
            stress = np.einsum("b,bi,bj->ij", slope / lengths, vectors, vectors)
            stress /= abs(np.linalg.det(conventional))
            share = len(atoms) / 2
            out.append(
                Evaluation(
                    share * self.static(conventional), np.zeros((len(atoms), 3)),
                    np.array([stress[i, j] for i, j in PARTS]),
                )
            )  # fmt: skip
        return out

    def vibrations(self, cell: np.ndarray) -> Vibrations:
        def rows(what: Any) -> np.ndarray:
            return np.array([[what(cell, temperature) for temperature in TEMPERATURES]])

        return Vibrations(
            TEMPERATURES, rows(self.helmholtz), rows(self.entropy), rows(self.heat_capacity), 1.0
        )

    def total(self, cell: np.ndarray, temperature: float) -> float:
        return self.static(cell) + self.helmholtz(cell, temperature)


def crystal() -> Atoms:
    return Atoms("Al2", cell=EDGES, scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], pbc=True)


PRIMITIVE = PrimitiveCell.of(crystal())
_TO_CONVENTIONAL = crystal().cell.array @ np.linalg.inv(PRIMITIVE.atoms.cell.array)


def EDGES_OF(cell: np.ndarray) -> np.ndarray:
    """The conventional cell of a primitive or conventional one."""
    volume = abs(np.linalg.det(cell))
    return cell if volume > 60 else _TO_CONVENTIONAL @ cell


def gradient_and_curvature(function: Any, step: float = 2e-4) -> tuple[np.ndarray, np.ndarray]:
    """Numerical derivatives at zero of a function of six numbers, by central differences of fourth order."""
    units = np.eye(6)

    def first(at: np.ndarray, i: int) -> float:
        one = function(at + step * units[i]) - function(at - step * units[i])
        two = function(at + 2 * step * units[i]) - function(at - 2 * step * units[i])
        return (8 * one - two) / (12 * step)

    gradient = np.array([first(np.zeros(6), i) for i in range(6)])
    curvature = np.array(
        [
            [
                (8 * (first(step * units[j], i) - first(-step * units[j], i))
                 - first(2 * step * units[j], i) + first(-2 * step * units[j], i)) / (12 * step)
                for j in range(6)
            ]
            for i in range(6)
        ]
    )  # fmt: skip
    return gradient, curvature


def node(model: Einstein, cell: np.ndarray, strain: float = 1e-3) -> Node:
    symmetry = Symmetry.of(point_group(crystal()))
    strained = {
        (index, sign): model.vibrations(cell @ deformation(sign * strain * symmetry.directions[index].voigt))
        for index, sign in symmetry.strains
    }
    thermal = thermal_derivatives(
        model.vibrations(cell), strained, symmetry, strain, float(np.linalg.det(cell))
    )
    return Node(cell, static_derivatives(model, PRIMITIVE, cell, symmetry, strain, 1e-6), thermal)


@pytest.fixture(scope="module")
def model() -> Einstein:
    return Einstein()


def test_both_parts_are_derivatives_by_the_same_strain_in_a_stressed_cell(model: Einstein) -> None:
    cell = np.diag(EDGES * [1.02, 1.01, 1.015])
    volume = float(np.linalg.det(cell))
    found = node(model, cell)

    def static(eta: np.ndarray) -> float:
        return model.static(cell @ deformation(eta)) / volume

    tension, stiffness = gradient_and_curvature(static)
    assert np.abs(tension).max() > 0.01 * np.abs(stiffness).max()
    np.testing.assert_allclose(found.static.tension, tension, atol=1e-7)
    np.testing.assert_allclose(found.static.stiffness, stiffness, atol=1e-4 * np.abs(stiffness).max())
    for row, temperature in enumerate(TEMPERATURES):

        def vibrations(eta: np.ndarray, temperature: float = temperature) -> float:
            return model.helmholtz(cell @ deformation(eta), temperature) / volume

        tension, stiffness = gradient_and_curvature(vibrations)
        np.testing.assert_allclose(found.thermal.tension[row], tension, atol=2e-5 * np.abs(tension).max())
        np.testing.assert_allclose(
            found.thermal.stiffness[row], stiffness, atol=2e-4 * np.abs(stiffness).max()
        )


def equilibrium(model: Einstein, temperature: float) -> np.ndarray:
    """The cell of least free energy, by Newton's method on the function itself."""
    cell = np.diag(EDGES)
    for _ in range(20):
        gradient, curvature = gradient_and_curvature(
            lambda strain, cell=cell: model.total(cell @ (np.eye(3) + strain_tensor(strain)), temperature)
        )
        cell = cell @ (np.eye(3) - strain_tensor(np.linalg.solve(curvature, gradient)))
    return cell


def test_the_stiffness_at_zero_total_stress_is_the_curvature_by_any_strain(model: Einstein) -> None:
    """The crystal's own minimum and its curvature by infinitesimal strain, from cells that are all stressed.

    The path starts at cells of another shape than the minimum's, as where a shape is relaxed without vibrations; cells
    of a second one are those that the first has found.
    """
    start = np.array([np.diag(EDGES * [1 + x, 1 + x, 1 + x]) for x in (0.0, 0.012, 0.024)])
    exact = [equilibrium(model, temperature) for temperature in TEMPERATURES]
    for tolerance in (0.02, 5e-4):
        nodes = [node(model, cell) for cell in node_cells(start)]
        found = [state(nodes, row, temperature, start[row]) for row, temperature in enumerate(TEMPERATURES)]
        start = np.array([one.lattice for one in found])
        for one, cell, temperature in zip(found, exact, TEMPERATURES, strict=True):
            np.testing.assert_allclose(one.lattice, cell, atol=tolerance)
            expected = infinitesimal_stiffness(model, cell, temperature)
            np.testing.assert_allclose(one.isothermal, expected, atol=tolerance * expected.max())
    assert np.linalg.det(exact[-1]) > 1.02 * np.prod(EDGES)
    rotations = point_group(crystal())
    np.testing.assert_allclose(symmetrise(found[-1].isothermal, rotations), found[-1].isothermal, atol=1e-9)


def infinitesimal_stiffness(model: Einstein, cell: np.ndarray, temperature: float) -> np.ndarray:
    """Curvature of the free energy by the symmetric part of the displacements' gradient, GPa."""
    volume = float(np.linalg.det(cell))

    def free(strain: np.ndarray) -> float:
        return model.total(cell @ (np.eye(3) + strain_tensor(strain)), temperature) / volume

    return gradient_and_curvature(free)[1] / GPA


def test_expansion_and_heating_obey_thermodynamics(model: Einstein) -> None:
    temperature, step = 600.0, 2.0
    row = list(TEMPERATURES).index(temperature)
    exact = equilibrium(model, temperature)
    found = state([node(model, exact)], row, temperature, exact)
    assert found.correction < 1e-5
    hotter, colder = (equilibrium(model, temperature + sign * step) for sign in (1, -1))
    rate = np.diag((np.diag(hotter) - np.diag(colder)) / (2 * step) / np.diag(exact))
    np.testing.assert_allclose(found.expansion, rate, atol=2e-3 * rate.max())
    stress = found.isothermal @ np.array([*np.diag(rate), 0, 0, 0])
    capacity = model.heat_capacity(exact, temperature) / np.linalg.det(exact) / GPA
    expected = temperature / capacity * np.outer(stress, stress)
    np.testing.assert_allclose(
        found.adiabatic - found.isothermal, expected, atol=4e-3 * np.abs(expected).max()
    )
    cold = state([node(model, exact)], 0, 0.0, exact)
    np.testing.assert_array_equal(cold.adiabatic, cold.isothermal)


def test_under_pressure_the_stiffness_is_what_stress_follows_strain_by(model: Einstein) -> None:
    pressure = 3.0
    thermal = ThermalDerivatives(np.zeros((1, 6)), np.zeros((1, 6, 6)), np.zeros((1, 6)), np.ones(1))
    symmetry = Symmetry.of(point_group(crystal()))

    def at(cell: np.ndarray) -> Node:
        return Node(cell, static_derivatives(model, PRIMITIVE, cell, symmetry, 1e-3, 1e-6), thermal)

    cell = np.diag(EDGES)
    for _ in range(3):
        found = state([at(cell)], 0, 0.0, cell, pressure)
        cell = found.lattice
    atoms = crystal()

    def stress(strain: np.ndarray) -> np.ndarray:
        atoms.set_cell(found.lattice @ (np.eye(3) + strain_tensor(strain)), scale_atoms=True)
        return model.evaluate([atoms])[0].stress / GPA

    np.testing.assert_allclose(stress(np.zeros(6)), [-pressure] * 3 + [0] * 3, atol=0.01)
    slopes = [(stress(1e-4 * unit) - stress(-1e-4 * unit)) / 2e-4 for unit in np.eye(6)]
    np.testing.assert_allclose(found.isothermal, np.transpose(slopes), atol=0.003 * found.isothermal.max())


def test_the_tension_of_a_turned_pull_is_the_energys_derivative() -> None:
    stress = np.array([1.0, 2.0, 3.0, 0.4, 0.5, 0.6])
    np.testing.assert_allclose(second_piola_kirchhoff(stress, np.eye(3)), stress)
    # under pressure p the energy falls by p dV: the tension is -p V/V0 F^-1 F^-T
    stretch = deformation(np.array([0.1, 0.02, -0.03, 0.04, 0.05, 0.06]))
    inverse = np.linalg.inv(stretch)
    expected = -np.linalg.det(stretch) * inverse @ inverse
    found = second_piola_kirchhoff(np.array([-1.0, -1, -1, 0, 0, 0]), stretch)
    np.testing.assert_allclose(found, [expected[i, j] for i, j in PARTS])


def test_a_path_is_served_by_three_cells_and_a_short_one_by_one() -> None:
    lattice = np.array([np.eye(3) * x for x in (5.0, 4.99, 5.02, 5.05)])
    np.testing.assert_allclose(np.linalg.det(node_cells(lattice)) ** (1 / 3), [4.99, 5.02, 5.05])
    assert node_cells(lattice[:1]).shape == (1, 3, 3)
    assert interpolation_weights([0.0, 1.0, 3.0], 2.0) @ [0.0, 1.0, 9.0] == pytest.approx(4.0)


def test_a_shift_adds_a_share_of_a_difference() -> None:
    def of(x: float) -> Node:
        thermal = ThermalDerivatives(
            np.full((1, 6), x), np.full((1, 6, 6), x), np.full((1, 6), x), np.full(1, x)
        )
        return Node(np.eye(3), StaticDerivatives(np.full(6, x), np.full((6, 6), x)), thermal)

    (moved,) = shifted([of(10.0)], of(1.0), of(3.0), 0.5)
    assert moved.static.stiffness[0, 0] == moved.thermal.heat_capacity[0] == pytest.approx(11.0)
