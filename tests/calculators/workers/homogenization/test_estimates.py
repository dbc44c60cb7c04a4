from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.estimates import conductive_estimates, elastic_estimates
from hashigo.calculators.workers.homogenization.tensors import (
    isotropic_moduli,
    isotropic_moduli_of_compliance,
    rotate_stiffness,
    voigt_to_mandel,
)

ONE = np.ones(1)


def cubic(c11, c12, c44):
    stiffness = np.diag([c11 - c12] * 3 + [c44] * 3).astype(float)
    stiffness[:3, :3] += c12
    return stiffness


def trigonal(c11, c12, c13, c14, c33, c44):
    stiffness = np.zeros((6, 6))
    stiffness[0, 1], stiffness[0, 2], stiffness[1, 2] = c12, c13, c13
    stiffness[0, 3], stiffness[1, 3], stiffness[4, 5] = c14, -c14, c14
    return stiffness + stiffness.T + np.diag([c11, c11, c33, c44, c44, (c11 - c12) / 2])


def isotropic(bulk, shear):
    return cubic(bulk + 4 * shear / 3, bulk - 2 * shear / 3, shear)


COPPER = (168.4, 121.4, 75.4)
#: Simmons & Wang, Single Crystal Elastic Constants (1971), GPa.
ZINC = trigonal(163.68, 36.4, 53.0, 0.0, 63.47, 38.79)
#: Of α-quartz; Bass in AGU Reference Shelf 2 (1995), GPa.
QUARTZ = trigonal(86.6, 6.7, 12.6, -17.8, 106.1, 57.8)
#: Triclinic: albite; Brown, Angel & Ross (2016), GPa.
ALBITE = np.array(
    [
        [68.3, 32.2, 30.4, 4.9, -2.3, -0.9],
        [32.2, 184.3, 5.0, -4.4, -7.7, -6.4],
        [30.4, 5.0, 180.0, -9.2, 7.5, -9.4],
        [4.9, -4.4, -9.2, 25.0, -2.4, -7.2],
        [-2.3, -7.7, 7.5, -2.4, 26.9, 0.6],
        [-0.9, -6.4, -9.4, -7.2, 0.6, 33.6],
    ]
)


def of_one(stiffness):
    return elastic_estimates(voigt_to_mandel(stiffness)[None], ONE)


def closed_form_of_cubic(c11, c12, c44):
    """Hashin & Shtrikman (1962): bounds of the shear modulus, in order."""
    bulk, first, second = (c11 + 2 * c12) / 3, (c11 - c12) / 2, c44

    def beta(shear):
        return -3 * (bulk + 2 * shear) / (5 * shear * (3 * bulk + 4 * shear))

    ends = (
        first + 3 / (5 / (second - first) - 4 * beta(first)),
        second + 2 / (5 / (first - second) - 6 * beta(second)),
    )
    return min(ends), max(ends)


def hershey(c11, c12, c44):
    """Hershey (1954): the self-consistent shear modulus is the positive root of a cubic."""
    coefficients = [8, 5 * c11 + 4 * c12, -c44 * (7 * c11 - 4 * c12), -c44 * (c11 - c12) * (c11 + 2 * c12)]
    roots = np.roots(coefficients)
    return float(roots[np.abs(roots.imag) < 1e-9].real.max())


@pytest.mark.parametrize("constants", [COPPER, (165.6, 63.9, 79.5), (107.3, 28.3, 28.3), (12.9, 11.1, 8.2)])
def test_cubic_crystals_have_their_closed_forms(constants):
    bulk, shear = of_one(cubic(*constants))
    expected = (constants[0] + 2 * constants[1]) / 3
    assert (bulk.lower, bulk.upper, bulk.self_consistent) == pytest.approx((expected,) * 3, rel=1e-9)
    assert (shear.lower, shear.upper) == pytest.approx(closed_form_of_cubic(*constants), rel=1e-9)
    assert shear.self_consistent == pytest.approx(hershey(*constants), rel=1e-9)


