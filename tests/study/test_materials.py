from __future__ import annotations

import pytest

from hashigo.errors import InputError
from hashigo.study.load import study_from

GLASS = {"young": 70, "poisson": 0.2, "conductivity": 1.1}
STIFF = [[10.0 if i == j else 0.0 for j in range(6)] for i in range(6)]


def read(material, **mesoscale):
    section = {"microstructure": {"kind": "inclusions"}, "materials": {"x": material}, **mesoscale}
    return study_from({"structure": "a.cif", "reference": "r.h5", "expansion": {}, "mesoscale": section})


@pytest.mark.parametrize(
    "material",
    ["void", GLASS, {"rigid": True, "conductivity": [1, 2, 3]}, {"stiffness": STIFF, "conductivity": 2}],
)
def test_what_is_enough_to_be_known_of_a_material(material):
    assert read(material).mesoscale.materials["x"].lacks(False) == ""


@pytest.mark.parametrize(
    ("material", "complaint"),
    [
        ("solid", "give void, or a section"),
        ({"rigid": True}, "material 'x' has no conductivity"),
        ({"conductivity": 2}, "material 'x' has no stiffness: give young and poisson, or stiffness"),
        ({**GLASS, "conductivity": 0}, "conductivity is not positive definite"),
        ({**GLASS, "conductivity": [1, -2, 3]}, "conductivity is not positive definite"),
        ({**GLASS, "conductivity": [[1, 2, 0], [0, 1, 0], [0, 0, 1]]}, "conductivity is not symmetric"),
        ({"stiffness": [[-v for v in row] for row in STIFF], "conductivity": 2}, "stiffness is not positive"),
        ({"stiffness": STIFF[:5], "conductivity": 2}, "stiffness"),
        ({**GLASS, "young": float("nan")}, "young"),
        ({"young": 70, "conductivity": 1}, "'young' and 'poisson' go together"),
        ({"void": True, "conductivity": 1}, "a void has no conductivity"),
    ],
)
def test_a_material_that_would_end_the_run_late_is_named_at_once(material, complaint):
    with pytest.raises(InputError, match=complaint):
        read(material)


def test_stress_needs_the_expansion_of_all_materials():
    cooled = {"thermal_stress": {"stress_free": 500, "temperature": 300}}
    with pytest.raises(InputError, match="material 'x' has no expansion"):
        read(GLASS, **cooled)
    assert read({**GLASS, "expansion": 5e-7}, **cooled)
    assert read("void", **cooled)
