from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.lattice.elastic import stress_rotation
from hashigo.calculators.workers.lattice.moduli import hill_moduli, zener_ratio


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    matrix = np.diag([c11 - c12] * 3 + [c44] * 3)
    matrix[:3, :3] += c12
    return matrix


def test_moduli_of_isotropic_and_cubic_crystals() -> None:
    isotropic = hill_moduli(cubic(120, 60, 30))
    assert isotropic.bulk_voigt == pytest.approx(80)
    assert isotropic.bulk_reuss == pytest.approx(80)
    assert isotropic.shear_voigt == pytest.approx(30)
    assert isotropic.shear_reuss == pytest.approx(30)
    silicon = hill_moduli(cubic(165.7, 63.9, 79.6))
    assert silicon.bulk == pytest.approx((165.7 + 2 * 63.9) / 3)
    difference = 165.7 - 63.9
    assert silicon.shear_voigt == pytest.approx((difference + 3 * 79.6) / 5)
    assert silicon.shear_reuss == pytest.approx(5 * difference * 79.6 / (4 * 79.6 + 3 * difference))


def test_an_isotropic_solid_has_the_youngs_modulus_and_poissons_ratio_of_its_compliance() -> None:
    stiffness = cubic(120, 60, 30)
    compliance = np.linalg.inv(stiffness)
    moduli = hill_moduli(stiffness)
    assert moduli.young == pytest.approx(1 / compliance[0, 0])
    assert moduli.poisson == pytest.approx(-compliance[0, 1] / compliance[0, 0])
    assert moduli.universal_anisotropy == pytest.approx(0, abs=1e-12)
    assert zener_ratio(stiffness) == pytest.approx(1)


@pytest.mark.parametrize("ratio", [0.25, 1.56, 9.0])
def test_the_anisotropy_of_a_cubic_crystal_is_that_of_its_zener_ratio(ratio: float) -> None:
    # A_U = (6/5) (sqrt(A) - 1/sqrt(A))^2, from G_V and G_R of Hill.
    stiffness = cubic(160.0, 60.0, 50.0 * ratio)
    assert zener_ratio(stiffness) == pytest.approx(ratio)
    expected = 6 / 5 * (np.sqrt(ratio) - 1 / np.sqrt(ratio)) ** 2
    assert hill_moduli(stiffness).universal_anisotropy == pytest.approx(expected)


def test_a_hexagonal_crystal_and_a_turned_cubic_one_have_no_zener_ratio() -> None:
    stiffness = cubic(160.0, 60.0, 80.0)
    bond = stress_rotation(Rotation.from_euler("z", 0.3).as_matrix())
    assert zener_ratio(bond @ stiffness @ bond.T) is None
    stiffness[2, 2] += 1.0
    assert zener_ratio(stiffness) is None
