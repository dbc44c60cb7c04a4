"""Frames of pw.x in jobs of their own and packed: what is known is not computed again, and what fails costs itself."""

from __future__ import annotations

import itertools
import os
import shutil

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from ase.build import bulk

from hashigo.calculators.engines import get_engine
from hashigo.calculators.frames import Frame
from hashigo.scheduler_profiles import model
from hashigo.study.structures import structure_content
from hashigo.workflows import reference as stage
from hashigo.workflows.frame_nodes import frames_node
from hashigo.workflows.reference import ReferenceWorkChain

SETTINGS = {"pseudopotentials": {"Si": "Si.pz-vbc.UPF"}, "cutoff": 8, "kpoint_spacing": 1.2}

#: Half the lattice constants, Å, by which a stand-in for pw.x knows the frames.
HALVES = (2.70, 2.72, 2.74)

_NUMBERS = itertools.count()


class Cells(ReferenceWorkChain):
    """Has cells of two atoms, of these lattice constants; a negative one has its atoms on top of each other."""

    def sample(self):
        given = self.inputs.parameters.get_dict()
        settings = get_engine("quantum_espresso").signature(given["settings"])
        frames = []
        for half in given["halves"]:
            cell = bulk("Si", a=2 * abs(half))
            if half < 0:
                cell.positions[1] = [0.1, 0, 0]
            frames.append(
                Frame(
                    cell.cell.array, cell.positions, tuple(cell.symbols), kind="strained", settings=settings
                )
            )
        content = structure_content(self.inputs.structure.get_ase())
        header = {"structure": content, "engine": "quantum_espresso", "settings": given["settings"]}
        self.ctx.sampled = frames_node(frames, header).store()
        self.out("structure", self.inputs.structure)


@pytest.fixture
def silicon(aiida_profile_clean, require_program, require_module, monkeypatch):
    """Run the stage on cells of silicon; called as silicon(packed, halves, settings)."""
    require_program("pw.x", "quantum-espresso")
    require_module("aiida_quantumespresso", "qe")
    structure = orm.StructureData(ase=bulk("Si", a=5.4, cubic=True))
    # Frames of its own for each test: batches find those of others in the scratch folder.
    threshold = 1e-9 + next(_NUMBERS) * 1e-12

    def run(packed=False, halves=HALVES, **settings):
        given = {**SETTINGS, "scf_threshold": threshold, **settings}
        complete = get_engine("quantum_espresso").complete(given)
        parameters = {"engine": "quantum_espresso", "settings": complete, "packed": packed}
        with enable_caching():
            return run_get_node(
                Cells,
                structure=structure,
                parameters=orm.Dict({**parameters, "halves": list(halves)}),
                site=orm.Str("local"),
            )

    return run


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Put a script in the place of pw.x; it finds the real one in $REAL, and a folder of its own in $PLACE."""
    real = shutil.which("pw.x")

    def write(body):
        place = tmp_path / "bin"
        place.mkdir(exist_ok=True)
        script = place / "pw.x"
        script.write_text(f'#!/bin/sh\nREAL={real}\nPLACE={place}\n{body}\nexec "$REAL" "$@"\n')
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(place), prepend=os.pathsep)

    return write


#: Kills the real program in its midst, and then itself, on the second frame: as often as there are tries left.
KILLED = """
echo >> $PLACE/started
if grep -q "2\\.72" "$2" && [ $(ls $PLACE/kill-* 2>/dev/null | wc -l) -lt %d ]; then
  mktemp $PLACE/kill-XXXX > /dev/null
  "$REAL" "$@" & sleep 0.1; kill -9 $!; wait; kill -9 $$
