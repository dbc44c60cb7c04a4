"""Thermal displacements against an Einstein crystal, phonopy's own sum and the limit of fine meshes."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from phonopy.physical_units import get_physical_units
from scipy.constants import R, angstrom, atomic_mass, h, hbar, k, physical_constants

from hashigo.calculators.workers.lattice.displacements import (
    by_conventional_atom,
    displacements,
    mean_squares,
    meshes_of,
    symmetrised,
)
from hashigo.calculators.workers.lattice.force_constants import (
    Fit,
    ForceConstants,
    build_lattice,
    random_dataset,
)
from hashigo.calculators.workers.lattice.harmonic import mesh_properties

UNIT = 15.633302


@pytest.fixture(scope="module")
def einstein():
    """Every atom on springs of its own, stiffer along z."""
    atoms = Atoms("NaCl", cell=[3.0, 3.0, 4.0], scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], pbc=True)
    lattice = build_lattice(atoms, [1, 1, 1])
    springs = np.zeros((2, 2, 3, 3))
    for atom, spring in enumerate(((1.0, 1.0, 1.5), (3.0, 3.0, 5.0))):
        springs[atom, atom] = np.diag(spring)
    return lattice, ForceConstants(springs)


@pytest.fixture(scope="module")
def silicon(tersoff, diamond):
    lattice = build_lattice(diamond, [2, 2, 2])
    return lattice, Fit(lattice, 2).solve(random_dataset(tersoff, lattice, 4, 0.03, seed=0, paired=True))


def test_an_einstein_crystal(einstein):
    lattice, constants = einstein
    temperatures = [0.0, 77.0, 300.0]
    # With one wave vector phonopy takes the three softest modes for translations; a mesh without Γ alone is exact.
    tensors, left = mean_squares(lattice, constants, 12, temperatures, 0.0)
    masses = np.array(lattice.primitive.masses)
    stiffness = np.array([(1.0, 1.0, 1.5), (3.0, 3.0, 5.0)])
    angular = 2 * np.pi * 1e12 * UNIT * np.sqrt(stiffness / masses[:, None])
    assert left == 0
    for row, temperature in enumerate(temperatures):
        coth = 1 / np.tanh(hbar * angular / (2 * k * temperature)) if temperature else 1.0
        exact = hbar / (2 * masses[:, None] * atomic_mass * angular) * coth / angstrom**2
        share = np.ones((2, 3))
        # Of 12³ wave vectors Γ lacks its three softest modes.
        soft = np.argsort(angular.ravel())[:3]
        share.ravel()[soft] -= 1 / 12**3
        assert np.diagonal(tensors[row], axis1=1, axis2=2) == pytest.approx(exact * share, rel=1e-6)
        assert np.abs(tensors[row][:, ~np.eye(3, dtype=bool)]).max() < 1e-12


def test_heat_capacity_of_the_einstein_crystal_in_joule_and_mole(einstein):
    lattice, constants = einstein
    _, thermal = mesh_properties(lattice, constants, 12, [150.0])
    masses = np.repeat(lattice.primitive.masses, 3)
    frequency = 1e12 * UNIT * np.sqrt(np.array([1.0, 1.0, 1.5, 3.0, 3.0, 5.0]) / masses)
    x = h * frequency / (k * 150.0)
    capacity = R * x**2 * np.exp(x) / (np.exp(x) - 1) ** 2
    energy = 1e-3 * R / k * (h * frequency / 2 + k * 150.0 * np.log(1 - np.exp(-x)))
    kept = np.ones(6)
    kept[np.argsort(frequency)[:3]] -= 1 / 12**3
    assert thermal.rows[2, 0] == pytest.approx((kept * capacity).sum(), rel=1e-5)
    assert thermal.rows[0, 0] == pytest.approx((kept * energy).sum(), rel=1e-5)


def test_the_sum_is_phonopys(silicon):
    lattice, constants = silicon
    tensors, _ = mean_squares(lattice, constants, 5, [0.0, 300.0], 0.01)
    lattice.run_mesh([5] * 3, is_gamma_center=True, with_eigenvectors=True, is_mesh_symmetry=False)
    theirs = lattice.run_thermal_displacement_matrices(temperatures=[0.0, 300.0], exclude_gamma_acoustic=True)
    assert tensors == pytest.approx(theirs.thermal_displacement_matrices, rel=1e-6, abs=1e-12)


def test_the_sum_is_phonopys_where_symmetry_is_low(tersoff):
    """Wurtzite's sites have axes of their own; its orthorhombic strain leaves them fewer."""
    cell = np.array([[3.84, 0, 0], [-1.92, 3.4, 0], [0, 0, 6.3]])
    places = [[1 / 3, 2 / 3, 0.06], [2 / 3, 1 / 3, 0.56], [1 / 3, 2 / 3, 0.44], [2 / 3, 1 / 3, 0.94]]
    lattice = build_lattice(Atoms("Si4", cell=cell, scaled_positions=places, pbc=True), [2, 2, 1])
    constants = Fit(lattice, 2).solve(random_dataset(tersoff, lattice, 12, 0.03, seed=0, paired=True))
    tensors, left = mean_squares(lattice, constants, 3, [300.0], 0.01)
    lattice.run_mesh([3] * 3, is_gamma_center=True, with_eigenvectors=True, is_mesh_symmetry=False)
    theirs = lattice.run_thermal_displacement_matrices(
        temperatures=[300.0], freq_min=0.01, exclude_gamma_acoustic=True
    )
    expected = theirs.thermal_displacement_matrices
    assert tensors == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert np.ptp(np.linalg.eigvalsh(tensors[0, 0])) > 1e-4
    assert 0 <= left < 1


