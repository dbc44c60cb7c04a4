"""`hashigo converge`: its mistakes, and real runs of it."""

from __future__ import annotations

import json
import re

import pytest

STUDY = """\
title: Silicon
structure: silicon.cif
reference:
  engine: quantum_espresso
  packed: true
  settings: {pseudopotentials: {Si: Si.pz-vbc.UPF}, cutoff: 8 Ry, kpoint_spacing: 0.8, scf_threshold: 1e-6}
"""


def write(place, text):
    (place.folder / "converge.yaml").write_text(text)


@pytest.mark.parametrize(
    ("reference", "options", "message"),
    [
        (
            "{data: frames.h5}",
            (),
            "the frames of this study are given by frames.h5: there is nothing to converge",
        ),
        ("{engine: tersoff}", (), "engine 'tersoff' is not first-principles and has no cut-off and k-mesh"),
        ("{engine: nonsense}", (), "reference.engine 'nonsense' is not known"),
        (
            "{engine: tersoff}",
            ("--force-tolerance", "1 GPa"),
            "--force-tolerance: '1 GPa' cannot be converted",
        ),
        (
            "{engine: tersoff}",
            ("--stress-tolerance", "1 florin"),
            "--stress-tolerance: the unit of '1 florin'",
        ),
        ("{engine: tersoff}", ("--force-tolerance", "0"), "--force-tolerance is '0'"),
        ("{engine: tersoff}", ("--max-steps", "2"), "--max-steps"),
        ("{engine: tersoff}", ("--output", "silicon.cif"), "silicon.cif is a file"),
    ],
)
def test_mistakes_are_one_sentence(workplace, reference, options, message):
    write(workplace, f"structure: silicon.cif\nreference: {reference}\n")
    done = workplace.run("converge", "converge.yaml", *options)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (workplace.folder / "aiida").exists(), "nothing was started"


def test_pw_is_converged_and_a_second_run_is_taken_from_the_cache(workplace, require_program, require_module):
    require_program("pw.x", "quantum-espresso")
    require_module("aiida_quantumespresso", "qe")
    write(workplace, STUDY)
    wide = (
        "--frames",
        "1",
        "--max-steps",
        "3",
        "--force-tolerance",
        "2 eV/Å",
        "--stress-tolerance",
        "500 kbar",
    )
    done = workplace.run("converge", "converge.yaml", *wide)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert re.search(r"^cutoff 8 Ry, mesh 1×1×1: done", done.stdout, flags=re.M)
    assert re.search(
        r"^reference:\n  settings:\n    cutoff: 6.7 Ry\n    kpoint_spacing: ", done.stdout, flags=re.M
    )
    folder = workplace.folder / "converge-convergence"
    assert "<svg" in (folder / "convergence.svg").read_text()
    content = json.loads((folder / "convergence.json").read_text())
    cutoff, mesh = content["series"]
    assert [step["value"] for step in cutoff["steps"]] == [6.7, 8.0, 9.6]
    assert [step["mesh"] for step in mesh["steps"]] == [[1, 1, 1], [2, 2, 2], [3, 3, 3]]
    assert all(0 < step["force_error"] < 2 for step in cutoff["steps"][:2])
    assert all(step["seconds_per_frame"] > 0 for step in cutoff["steps"])
    assert content["check"]["stress_error"] < 50
    # Narrow tolerances: the same frames, another judgement.
    narrow = workplace.run("converge", "converge.yaml", "--frames", "1", "--max-steps", "3", "--json")
    assert narrow.returncode == 3
    assert "not converged with the cut-off and k-mesh" in narrow.stderr
    assert "nothing is recommended" in narrow.stderr
    content = json.loads(narrow.stdout)
    assert (content["converged"], content["recommended"]) == (False, None)


ABINIT = """\
title: Silicon
structure: silicon.cif
reference:
  engine: abinit
  settings: {pseudopotentials: {Si: 14si.pspnc}, cutoff: 5 hartree, kpoint_spacing: 0.8, scf_threshold: 1e-8}
"""


@pytest.mark.slow
def test_abinit_is_converged_in_its_own_units(workplace, require_program):
    require_program("abinit", "abinit and abinit-data")
    write(workplace, ABINIT)
    wide = (
        "--frames",
        "1",
        "--max-steps",
        "3",
        "--force-tolerance",
        "2 eV/Å",
        "--stress-tolerance",
        "50 GPa",
    )
    done = workplace.run("converge", "converge.yaml", *wide, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads(done.stdout)
    assert content["recommended"] == {"cutoff": "4.2 hartree", "kpoint_spacing": "0.8 1/Å"}
    assert all(0 < step["stress_error"] < 50 for series in content["series"] for step in series["steps"][:2])
