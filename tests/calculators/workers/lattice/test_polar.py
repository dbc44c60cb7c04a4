from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from numpy.linalg import norm

from hashigo.calculators.workers.lattice.force_constants import ForceConstants, build_lattice
from hashigo.calculators.workers.lattice.harmonic import (
    band_frequencies,
    band_path,
    commensurate_qpoints,
    frequencies,
    longitudinal_frequency_gamma,
    phonons,
)
from hashigo.calculators.workers.lattice.polar import COULOMB, MARK, Polar, marks, polar_note, read_polar
from hashigo.calculators.workers.lattice.transport import build_anharmonic
from hashigo.errors import InputError
from hashigo.study.structures import standardise, structure_content

LATTICE_CONSTANT = 5.6
CHARGE, DIELECTRIC = 1.1, 2.5
SPRING = 3.0
#: Frequency of sqrt(1 eV/Å^2/amu), THz.
UNIT = 15.633302


@pytest.fixture
def salt():
    return bulk("NaCl", "rocksalt", LATTICE_CONSTANT, cubic=True)


def charges(atoms):
    signs = np.where(atoms.numbers == 11, CHARGE, -CHARGE)
    return Polar(atoms, signs[:, None, None] * np.eye(3), DIELECTRIC * np.eye(3), "point charges")


def springs(lattice):
    """Scalar springs between nearest neighbours: the three optical modes at Γ are equal without charges."""
    cell = lattice.supercell
    first = np.asarray(lattice.primitive.p2s_map)
    constants = np.zeros((len(first), len(cell), 3, 3))
    for row, atom in enumerate(first):
        steps = cell.scaled_positions - cell.scaled_positions[atom]
        near = np.abs(norm((steps - np.rint(steps)) @ cell.cell, axis=1) - LATTICE_CONSTANT / 2) < 1e-3
        constants[row, near] = -SPRING * np.eye(3)
        constants[row, atom] = SPRING * near.sum() * np.eye(3)
    return ForceConstants(constants)


def squares(lattice):
    """Known ν_TO² and ν_LO², THz²: 2·6k/μ… of the springs, and Z² e²/(ε0 ε∞ μ V) more."""
    masses = np.asarray(lattice.primitive.masses)
    reduced = masses[0] * masses[1] / masses.sum()
    transverse = UNIT**2 * 6 * SPRING / reduced
    volume = LATTICE_CONSTANT**3 / 4
    return transverse, transverse + UNIT**2 * 4 * np.pi * COULOMB * CHARGE**2 / (
        DIELECTRIC * reduced * volume
    )


def test_the_splitting_is_that_of_the_charges(salt):
    lattice = build_lattice(salt, [2, 2, 2], charges(salt))
    transverse, longitudinal = squares(lattice)
    constants = springs(lattice)
    gamma = frequencies(lattice, constants, np.zeros((1, 3)))[0]
    assert gamma[3:] ** 2 == pytest.approx([transverse] * 3, rel=1e-6)
    assert longitudinal_frequency_gamma(lattice, constants) ** 2 == pytest.approx(longitudinal, rel=1e-6)


def test_static_screening_follows_lyddane_sachs_and_teller(salt):
    # ε0 from the ions' displacement in a field: ε∞ + 4π (Z e)² / (μ V ω_TO²).
    lattice = build_lattice(salt, [2, 2, 2], charges(salt))
    masses = np.asarray(lattice.primitive.masses)
    reduced = masses[0] * masses[1] / masses.sum()
    constants = springs(lattice)
    transverse = frequencies(lattice, constants, np.zeros((1, 3)))[0, 3]
    stiffness = reduced * (transverse / UNIT) ** 2
    static = DIELECTRIC + 4 * np.pi * COULOMB * CHARGE**2 / (stiffness * LATTICE_CONSTANT**3 / 4)
    ratio = (longitudinal_frequency_gamma(lattice, constants) / transverse) ** 2
    assert ratio == pytest.approx(static / DIELECTRIC, rel=1e-6)


def test_bands_split_at_gamma_along_every_line(salt):
    lattice = build_lattice(salt, [2, 2, 2], charges(salt))
    path = band_path(lattice, 11)
    bands = band_frequencies(lattice, springs(lattice), path)
    transverse, longitudinal = squares(lattice)
    at_gamma = bands[norm(path.qpoints, axis=1) < 1e-9]
    assert len(at_gamma) >= 2
    for row in at_gamma:
        assert row[3:] ** 2 == pytest.approx([transverse, transverse, longitudinal], rel=1e-6)


def test_where_nothing_is_interpolated_nothing_changes(salt):
    plain, polar = build_lattice(salt, [2, 2, 2]), build_lattice(salt, [2, 2, 2], charges(salt))
    constants = springs(plain)
    qpoints = commensurate_qpoints(plain)
    known = frequencies(plain, constants, qpoints)
    assert frequencies(polar, constants, qpoints) == pytest.approx(known, abs=1e-4)
    between = np.array([[0.1, 0.0, 0.1]])
    assert np.abs(frequencies(polar, constants, between) - frequencies(plain, constants, between)).max() > 0.1


def test_a_crystal_without_charges_is_as_before(salt):
    lattice = build_lattice(salt, [2, 2, 2])
    constants = springs(lattice)
    path = band_path(lattice, 5)
    found = phonons(lattice, constants, path, 5, [300.0], -0.1)
    assert found.longitudinal is None
    assert np.array_equal(found.frequency, frequencies(lattice, constants, path.qpoints))


