import numpy as np
import pytest
from phonopy.qha.core import QHA
from phonopy.qha.eos import get_eos

from hashigo.calculators.workers import expansion
from hashigo.calculators.workers.lattice.quasiharmonic import (
    GPA,
    Grid,
    Surface,
    degrees,
    equilibrium,
    fewest,
    groups,
    monomials,
)
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells
from hashigo.calculators.workers.potential import Committee
from hashigo.errors import InputError

KB = 8.617333262e-5
TEMPERATURES = np.array([1.0, 50.0, 300.0, 900.0])


def einstein(log_frequency, temperatures):
    """Helmholtz energy, entropy and heat capacity of three oscillators by point and temperature, eV and eV/K."""
    quantum = np.exp(log_frequency)[:, None]
    x = quantum / (KB * temperatures)
    occupation = 1 / np.expm1(x)
    log = np.log(-np.expm1(-x))
    return (
        3 * (quantum / 2 + KB * temperatures * log),
        3 * KB * (x * occupation - log),
        3 * KB * x**2 * occupation * (occupation + 1),
    )


def cubic_grid(points, curvature, gamma):
    lattice = 4.0 * np.exp(points / 3)[:, None, None] * np.eye(3)
    static = curvature / 2 * points**2
    return Grid(
        points[:, None], lattice, static, TEMPERATURES, *einstein(np.log(0.03) - gamma * points, TEMPERATURES)
    )


def test_monomials_of_two_parameters():
    assert monomials(2, 2).tolist() == [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]]


def test_derivatives_of_a_polynomial_are_exact():
    x, y = np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    values = (points[:, 0] ** 3 * points[:, 1] + points[:, 1] ** 2)[:, None]
    surface = Surface.fit(points, values, 4)
    point = np.array([0.3, -0.7])
    found = [surface(point, *orders)[0] for orders in ((), (0,), (1,), (0, 1), (1, 1), (0, 0, 0))]
    assert found == pytest.approx([0.3**3 * -0.7 + 0.49, 3 * 0.09 * -0.7, 0.027 - 1.4, 0.27, 2, -4.2])


@pytest.mark.parametrize("pressure", [0.0, 3.0])
def test_a_grueneisen_crystal_expands_as_grueneisen_says(pressure):
    """Einstein frequencies ω ∝ V^-γ: α_V = γ C_V / (B_T V), whatever the pressure, and C_p - C_V = T V α_V² B_T."""
    gamma, curvature = 1.7, 60.0
    found = equilibrium(cubic_grid(np.linspace(-0.08, 0.06, 15), curvature, gamma), pressure)
    assert found.inside.all()
    volumetric = np.trace(found.expansion, axis1=1, axis2=2)
    expected = gamma * found.heat_capacity_volume / (found.bulk_modulus * GPA * found.volume)
    assert volumetric == pytest.approx(expected, rel=1e-3, abs=1e-12)
    difference = TEMPERATURES * found.volume * volumetric**2 * found.bulk_modulus * GPA
    assert found.heat_capacity_pressure - found.heat_capacity_volume == pytest.approx(difference, rel=1e-6)
    assert found.expansion[-1] == pytest.approx(np.eye(3) * volumetric[-1] / 3, abs=1e-12)
    # The minimum itself: E' + F' + p V = 0, with F' = -γ U of the oscillators.
    s = np.log(found.volume / 64)
    quantum = 0.03 * np.exp(-gamma * s)
    energy = 3 * quantum * (0.5 + 1 / np.expm1(quantum / (KB * TEMPERATURES)))
    assert curvature * s == pytest.approx(gamma * energy - pressure * GPA * found.volume, abs=2e-5)
    assert found.expansion[0] == pytest.approx(np.zeros((3, 3)), abs=1e-9)


