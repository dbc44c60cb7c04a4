from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.units import GPa
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.lattice.crystal import point_group, primitive
from hashigo.calculators.workers.lattice.elastic import (
    born_stability,
    relax,
    stiffness,
    stiffness_basis,
    strain_patterns,
    stress_rotation,
    symmetrise,
)
from hashigo.calculators.workers.potential import AseModel
from hashigo.errors import WorkerError


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    matrix = np.diag([c11 - c12] * 3 + [c44] * 3)
    matrix[:3, :3] += c12
    return matrix


@pytest.fixture(scope="module")
def emt() -> AseModel:
    return AseModel(EMT(fixed_cutoff=True), ["Al"])


def test_silicon_of_tersoff_has_its_published_constants(tersoff: AseModel) -> None:
    relaxed = relax(tersoff, bulk("Si", "diamond", 5.35))
    assert (4 * relaxed.get_volume()) ** (1 / 3) == pytest.approx(5.4320, abs=2e-4)
    constants = stiffness(tersoff, relaxed)
    np.testing.assert_allclose(constants, cubic(142.5, 75.4, 69.0), rtol=0.005, atol=1e-6)
    clamped = stiffness(tersoff, relaxed, relax_internal=False)
    assert clamped[3, 3] == pytest.approx(118.8, rel=0.005)
    assert clamped[0, 0] == pytest.approx(constants[0, 0], rel=1e-6)


def test_primitive_and_conventional_cells_agree(tersoff: AseModel, diamond: Atoms) -> None:
    small = relax(tersoff, primitive(diamond))
    large = relax(tersoff, diamond)
    assert 4 * small.get_volume() == pytest.approx(large.get_volume(), rel=1e-6)
    np.testing.assert_allclose(stiffness(tersoff, small), stiffness(tersoff, large), atol=0.01)


def test_a_turned_crystal_has_the_turned_stiffness(tersoff: AseModel) -> None:
    turn = Rotation.from_euler("zxz", [0.3, 0.5, -0.2]).as_matrix()
    relaxed = relax(tersoff, bulk("Si", "diamond", 5.432))
    turned = relaxed.copy()
    turned.set_cell(relaxed.cell.array @ turn.T, scale_atoms=True)
    bond = stress_rotation(turn)
    expected = bond @ stiffness(tersoff, relaxed) @ bond.T
    np.testing.assert_allclose(stiffness(tersoff, turned), expected, atol=0.05)


def test_a_hexagonal_crystal_has_five_constants(emt: AseModel) -> None:
    relaxed = relax(emt, bulk("Al", "hcp", a=2.86, c=4.67))
    constants = stiffness(emt, relaxed)
    zeros = np.ones((6, 6), dtype=bool)
    zeros[:3, :3] = False
    np.fill_diagonal(zeros, False)
    assert abs(constants[zeros]).max() < 1e-9
    assert constants[0, 0] == pytest.approx(constants[1, 1])
    assert constants[0, 2] == pytest.approx(constants[1, 2])
    assert constants[3, 3] == pytest.approx(constants[4, 4])
    assert constants[5, 5] == pytest.approx((constants[0, 0] - constants[0, 1]) / 2)
    assert constants[2, 2] > 1.5 * constants[0, 0]
    assert born_stability(constants).stable


def test_the_stiffness_is_the_curvature_of_the_energy(emt: AseModel) -> None:
    relaxed = relax(emt, bulk("Al", "hcp", a=2.86, c=4.67))
    constants = stiffness(emt, relaxed, 0.001, relax_internal=False)
    step, energies = 1e-3, []
    for strain in (-step, 0.0, step):
        stretched = relaxed.copy()
        stretched.set_cell(relaxed.cell.array @ np.diag([1, 1, 1 + strain]), scale_atoms=True)
        energies.append(emt.evaluate([stretched])[0].energy)
    curvature = (energies[0] - 2 * energies[1] + energies[2]) / step**2 / relaxed.get_volume()
    assert constants[2, 2] == pytest.approx(curvature * 160.21766, rel=0.002)


def test_a_cell_without_symmetry_needs_all_constants(emt: AseModel) -> None:
    atoms = bulk("Al", cubic=True)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + np.triu(np.full((3, 3), 0.03), 1)), scale_atoms=True)
    atoms.positions += 0.05 * np.random.default_rng(0).normal(size=(4, 3))
    basis = stiffness_basis(point_group(atoms))
    assert len(basis) == 21
    assert strain_patterns(basis) == [0, 1, 2, 3, 4, 5]
    constants = stiffness(emt, atoms, relax_internal=False)
    np.testing.assert_allclose(constants, constants.T)


@pytest.mark.parametrize(
    ("atoms", "constants", "patterns"),
    [
        (bulk("Si", "diamond", 5.43), 3, [0, 3]),
        (bulk("Al", "hcp", a=2.86, c=4.67), 5, [0, 2, 3]),
        (Atoms("Al", cell=[3, 3, 4], pbc=True), 6, [0, 2, 3, 5]),
        (Atoms("Al", cell=[3, 3.5, 4], pbc=True), 9, [0, 1, 2, 3, 4, 5]),
        (Atoms("Al", cell=[3, 3, 3, 80, 80, 80], pbc=True), 6, None),
    ],
)
def test_symmetry_leaves_as_many_constants_as_nye_counts(
    atoms: Atoms, constants: int, patterns: list[int] | None
) -> None:
    basis = stiffness_basis(point_group(atoms))
    assert len(basis) == constants
    if patterns is not None:
        assert strain_patterns(basis) == patterns


def test_symmetrising_keeps_what_is_symmetric() -> None:
    rotations = point_group(bulk("Si", "diamond", 5.43))
    assert len(rotations) == 48
    known = cubic(166, 64, 80)
    np.testing.assert_allclose(symmetrise(known, rotations), known, atol=1e-10)


def test_born_stability_does_not_depend_on_the_axes_and_passes_just_above_zero() -> None:
    for c44, stable in ((1e-3, True), (-1e-3, False)):
        assert born_stability(cubic(100, 50, c44)).stable is stable
        bond = stress_rotation(Rotation.from_euler("xyz", [0.1, 0.7, 0.3]).as_matrix())
        turned = born_stability(bond @ cubic(100, 50, c44) @ bond.T)
        assert turned.stable is stable
        assert turned.eigenvalues[0] == pytest.approx(2 * c44)


def test_a_runaway_is_stopped(tersoff: AseModel) -> None:
    with pytest.raises(WorkerError, match="ran away"):
        relax(tersoff, bulk("Si", "diamond", 6.3))


def test_every_crystal_system_has_its_exact_stiffness_in_its_own_symmetry(
    any_crystal: tuple[Atoms, int], network: Any
) -> None:
    atoms, count = any_crystal
    rotations = point_group(atoms)
    assert len(stiffness_basis(rotations)) == count
    model = network(atoms, 5.5)
    for relaxed in (False, True):
        exact = model.stiffness(relaxed) / GPa
        np.testing.assert_allclose(symmetrise(exact, rotations), exact, atol=1e-9 * abs(exact).max())
        found = stiffness(model, atoms, 2e-4, relax_internal=relaxed, force_tolerance=1e-9)
        np.testing.assert_allclose(found, exact, atol=2e-6 * abs(exact).max())
        assert born_stability(found).stable
