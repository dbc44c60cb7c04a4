"""What tests of other solvers ask for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.interface import PeriodicProblem
from hashigo.calculators.workers.homogenization.peers.muspectre import ENVIRONMENT, VARIABLE
from hashigo.calculators.workers.homogenization.tensors import rotate_stiffness, voigt_to_mandel


@pytest.fixture(scope="session")
def muspectre_python(repository) -> Path:
    """Interpreter that has muSpectre."""
    path = Path(os.environ.get(VARIABLE) or repository / ENVIRONMENT / "bin" / "python")
    if not path.is_file():
        message = f"muSpectre is missing: make peers, or name an interpreter that has it in {VARIABLE}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture
def two_crystals() -> PeriodicProblem:
    """A cubic and a hexagonal grain, the second turned by 90° about x, on a grid of 4 × 3 × 2 voxels."""
    cubic = np.diag([40.0, 40.0, 40.0, 70.0, 70.0, 70.0])
    cubic[:3, :3] += 120.0
    hexagonal = np.diag([160.0, 160.0, 180.0, 50.0, 50.0, 35.0])
    hexagonal[:2, :2] += [[0.0, 90.0], [90.0, 0.0]]
    hexagonal[2, :2] = hexagonal[:2, 2] = 65.0
    rotations = np.array([np.eye(3), [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]])
    table = rotate_stiffness(voigt_to_mandel(np.array([cubic, hexagonal])), rotations)
    phase = np.zeros((2, 3, 4), dtype=np.int32)
    phase[1, :, 1:] = 1
    phase[0, 2, 3] = 1
    return PeriodicProblem(phase, table, ["copper", "zinc"], rotations)


@pytest.fixture
def golden() -> Callable[[Path, str], None]:
    """Compare a file with that in data/FOLDER; `HASHIGO_WRITE_GOLDEN=1` writes it anew."""

    def compare(path: Path, folder: str) -> None:
        kept = Path(__file__).parent / "data" / folder / path.name
        if os.environ.get("HASHIGO_WRITE_GOLDEN"):
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        assert path.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8")

    return compare
