from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hashigo.calculators.workers.lattice.crystal import point_group
from hashigo.calculators.workers.lattice.elastic import stiffness_basis, strain_tensor, stress_rotation
from hashigo.calculators.workers.lattice.strain_directions import (
    energy_directions,
    fit_curvature,
    fit_slope,
    invariant_stresses,
    strain_voigt,
)


def test_energies_of_a_few_strains_tell_all_derivatives_in_every_crystal_system(
    any_crystal: tuple[Atoms, int],
) -> None:
    atoms, count = any_crystal
    rotations = point_group(atoms)
    basis, invariants = stiffness_basis(rotations), invariant_stresses(rotations)
    directions = energy_directions(basis, rotations)
    assert len(directions) == count
    rng = np.random.default_rng(0)
    stiffness = np.tensordot(rng.normal(size=count), basis, axes=1)
    tension = rng.normal(size=len(invariants)) @ invariants
    curvatures = np.array([[d.voigt @ stiffness @ d.voigt] for d in directions])
    np.testing.assert_allclose(fit_curvature(basis, directions, curvatures)[0], stiffness, atol=1e-9)
    odd = [d for d in directions if not d.even]
    slopes = np.array([[d.voigt @ tension] for d in odd])
    np.testing.assert_allclose(fit_slope(invariants, odd, slopes)[0], tension, atol=1e-9)
    # what an even direction leaves out is nothing
    for direction in directions:
        assert np.linalg.norm(strain_tensor(direction.voigt)) == pytest.approx(1)
        if direction.even:
            assert direction.voigt @ tension == pytest.approx(0, abs=1e-9)


def test_invariant_tensors_are_kept_by_every_rotation(any_crystal: tuple[Atoms, int]) -> None:
    rotations = point_group(any_crystal[0])
    for invariant in invariant_stresses(rotations):
        for rotation in rotations:
            np.testing.assert_allclose(stress_rotation(rotation) @ invariant, invariant, atol=1e-9)


def test_a_cubic_crystal_needs_five_strained_cells() -> None:
    rotations = point_group(bulk("Si", "diamond", 5.43))
    directions = energy_directions(stiffness_basis(rotations), rotations)
    assert sum(len(direction.signs) for direction in directions) == 5
    np.testing.assert_allclose(np.abs(invariant_stresses(rotations)), [[3**-0.5] * 3 + [0] * 3], atol=1e-9)


def test_voigt_and_tensor_are_inverse() -> None:
    voigt = np.random.default_rng(1).normal(size=6)
    np.testing.assert_allclose(strain_voigt(strain_tensor(voigt)), voigt)
