"""How atoms move: mean-square displacement, self-diffusion, and the spectrum of their velocities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

Floats = NDArray[np.float64]

#: Share of a trajectory over which displacements are followed, dimensionless: longer times have too few origins.
LONGEST = 0.5
#: Range of these times over which a slope is fitted, shares of the longest, dimensionless.
FITTED = (0.2, 1.0)
#: Upper end of the 95 % confidence interval of a Poisson variable of which nothing was seen, dimensionless.
NOTHING_SEEN = 3.0


def _correlation(series: Floats, longest: int) -> Floats:
    """Sum over components of <x(t0) x(t0 + t)>, averaged over t0; by the Wiener-Khinchin theorem.

    Source: Calandrini et al., Collection SFN 12, 201 (2011).
    """
    count = len(series)
    size = next_fast_len(2 * count)
    transformed = rfft(series, size, axis=0)
    power = (transformed.real**2 + transformed.imag**2).sum(axis=tuple(range(1, series.ndim)))
    return np.asarray(irfft(power, size)[:longest] / (count - np.arange(longest)))


def square_displacement(positions: Floats) -> Floats:
    """Mean-square displacement over time, averaged over atoms and times of origin.

    Args:
        positions: not wrapped, shape (n_samples, n_atoms, 3), Å.

    Returns:
        From no time up to half of the trajectory, shape (n_times,), Å^2.
    """
    count, n_atoms = len(positions), positions.shape[1]
    longest = max(2, int(LONGEST * count))
    # Displacements count: without the mean place there is less to lose in rounding.
    around = positions - positions.mean(axis=0)
    squares = (around**2).sum(axis=(1, 2))
    summed = np.concatenate([[0.0], np.cumsum(squares)])
    times = np.arange(longest)
    first = summed[count - times]  # of all origins that have a partner so much later
    last = summed[count] - summed[times]
    both = (first + last) / (count - times)
    return np.asarray((both - 2 * _correlation(around, longest)) / n_atoms)


def diffusion(displacements: Floats, interval: float) -> float:
    """Self-diffusion coefficient from the slope of the mean-square displacement, Å^2/ps.

    Args:
        displacements: shape (n_times,), Å^2.
        interval: between them, fs.

    Source: Einstein, Ann. Phys. 322, 549 (1905): <r^2> = 6 D t.
    """
    begin, end = (int(share * (len(displacements) - 1)) for share in FITTED)
    times = np.arange(len(displacements)) * interval / 1000
    return float(np.polyfit(times[begin : end + 1], displacements[begin : end + 1], 1)[0] / 6)


def farthest(positions: Floats) -> float:
    """Largest distance of any atom from where it is on average, Å.

    Args:
        positions: not wrapped, shape (n_samples, n_atoms, 3), Å.
    """
    return float(np.linalg.norm(positions - positions.mean(axis=0), axis=2).max())


def diffusion_limit(n_atoms: int, time: float, hop: float) -> float:
    """What diffusion is below, with 95 % confidence, when no atom was seen to hop, Å^2/ps.

    Args:
        n_atoms: count of atoms watched.
        time: for which each was watched, ps.
        hop: length of a hop, Å.

    Source: hops are rare and independent, hence Poisson's; of rate Γ they make D = Γ l^2 / 6 (Chandrasekhar,
    Rev. Mod. Phys. 15, 1 (1943)).
    """
    return NOTHING_SEEN / (n_atoms * time) * hop**2 / 6


@dataclass(frozen=True)
class Spectrum:
    """Vibrational density of states from velocities.

    Attributes:
        frequency: shape (n_frequencies,), THz.
        density: shape (n_frequencies,), 1/THz; its integral is the number of degrees of freedom it was scaled to.
        resolution: full width at half maximum of a single mode, THz.
    """

    frequency: Floats
    density: Floats
    resolution: float


def velocity_correlation(velocities: Floats, masses: Floats) -> Floats:
    """Mass-weighted velocity autocorrelation, divided by its value at no time.

    Args:
        velocities: shape (n_samples, n_atoms, 3), any unit.
        masses: shape (n_atoms,), any unit.

    Returns:
        From no time up to half of the trajectory, shape (n_times,), dimensionless.
    """
    weighted = velocities * np.sqrt(masses)[None, :, None]
    found = _correlation(weighted, max(2, int(LONGEST * len(velocities))))
    return np.asarray(found / found[0])


def velocity_spectrum(correlation: Floats, interval: float, degrees: float) -> Spectrum:
    """Cosine transform of a velocity autocorrelation under Hann's window.

    Args:
        correlation: of `velocity_correlation`, shape (n_times,), dimensionless.
        interval: between its times, fs.
        degrees: number of degrees of freedom that the integral over frequencies is to be.

    Source: Dickey & Paskin, Phys. Rev. 188, 1407 (1969); of classical harmonic atoms it is the density of states.
    """
    count = len(correlation)
    window = np.cos(np.pi * np.arange(count) / (2 * count)) ** 2
    half = window * correlation
    even = np.concatenate([half, np.zeros(6 * count), half[:0:-1]])
    density = rfft(even).real
    frequency = np.arange(len(density), dtype=float) * 1000.0 / (len(even) * interval)
    total = float(np.sum((density[1:] + density[:-1]) / 2) * frequency[1])
    return Spectrum(frequency, np.asarray(density * degrees / total), 1000.0 / (count * interval))
