from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.materials import RIGID, isotropic_stiffness, read_materials
from hashigo.calculators.workers.homogenization.tensors import isotropic_moduli, voigt_to_mandel
from hashigo.errors import InputError
from hashigo.study import study_from


def test_an_isotropic_material_has_the_moduli_of_the_textbook():
    young, poisson = 70.0, 0.2
    bulk, shear = isotropic_moduli(voigt_to_mandel(isotropic_stiffness(young, poisson)))
    assert bulk == pytest.approx(young / (3 * (1 - 2 * poisson)))
    assert shear == pytest.approx(young / (2 * (1 + poisson)))
    compliance = np.linalg.inv(isotropic_stiffness(young, poisson))
    assert compliance[0, 0] == pytest.approx(1 / young)
    assert compliance[1, 0] == pytest.approx(-poisson / young)


def test_materials_as_a_study_names_them():
    section = {
        "pore": "void",
        "ball": {"rigid": True, "conductivity": 30},
        "glass": {"young": "70 GPa", "poisson": 0.2, "conductivity": 1.1, "expansion": "5e-7"},
        "fibre": {
            "stiffness": isotropic_stiffness(300.0, 0.1).tolist(),
            "conductivity": [1, 1, 10],
            "expansion": [[1e-6, 0, 0], [0, 1e-6, 0], [0, 0, 9e-6]],
        },
    }
    layers = {"kind": "laminate", "layers": [[name, 0.25] for name in section]}
    mesoscale = {"materials": section, "microstructure": layers}
    study = study_from({"structure": "a", "reference": "b", "mesoscale": mesoscale})
    pore, ball, glass, fibre = read_materials(study.model_dump(mode="json")["mesoscale"]["materials"])
    assert pore.is_void
    assert not pore.need("stiffness").any()
    assert not pore.need("conductivity").any()
    assert ball.need("stiffness")[0, 0] == RIGID
    assert not glass.is_void
    assert np.array_equal(glass.need("stiffness"), isotropic_stiffness(70.0, 0.2))
    assert np.array_equal(glass.need("conductivity"), 1.1 * np.eye(3))
    assert np.array_equal(glass.need("expansion"), 5e-7 * np.eye(3))
    assert np.array_equal(fibre.need("conductivity"), np.diag([1.0, 1.0, 10.0]))
    assert fibre.need("expansion")[2, 2] == 9e-6
    with pytest.raises(InputError, match="material 'ball' has no expansion") as caught:
        ball.need("expansion")
    assert "mesoscale.materials.ball" in caught.value.fix


def unstable():
    stiffness = isotropic_stiffness(70.0, 0.2)
    stiffness[0, 0] = 1.0
    return stiffness.tolist()


@pytest.mark.parametrize(
    ("material", "complaint"),
    [
        ({"stiffness": unstable()}, "stiffness of material 'glass' is not positive definite"),
        ({"conductivity": [[1, 2, 0], [0, 1, 0], [0, 0, 1]]}, "conductivity of material 'glass' is not symmetric"),
        ({"conductivity": -1.0}, "conductivity of material 'glass' is not positive definite"),
        ({"expansion": [1, 2]}, "expansion of material 'glass' is no 3×3 matrix"),
        ({"conductivity": [1, 2, float("nan")]}, "conductivity of material 'glass' is no 3×3 matrix"),
    ],
)  # fmt: skip
def test_bad_tensors_are_named(material, complaint):
    with pytest.raises((InputError, ValueError), match=complaint):
        read_materials({"glass": material})
