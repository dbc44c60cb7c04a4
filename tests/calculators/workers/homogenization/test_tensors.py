from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization import tensors
from hashigo.errors import InputError


def random_stiffness(seed: int = 0) -> np.ndarray:
    root = np.random.default_rng(seed).standard_normal((6, 6))
    return root @ root.T + 6.0 * np.eye(6)


def test_voigt_and_mandel_are_inverse():
    stiffness = random_stiffness()
    assert np.allclose(tensors.mandel_to_voigt(tensors.voigt_to_mandel(stiffness)), stiffness, atol=1e-14)


def test_rotation_agrees_with_the_fourth_rank_tensor():
    voigt = random_stiffness()
    rotation = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()

    def full(matrix):
        out = np.empty((3, 3, 3, 3))
        for a, (i, j) in enumerate(tensors.PAIRS):
            for b, (k, m) in enumerate(tensors.PAIRS):
                out[i, j, k, m] = out[j, i, k, m] = out[i, j, m, k] = out[j, i, m, k] = matrix[a, b]
        return out

    expected = np.einsum("ia,jb,kc,ld,abcd->ijkl", *[rotation] * 4, full(voigt))
    turned = tensors.rotate_stiffness(tensors.voigt_to_mandel(voigt), rotation[None])[0]
    assert np.allclose(full(tensors.mandel_to_voigt(turned)), expected, atol=1e-12)


def test_mandel_rotation_is_orthogonal():
    turn = tensors.mandel_rotation(Rotation.random(4, random_state=1).as_matrix())
    assert np.allclose(turn @ np.swapaxes(turn, -1, -2), np.eye(6), atol=1e-14)


def test_isotropic_moduli_of_an_isotropic_stiffness():
    bulk, shear = 98.0, 51.0
    stiffness = np.diag([2 * shear] * 6).astype(float)
    stiffness[:3, :3] += bulk - 2 * shear / 3
    assert np.allclose(tensors.isotropic_moduli(stiffness), (bulk, shear))
    assert np.allclose(tensors.isotropic_moduli_of_compliance(stiffness), (bulk, shear))


def test_von_mises_of_uniaxial_pressure_and_shear():
    stress = np.array([[2.0, 0, 0, 0, 0, 0], [3.0, 3.0, 3.0, 0, 0, 0], [0, 0, 0, 0, 0, 1.0]])
    assert np.allclose(tensors.von_mises(stress), [2.0, 0.0, np.sqrt(3.0)])
    mandel = np.array([1.0, 2, 3, 4 * np.sqrt(2), 5 * np.sqrt(2), 6 * np.sqrt(2)])
    assert np.allclose(tensors.mandel_stress_to_voigt(mandel), [1, 2, 3, 4, 5, 6])


def test_symmetric_matrix_follows_voigt_order():
    matrix = tensors.symmetric_matrix(np.arange(1.0, 7.0))
    assert matrix.tolist() == [[1, 6, 5], [6, 2, 4], [5, 4, 3]]


@pytest.mark.parametrize(
    ("tensor", "complaint"),
    [
        (np.diag([1.0, 2.0, -0.5]), "not positive definite"),
        (np.diag([1.0, np.nan, 1.0]), "NaN"),
        (np.array([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]]), "not symmetric"),
    ],
)
def test_bad_tensor_is_named(tensor, complaint):
    with pytest.raises(InputError, match=f"of grain 1 .*{complaint}"):
        tensors.require_positive_definite(
            np.array([np.eye(3), tensor]), "conductivity", ["grain 0", "grain 1"]
        )