def test_thermal_properties_know_the_splitting(salt):
    capacity = []
    for polar in (None, charges(salt)):
        lattice = build_lattice(salt, [2, 2, 2], polar)
        found = phonons(lattice, springs(lattice), band_path(lattice, 5), 7, [150.0], -0.1)
        capacity.append(found.thermal.rows[2, 0])
    # Stiffer modes take up less; the commensurate ones, which most of the mesh hangs on, are the same.
    assert capacity[1] < capacity[0] - 1e-3


def test_the_phonons_of_transport_are_split_too(salt):
    lattice = build_lattice(salt, [2, 2, 2])
    constants = springs(lattice)
    third = np.zeros((2, 64, 64, 3, 3, 3))
    crystal = build_anharmonic(salt, [2, 2, 2], ForceConstants(constants.second, third), polar=charges(salt))
    crystal.mesh_numbers = [4, 4, 4]
    crystal.init_phph_interaction(nac_q_direction=[1, 0, 0])
    crystal.run_phonon_solver(np.array([crystal.grid.gp_Gamma]))
    found = crystal.get_phonon_data()[0][crystal.grid.gp_Gamma]
    _, longitudinal = squares(lattice)
    assert found.max() ** 2 == pytest.approx(longitudinal, rel=1e-6)


def test_force_constants_of_another_supercell(salt):
    small, large = build_lattice(salt, [1, 1, 1]), build_lattice(salt, [2, 2, 2])
    constants = ForceConstants(springs(large).second, np.zeros((2, 8, 8, 3, 3, 3)))
    crystal = build_anharmonic(salt, [1, 1, 1], constants, second_supercell=[2, 2, 2])
    assert len(crystal.supercell) == len(small.supercell)
    assert len(crystal.phonon_supercell) == 64


def wurtzite():
    """A hexagonal polar crystal, whose charges are not isotropic."""
    atoms = bulk("ZnO", "wurtzite", a=3.25, c=5.2, u=0.382)
    signs = np.where(atoms.numbers == 30, 1.0, -1.0)
    tensor = np.diag([2.1, 2.1, 2.3])
    return atoms, Polar(atoms, signs[:, None, None] * tensor, np.diag([3.7, 3.7, 3.9]))


def test_charges_follow_the_axes_and_the_order_of_the_atoms():
    atoms, polar = wurtzite()
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn = turn if np.linalg.det(turn) > 0 else -turn
    turned = Atoms(
        atoms.symbols, cell=atoms.cell.array @ turn.T, scaled_positions=atoms.get_scaled_positions(), pbc=True
    )
    given = Polar(turned, turn @ polar.charges @ turn.T, turn @ polar.dielectric @ turn.T)
    standard = standardise(turned)[[2, 0, 3, 1]]
    lattice = build_lattice(standard, [1, 1, 1], given)
    born = lattice.nac_params["born"]
    for symbol, tensor in zip(lattice.primitive.symbols, born, strict=True):
        sign = 1.0 if symbol == "Zn" else -1.0
        assert tensor == pytest.approx(sign * np.diag([2.1, 2.1, 2.3]), abs=1e-6)
    assert lattice.nac_params["dielectric"] == pytest.approx(np.diag([3.7, 3.7, 3.9]), abs=1e-6)


def test_charges_serve_a_relaxed_cell_and_no_other_crystal(salt):
    polar = charges(salt)
    relaxed = salt.copy()
    relaxed.set_cell(1.01 * salt.cell.array, scale_atoms=True)
    assert build_lattice(relaxed, [1, 1, 1], polar).nac_params["born"][0, 0, 0] == pytest.approx(CHARGE)
    with pytest.raises(InputError, match="belong to another crystal than"):
        build_lattice(bulk("KCl", "rocksalt", 6.3, cubic=True), [1, 1, 1], polar)


def test_charges_add_to_zero_and_have_the_symmetry(salt):
    polar = charges(salt)
    noisy = Polar(salt, polar.charges + np.random.default_rng(0).normal(0, 0.02, (8, 3, 3)), polar.dielectric)
    born = build_lattice(salt, [1, 1, 1], noisy).nac_params["born"]
    assert np.abs(born.sum(axis=0)).max() < 1e-12
    assert born[0] == pytest.approx(born[0, 0, 0] * np.eye(3), abs=1e-9)


def test_header_is_read(salt):
    polar = charges(salt)
    header = {
        "structure": structure_content(salt),
        "polar": {
            "born_charges": polar.charges.tolist(),
            "dielectric": polar.dielectric.tolist(),
            "origin": "x",
        },
    }
    found = read_polar(header)
    assert np.array_equal(found.charges, polar.charges)
    assert found.origin == "x"
    assert read_polar({"structure": header["structure"]}) is None
    for key, value in (("born_charges", [[[1.0]]]), ("dielectric", (-np.eye(3)).tolist())):
        with pytest.raises(InputError, match="reference frames"):
            read_polar({**header, "polar": {**header["polar"], key: value}})
    with pytest.raises(InputError, match="cannot be read"):
        read_polar({"polar": header["polar"]})


def test_what_is_missing_is_said(salt):
    assert marks(None, ["Na", "Cl"]) == (MARK,)
    assert marks(None, ["Si", "Si"]) == marks(charges(salt), ["Na", "Cl"]) == ()
    assert polar_note(None, ["Na", "Cl"])["missing"]
    assert not polar_note(None, ["Si"])["missing"]
    assert polar_note(charges(salt), ["Na", "Cl"])["applied"]
