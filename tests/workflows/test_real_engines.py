"""Real first-principles programs through a whole study: its file, the batch, the frames that come out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hashigo.calculators.engines import get_engine
from hashigo.calculators.frames import read_frames, read_header
from hashigo.errors import InputError

STUDY = """\
structure: silicon.cif
until: reference
reference:
  engine: {engine}
  settings: {settings}
  sampling: {{supercell: [1, 1, 1], displaced: 1, strained: 1, volumes: 0}}
"""

ABINIT = "{pseudopotentials: {Si: 14si.pspnc}, cutoff: 8 hartree, kpoint_spacing: 1.2}"
GPAW = "{cutoff: 250 eV, kpoint_spacing: 1.2, xc: LDA}"


@pytest.fixture
def frames(workplace):
    """Crystal frames of silicon by an engine, with their header; called as frames(engine, settings)."""

    def compute(engine, settings):
        (workplace.folder / "study.yaml").write_text(STUDY.format(engine=engine, settings=settings))
        done = workplace.run("run", "study.yaml", "--output", "out")
        assert done.returncode == 0, done.stderr
        log = workplace.run("status", "--json")
        assert log.returncode == 0, log.stderr
        assert json.loads(log.stdout)
        path = workplace.folder / "out" / "reference.h5"
        return read_frames(path), read_header(path)

    return compute


def check(found, engine, title):
    crystal, header = found
    assert header["engine"] == engine
    assert header["first_principles"] is True
    assert header["atomic_energies"]["Si"] > crystal[0].energy / len(crystal[0].symbols)  # silicon is bound
    assert [frame.kind for frame in crystal] == ["displaced", "strained"]
    for frame in crystal:
        assert frame.origin.startswith(title)
        assert any(letter.isdigit() for letter in frame.origin)  # with its version
        # Displaced by 0.03 Å, atoms are driven back by some 0.1 eV/Å; their forces add up to nothing.
        assert 0.05 < np.abs(frame.forces).max() < 2
        assert np.abs(frame.forces.sum(axis=0)).max() < 0.05
        assert frame.stress.shape == (6,)


def test_abinit(frames, require_program):
    require_program("abinit", "abinit and abinit-data")
    check(frames("abinit", ABINIT), "abinit", "ABINIT")


@pytest.mark.slow
def test_gpaw(frames, require_module):
    require_module("gpaw", "gpaw")
    check(frames("gpaw", GPAW), "gpaw", "GPAW")


def test_numbers_as_yaml_takes_them():
    complete = get_engine("cp2k").complete
    assert complete({"scf_threshold": "1e-7"})["scf_threshold"] == 1e-7  # YAML's 1e-7 is a text
    assert complete({"scf_threshold": 1})["scf_threshold"] == 1.0
    with pytest.raises(InputError, match="scf_threshold: 'little' is no number"):
        complete({"scf_threshold": "little"})
