"""Lattice thermal conductivity from the fluctuations of the heat flux at equilibrium, with its statistical error.

κ = 1 / (V k_B T²) ∫_0^∞ <J_x(0) J_x(t)> dt is half the flux's power spectrum at zero frequency. It is estimated twice
from the same trajectories:

- by cepstral analysis: the logarithm of the mean periodogram is the logarithm of the spectrum plus noise of a known
  distribution; its cosine series is cut after twice the number of coefficients that Akaike's criterion asks for, which
  gives the value at zero and its error (Ercole, Marcolongo & Baroni, Sci. Rep. 7, 15835 (2017));
- by the running integral of the autocorrelation, cut where its mean over the trajectories is lost in their scatter
  (Chen, Zhang & Li, Phys. Lett. A 374, 2392 (2010)).

Green, J. Chem. Phys. 22, 398 (1954); Kubo, J. Phys. Soc. Jpn. 12, 570 (1957).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.units import _e, kB
from numpy.typing import NDArray
from scipy.special import polygamma, psi
from scipy.stats import t as student

from hashigo.calculators.workers.dynamics.schedule import FluxSeries
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: eV/(ps Å K) in W/(m K).
TO_WATT = _e * 1e22
#: Fewest trajectories that tell a scatter.
LEAST_SEEDS = 3
#: Longest lag of the autocorrelation, relative to the trajectory.
LONGEST_LAG = 0.25

#: Fewest frequencies of a cepstral analysis.
_LEAST_FREQUENCIES = 16
#: How many times the coefficients of Akaike's criterion are kept. As many as it says cut off the tip of the peak at
#: zero: on processes of known spectrum values came out up to 20 % low, with half of the error that was told.
KEPT = 2


@dataclass(frozen=True)
class Cepstral:
    """Spectrum at zero frequency by cepstral analysis.

    Attributes:
        value: power spectrum at zero frequency, unit of the flux squared times ps.
        relative_error: standard error of its logarithm, dimensionless.
        coefficients: count of coefficients kept.
        cutoff: highest frequency that was used, THz.
    """

    value: float
    relative_error: float
    coefficients: int
    cutoff: float


@dataclass(frozen=True)
class GreenKubo:
    """Conductivity of a crystal and what it was read from.

    Attributes:
        conductivity: by cepstral analysis, W/(m K).
        uncertainty: its standard uncertainty, W/(m K): the larger of `cepstral_error` and `jackknife_error`.
        cepstral_error: what the analysis itself tells, W/(m K).
        jackknife_error: by leaving out one trajectory after another, W/(m K).
        coefficients: count of cepstral coefficients.
        cutoff_frequency: highest frequency of the analysis, THz.
        other_cutoffs: conductivity with half and twice that frequency, shape (2,), W/(m K).
        integral: running integral at the cut-off time, W/(m K).
        integral_error: its standard uncertainty from the scatter of the trajectories, W/(m K).
        cutoff_time: of the running integral, ps.
        times: of the running integral, shape (n_times,), ps.
        running: its mean over trajectories, shape (n_times,), W/(m K).
        running_error: standard error of that mean, shape (n_times,), W/(m K).
        frequencies: of the periodogram, shape (n_frequencies,), THz.
        periodogram: mean over trajectories and axes, as a conductivity, shape (n_frequencies,), W/(m K).
        temperature: mean over the trajectories, K.
        seeds: count of trajectories.
    """

    conductivity: float
    uncertainty: float
    cepstral_error: float
    jackknife_error: float
    coefficients: int
    cutoff_frequency: float
    other_cutoffs: Floats
    integral: float
    integral_error: float
    cutoff_time: float
    times: Floats
    running: Floats
    running_error: Floats
    frequencies: Floats
    periodogram: Floats
    temperature: float
    seeds: int


def green_kubo(
    series: Sequence[FluxSeries], axes: Sequence[int] = (0, 1, 2), cutoff_frequency: float | None = None
) -> GreenKubo:
    """Conductivity from the heat flux of independent trajectories.

    Args:
        series: one for each seed, all of the same length, spacing and cell.
        axes: indices of the axes that are averaged; all three are alike in a cubic crystal only.
        cutoff_frequency: highest frequency of the cepstral analysis, THz; None to take it from the spectrum's width.

    Raises:
        InputError: when there are too few series, or they do not fit together.
    """
    _check(series)
    flux = np.array([one.flux[:, list(axes)] for one in series])
    spacing, temperature = series[0].spacing, float(np.mean([one.temperature for one in series]))
    unit = TO_WATT / (series[0].volume * kB * temperature**2)
    frequencies, each = periodograms(flux, spacing)
    mean = each.mean(axis=0)
    cutoff = cutoff_frequency or spectral_cutoff(frequencies, mean)
    count = len(axes)
    found = cepstral(frequencies, mean, count * len(series), cutoff)
    left_out = [
        np.log(
            cepstral(
                frequencies, (mean * len(each) - one) / (len(each) - 1), count * (len(each) - 1), cutoff
            ).value
        )
        for one in each
    ]
    value = unit / 2 * found.value
    jackknife = value * np.sqrt((len(each) - 1) * np.var(left_out)) * _small_sample(len(each))
    others = [
        unit / 2 * cepstral(frequencies, mean, count * len(series), factor * found.cutoff).value
        for factor in (0.5, 2)
    ]
    correlation = autocorrelations(flux)
    running = unit * running_integral(correlation, spacing)
    errors = _error_of_mean(running)
    cut = noise_cutoff(correlation)
    return GreenKubo(
        conductivity=value,
        uncertainty=max(value * found.relative_error, jackknife),
        cepstral_error=value * found.relative_error,
        jackknife_error=jackknife,
        coefficients=found.coefficients,
        cutoff_frequency=found.cutoff,
        other_cutoffs=np.array(others),
        integral=float(running[:, cut].mean()),
        integral_error=float(errors[cut]),
        cutoff_time=cut * spacing,
        times=np.arange(running.shape[1]) * spacing,
        running=running.mean(axis=0),
        running_error=errors,
        frequencies=frequencies,
        periodogram=unit / 2 * mean,
        temperature=temperature,
        seeds=len(series),
    )


def _check(series: Sequence[FluxSeries]) -> None:
    if len(series) < LEAST_SEEDS:
        raise InputError(
            f"{len(series)} trajectories tell no statistical error of the conductivity",
            fix=f"give at least {LEAST_SEEDS} seeds",
        )
    first = series[0]
    for one in series[1:]:
        same = one.flux.shape == first.flux.shape and one.spacing == first.spacing
        if not same or abs(one.volume / first.volume - 1) > 1e-9:
            raise InputError(
                f"the heat flux of seed {one.seed} has another length, spacing or cell than the others"
            )
    if len(first.flux) < 16 * _LEAST_FREQUENCIES:
        raise InputError(
            f"{len(first.flux)} heat fluxes of each trajectory are too few",
            fix=f"lengthen the trajectories: at least {16 * _LEAST_FREQUENCIES} are needed",
        )


def _small_sample(n: int) -> float:
    """Factor on a standard error of n values that makes ± one of it cover as much as a normal distribution's."""
    return float(student.ppf(0.8413447, n - 1))


