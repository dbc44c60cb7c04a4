from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.constants import hbar, k
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.lattice.elastic import stress_rotation
from hashigo.calculators.workers.lattice.moduli import hill_moduli
from hashigo.calculators.workers.lattice.waves import (
    KEPT,
    debye_temperature,
    mass_density,
    polycrystal_sound,
    sound_velocities,
)

SILICON = bulk("Si", "diamond", 5.431, cubic=True)


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    matrix = np.diag([c11 - c12] * 3 + [c44] * 3)
    matrix[:3, :3] += c12
    return matrix


def test_waves_of_a_cubic_crystal_along_its_axes_have_their_closed_forms() -> None:
    c11, c12, c44 = 165.6, 63.9, 79.5
    directions = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1]]) / np.sqrt([[1], [2], [3]])
    found = sound_velocities(cubic(c11, c12, c44), 2329.0, directions) ** 2 * 2329.0 / 1e9
    expected = [
        [c44, c44, c11],
        [(c11 - c12) / 2, c44, (c11 + c12) / 2 + c44],
        [(c11 - c12 + c44) / 3] * 2 + [(c11 + 2 * c12 + 4 * c44) / 3],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_all_directions_of_an_isotropic_solid_are_those_of_its_polycrystal() -> None:
    stiffness, density = cubic(120.0, 60.0, 30.0), 3000.0
    sound = polycrystal_sound(hill_moduli(stiffness), density)
    assert sound.longitudinal == pytest.approx(np.sqrt(120e9 / density))
    assert sound.transverse == pytest.approx(np.sqrt(30e9 / density))
    velocities = sound_velocities(stiffness, density, KEPT.vectors)
    np.testing.assert_allclose(velocities[:, 2], sound.longitudinal)
    np.testing.assert_allclose(velocities[:, :2], sound.transverse)


def test_the_debye_temperature_of_an_isotropic_solid_has_its_closed_form() -> None:
    stiffness = cubic(120.0, 60.0, 30.0)
    density = 8 * 28.0855 * 1.66053907e-27 / 5.431e-10**3
    assert mass_density(SILICON) == pytest.approx(density, rel=1e-4)
    longitudinal, transverse = np.sqrt(120e9 / density), np.sqrt(30e9 / density)
    mean = ((1 / longitudinal**3 + 2 / transverse**3) / 3) ** (-1 / 3)
    expected = hbar / k * mean * (6 * np.pi**2 * 8 / 5.431e-10**3) ** (1 / 3)
    assert debye_temperature(stiffness, SILICON) == pytest.approx(expected, rel=1e-4)


def test_the_debye_temperature_depends_neither_on_axes_nor_on_the_cell_chosen() -> None:
    stiffness = cubic(165.6, 63.9, 79.5)
    known = debye_temperature(stiffness, SILICON)
    bond = stress_rotation(Rotation.from_euler("zxz", [0.3, 0.5, -0.2]).as_matrix())
    assert debye_temperature(bond @ stiffness @ bond.T, SILICON) == pytest.approx(known, rel=1e-9)
    assert debye_temperature(stiffness, bulk("Si", "diamond", 5.431)) == pytest.approx(known, rel=1e-12)
    # 645 K is what calorimetry gives at lowest temperatures: Kittel, Introduction to Solid State Physics, chapter 5.
    assert known == pytest.approx(645, rel=0.01)


def test_the_debye_temperature_is_that_of_the_lowest_phonons() -> None:
    """Waves of a cubic lattice of scalar springs all run at a sqrt(k/m), so that C11 = C44 = k/a and C12 = -C44."""
    spacing, spring = 3.0, 2.0
    atoms = Atoms("Al", cell=[spacing] * 3, pbc=True)
    modulus = spring / spacing * 160.2176634
    expected = (
        hbar / k * np.sqrt(spring * 16.02176634 / (26.9815385 * 1.66053907e-27)) * (6 * np.pi**2) ** (1 / 3)
    )
    found = debye_temperature(cubic(modulus, -modulus, modulus), atoms)
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_crystal_that_yields_has_no_velocity_there_and_no_debye_temperature() -> None:
    soft = cubic(100.0, 110.0, 30.0)
    velocities = sound_velocities(soft, 3000.0, np.array([[1.0, 0, 0], [0.5**0.5, 0.5**0.5, 0]]))
    assert np.isfinite(velocities[0]).all()
    assert np.isnan(velocities[1, 0])
    assert np.isnan(debye_temperature(soft, SILICON))
