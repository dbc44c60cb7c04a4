"""What every test may ask for: programs that must be there, and small studies."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def _missing(what: str, how: str) -> None:
    """Fail on the project's own machines; on a user's, skip and name what is missing."""
    message = f"{what} is missing: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def require_program() -> Callable[[str, str], str]:
    """Path of a program; called as require_program(name, Debian package)."""

    def check(name: str, package: str) -> str:
        path = shutil.which(name)
        if path is None:
            _missing(f"program '{name}'", f"install the Debian package {package}")
        return str(path)

    return check


@pytest.fixture
def require_module() -> Callable[[str, str], None]:
    """Make sure of a Python module; called as require_module(name, extra)."""

    def check(name: str, extra: str) -> None:
        if importlib.util.find_spec(name) is None:
            _missing(f"Python module '{name}'", f"pip install 'aiida-hashigo[{extra}]'")

    return check


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return Path(__file__).resolve().parent.parent
