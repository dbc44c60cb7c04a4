"""Peaks, probes and settling."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.component.grid import Grid
from hashigo.calculators.workers.component.heat import Condition, HeatProblem
from hashigo.calculators.workers.component.watch import (
    highest,
    largest_principal,
    probe_weights,
    settling,
)


def test_probes_are_linear_between_centres_and_stay_inside():
    grid = Grid.box(np.array([4e-3, 4e-3, 1e-3]), (4, 4, 1))
    kelvin = 300 + grid.centres @ [1e4, 2e4, 0]
    for place, exact in (((1.7e-3, 2.2e-3, 0.5e-3), 361.0), ((0.0, 0.0, 0.0), 315.0)):
        ((cells, weights),) = probe_weights(grid, np.array([place]))
        assert weights @ kelvin[cells] == pytest.approx(exact)


def test_the_highest_temperature_may_be_at_a_face(plain):
    grid = Grid.box(np.array([4e-3, 1e-3, 1e-3]), (4, 1, 1))
    problem = HeatProblem(grid, {1: plain}, {"x+": Condition(flux=4e4)}, {})
    peak = highest(grid, problem, np.full(4, 300.0), 2.0)
    assert peak.value == pytest.approx(300 + 4e4 * 0.5e-3 / 2.0)
    assert peak.place == pytest.approx([4e-3, 0.5e-3, 0.5e-3])


def test_settling_is_the_last_time_that_is_far_away():
    time = np.linspace(0, 10, 401)
    distance = 100 * np.exp(-time)
    history = np.column_stack([time, *[np.zeros_like(time)] * 3, distance])
    assert settling(history) == pytest.approx(np.log(20), rel=1e-10)
    history[250:260, 4] = 50.0  # heated once more
    assert 6.4 < settling(history) < 6.6
    assert np.isnan(settling(history[:50]))


def test_principal_stress_of_shear_and_tension():
    stress = np.array([[0, 0, 0, 0, 0, 2.0], [3.0, 1.0, -5.0, 0, 0, 0], [-1.0, -2.0, -3.0, 0, 0, 0]])
    assert largest_principal(stress) == pytest.approx([2.0, 3.0, -1.0])
