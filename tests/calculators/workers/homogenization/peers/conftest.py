"""What tests of other solvers ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hashigo.calculators.workers.homogenization.peers.muspectre import ENVIRONMENT, VARIABLE


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