def test_copper_has_the_published_bounds():
    _, shear = of_one(cubic(*COPPER))
    assert (shear.lower, shear.upper) == pytest.approx((45.96, 49.45), abs=0.01)
    assert shear.self_consistent == pytest.approx(48.17, abs=0.01)


def watt_and_peselnick(stiffness, bulk, shear):
    """Equations 10 to 27 of Watt & Peselnick (1980) for one reference; whether it is softer or stiffer (1, -1, 0)."""
    alpha = -3 / (3 * bulk + 4 * shear)
    beta = -3 * (bulk + 2 * shear) / (5 * shear * (3 * bulk + 4 * shear))
    gamma = (alpha - 3 * beta) / 9
    residual = stiffness - isotropic(bulk, shear)
    block = np.zeros((6, 6))
    block[:3, :3] = 1
    matrix = np.linalg.inv(np.linalg.inv(residual) - beta * np.diag([1, 1, 1, 2, 2, 2]) - gamma * block)
    total = matrix[:3, :3].sum()
    diagonal = np.trace(matrix[:3, :3]) + 2 * np.trace(matrix[3:, 3:])
    first, second = (2 * total - diagonal) / 15, (3 * diagonal - total) / 30
    sum_ = 3 * first + 2 * second
    signs = np.sign(np.linalg.eigvalsh(residual)).sum() / 6
    return bulk + sum_ / (3 + alpha * sum_), shear + second / (1 + 2 * beta * second), signs


@pytest.mark.parametrize("stiffness", [ZINC, QUARTZ, ALBITE], ids=["zinc", "quartz", "albite"])
def test_bounds_are_the_best_of_the_published_equations_on_a_grid(stiffness):
    """Brown (2015) searches a grid of references; ours must be as good, and hardly better on a fine one."""
    bulk, shear = of_one(stiffness)
    softer, stiffer = [], []
    for one in np.linspace(20, 150, 66):
        for other in np.linspace(10, 90, 81):
            *found, signs = watt_and_peselnick(stiffness, one, other)
            if abs(signs) == 1:
                (softer if signs > 0 else stiffer).append(found)
    low, high = np.max(softer, axis=0), np.min(stiffer, axis=0)
    for ours, grid in ((bulk.lower, low[0]), (shear.lower, low[1])):
        assert grid <= ours * (1 + 1e-9)
        assert grid == pytest.approx(ours, rel=0.02)
    for ours, grid in ((bulk.upper, high[0]), (shear.upper, high[1])):
        assert grid >= ours * (1 - 1e-9)
        assert grid == pytest.approx(ours, rel=0.02)


@pytest.mark.parametrize("stiffness", [ZINC, QUARTZ, ALBITE], ids=["zinc", "quartz", "albite"])
def test_estimates_lie_between_those_of_voigt_and_reuss_in_any_axes(stiffness):
    turned = rotate_stiffness(voigt_to_mandel(stiffness), Rotation.random(1, random_state=0).as_matrix())
    found = elastic_estimates(turned, ONE)
    upper, lower = isotropic_moduli(turned[0]), isotropic_moduli_of_compliance(turned[0])
    for modulus, high, low, again in zip(found, upper, lower, of_one(stiffness), strict=True):
        assert low < modulus.lower < modulus.self_consistent < modulus.upper < high
        assert modulus.self_consistent == pytest.approx(again.self_consistent, rel=1e-9)
        assert modulus.lower == pytest.approx(again.lower, rel=1e-7)


