"""A trajectory that leaves the trained region is stopped, and says where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import dynamics, elasticity
from hashigo.calculators.workers.dynamics.driver import RanAway, trajectory
from hashigo.calculators.workers.dynamics.guard import Guard, TrajectoryDeparture, excesses, unharmed
from hashigo.calculators.workers.dynamics.settings import Trajectory
from hashigo.calculators.workers.extrapolation import TrainedRegion, frames_to_label
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import write_structure
from hashigo.calculators.workers.potential import Committee

COLD, HOT = Trajectory(300.0, 1.0, 0, True), Trajectory(3000.0, 1.0, 0, True)


def strained(argon: Atoms, einstein: Any, share: float) -> tuple[Guard, list[bool]]:
    """A guard over cells that are larger than those trained on, and what it says every 20 steps."""
    region = TrainedRegion(argon.cell.array.tolist(), len(argon), 0.01, 1.0)
    atoms = argon.copy()
    atoms.set_cell(argon.cell.array * (1 + share), scale_atoms=True)
    guard = Guard(region, Committee(einstein), COLD, atoms, every=20)
    taken = trajectory(einstein, atoms, temperature=50.0, steps=200, every=20, seed=0)
    said = []
    for snapshot in taken:
        said.append(guard.inside(snapshot))
        if not said[-1]:
            break
    return guard, said


def test_a_cell_that_was_not_trained_on_ends_the_trajectory_at_the_next_look(
    argon: Atoms, einstein: Any
) -> None:
    guard, said = strained(argon, einstein, 0.03)
    assert said == [True] * 4 + [False]
    assert guard.departure is not None
    # Looked at after 100 steps; the first snapshot outside is told.
    assert guard.departure.step == 20
    assert "strained by 3.0 %" in guard.departure.sentence
    np.testing.assert_allclose(guard.departure.atoms.cell.lengths(), 5.4 * 1.03)


def test_a_cell_inside_goes_on(argon: Atoms, einstein: Any) -> None:
    guard, said = strained(argon, einstein, 0.015)
    assert said == [True] * 10
    assert guard.departure is None


def test_a_runaway_is_a_departure_where_the_region_is_known(argon: Atoms, einstein: Any) -> None:
    guard, _ = strained(argon, einstein, 0.0)
    with pytest.raises(RanAway):
        guard.ran_away(RanAway("too hot"))
    guard.inside(next(iter(trajectory(einstein, argon, temperature=50.0, steps=20, every=20, seed=0))))
    guard.ran_away(RanAway("the dynamics ran away"))
    assert guard.departure is not None
    assert (guard.departure.step, guard.departure.sentence) == (20, "the dynamics ran away")


def test_averages_at_a_condition_that_one_left_are_given_up(argon: Atoms) -> None:
    departures = [TrajectoryDeparture(HOT, 100, "too hot", argon)]
    planned = [COLD, HOT, Trajectory(3000.0, 1.0, 1, True), Trajectory(3000.0, 1.02, 0, False)]
    assert unharmed(planned, departures) == [COLD, planned[3]]
    assert [one.index for one in excesses(departures)] == [0]


def test_heat_beyond_the_training_stops_at_the_gate_and_keeps_what_is_cold(
    tmp_path: Path, tersoff_potential: Path, diamond: Atoms
) -> None:
    write_structure(tmp_path / "structure.json", diamond)
    inputs = {"structure": tmp_path / "structure.json", "potential": tersoff_potential}
    elasticity.run(Job("elasticity", {}, inputs, tmp_path / "elasticity.h5"))
    parameters = {"supercell": [1, 1, 1], "volumes": [1.0], "timestep": 2.0, "production": 0.5, "seeds": 1,
                  "equilibration": 0.3, "temperatures": [20.0, 6000.0]}  # fmt: skip
    inputs = {"elasticity": tmp_path / "elasticity.h5", "potential": tersoff_potential}
    dynamics.run(Job("dynamics", parameters, inputs, tmp_path / "dynamics.h5"))
    with ResultReader(tmp_path / "dynamics.h5") as result:
        gate = result.note("gate")
        assert gate["name"] == "trained_region"
        assert not gate["passed"]
        assert "molecular dynamics at 6000 K leaves the region" in gate["message"]
        left = result.note("dynamics")["left"]
        assert [one["trajectory"] for one in left] == ["6000K-1V-0"]
        frames = frames_to_label(result)
        assert [len(frame.symbols) for frame in frames] == [8]
        assert [c["temperature"] for c in result.quantity("pressure").conditions] == [20.0]
        assert result.has("spectrum/20K/density")
        assert not result.has("spectrum/6000K/density")
