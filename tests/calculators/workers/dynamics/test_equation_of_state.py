from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.dynamics.equation_of_state import (
    birch_murnaghan,
    fit,
    read,
    state_with_error,
)
from hashigo.errors import WorkerError

VOLUMES = np.array([0.97, 0.985, 1.0, 1.015, 1.03]) * 160.0
NONE = np.zeros(5)


def test_a_known_equation_of_state_is_found_again() -> None:
    pressures = birch_murnaghan(VOLUMES, 161.0, 98.0, 4.6)
    found = read(fit(VOLUMES, pressures, NONE), VOLUMES, 0.0)
    assert found is not None
    assert found.volume == pytest.approx(161.0, rel=1e-7)
    assert found.bulk_modulus == pytest.approx(98.0, rel=1e-5)
    assert found.inside
    # Under pressure the modulus grows by the derivative.
    pressed = read(fit(VOLUMES, pressures, NONE), VOLUMES, 1.0)
    assert pressed is not None
    assert (pressed.bulk_modulus - found.bulk_modulus) / 1.0 == pytest.approx(4.6, rel=0.05)
    assert float(birch_murnaghan(np.array(pressed.volume), 161.0, 98.0, 4.6)) == pytest.approx(1.0, abs=1e-9)


def test_three_volumes_give_the_second_order() -> None:
    pressures = birch_murnaghan(VOLUMES[::2], 159.0, 50.0)
    found = read(fit(VOLUMES[::2], pressures, np.full(3, 0.01)), VOLUMES[::2], 0.0)
    assert found is not None
    assert found.volume == pytest.approx(159.0, rel=1e-6)
    assert found.bulk_modulus == pytest.approx(50.0, rel=1e-4)


def test_errors_are_those_of_repetitions() -> None:
    exact, errors = birch_murnaghan(VOLUMES, 161.0, 98.0, 4.6), np.array([0.05, 0.02, 0.03, 0.02, 0.05])
    generator = np.random.default_rng(0)
    repeated = [
        state_with_error(VOLUMES, exact + errors * generator.standard_normal(5), errors, 0.0)
        for _ in range(80)
    ]
    volumes = np.array([r[0].volume for r in repeated if r])
    moduli = np.array([r[0].bulk_modulus for r in repeated if r])
    assert volumes.std() == pytest.approx(np.mean([r[1] for r in repeated if r]), rel=0.25)
    assert moduli.std() == pytest.approx(np.mean([r[2] for r in repeated if r]), rel=0.25)


def test_a_pressure_far_from_the_volumes_is_not_answered() -> None:
    curve = fit(VOLUMES, birch_murnaghan(VOLUMES, 161.0, 98.0), NONE)
    assert read(curve, VOLUMES, 30.0) is None
    beyond = read(fit(VOLUMES, birch_murnaghan(VOLUMES, 168.0, 98.0), NONE), VOLUMES, 0.0)
    assert beyond is not None
    assert not beyond.inside


@pytest.mark.parametrize(
    "noise", [[1.5, -1.8, -0.1, 0.4, 1.2], [-0.3, -1.4, -3.3, -2.7, 2.2], [-3.6, -5.9, 0.0, -2.1, -4.7]]
)
def test_noise_that_nothing_fits_is_told(noise: list[float]) -> None:
    """The first is never done, the others lead to a volume without pressure below zero."""
    with pytest.raises(WorkerError, match="no equation of state fits the pressures"):
        read(fit(VOLUMES, np.array(noise), np.full(5, 3.0)), VOLUMES, 0.0)