def test_a_uniaxial_crystal_expands_by_its_compliance_and_two_parameters():
    """E = ½ s·K·s, ln ω = ln ω₀ - γ·s: ds/dT = (K + ∂²F)⁻¹ γ C_V, up to the small ∂²F of the oscillators."""
    stiffness, gamma = np.array([[80.0, 20.0], [20.0, 50.0]]), np.array([1.0, 2.5])
    grid = np.linspace(-0.02, 0.04, 7)
    points = np.stack([axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij")], axis=1)
    edges = np.exp(points[:, [0, 0, 1]]) * [3.0, 3.0, 5.0]
    lattice = edges[:, :, None] * np.eye(3)
    static = np.einsum("ni,ij,nj->n", points, stiffness, points) / 2
    functions = einstein(np.log(0.03) - points @ gamma, TEMPERATURES)
    found = equilibrium(Grid(points, lattice, static, TEMPERATURES, *functions))
    for index, temperature in enumerate(TEMPERATURES):
        s = np.log(found.lattice[index].diagonal()[[0, 2]] / [3.0, 5.0])
        quantum = 0.03 * np.exp(-s @ gamma)
        occupation = 1 / np.expm1(quantum / (KB * temperature))
        energy = 3 * quantum * (occupation + 0.5)
        # ∂F/∂s_i = -γ_i U and ∂U/∂s_j = γ_j (T C_V - U).
        capacity = found.heat_capacity_volume[index]
        hessian = stiffness + np.outer(gamma, gamma) * (energy - temperature * capacity)
        assert s == pytest.approx(np.linalg.solve(stiffness, gamma * energy), abs=2e-6)
        rate = np.linalg.solve(hessian, gamma * capacity)
        assert found.expansion[index].diagonal() == pytest.approx(rate[[0, 0, 1]], rel=2e-3, abs=1e-10)
        assert found.heat_capacity_pressure[index] - capacity == pytest.approx(
            temperature * rate @ hessian @ rate, rel=5e-3, abs=1e-12
        )


def test_a_cell_outside_the_grid_is_none():
    found = equilibrium(cubic_grid(np.linspace(-0.04, 0.01, 9), 10.0, 2.0))
    assert found.inside.tolist() == [True, True, False, False] or not found.inside[-1]
    assert np.isnan(found.bulk_modulus[-1])


def test_an_unstable_crystal_has_no_expansion(springs, cubic):
    settings = expansion.check_settings({"volumes": 5, "supercell": [2, 2, 2], "mesh": 4})
    with pytest.raises(InputError, match="imaginary modes"):
        expansion.compute(Committee(springs(-1.0), ()), RelaxedCells(cubic), settings)


@pytest.mark.parametrize("n_parameters", [1, 2])
def test_fits_have_fewer_coefficients_than_cells(n_parameters):
    for count in (fewest(n_parameters), fewest(n_parameters) + 6):
        higher, lower = (degrees(count, n_parameters, lower=lower) for lower in (False, True))
        assert higher[0] - 1 == lower[0] >= 2
        assert len(monomials(n_parameters, max(higher))) < count


def test_cells_are_left_out_alone_or_along_diagonals():
    assert groups(np.array([[0.0], [0.1], [0.3]])) == [[0], [1], [2]]
    points = np.array([(a, c) for a in (0.0, 0.1, 0.2) for c in (0.5, 0.6, 0.8)])
    assert groups(points) == [[0, 5, 7], [1, 3, 8], [2, 4, 6]]


@pytest.mark.parametrize("pressure", [0.0, 5.0])
def test_phonopys_own_quasi_harmonic_crystal_is_the_same(pressure):
    """Vinet's equation of state and oscillators: phonopy differs by its differences in temperature only."""
    points, temperatures = np.linspace(-0.08, 0.05, 11), np.arange(0.0, 341.0, 5.0)
    volumes = 64 * np.exp(points)
    static = get_eos("vinet")(volumes, [-10.0, 100 * GPA, 4.2, 64.0])
    functions = einstein(np.log(0.03) - 1.7 * points, np.maximum(temperatures, 1.0))
    lattice = 4.0 * np.exp(points / 3)[:, None, None] * np.eye(3)
    found = equilibrium(Grid(points[:, None], lattice, static, temperatures, *functions), pressure)
    helmholtz, entropy, capacity = (96.4853321 * one.T for one in functions)
    other = QHA(
        volumes=volumes, electronic_energies=static, temperatures=temperatures, fe_phonon=helmholtz,
        cv=1000 * capacity, entropy=1000 * entropy, pressure=pressure, t_max=335,
    )  # fmt: skip
    other.run()
    at = int(np.argmin(np.abs(temperatures - 300)))
    assert found.volume[at] == pytest.approx(other.volume_temperature[at], rel=1e-5)
    assert np.trace(found.expansion[at]) == pytest.approx(other.thermal_expansion[at], rel=2e-3)
    assert found.bulk_modulus[at] == pytest.approx(other.bulk_modulus_temperature[at], rel=2e-3)
    assert found.gibbs[at] == pytest.approx(other.gibbs_temperature[at], abs=1e-5)
    assert 96485.33 * found.heat_capacity_pressure[at] == pytest.approx(
        other.heat_capacity_P_numerical[at], rel=1e-3
    )
