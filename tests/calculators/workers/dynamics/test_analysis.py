from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.workers.dynamics.analysis import Motion, Outcome, Votes, shifted
from hashigo.calculators.workers.dynamics.averages import (
    Pressure,
    breathing,
    diffusion_of,
    equation_of_state,
    pressure_of,
)
from hashigo.calculators.workers.dynamics.radial import Radial
from hashigo.calculators.workers.dynamics.segments import Samples
from hashigo.calculators.workers.dynamics.settings import Trajectory
from hashigo.calculators.workers.dynamics.statistics import Mean
from hashigo.errors import WorkerError

THERMAL = 0.025  # eV


def test_members_averages_are_those_of_their_own_springs_to_first_order() -> None:
    """<x^2> = kT / k of each spring k, asked on samples of the mean spring's motion."""
    generator = np.random.default_rng(0)
    mean, members = 5.0, np.array([4.9, 5.0, 5.2])
    places = [generator.standard_normal(40_000) * np.sqrt(THERMAL / mean) for _ in range(2)]
    votes = [
        Votes((members[:, None] - mean) / 2 * x**2, np.zeros((3, len(x))), x**2, np.ones(len(x)))
        for x in places
    ]
    observable = np.concatenate([x**2 for x in places])
    found = shifted(observable, votes, 1 / THERMAL, changes=False)
    np.testing.assert_allclose(found, -THERMAL / mean * (members - mean) / mean, rtol=0.03, atol=1e-12)


def test_what_members_see_otherwise_counts_beside_their_weights() -> None:
    votes = [Votes(np.zeros((2, 10)), np.array([[0.3] * 10, [-0.1] * 10]), np.ones(10), np.ones(10))]
    np.testing.assert_allclose(shifted(np.ones(10), votes, 1 / THERMAL, changes=True), [0.3, -0.1])


def outcome(pressure: np.ndarray, volume: np.ndarray, motion: Motion | None = None) -> Outcome:
    count = len(pressure)
    stress = np.zeros((count, 6))
    stress[:, :3] = -pressure[:, None]
    series = {"time": np.arange(count) * 10.0, "temperature": np.full(count, 300.0), "stress": stress, "volume": volume,
              "potential_energy": np.zeros(count), "conserved_energy": np.zeros(count),
              "frame_time": np.arange(count) * 10.0, "positions": np.zeros((0, 4, 3)),
              "velocities": np.zeros((0, 4, 3)), "cells": np.zeros((count, 3, 3)),
              "frame_energy": np.zeros(count), "frame_pressure": pressure}  # fmt: skip
    return Outcome(Trajectory(300.0, 1.0, 0, True), Samples(**series), motion, None, 4)


def test_pressure_has_the_error_of_its_series() -> None:
    noise = np.random.default_rng(1).standard_normal(1000)
    found = pressure_of([outcome(1.5 + noise, np.full(1000, 160.0))])
    assert float(found.mean.value) == pytest.approx(1.5, abs=0.1)
    assert float(found.mean.error) == pytest.approx(1 / np.sqrt(1000), rel=0.5)
    assert found.volume == 160.0
    assert found.members is None


def test_fluctuations_of_the_volume_are_the_modulus() -> None:
    """Variance kT V / B: of 100 GPa at 300 K, 1000 Å^3."""
    variance = 0.025852 * 1000 / (100 / 160.21766)
    volumes = 1000 + np.random.default_rng(2).standard_normal(20_000) * np.sqrt(variance)
    volume, modulus = breathing([outcome(np.zeros(20_000), volumes)])
    assert volume.value == pytest.approx(1000, rel=1e-3)
    assert modulus.value == pytest.approx(100, rel=0.03)
    assert modulus.sampling == pytest.approx(100 * np.sqrt(2 / 20_000), rel=0.7)
    assert modulus.members is None


def moved(far: float, coefficients: list[float]) -> Outcome:
    silent = Motion(10.0, Radial(np.zeros(1), {}), {"Cu": np.zeros(5)}, {"Cu": far}, {"Cu": np.array(coefficients)},
                    np.zeros(5))  # fmt: skip
    return outcome(np.zeros(1000), np.ones(1000), silent)


def test_diffusion_is_a_number_only_where_atoms_have_moved_on() -> None:
    copper = bulk("Cu", "fcc", 3.6, cubic=True)
    still = diffusion_of([moved(0.5, [0.01, 0.011, 0.009, 0.01])], copper)[0]
    assert still.coefficient is None
    assert still.limit == pytest.approx(3 / (4 * 9.99) * 3.6**2 / 2 / 6)
    assert "no atom moved farther than 0.50 Å" in still.seen
    melt = diffusion_of([moved(9.0, [0.4, 0.5, 0.6, 0.5])], copper)[0]
    assert melt.coefficient == pytest.approx(0.5)
    assert melt.limit is None
    noise = diffusion_of([moved(2.0, [0.1, -0.1, 0.05, -0.04])], copper)[0]
    assert noise.coefficient is None
    assert "not told from none" in noise.seen


def cell(volume: float, pressure: float, members: list[float] | None = None) -> Pressure:
    error = Mean(np.array(pressure), np.array(0.02), 1.0)
    return Pressure(volume, error, None if members is None else np.array(members), 0.0)


def test_an_equation_of_state_says_what_it_lacks() -> None:
    with pytest.raises(WorkerError, match="2 volumes, and an equation of state needs 3"):
        equation_of_state([cell(990.0, 1.0), cell(1010.0, -1.0)], 0.0)
    rising = [(980.0, 2.06), (1000.0, 0.0), (1020.0, -1.92)]
    with pytest.raises(WorkerError, match="50 GPa are not reached"):
        equation_of_state([cell(*one) for one in rising], 50.0)
    volume, modulus, marks = equation_of_state([cell(v, p, [p, p + 0.1]) for v, p in rising], 0.0)
    assert marks == ()
    assert volume.value == pytest.approx(1000.0, abs=0.5)
    assert modulus.value == pytest.approx(100.0, rel=0.03)
    assert volume.members is not None
    assert volume.members[1] - volume.members[0] == pytest.approx(1.0, rel=0.05)
    *_, marks = equation_of_state([cell(v, p, [p, p + 90.0]) for v, p in rising], 0.0)
    assert marks == ("model part not known",)
