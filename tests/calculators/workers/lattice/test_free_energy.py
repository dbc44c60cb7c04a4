import numpy as np
import pytest
from scipy.constants import Avogadro, Boltzmann, e, h

from hashigo.calculators.workers.lattice.free_energy import KJ_PER_MOL, vibrations
from hashigo.calculators.workers.lattice.quasiharmonic import GPA


def oscillator(frequency, temperature):
    """Helmholtz energy, entropy and heat capacity of one oscillator of a frequency in THz; eV and eV/K."""
    quantum, thermal = h * frequency * 1e12 / e, Boltzmann * temperature / e
    x = quantum / thermal
    occupation = 1 / np.expm1(x)
    helmholtz = quantum / 2 + thermal * np.log(-np.expm1(-x))
    entropy = Boltzmann / e * (x * occupation - np.log(-np.expm1(-x)))
    return helmholtz, entropy, Boltzmann / e * x**2 * occupation * (occupation + 1)


def test_units_are_those_of_codata():
    assert pytest.approx(1000 / (Avogadro * e), rel=1e-12) == KJ_PER_MOL
    assert pytest.approx(1e9 * 1e-30 / e, rel=1e-12) == GPA


def test_thermal_functions_of_springs_are_sums_over_oscillators(springs, cubic):
    model = springs(2.0)
    temperatures = [0.0, 50.0, 300.0, 900.0]
    found = vibrations(model, cubic, (3, 3, 3), 0.01, [5, 7], temperatures)
    for row, mesh in enumerate((5, 7)):
        axis = np.arange(mesh) / mesh
        qpoints = np.array(np.meshgrid(axis, axis, axis)).reshape(3, -1).T[1:]
        frequency = model.frequency(qpoints)
        for column, temperature in enumerate(temperatures[1:], start=1):
            expected = 3 * np.sum([oscillator(f, temperature) for f in frequency], axis=0) / mesh**3
            numbers = [found.helmholtz, found.entropy, found.heat_capacity]
            assert [n[row, column] for n in numbers] == pytest.approx(expected, rel=1e-5)
        zero_point = 3 * np.sum(h * frequency * 1e12 / e) / 2 / mesh**3
        assert found.helmholtz[row, 0] == pytest.approx(zero_point, rel=1e-5)
    assert found.minimum == pytest.approx(0, abs=1e-3)


def test_functions_are_those_of_the_conventional_cell(tersoff, diamond):
    hot = vibrations(tersoff, diamond, (1, 1, 1), 0.02, [5], [30000.0])
    # Dulong and Petit: k a degree of freedom, without the three acoustic modes at Γ of 5^3 primitive cells.
    modes = 3 * 8 * (1 - 3 / (6 * 5**3))
    assert hot.heat_capacity[0, 0] == pytest.approx(modes * Boltzmann / e, rel=1e-3)
