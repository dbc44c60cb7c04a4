from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.interpolation import interpolated, resolution
from hashigo.errors import InputError

KNOWN = np.array([100.0, 200.0, 300.0, 500.0])


def at(wanted, values):
    return interpolated(KNOWN, np.asarray(values), np.array(wanted), "heat", "add it")


def test_known_temperatures_are_taken_as_they_are():
    values = np.random.default_rng(0).normal(size=(4, 2))
    found, exact = at([300.0, 100.0], values)
    assert (found == values[[2, 0]]).all()
    assert exact.all()
    assert not resolution(KNOWN, values, np.array([300.0, 100.0])).any()


def test_a_line_is_met_and_a_curve_nearly():
    found, exact = at([150.0, 400.0], 2 * KNOWN)
    assert found == pytest.approx([300.0, 800.0])
    assert not exact.any()
    assert resolution(KNOWN, 2 * KNOWN, np.array([150.0, 400.0])) == pytest.approx([0, 0], abs=1e-9)
    truth = np.sin(np.array([150.0, 400.0]) / 300)
    found, _ = at([150.0, 400.0], np.sin(KNOWN / 300))
    error = resolution(KNOWN, np.sin(KNOWN / 300), np.array([150.0, 400.0]))
    assert (np.abs(found - truth) <= error).all()
    assert (error > 0).all()


def test_what_rises_keeps_rising():
    values, _ = at(np.linspace(100, 500, 101), [0.0, 0.0, 1.0, 1.0])
    assert (np.diff(values) >= 0).all()
    assert values.max() <= 1


@pytest.mark.parametrize("kelvin", [99.0, 501.0])
def test_nothing_is_extrapolated(kelvin):
    with pytest.raises(InputError, match=rf"heat is known from 100 to 500 K, not at {kelvin:g} K") as caught:
        at([300.0, kelvin], KNOWN)
    assert caught.value.fix == "add it"
    with pytest.raises(InputError, match="known at 300 K only"):
        interpolated(np.array([300.0]), np.zeros(1), np.array([310.0]), "heat", "")
