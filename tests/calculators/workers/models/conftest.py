"""What the tests of potential models share: small frames, and a kind that is registered as a plugin is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms

from hashigo.calculators.frames import Frame, write_frames
from hashigo.calculators.sampling import sample
from hashigo.calculators.workers import models, training
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.potential import AseModel


@pytest.fixture(scope="session")
def small_frames(tersoff: AseModel, diamond: Atoms) -> list[Frame]:
    """Displaced and strained cells of 8 atoms with energy, forces and stress by Tersoff's potential."""
    sampling = {
        "supercell": (1, 1, 1), "displaced": 16, "displacement": 0.05,
        "strained": 8, "strain": 0.02, "volumes": 3, "volume_range": 0.06,
    }  # fmt: skip
    frames = []
    for frame in sample(diamond, sampling, seed=1, settings="tersoff"):
        if frame.kind != "atom":
            known = tersoff.evaluate([frame.atoms()])[0]
            frames.append(replace(frame, energy=known.energy, forces=known.forces, stress=known.stress))
    return frames


def train_in(folder: Path, model: str, name: str, frames: list[Frame], section: dict[str, Any]) -> Path:
    """Run the task in a folder; returns the path of its result."""
    write_frames(folder / "frames.h5", frames, {"atomic_energies": {"Si": -1.0}})
    job = Job("training", {"model": model, **section}, {"frames": folder / "frames.h5"}, folder / name)
    training.run(job)
    return job.output


@pytest.fixture
def train(tmp_path: Path, small_frames: list[Frame]) -> Callable[..., Path]:
    """Run the task; called as train(model, name of the result, settings={...}, members=..., ...)."""

    def run(
        model: str, name: str = "potential.h5", frames: list[Frame] | None = None, **section: Any
    ) -> Path:
        return train_in(tmp_path, model, name, frames or small_frames, section)

    return run


@pytest.fixture(scope="session")
def train_once(
    tmp_path_factory: pytest.TempPathFactory, small_frames: list[Frame]
) -> Callable[[str, dict[str, Any]], Path]:
    """A committee of two, trained once for all tests; called as train_once(model, settings)."""
    known: dict[str, Path] = {}

    def run(model: str, settings: dict[str, Any]) -> Path:
        if model not in known:
            section = {"members": 2, "settings": settings}
            known[model] = train_in(
                tmp_path_factory.mktemp(model), model, "potential.h5", small_frames, section
            )
        return known[model]

    return run


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Register a kind as a plugin would; called as register(name, "module:ATTRIBUTE")."""

    def add(name: str, target: str) -> None:
        record = tmp_path / "plugin" / "stub-0.dist-info"
        record.mkdir(parents=True, exist_ok=True)
        (record / "METADATA").write_text("Metadata-Version: 2.1\nName: stub\nVersion: 0\n")
        (record / "entry_points.txt").write_text(f"[hashigo.models]\n{name} = {target}\n")
        monkeypatch.syspath_prepend(str(record.parent))
        monkeypatch.syspath_prepend(str(Path(__file__).parent))
        models.get_kind.cache_clear()
        models.kind_names.cache_clear()

    yield add
    models.get_kind.cache_clear()
    models.kind_names.cache_clear()


@pytest.fixture
def heavy_package() -> Callable[[str], None]:
    """Skip without a package that brings PyTorch, in CI too; called as heavy_package(module)."""
    import importlib.util

    extras = {"mace": "mace", "sevenn": "sevennet", "chgnet": "chgnet"}

    def check(name: str) -> None:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"Python module '{name}' is missing: pip install 'aiida-hashigo[{extras[name]}]'")

    return check