fi
"""


def jobs(node):
    """Labels of the jobs of a stage."""
    return [c.label for c in node.called if c.process_label in ("WorkerCalculation", "PwFrameWorkChain")]


def energies(outputs):
    return [frame.energy for frame in outputs["result"].iter_frames()]


@pytest.mark.parametrize("packed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_frames_of_one_way_serve_the_other(silicon, packed):
    first, node = silicon(packed, HALVES[:2])
    assert node.is_finished_ok, node.exit_message
    assert len(jobs(node)) == (1 if packed else 2)
    again, node = silicon(not packed, HALVES[:2])
    assert node.is_finished_ok, node.exit_message
    assert jobs(node) == []
    assert energies(again) == energies(first)
    more, node = silicon(not packed)
    assert jobs(node) == (["frame 2 (3 of 3)"] if packed else ["batch of 1 of 3 frames"])
    assert energies(more)[:2] == energies(first)
    assert len(energies(more)) == 3


@pytest.mark.parametrize("packed", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_program_that_is_killed_once_is_started_again(silicon, stand_in, packed, tmp_path):
    stand_in(KILLED % 1)
    outputs, node = silicon(packed)
    assert node.is_finished_ok, node.exit_message
    assert len(energies(outputs)) == 3
    assert len((tmp_path / "bin" / "started").read_text()) == 4


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_a_program_that_is_always_killed_costs_its_frame_only(silicon, stand_in, packed, tmp_path):
    stand_in(KILLED % 9)
    outputs, node = silicon(packed)
    assert node.exit_status == 410
    said = "its program was ended by SIGKILL" if packed else "pw.x died before its end, and once more"
    assert node.exit_message.startswith("1 of 3 frames could not be computed; the first: frame 1: ")
    assert said in node.exit_message
    assert len(energies(outputs)) == 2
    # Nothing of the failure is served from the cache, and what was computed is not computed again.
    stand_in("")
    outputs, node = silicon(packed)
    assert node.is_finished_ok, node.exit_message
    assert len(jobs(node)) == 1
    assert len(energies(outputs)) == 3


@pytest.mark.parametrize("packed", [False, True])
def test_what_has_gone_since_the_study_was_prepared_is_a_sentence(silicon, packed, monkeypatch):
    _, node = silicon(packed, HALVES[:1], pseudopotentials={"Si": "gone.UPF"})
    assert node.exit_status == 410
    assert "pseudopotential 'gone.UPF' of element Si is in none of" in node.exit_message
    monkeypatch.setenv("PATH", "")
    _, node = silicon(packed, HALVES[:1])
    assert node.exit_status == 400
    assert "program 'pw.x' is not on the PATH of site 'local'" in node.exit_message


def test_overlapping_atoms_are_told_before_a_job_is_started(silicon):
    outputs, node = silicon(False, (HALVES[0], -HALVES[1]))
    assert node.exit_status == 410
    assert "1 of 2 frames could not be computed; the first: frame 1: atoms 0 (Si) and 1 (Si) overlap" in (
        node.exit_message
    )
    assert jobs(node) == ["frame 0 (1 of 2)"]
    assert len(energies(outputs)) == 1


#: Gives the real program few steps of self-consistency.
IMPATIENT = """
sed -i -e 's/^ *\\&ELECTRONS/\\&ELECTRONS\\n electron_maxstep = %d/I' -e '/^ *electron_maxstep *= *300/d' "$2"
"""


def test_self_consistency_that_is_not_reached_is_gone_on_with(silicon, stand_in):
    stand_in(IMPATIENT % 4)
    outputs, node = silicon(False, HALVES[:1])
    assert node.is_finished_ok, node.exit_message
    frame = next(child for child in node.called if child.process_label == "PwFrameWorkChain")
    assert [job.exit_status for job in frame.called] in ([410, 0], [410, 410, 0])
    stand_in("")
    # Another threshold is another frame.
    direct, node = silicon(False, HALVES[:1], scf_threshold=0.9e-9)
    np.testing.assert_allclose(energies(outputs), energies(direct), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_self_consistency_that_is_never_reached_costs_its_frame_only(silicon, stand_in, packed):
    stand_in(f'if grep -q "2\\.72" "$2"; then {(IMPATIENT % 1).strip()}; fi')
    outputs, node = silicon(packed, HALVES[:2])
    assert node.exit_status == 410
    assert "frame 1: " in node.exit_message
    assert "self-consistency" in node.exit_message
    assert len(energies(outputs)) == 1


def test_time_that_is_not_enough_is_doubled(silicon, stand_in, monkeypatch):
    # pw.x looks at its time after each step: the stand-in takes it away in the first try.
    stand_in("""
if [ ! -e $PLACE/hurried ]; then
  touch $PLACE/hurried; sed -i 's/max_seconds *=.*/max_seconds = 1.0d-6/I' "$2"
fi""")
    long = model.load_site("local").model_copy(update={"walltime": 150})
    monkeypatch.setattr(stage, "load_site", lambda name: long)
    outputs, node = silicon(False, HALVES[:1], walltime=100)
    assert node.is_finished_ok, node.exit_message
    frame = next(child for child in node.called if child.process_label == "PwFrameWorkChain")
    first, second = sorted(frame.called, key=lambda job: job.pk)
    assert (first.exit_status, second.exit_status) == (400, 0)
    assert [job.get_option("max_wallclock_seconds") for job in (first, second)] == [100, 150]
    assert len(energies(outputs)) == 1


def test_what_the_program_refuses_is_told_in_its_words_and_not_tried_again(silicon):
    _, node = silicon(halves=(2.70,), cutoff=-8)
    assert node.exit_status == 410
    assert "pw.x stopped: Error in routine" in node.exit_message
    assert "out of range" in node.exit_message
    assert len([c for c in node.called_descendants if c.process_label == "PwCalculation"]) == 1
