"""Self-consistent force constants of atoms in separate wells, where self-consistency is one equation."""

import numpy as np
import pytest
from ase import Atoms
from scipy.constants import Boltzmann, atomic_mass, e, hbar
from scipy.optimize import brentq

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import sscha
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells
from hashigo.calculators.workers.lattice.renormalised import read_renormalised
from hashigo.calculators.workers.potential import Committee, Evaluation
from hashigo.errors import InputError

SPACING = 3.0
MASS = 26.9815385 * atomic_mass


class Wells:
    """Each coordinate of each atom in ½ k x² + λ x⁴, eV and Å."""

    elements = ("Al",)

    def __init__(self, k, quartic):
        self.k, self.quartic = k, quartic

    def evaluate(self, structures):
        found = []
        for atoms in structures:
            x = atoms.positions - SPACING * np.rint(atoms.positions / SPACING)
            energy = float((self.k / 2 * x**2 + self.quartic * x**4).sum())
            found.append(Evaluation(energy, -(self.k * x + 4 * self.quartic * x**3), np.zeros(6)))
        return found


def self_consistent(k, quartic, temperature):
    """ω² = (k + 12 λ <x²>) / m in THz; seven of the eight modes of a coordinate move the atoms of 8 cells."""

    def excess(omega):
        square = 7 / 8 * hbar / (2 * MASS * omega) / np.tanh(hbar * omega / (2 * Boltzmann * temperature))
        return MASS * omega**2 - k * e * 1e20 - 12 * quartic * e * 1e40 * square

    return brentq(excess, 1e11, 1e15) / (2e12 * np.pi)


@pytest.fixture(scope="module")
def crystal():
    return RelaxedCells(Atoms("Al", cell=[SPACING] * 3, pbc=True))


SMALL = {"supercell": [2, 2, 2], "snapshots": 60, "iterations": 12, "transient": 4, "mesh": 4}


def renormalised(model, crystal, temperatures, **more):
    settings = sscha.check_settings({**SMALL, "temperatures": temperatures, **more})
    return sscha.compute(Committee(model, ()), crystal, settings)


@pytest.mark.filterwarnings("ignore")
def test_a_harmonic_crystal_keeps_its_force_constants(crystal):
    (found,) = renormalised(Wells(2.0, 0.0), crystal, [300.0])
    assert found.frequency[1:] == pytest.approx(np.full((7, 3), self_consistent(2.0, 0.0, 300.0)), rel=1e-5)
    assert np.abs(found.error).max() < 1e-6
    assert found.converged(0.01)


@pytest.mark.filterwarnings("ignore")
def test_a_quartic_well_stiffens_as_self_consistency_says(crystal):
    for found in renormalised(Wells(2.0, 10.0), crystal, [50.0, 600.0]):
        expected = self_consistent(2.0, 10.0, found.temperature)
        # The three directions, and the eight wave vectors of separate wells, are equal.
        assert found.frequency[1:].mean() == pytest.approx(expected, rel=0.006)
        assert np.abs(found.frequency[1:] / expected - 1).max() < 0.03


@pytest.mark.filterwarnings("ignore")
def test_a_double_well_is_stable_where_it_is_hot(crystal, tmp_path):
    model = Wells(-0.4, 8.0)
    settings = sscha.check_settings({**SMALL, "temperatures": [600.0]})
    found = sscha.compute(Committee(model, (model, model)), crystal, settings)
    assert found[0].frequency[1:].mean() == pytest.approx(self_consistent(-0.4, 8.0, 600.0), rel=0.02)
    sscha.write(tmp_path / "r.h5", found, Committee(model, (model, model)), crystal, settings)
    with ResultReader(tmp_path / "r.h5") as reader:
        assert reader.note("gate")["passed"]
        assert reader.array("600K/force_constants").shape == (1, 8, 3, 3)
        free = reader.quantity("sscha_free_energy")
    kept = read_renormalised(tmp_path / "r.h5", 600.0, [2, 2, 2])
    assert kept == pytest.approx(found[0].constants.second)
    for temperature, supercell, sentence in (
        (300.0, [2, 2, 2], "no renormalised force constants at 300 K"),
        (600.0, [3, 3, 3], "those of a supercell"),
    ):
        with pytest.raises(InputError, match=sentence):
            read_renormalised(tmp_path / "r.h5", temperature, supercell)
    with ResultReader(tmp_path / "r.h5") as reader:
        free = reader.quantity("sscha_free_energy")
        assert free.components["sampling"][0] > 0
    # Equal members have the mean's own frequencies.
    assert found[0].members[0] == pytest.approx(found[0].again)


def test_too_few_iterations_are_one_sentence():
    with pytest.raises(InputError, match="fewer than 4 are left"):
        sscha.check_settings({"iterations": 7, "transient": 4})
