"""Conductivities of synthetic heat fluxes whose spectrum is known exactly, and how often the error bars hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.units import kB
from scipy.signal import lfilter

from hashigo.calculators.workers.dynamics.green_kubo import (
    TO_WATT,
    autocorrelations,
    cepstral,
    green_kubo,
    noise_cutoff,
    periodograms,
    running_integral,
)
from hashigo.calculators.workers.dynamics.schedule import FluxSeries
from hashigo.errors import InputError

SPACING, TEMPERATURE, VOLUME = 0.05, 1000.0, 4000.0


def process(rng, parts, seeds=8, samples=4000):
    """Ornstein-Uhlenbeck processes added up, and their exact conductivity.

    Each part is a correlation time [ps] and a variance; sampled, its spectrum at zero is variance · dt (1+a)/(1-a).
    """
    flux, zero = np.zeros((seeds, samples, 3)), 0.0
    for time, variance in parts:
        a = np.exp(-SPACING / time)
        noise = rng.normal(size=flux.shape) * np.sqrt(1 - a * a)
        noise[:, 0] /= np.sqrt(1 - a * a)
        flux += np.sqrt(variance) * lfilter([1], [1, -a], noise, axis=1)
        zero += variance * SPACING * (1 + a) / (1 - a)
    series = [
        FluxSeries(one, SPACING, TEMPERATURE, VOLUME, 0.0, seed) for seed, one in enumerate(flux, start=1)
    ]
    return series, zero / 2 * TO_WATT / (VOLUME * kB * TEMPERATURE**2)


def test_units():
    """White noise of variance 1 eV²Å²/ps²: κ = dt / (2 V k_B T²)."""
    rng = np.random.default_rng(1)
    series = [
        FluxSeries(rng.normal(size=(5000, 3)), SPACING, 1000.0, VOLUME, 0.0, seed) for seed in (1, 2, 3)
    ]
    expected = (
        SPACING * 1e-12 * 1.602176634e-19**2 * 1e-20 / 1e-24 / (2 * VOLUME * 1e-30 * 1.380649e-23 * 1e6)
    )
    found = green_kubo(series)
    assert found.conductivity == pytest.approx(expected, rel=0.08)
    assert found.periodogram[1:].mean() == pytest.approx(expected, rel=0.02)


def test_autocorrelation_and_integral_by_hand():
    flux = np.array([[1.0, 2.0, 0.0, -1.0, 1.0, 0.0, 1.0, 2.0]])[..., None]
    found = autocorrelations(flux)
    assert found[0, 0] == pytest.approx(12 / 8)
    assert found[0, 1] == pytest.approx((2 + 0 + 0 - 1 + 0 + 0 + 2) / 7)
    assert running_integral(found, 0.5)[0] == pytest.approx([0, 0.5 * (found[0, 0] + found[0, 1]) / 2])


def test_periodogram_is_the_transform_of_the_autocorrelation():
    flux = np.random.default_rng(3).normal(size=(1, 64, 1))
    frequencies, power = periodograms(flux, 0.1)
    assert frequencies[1] == pytest.approx(1 / 6.4)
    assert power[0, 0] == pytest.approx(0.1 / 64 * flux.sum() ** 2)
    assert power.shape == (1, 32)


def test_a_flat_spectrum_needs_few_coefficients_and_has_the_error_that_theory_says():
    """The logarithm's mean over N frequencies; its variance is ψ'(ℓ) (4P-2)/N with P coefficients."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(300):
        power = rng.chisquare(12, size=401) / 12
        power[0] = rng.chisquare(6) / 6
        found.append(cepstral(np.arange(401) * 0.01, power, 6, 4.0))
    few = [one for one in found if one.coefficients == 2]
    assert len(few) > 150
    logs = np.log([one.value for one in few])
    assert few[0].relative_error == pytest.approx(np.sqrt(0.18132296 * 6 / 800), rel=1e-5)
    assert logs.mean() == pytest.approx(0, abs=4 * few[0].relative_error / np.sqrt(len(few)))


