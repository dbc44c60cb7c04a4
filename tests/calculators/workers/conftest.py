"""What the workers' tests share: silicon by Tersoff's potential, cheap and exactly known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk

from hashigo.calculators.engines.tersoff import silicon
from hashigo.calculators.frames import Frame, write_frames
from hashigo.calculators.sampling import sample
from hashigo.calculators.workers import training
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.potential import AseModel

#: Lattice constant of Tersoff's silicon, Å.
LATTICE_CONSTANT = 5.4320


@pytest.fixture(scope="session")
def tersoff() -> AseModel:
    """Tersoff's silicon as a model."""
    return AseModel(silicon(), ["Si"])


@pytest.fixture(scope="session")
def diamond() -> Atoms:
    """The conventional cell of silicon."""
    return bulk("Si", "diamond", LATTICE_CONSTANT, cubic=True)


@pytest.fixture(scope="session")
def tersoff_frames(tersoff: AseModel, diamond: Atoms) -> list[Frame]:
    """Displaced supercells and strained cells with energy, forces and stress."""
    sampling = {
        "supercell": (2, 2, 2), "displaced": 6, "displacement": 0.03,
        "strained": 8, "strain": 0.02, "volumes": 5, "volume_range": 0.06,
    }  # fmt: skip
    frames = []
    for frame in sample(diamond, sampling, seed=1, settings="tersoff"):
        if frame.kind != "atom":
            known = tersoff.evaluate([frame.atoms()])[0]
            frames.append(replace(frame, energy=known.energy, forces=known.forces, stress=known.stress))
    return frames


@pytest.fixture(scope="session")
def tersoff_potential(tersoff_frames: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committee of four trained on the frames."""
    folder = tmp_path_factory.mktemp("potential")
    write_frames(folder / "frames.h5", tersoff_frames, {"atomic_energies": {"Si": 0.0}})
    training.run(Job("training", {"members": 4}, {"frames": folder / "frames.h5"}, folder / "potential.h5"))
    return folder / "potential.h5"
