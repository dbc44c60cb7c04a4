"""Properties by hand: numbers, and tables over temperature."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.component.given import given_properties
from hashigo.calculators.workers.component.properties import material
from hashigo.errors import InputError


def test_properties_by_hand_are_numbers_or_tables():
    found = given_properties(
        {
            "conductivity": {"300.0": [1.0, 2.0, 3.0], "500.0": 4.0},
            "density": 2330.0,
            "heat_capacity": 700.0,
            "youngs_modulus": {"300": 160.0, "500": 150.0},
            "poisson_ratio": 0.25,
            "expansion": {"300": 1e-6, "400": 2e-6},
        },
        "component.material",
    )
    made = material({name: one.curve for name, one in found.items()}, 300.0)
    assert made.conductivity.values.tolist() == [[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]]
    assert made.heat(np.array([300.0])) == pytest.approx(2330 * 700)
    assert made.stiffness.values[1, 0, 0] == pytest.approx(150 * 0.75 / 1.25 / 0.5)
    assert made.stiffness.values[0, 5, 5] == pytest.approx(160 / 2.5)
    assert made.expansion.integral(np.array([400.0]), 300.0)[0, :3] == pytest.approx(1.5e-4)


def test_what_is_not_positive_is_refused():
    found = given_properties(
        {"conductivity": 1.0, "density": -1.0, "heat_capacity": 1.0}, "component.material"
    )
    with pytest.raises(InputError, match="density of the component is not positive"):
        material({name: one.curve for name, one in found.items()}, 300.0)