@pytest.mark.parametrize("parts", [[(1.0, 1.0)], [(3.0, 1.0), (0.2, 5.0)]], ids=["one time", "two times"])
def test_error_bars_hold(parts):
    """Of 60 conductivities, each from eight trajectories of 200 ps, as many are right as the errors say."""
    rng = np.random.default_rng(11)
    found = [(green_kubo(series), exact) for series, exact in (process(rng, parts) for _ in range(60))]
    apart = np.array([one.conductivity / exact - 1 for one, exact in found])
    errors = np.array([one.uncertainty / exact for one, exact in found])
    own = np.array([one.cepstral_error / exact for one, exact in found])
    assert 0.55 <= np.mean(np.abs(apart) < errors) <= 0.92
    assert np.mean(np.abs(apart) < 2 * errors) >= 0.88
    assert 0.5 <= np.mean(np.abs(apart) < own) <= 0.85
    assert abs(apart.mean()) < 0.06
    assert apart.std() == pytest.approx(own.mean(), rel=0.35)
    integrals = np.array([one.integral / exact - 1 for one, exact in found])
    assert abs(integrals.mean()) < 0.06
    assert (
        np.mean(np.abs(integrals) < 2 * np.array([one.integral_error / exact for one, exact in found])) > 0.65
    )


def test_the_two_estimates_and_the_curves_agree():
    series, exact = process(np.random.default_rng(7), [(1.0, 1.0)], samples=20000)
    found = green_kubo(series)
    assert found.conductivity == pytest.approx(exact, rel=0.1)
    assert found.integral == pytest.approx(found.conductivity, rel=0.12)
    assert found.other_cutoffs == pytest.approx(found.conductivity, rel=0.15)
    # 1/(2π) ps is the half-width: nearly five of them.
    assert found.cutoff_frequency == pytest.approx(4.66 / (2 * np.pi), rel=0.25)
    early = np.searchsorted(found.times, 1.0)
    assert found.running[early] == pytest.approx(exact * (1 - np.exp(-1)), rel=0.1)
    assert 2 < found.cutoff_time < 20
    assert found.seeds == 8


def test_errors_shrink_with_the_length_of_the_trajectories():
    rng = np.random.default_rng(8)
    short, long = (green_kubo(process(rng, [(1.0, 1.0)], samples=n)[0]) for n in (2000, 32000))
    assert long.cepstral_error / long.conductivity < 0.45 * short.cepstral_error / short.conductivity


def test_noise_alone_is_cut_at_once():
    correlation = np.random.default_rng(2).normal(size=(8, 500))
    assert noise_cutoff(correlation) < 20


def test_a_flux_that_swings_is_not_cut_where_it_first_crosses_zero():
    """A slow part under a swinging one that is ten times larger, as optical modes give."""
    lags = np.arange(2000) * 0.01
    exact = np.exp(-lags / 2) + 10 * np.cos(2 * np.pi * 15 * lags) * np.exp(-lags / 0.5)
    noise = np.random.default_rng(5).normal(scale=0.02, size=(8, 2000))
    cut = noise_cutoff(exact + np.cumsum(noise, axis=1) / 10)
    assert 3 < lags[cut] < 19


def test_series_that_tell_nothing_are_refused():
    series, _ = process(np.random.default_rng(1), [(1.0, 1.0)], seeds=3, samples=400)
    with pytest.raises(InputError, match="2 trajectories tell no statistical error"):
        green_kubo(series[:2])
    with pytest.raises(InputError, match="heat flux of seed 3 has another length"):
        green_kubo([*series[:2], replace(series[2], flux=series[2].flux[:-1])])
    with pytest.raises(InputError, match="100 heat fluxes of each trajectory are too few"):
        green_kubo([replace(one, flux=one.flux[:100]) for one in series])
