from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.dynamics.motion import (
    diffusion,
    diffusion_limit,
    farthest,
    square_displacement,
    velocity_correlation,
    velocity_spectrum,
)


def brownian(
    generator: np.random.Generator, thermal: float, friction: float, steps: int, step: float
) -> np.ndarray:
    """Free Langevin motion of atoms, the exact Ornstein-Uhlenbeck step; shape (steps, 200, 3)."""
    decay = np.exp(-friction * step)
    velocity = generator.standard_normal((200, 3)) * np.sqrt(thermal)
    place, out = np.zeros((200, 3)), np.empty((steps, 200, 3))
    for index in range(steps):
        before = velocity
        velocity = decay * velocity + np.sqrt(thermal * (1 - decay**2)) * generator.standard_normal((200, 3))
        place = place + (before + velocity) * step / 2
        out[index] = place
    return out


def test_displacement_is_that_of_its_definition() -> None:
    positions = np.cumsum(np.random.default_rng(0).standard_normal((40, 5, 3)), axis=0)
    found = square_displacement(positions)
    for lag in (0, 1, 7, len(found) - 1):
        apart = positions[lag:] - positions[: len(positions) - lag]
        assert found[lag] == pytest.approx((apart**2).sum(axis=2).mean(), abs=1e-9)


def test_brownian_motion_diffuses_as_einstein_says() -> None:
    """D = kT / (m γ), here in Å^2/fs with kT / m = 1e-4 and γ = 0.02 / fs."""
    positions = brownian(np.random.default_rng(1), 1e-4, 0.02, 3000, 10.0)
    found = diffusion(square_displacement(positions), 10.0)
    assert found == pytest.approx(1e-4 / 0.02 * 1000, rel=0.05)


def test_vibration_does_not_diffuse() -> None:
    times = np.arange(2000) * 5.0
    positions = 0.2 * np.cos(2 * np.pi * times / 100.0)[:, None, None] * np.ones((1, 8, 3))
    assert abs(diffusion(square_displacement(positions), 5.0)) < 1e-3
    assert farthest(positions) == pytest.approx(0.2 * np.sqrt(3), rel=1e-3)


def test_the_limit_is_poissons() -> None:
    """Of rare hops at three times the inverse of all time watched, a twentieth of the runs sees none."""
    limit = diffusion_limit(n_atoms=64, time=10.0, hop=2.35)
    rate = 6 * limit / 2.35**2
    assert np.exp(-rate * 640.0) == pytest.approx(0.05, rel=0.01)


def test_the_spectrum_of_springs_has_their_frequencies_and_weights() -> None:
    """Two kinds of atoms at 5 and 12 THz with the same energy in each: the density counts them, whatever their mass."""
    generator = np.random.default_rng(2)
    times, masses = np.arange(2000) * 4.0, np.repeat([10.0, 40.0], [30, 10])
    phases = generator.uniform(0, 2 * np.pi, (1, 40, 3))
    frequency = np.repeat([12.0, 5.0], [30, 10])[None, :, None]
    size = 1 / np.sqrt(masses)[None, :, None]
    velocities = size * np.cos(2 * np.pi * frequency * times[:, None, None] / 1000 + phases)
    spectrum = velocity_spectrum(velocity_correlation(velocities, masses), 4.0, degrees=6)
    step = spectrum.frequency[1]
    peaks = spectrum.frequency[np.argsort(spectrum.density)[::-1]]
    assert peaks[0] == pytest.approx(12.0, abs=step)
    low = spectrum.frequency < 8.5
    assert spectrum.density[low].sum() * step == pytest.approx(6 * 10 / 40, rel=0.02)
    assert spectrum.density[~low].sum() * step == pytest.approx(6 * 30 / 40, rel=0.02)
    half = spectrum.frequency[spectrum.density > spectrum.density.max() / 2]
    assert np.ptp(half) == pytest.approx(spectrum.resolution, abs=2 * step)
