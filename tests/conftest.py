"""What every test may ask for: programs that must be there, and small studies."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk

# A database of its own for all tests that store nodes in this process.
pytest_plugins = ["aiida.tools.pytest_fixtures"]


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


@pytest.fixture
def diamond() -> Atoms:
    """Silicon's conventional cell at Tersoff's lattice constant."""
    return bulk("Si", "diamond", 5.432, cubic=True)


#: Every stage, as small as it goes; numbers of such a run mean nothing.
SMALL_STUDY = """\
title: Small silicon
authors: [{name: Josiah Carberry, orcid: 0000-0002-1825-0097, affiliation: Brown University}]
licence: CC-BY-4.0
structure: silicon.cif
reference: {engine: tersoff, sampling: {displaced: 4, strained: 6, volumes: 3}}
potential: {members: 2, cutoff: 5, radial_functions: 5, invariant_max_l: [4, 4]}
phonons: {mesh: 5, temperatures: [300]}
conductivity: {meshes: [3, 4, 5], coarse_mesh: 3, temperatures: [300], snapshots: 10, cutoff: null}
mesoscale: {grains: 4, voxels: 8, grain_sizes: [100 nm, 1 µm], realisations: 2}
"""


@dataclass
class Workplace:
    """A folder with a small study, and the command line with a database of its own.

    Attributes:
        folder: where the study is.
        environment: environment variables of every command.
    """

    folder: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs `hashigo`."""
        return [sys.executable, "-m", "hashigo", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `hashigo` to its end, standard output piped."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
        )


def make_workplace(folder: Path, database: Path) -> Workplace:
    """A folder with silicon.cif and study.yaml."""
    bulk("Si", "diamond", 5.432, cubic=True).write(folder / "silicon.cif")
    (folder / "study.yaml").write_text(SMALL_STUDY)
    return Workplace(folder, {**os.environ, "AIIDA_PATH": str(database), "OMP_NUM_THREADS": "1"})


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """A fresh folder and a fresh database."""
    return make_workplace(tmp_path, tmp_path / "aiida")


@dataclass
class FinishedRun:
    """A small study that was run through the command line."""

    workplace: Workplace
    done: subprocess.CompletedProcess[str]

    @property
    def identifier(self) -> str:
        """Number of the run."""
        return re.search(r"^run (\d+):", self.done.stdout, flags=re.M)[1]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The small study, run once for all tests that look at runs."""
    folder = tmp_path_factory.mktemp("finished")
    place = make_workplace(folder, folder / "aiida")
    return FinishedRun(place, place.run("run", "study.yaml"))


@pytest.fixture
def trouble_path(tmp_path: Path) -> str:
    """A PYTHONPATH on which the engine 'trouble' is registered as a plugin is."""
    folder = tmp_path / "plugin"
    record = folder / "trouble-0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: trouble\nVersion: 0\n")
    (record / "entry_points.txt").write_text("[hashigo.engines]\ntrouble = trouble:ENGINE\n")
    (folder / "trouble.py").write_text((Path(__file__).parent / "trouble.py").read_text())
    return str(folder)
