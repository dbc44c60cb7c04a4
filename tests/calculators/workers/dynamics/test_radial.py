from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hashigo.calculators.workers.dynamics.radial import BIN, inscribed_radius, radial_distribution


def test_shells_of_a_crystal_hold_their_atoms() -> None:
    crystal = bulk("NaCl", "rocksalt", 5.64, cubic=True).repeat(3)
    found = radial_distribution(
        crystal.positions[None], crystal.cell.array[None], crystal.get_chemical_symbols()
    )
    assert set(found.pairs) == {"Cl-Cl", "Cl-Na", "Na-Na"}
    assert found.distance[-1] < 3 * 5.64 / 2
    count = len(crystal) // 2
    shells = 4 / 3 * np.pi * ((found.distance + BIN / 2) ** 3 - (found.distance - BIN / 2) ** 3)
    within = found.distance < 3.4
    unlike = (found.pairs["Cl-Na"] * shells)[within].sum() * count / crystal.get_volume()
    assert unlike == pytest.approx(6)
    alike = (found.pairs["Na-Na"] * shells)[found.distance < 4.5].sum() * (count - 1) / crystal.get_volume()
    assert alike == pytest.approx(12)


def test_an_ideal_gas_has_no_shells_also_in_a_skew_cell() -> None:
    generator = np.random.default_rng(0)
    cell = np.array([[12.0, 0, 0], [5.0, 11.0, 0], [-3.0, 4.0, 10.0]])
    positions = generator.uniform(size=(200, 60, 3)) @ cell
    found = radial_distribution(positions, np.repeat(cell[None], 200, axis=0), ["Ar"] * 60)
    far = found.distance > 1.5
    assert found.pairs["Ar-Ar"][far].mean() == pytest.approx(1.0, abs=0.01)
    assert found.pairs["Ar-Ar"][far].std() < 0.08


def test_the_inscribed_radius_of_a_hexagonal_cell() -> None:
    atoms = Atoms("He", cell=[4, 4, 20, 90, 90, 120], pbc=True)
    assert inscribed_radius(atoms.cell.array) == pytest.approx(4 * np.sqrt(3) / 4)