def test_two_isotropic_phases_have_the_bounds_of_hashin_and_shtrikman():
    """Their formulas of 1963 for well-ordered phases."""
    (k1, g1), (k2, g2), f2 = (20.0, 10.0), (60.0, 40.0), 0.3
    f1 = 1 - f2
    phases = voigt_to_mandel(np.array([isotropic(k1, g1), isotropic(k2, g2)]))
    bulk, shear = elastic_estimates(phases, np.array([f1, f2]))
    assert bulk.lower == pytest.approx(k1 + f2 / (1 / (k2 - k1) + 3 * f1 / (3 * k1 + 4 * g1)))
    assert bulk.upper == pytest.approx(k2 + f1 / (1 / (k1 - k2) + 3 * f2 / (3 * k2 + 4 * g2)))
    soft = 6 * f1 * (k1 + 2 * g1) / (5 * g1 * (3 * k1 + 4 * g1))
    stiff = 6 * f2 * (k2 + 2 * g2) / (5 * g2 * (3 * k2 + 4 * g2))
    assert shear.lower == pytest.approx(g1 + f2 / (1 / (g2 - g1) + soft))
    assert shear.upper == pytest.approx(g2 + f1 / (1 / (g1 - g2) + stiff))
    assert bulk.lower < bulk.self_consistent < bulk.upper


def test_pores_leave_no_lower_bound():
    phases = voigt_to_mandel(np.array([isotropic(60.0, 40.0), np.zeros((6, 6))]))
    bulk, shear = elastic_estimates(phases, np.array([0.8, 0.2]))
    assert (bulk.lower, shear.lower) == (0.0, 0.0)
    # Hashin's spheres with hollow cores: the bound is attained.
    assert bulk.upper == pytest.approx(60.0 + 0.2 / (-1 / 60.0 + 3 * 0.8 / (3 * 60.0 + 4 * 40.0)))
    assert 0 < bulk.self_consistent < bulk.upper


def test_conduction_of_two_isotropic_phases():
    phases = np.array([1.0 * np.eye(3), 10.0 * np.eye(3)])
    found = conductive_estimates(phases, np.array([0.7, 0.3]))
    assert found.lower == pytest.approx(1 + 0.3 / (1 / 9 + 0.7 / 3))
    assert found.upper == pytest.approx(10 + 0.7 / (1 / -9 + 0.3 / 30))
    k = found.self_consistent
    assert 0.7 * (1 - k) / (1 + 2 * k) + 0.3 * (10 - k) / (10 + 2 * k) == pytest.approx(0.0, abs=1e-9)


def test_conduction_of_a_uniaxial_crystal():
    """Self-consistent: the root of the quadratic for two values (Helsing & Helte, 1991); pores conduct nothing."""
    across, along = 2.0, 8.0
    found = conductive_estimates(np.diag([across, across, along])[None], ONE)
    root = (across + np.sqrt(across**2 + 8 * across * along)) / 4
    assert found.self_consistent == pytest.approx(root, rel=1e-9)
    assert 3 / (2 / across + 1 / along) < found.lower < root < found.upper < (2 * across + along) / 3
    orthorhombic = conductive_estimates(np.diag([1.0, 2.0, 5.0])[None], ONE)
    assert orthorhombic.lower < orthorhombic.self_consistent < orthorhombic.upper
    porous = conductive_estimates(np.array([10 * np.eye(3), np.zeros((3, 3))]), np.array([0.8, 0.2]))
    assert porous.lower == 0.0
    assert porous.upper == pytest.approx(10 * 0.8 / (1 + 0.2 / 2))  # Maxwell
    assert porous.self_consistent == pytest.approx(10 * (1 - 1.5 * 0.2))


def test_an_isotropic_crystal_has_one_value():
    bulk, shear = of_one(isotropic(70.0, 30.0))
    assert (bulk.lower, bulk.upper, bulk.self_consistent) == pytest.approx((70.0,) * 3)
    assert (shear.lower, shear.upper, shear.self_consistent) == pytest.approx((30.0,) * 3)


@pytest.mark.filterwarnings("error")
def test_crystals_that_hardly_resist_some_strain_have_bounds_too():
    """Some references near the edge have no positive bulk modulus."""
    for seed in range(20):
        generator = np.random.default_rng(seed)
        axes, _ = np.linalg.qr(generator.normal(size=(6, 6)))
        stiffness = (axes * 10.0 ** generator.uniform(0, 5, 6)) @ axes.T
        for modulus in elastic_estimates(stiffness[None], ONE):
            assert 0 < modulus.lower < modulus.self_consistent < modulus.upper
