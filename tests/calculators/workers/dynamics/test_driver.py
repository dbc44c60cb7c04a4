from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import ase.parallel
import numpy as np
import pytest
from ase import Atoms, units
from scipy import stats

from hashigo.calculators.workers.dynamics.driver import (
    Conditions,
    State,
    drain,
    segment,
    thermal_state,
    trajectory,
)
from hashigo.errors import InputError, WorkerError

KELVIN = units.kB  # eV/K


def degrees(atoms: Atoms) -> int:
    return 3 * len(atoms) - 3


def test_first_velocities_are_thermal_and_without_total_momentum(argon: Atoms) -> None:
    kinetic = []
    for seed in range(400):
        momenta = thermal_state(argon, 200.0, seed).momenta
        np.testing.assert_allclose(momenta.sum(axis=0), 0, atol=1e-12)
        kinetic.append((momenta**2 / (2 * argon.get_masses()[:, None])).sum())
    scaled = 2 * np.array(kinetic) / (KELVIN * 200.0)
    assert stats.kstest(scaled, stats.chi2(degrees(argon)).cdf).pvalue > 0.01


@pytest.mark.parametrize("thermostat", ["bussi", "langevin"])
def test_kinetic_energy_has_the_canonical_distribution(argon: Atoms, einstein: Any, thermostat: Any) -> None:
    conditions = Conditions(200.0, timestep=4.0, thermostat=thermostat, relaxation=25.0)
    taken = segment(einstein, argon, thermal_state(argon, 200.0, 3), conditions, steps=8_000, every=20)
    scaled = np.array([2 * s.kinetic_energy / (KELVIN * 200.0) for s in taken])
    # Four atoms: counting 12 degrees of freedom for 9 would make the mean a third too high.
    assert scaled.mean() == pytest.approx(degrees(argon), rel=0.06)
    assert scaled.var() == pytest.approx(2 * degrees(argon), rel=0.25)
    assert stats.kstest(scaled[::4], stats.chi2(degrees(argon)).cdf).pvalue > 0.01


def test_equilibration_brings_potential_and_kinetic_energy_to_the_same_temperature(
    argon: Atoms, einstein: Any
) -> None:
    """Of harmonic modes each has kT / 2; at rest they begin with none."""
    harmonic = replace(einstein, quartic=0.0)
    potential = [
        drain_last(trajectory(harmonic, argon, temperature=100.0, steps=1, every=1, seed=seed, timestep=4.0,
                              equilibration=250)).potential_energy
        for seed in range(40)
    ]  # fmt: skip
    assert np.mean(potential) == pytest.approx(degrees(argon) / 2 * KELVIN * 100.0, rel=0.2)


def drain_last(taken: Any) -> Any:
    return list(taken)[-1]


def test_energy_is_conserved_to_second_order_in_the_time_step(argon: Atoms, einstein: Any) -> None:
    def ripple(timestep: float) -> float:
        taken = trajectory(einstein, argon, temperature=300.0, steps=round(2000 / timestep), every=1, seed=1,
                           timestep=timestep, thermostat="none")  # fmt: skip
        return float(np.std([s.conserved_energy for s in taken]))

    assert ripple(4.0) / ripple(2.0) == pytest.approx(4.0, rel=0.1)


def test_energy_less_what_the_thermostat_gave_is_conserved(argon: Atoms, einstein: Any) -> None:
    taken = list(trajectory(einstein, argon, temperature=300.0, steps=2000, every=10, seed=1, timestep=2.0))
    total = np.array([s.potential_energy + s.kinetic_energy for s in taken])
    assert np.std([s.conserved_energy for s in taken]) < 0.02 * total.std()


def test_pressure_of_an_ideal_gas(argon: Atoms, ideal_gas: Any) -> None:
    """Three degrees of freedom are gone with the total momentum: p V = (N - 1) k T at this temperature."""
    one = next(iter(trajectory(ideal_gas, argon, temperature=300.0, steps=5, every=5, seed=0)))
    expected = (len(argon) - 1) * KELVIN * one.temperature / argon.get_volume() / units.GPa
    assert one.pressure == pytest.approx(expected, rel=1e-12)


