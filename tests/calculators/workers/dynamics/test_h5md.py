"""Trajectories are read by others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ase import Atoms

from hashigo.calculators.workers.dynamics.driver import trajectory
from hashigo.calculators.workers.dynamics.h5md import write_h5md
from hashigo.calculators.workers.dynamics.segments import Samples, StepSchedule


@pytest.fixture
def samples(argon: Atoms, einstein: Any) -> Samples:
    taken = trajectory(einstein, argon, temperature=100.0, steps=60, every=2, seed=1, timestep=2.0)
    return Samples.of(list(taken), StepSchedule(0, 60, every=2, frames_every=4, segment=60))


@pytest.fixture
def written(samples: Samples, argon: Atoms, tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5md", "w") as file:
        write_h5md(file, samples, argon.get_chemical_symbols(), argon.get_masses(), timestep=2.0, stride=3)
    return tmp_path / "a.h5md"


def test_the_structure_is_that_of_the_specification(written: Path, samples: Samples) -> None:
    with h5py.File(written) as file:
        assert file["h5md"].attrs["version"].tolist() == [1, 1]
        assert file["h5md/modules/units"].attrs["version"].tolist() == [1, 0]
        assert {"author", "creator"} <= set(file["h5md"])
        atoms = file["particles/atoms"]
        assert atoms["box"].attrs["boundary"].tolist() == ["periodic"] * 3
        np.testing.assert_array_equal(atoms["box/edges/value"][()], samples.cells[::3])
        np.testing.assert_array_equal(atoms["position/value"][()], samples.positions[::3])
        np.testing.assert_array_equal(atoms["position/step"][()], [4, 16, 28, 40, 52])
        np.testing.assert_array_equal(atoms["position/time"][()], 2.0 * atoms["position/step"][()])
        assert atoms["velocity/value"].attrs["unit"] == "Angstrom fs-1"
        assert atoms["species"][()].tolist() == [18] * 4
        assert file["observables/atoms/temperature/value"].shape == (30,)


def test_mdanalysis_reads_it(written: Path, samples: Samples) -> None:
    universe = pytest.importorskip("MDAnalysis", reason="MDAnalysis is not installed").Universe
    read = universe.empty(4, trajectory=True)
    read.load_new(str(written), format="H5MD")
    assert len(read.trajectory) == 5
    for frame, expected in zip(read.trajectory, samples.positions[::3], strict=True):
        np.testing.assert_allclose(frame.positions, expected, rtol=1e-6)
        np.testing.assert_allclose(frame.dimensions, [5.4] * 3 + [90] * 3, rtol=1e-6)
    assert read.trajectory[1].time == pytest.approx(0.032)  # ps
    np.testing.assert_allclose(read.trajectory[1].velocities, 1000 * samples.velocities[3], rtol=1e-5)


def test_pyh5md_reads_it(written: Path, samples: Samples) -> None:
    pyh5md = pytest.importorskip("pyh5md", reason="pyh5md is not installed")
    with pyh5md.File(str(written), "r") as file:
        atoms = file.particles_group("atoms")
        position = pyh5md.element(atoms, "position")
        np.testing.assert_array_equal(position.value[()], samples.positions[::3])
        assert position.step[1] == 16
        assert position.time[1] == 32.0
        assert pyh5md.element(atoms, "species")[:].tolist() == [18] * 4