def _error_of_mean(values: Floats) -> Floats:
    n = len(values)
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(n) * _small_sample(n))


def periodograms(flux: Floats, spacing: float) -> tuple[Floats, Floats]:
    """Power spectra of each trajectory, mean over the axes.

    Args:
        flux: shape (n_series, n_samples, n_axes), any unit.
        spacing: of the samples, ps.

    Returns:
        Frequencies, shape (n_frequencies,), THz; spectra, two-sided, shape (n_series, n_frequencies), unit squared
        times ps. Nyquist's frequency is left out.
    """
    n = flux.shape[1]
    amplitudes = np.fft.rfft(flux, axis=1)[:, : (n + 1) // 2]
    power = spacing / n * np.mean(np.abs(amplitudes) ** 2, axis=2)
    return np.arange(power.shape[1]) / (n * spacing), power


def spectral_cutoff(frequencies: Floats, power: Floats) -> float:
    """Frequency up to which the logarithm of the spectrum is developed, THz.

    Twice the frequency below which the mean of the spectrum has halved: nearly five half-widths of a Lorentzian.

    Args:
        frequencies: shape (n_frequencies,), THz.
        power: mean spectrum, shape (n_frequencies,), any unit.
    """
    below = np.cumsum(power) / np.arange(1, len(power) + 1)
    first = min(_LEAST_FREQUENCIES // 2, len(power) - 1)
    highest = first + int(np.argmax(below[first:]))
    halved = np.flatnonzero(below[highest:] < below[highest] / 2)
    at = 2 * (highest + halved[0]) if len(halved) else len(power) - 1
    return float(frequencies[min(max(at, _LEAST_FREQUENCIES), len(power) - 1)])


def cepstral(frequencies: Floats, power: Floats, series: int, cutoff: float) -> Cepstral:
    """Spectrum at zero frequency, by the cosine series of the logarithm.

    Args:
        frequencies: evenly spaced from zero, shape (n_frequencies,), THz.
        power: mean periodogram of independent series, shape (n_frequencies,), unit squared times ps.
        series: their number, axes counted.
        cutoff: highest frequency to use, THz.
    """
    last = int(np.clip(round(cutoff / frequencies[1]), _LEAST_FREQUENCIES, len(power) - 1))
    log = np.log(power[: last + 1]) - (psi(series) - np.log(series))
    # At zero the amplitude is real: half the degrees of freedom.
    log[0] += psi(series) - np.log(series) - (psi(series / 2) - np.log(series / 2))
    variance, n = float(polygamma(1, series)), 2 * last
    coefficients = np.fft.irfft(log, n)[: last + 1]
    tails = np.append(np.cumsum(coefficients[:0:-1] ** 2)[::-1], 0.0)
    kept = np.arange(1, last + 2)
    best = min(KEPT * int(kept[np.argmin(n / variance * tails + 2 * kept)]), last)
    value = coefficients[0] + 2 * coefficients[1:best].sum()
    return Cepstral(
        float(np.exp(value)), float(np.sqrt(variance * (4 * best - 2) / n)), best, float(frequencies[last])
    )


def autocorrelations(flux: Floats) -> Floats:
    """Autocorrelation of each trajectory, mean over the axes.

    The mean of the flux is not taken away: without a flow of mass it is zero.

    Args:
        flux: shape (n_series, n_samples, n_axes), any unit.

    Returns:
        Shape (n_series, n_lags), unit squared; lags up to a quarter of the trajectory.
    """
    n = flux.shape[1]
    lags = max(2, int(LONGEST_LAG * n))
    power = np.abs(np.fft.rfft(flux, 2 * n, axis=1)) ** 2
    raw = np.fft.irfft(power.mean(axis=2), 2 * n, axis=1)[:, :lags]
    return np.asarray(raw / (n - np.arange(lags)))


def running_integral(correlation: Floats, spacing: float) -> Floats:
    """Integral of autocorrelations from zero to each lag, by trapezia.

    Args:
        correlation: shape (n_series, n_lags), any unit.
        spacing: of the lags, ps.

    Returns:
        Shape (n_series, n_lags), unit times ps; zero at the first lag.
    """
    steps = (correlation[:, 1:] + correlation[:, :-1]) * (spacing / 2)
    return np.concatenate([np.zeros((len(correlation), 1)), np.cumsum(steps, axis=1)], axis=1)


def noise_cutoff(correlation: Floats) -> int:
    """Index of the lag from which on the autocorrelation is lost in its noise.

    Its mean in a window after the lag, half as long as the lag, is then no larger than its standard error over the
    trajectories, and stays so for half the lag; a flux that swings may cross zero early, but comes back. Lags below a
    hundredth of the longest are not asked.

    Args:
        correlation: shape (n_series, n_lags), any unit.
    """
    lags = correlation.shape[1]
    sums = np.concatenate([np.zeros((len(correlation), 1)), np.cumsum(correlation, axis=1)], axis=1)
    begin = np.arange(max(1, lags // 100), lags)
    end = np.minimum(lags, begin + 1 + begin // 2)
    windows = (sums[:, end] - sums[:, begin]) / (end - begin)
    lost = np.append(0, np.cumsum(windows.mean(axis=0) <= _error_of_mean(windows)))
    first = begin[0]
    stays = np.flatnonzero(lost[np.minimum(end, lags) - first] - lost[begin - first] == end - begin)
    return int(begin[stays[0]]) if len(stays) else lags - 1
