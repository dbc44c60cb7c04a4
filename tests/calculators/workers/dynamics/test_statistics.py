from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.dynamics.statistics import block_mean, jackknife


def correlated(generator: np.random.Generator, count: int, memory: float) -> np.ndarray:
    """An autoregressive series of unit variance, whose samples count (1 + a) / (1 - a) times as one."""
    noise = generator.standard_normal(count) * np.sqrt(1 - memory**2)
    out = np.empty(count)
    out[0] = generator.standard_normal()
    for index in range(1, count):
        out[index] = memory * out[index - 1] + noise[index]
    return out


def test_errors_of_correlated_series_are_true() -> None:
    """The spread of means over many repetitions is what each of them says of itself."""
    generator = np.random.default_rng(0)
    found = [block_mean([correlated(generator, 2000, 0.9) for _ in range(2)]) for _ in range(150)]
    spread = np.std([float(mean.value) for mean in found])
    told = np.sqrt(np.mean([float(mean.error) ** 2 for mean in found]))
    assert told == pytest.approx(spread, rel=0.2)
    assert told == pytest.approx(np.sqrt(19 / 4000), rel=0.2)
    assert np.median([mean.inefficiency for mean in found]) == pytest.approx(19, rel=0.3)


def test_components_have_errors_of_their_own() -> None:
    generator = np.random.default_rng(1)
    series = generator.standard_normal((1000, 3)) * [1.0, 2.0, 0.0]
    mean = block_mean([series[:500], series[500:]])
    assert mean.value.shape == mean.error.shape == (3,)
    assert mean.error[1] > 1.3 * mean.error[0]
    assert mean.error[2] == 0


def test_the_jackknife_tells_the_error_of_a_variance() -> None:
    generator = np.random.default_rng(2)
    told = []
    for _ in range(100):
        parts = np.split(generator.standard_normal(1000), 20)
        told.append(jackknife(parts, lambda x: float(x.var())))
    values, errors = np.array(told).T
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.2)
    assert values.std() == pytest.approx(np.sqrt(2 / 1000), rel=0.2)
