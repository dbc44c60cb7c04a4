"""Curves over temperature: between known values, and their integral."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.component.material import Curve, constant


def test_curves_hold_between_known_temperatures_and_integrate_exactly():
    kelvin = np.array([300.0, 400.0, 500.0])
    curve = Curve(kelvin, np.array([1.0, 2.0, 3.0]))
    assert curve(np.array([350.0, 450.0])) == pytest.approx([1.5, 2.5])
    assert curve.integral(np.array([500.0, 300.0]), 300.0) == pytest.approx([400.0, 0.0])
    assert curve.integral(np.array([600.0, 200.0]), 500.0) == pytest.approx([300.0, -400.0 - 100.0])
    fixed = constant([2.0, 3.0])
    assert fixed.integral(np.array([310.0]), 300.0) == pytest.approx(np.array([[20.0, 30.0]]))
