"""Licensed inputs are used and never kept: a marker in POTCAR appears in no database, no results and no package."""

from __future__ import annotations

import gzip
import hashlib
import os
import sqlite3
import stat
import sys
import zipfile
from pathlib import Path

import pytest

MARKER = b"LICENSED-TEXT-7c1f0e"

STUDY = """\
title: Silicon with a licensed pseudopotential
licence: CC-BY-4.0
until: reference
structure: silicon.cif
reference:
  engine: vasp
  settings: {{pseudopotentials: {{Si: Si_sv}}, pseudopotential_folder: {folder}, kpoint_spacing: 2}}
  sampling: {{supercell: [1, 1, 1], displaced: 3, strained: 0, volumes: 0}}
"""


def found_in(path: Path) -> bool:
    """Whether a file holds the marker: as it is, unpacked, or in a member of an archive."""
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content += gzip.decompress(content)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            content += b"".join(archive.read(name) for name in archive.namelist())
    return MARKER in content


@pytest.fixture
def study(workplace):
    """A study whose POTCAR holds the marker, and a stand-in for the program."""
    folder = workplace.folder / "licensed"
    (folder / "Si_sv").mkdir(parents=True)
    (folder / "Si_sv" / "POTCAR").write_bytes(b"  PAW_PBE Si " + MARKER + b"\n")
    programs = workplace.folder / "bin"
    programs.mkdir()
    program = programs / "vasp_std"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name('stand_in_vasp.py')}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    workplace.environment["PATH"] = f"{programs}:{os.environ['PATH']}"
    (workplace.folder / "licensed.yaml").write_text(STUDY.format(folder=folder))
    return workplace


def test_licensed_text_is_used_and_kept_nowhere(study):
    done = study.run("run", "licensed.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    from hashigo.calculators.frames import read_frames, read_header

    result = study.folder / "licensed-results" / "reference.h5"
    assert len([frame for frame in read_frames(result) if frame.kind == "displaced"]) == 3
    settings = read_header(result)["settings"]
    potcar = study.folder / "licensed" / "Si_sv" / "POTCAR"
    # Known by name and hash.
    assert settings["pseudopotentials"] == {"Si": "Si_sv"}
    assert settings["pseudopotential_sha256"] == {"Si": hashlib.sha256(potcar.read_bytes()).hexdigest()}
    assert str(study.folder) not in str(settings)

    exported = study.run("export", "--as", "crate", "--output", "crate.zip")
    assert exported.returncode == 0, exported.stderr
    kept = [
        path
        for path in study.folder.rglob("*")
        if path.is_file() and not path.is_symlink() and study.folder / "licensed" not in path.parents
    ]
    assert any(path.name.endswith("sqlite") for path in kept), "the database was not looked at"
    assert not [path for path in kept if found_in(path)]
    with sqlite3.connect(next(path for path in kept if path.name.endswith("database.sqlite"))) as database:
        assert MARKER.decode() not in "\n".join(database.iterdump())


def test_the_marker_would_be_found(tmp_path):
    (tmp_path / "plain").write_bytes(b"x" + MARKER)
    (tmp_path / "packed").write_bytes(gzip.compress(MARKER * 3))
    with zipfile.ZipFile(tmp_path / "archive", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("member", MARKER)
    assert all(found_in(path) for path in tmp_path.iterdir())
