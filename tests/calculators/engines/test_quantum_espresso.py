"""Quantum ESPRESSO: mesh density, pseudopotentials, and a real pair of runs in the reference stage."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.engines.quantum_espresso import find_pseudopotential, kpoint_mesh
from hashigo.errors import InputError


@pytest.mark.parametrize("scale", [0.97, 1.0, 1.03])
def test_mesh_is_of_one_density_in_cell_supercell_and_strained_cell(scale):
    assert kpoint_mesh(np.eye(3) * 5.4 * scale, 0.29) == [4, 4, 4]
    assert kpoint_mesh(np.eye(3) * 10.8 * scale, 0.29) == [2, 2, 2]


def test_missing_pseudopotential_names_the_element(monkeypatch, tmp_path):
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(tmp_path))
    with pytest.raises(InputError, match="none for element Mg"):
        find_pseudopotential("Mg", {"O": "O.upf"})
    with pytest.raises(InputError, match=r"'Mg\.upf' of element Mg is in none of"):
        find_pseudopotential("Mg", {"Mg": "Mg.upf"})
    (tmp_path / "Mg.upf").touch()
    assert find_pseudopotential("Mg", {"Mg": "Mg.upf"}) == tmp_path / "Mg.upf"


STUDY = """\
title: Two frames of silicon
licence: CC-BY-4.0
until: reference
structure: silicon.cif
reference:
  engine: quantum_espresso
  settings: {pseudopotentials: {Si: Si.pz-vbc.UPF}, cutoff: 24 Ry, kpoint_spacing: 0.6, scf_threshold: 1e-8}
  sampling: {displaced: 0, strained: 0, volumes: 3, volume_range: 0.02, displacement: 0.005}
"""


def test_real_frames_have_forces_and_stress_of_the_right_sign(workplace, require_program, require_module):
    require_program("pw.x", "quantum-espresso")
    require_module("aiida_quantumespresso", "qe")
    (workplace.folder / "qe.yaml").write_text(STUDY)
    done = workplace.run("run", "qe.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    from hashigo.calculators.frames import read_frames, read_header

    path = workplace.folder / "qe-results" / "reference.h5"
    frames = read_frames(path)
    header = read_header(path)
    assert header["first_principles"] is True
    # A free silicon atom by this pseudopotential lies some 5 eV above the crystal.
    assert 3 < header["atomic_energies"]["Si"] - frames[1].energy / 8 < 8
    pressure = [-frame.stress[:3].mean() for frame in frames]
    assert pressure[0] > pressure[1] > pressure[2]
    # dE/dV = -P: the energy's slope over volume against the mean stress; Pulay stress is some 0.4 GPa at this cut-off.
    volumes = [abs(np.linalg.det(frame.cell)) for frame in frames]
    slope = (frames[2].energy - frames[0].energy) / (volumes[2] - volumes[0])
    assert slope == pytest.approx(-np.mean(pressure), abs=0.006)
    assert np.abs(frames[0].forces.sum(axis=0)).max() < 1e-3