def test_coarse_meshes_know_the_limit_and_how_far_they_are_off(silicon):
    limits = {mesh: displacements(*silicon, mesh, [0.0, 300.0], 0.01) for mesh in (11, 41)}
    coarse, fine = limits[11], limits[41]
    apart = np.abs(coarse.tensors - fine.tensors)[:, 0, 0, 0]
    assert np.all(apart < coarse.mesh_error[:, 0, 0, 0])
    assert coarse.mesh_error[1, 0, 0, 0] < 0.01 * fine.tensors[1, 0, 0, 0]
    plain, _ = mean_squares(*silicon, 11, [300.0], 0.01)
    assert abs(plain[0, 0, 0, 0] / fine.tensors[1, 0, 0, 0] - 1) > 0.05


def test_modes_up_to_the_cutoff_are_left_out_and_counted(silicon):
    tensors, left = mean_squares(*silicon, 5, [300.0], 1e3)
    assert left == pytest.approx(1.0)
    assert not tensors.any()


def test_one_mesh_alone_tells_no_error(silicon):
    assert meshes_of(15) == [15, 11, 7]
    assert meshes_of(1) == [1]
    assert displacements(*silicon, 1, [300.0], 0.01).mesh_error is None


def test_atoms_of_the_conventional_cell_know_theirs_of_the_primitive(silicon, diamond):
    images = by_conventional_atom(silicon[0])
    primitive = silicon[0].primitive
    steps = (diamond.positions - primitive.positions[images]) @ np.linalg.inv(primitive.cell)
    assert np.abs(steps - np.rint(steps)).max() < 1e-6


def test_phonopys_units_are_codatas():
    # Its constants are of an earlier adjustment: 1.2e-7 apart.
    units = get_physical_units()
    force_constant = physical_constants["electron volt"][0] / angstrom**2
    assert units.DefaultToTHz == pytest.approx(
        1e-12 * np.sqrt(force_constant / atomic_mass) / (2 * np.pi), rel=1e-6
    )
    assert pytest.approx(1e12 * h / physical_constants["electron volt"][0], rel=1e-6) == units.THzToEv
    assert units.EvTokJmol == pytest.approx(1e-3 * R / k * physical_constants["electron volt"][0], rel=1e-6)


def test_tensors_have_the_symmetry_of_their_sites(silicon):
    """A cubic site's tensor is isotropic, whatever went into the average."""
    lattice = silicon[0]
    skew = np.random.default_rng(0).normal(size=(1, 2, 3, 3))
    skew = skew + skew.swapaxes(-1, -2)
    found = symmetrised(lattice, skew)
    mean = np.trace(skew, axis1=-2, axis2=-1).mean() / 3
    assert found[0] == pytest.approx(np.tile(mean * np.eye(3), (2, 1, 1)), abs=1e-9)