def test_volumes_of_an_ideal_gas_have_the_isobaric_distribution(argon: Atoms, ideal_gas: Any) -> None:
    """N - 1 momenta and positions move: V is distributed as V^(N-1) exp(-p V / kT), Gamma's distribution."""
    pressure = 1e-3
    taken = trajectory(ideal_gas, argon, temperature=300.0, steps=8_000, every=10, seed=2, timestep=50.0,
                       pressure=pressure, bulk_modulus=pressure)  # fmt: skip
    volumes = np.array([s.volume for s in taken])[30:]
    exact = stats.gamma(len(argon), scale=KELVIN * 300.0 / (pressure * units.GPa))
    assert volumes.mean() == pytest.approx(exact.mean(), rel=0.1)
    assert stats.kstest(volumes[::8], exact.cdf).pvalue > 0.01


def test_volumes_of_an_elastic_box_under_pressure_have_the_isobaric_distribution(
    argon: Atoms, elastic_box: Any
) -> None:
    conditions = Conditions(
        600.0, timestep=20.0, relaxation=20.0, pressure=2.0, pressure_relaxation=500.0, bulk_modulus=20.0
    )
    taken = segment(elastic_box, argon, thermal_state(argon, 600.0, 1), conditions, steps=6_000, every=25)
    found = np.array([s.volume for s in taken])[20:]
    volumes = np.linspace(0.7, 1.3, 4001) * argon.get_volume()
    energy = elastic_box.modulus * elastic_box.volume * np.log(volumes / elastic_box.volume) ** 2 / 2
    exponent = (len(argon) - 1) * np.log(volumes) - (energy + 2.0 * units.GPa * volumes) / (KELVIN * 600.0)
    weight = np.exp(exponent - exponent.max())
    cumulative = np.cumsum(weight) / weight.sum()
    assert found.mean() == pytest.approx((weight * volumes).sum() / weight.sum(), rel=0.005)
    assert stats.kstest(found[::4], lambda v: np.interp(v, volumes, cumulative)).pvalue > 0.01


def test_a_run_in_segments_equals_itself_bit_for_bit_wherever_it_is_taken_up(
    argon: Atoms, einstein: Any
) -> None:
    for conditions in (
        Conditions(200.0),
        Conditions(200.0, thermostat="langevin"),
        Conditions(200.0, pressure=1.0),
    ):
        first = thermal_state(argon, 200.0, 5)
        middle = drain(segment(einstein, argon, first, conditions, 30, 10))
        whole = drain(segment(einstein, argon, middle, conditions, 30, 10))
        again = drain(segment(einstein, argon, copied(middle), conditions, 30, 10))
        for name in ("positions", "momenta", "cell"):
            assert np.array_equal(getattr(whole, name), getattr(again, name)), name
        assert (whole.random, whole.exchanged) == (again.random, again.exchanged)
        assert not np.array_equal(whole.positions, middle.positions)


@pytest.mark.parametrize("thermostat", ["none", "bussi", "langevin"])
def test_ranks_that_run_trajectories_of_their_own_do_not_share_noise(
    argon: Atoms, einstein: Any, thermostat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ASE's integrators send what is random from the first rank to all others, unless they are told of no others."""

    def refuse(*_: Any) -> None:
        raise AssertionError("ranks were asked to share")

    monkeypatch.setattr(ase.parallel.world, "comm", SimpleNamespace(rank=0, size=2, broadcast=refuse))
    taken = trajectory(einstein, argon, temperature=100.0, steps=5, every=1, seed=0, thermostat=thermostat,
                       equilibration=5)  # fmt: skip
    assert len(list(taken)) == 5


def copied(state: State) -> State:
    """As read from a file."""
    return replace(state, random=json.loads(json.dumps(state.random)), positions=state.positions.copy())


def test_what_runs_away_is_stopped_with_a_sentence(argon: Atoms, einstein: Any) -> None:
    bad = replace(einstein, spring=-5.0, quartic=0.0)
    with pytest.raises(WorkerError, match=r"Ar4 at 100 K ran away"):
        list(trajectory(bad, argon, temperature=100.0, steps=5000, every=50, seed=0, timestep=5.0))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"temperature": -5.0}, "temperature of -5.0 K"),
        ({"temperature": 300.0, "timestep": 0.0}, "timestep of 0.0 fs"),
        (
            {"temperature": 300.0, "thermostat": "none", "pressure": 0.0},
            "constant pressure needs a thermostat",
        ),
    ],
)
def test_senseless_conditions_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Conditions(**wrong)


def test_one_atom_is_no_dynamics() -> None:
    with pytest.raises(InputError, match="two to move against each other"):
        thermal_state(Atoms("Ar", cell=[5, 5, 5], pbc=True), 300.0, 0)
