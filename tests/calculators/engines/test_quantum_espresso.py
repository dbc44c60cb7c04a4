"""Quantum ESPRESSO: mesh density, pseudopotentials, and a real pair of runs in the reference stage."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.engines import get_engine
from hashigo.calculators.engines.quantum_espresso import find_pseudopotential, kpoint_mesh
from hashigo.errors import InputError, WorkerError


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


def test_a_frame_has_at_least_one_rank():
    engine = get_engine("quantum_espresso")
    with pytest.raises(InputError, match=r"reference\.settings\.ranks is 0"):
        engine.check(engine.complete({"ranks": 0}), ["Si"])


PAIR = STUDY.replace("volumes: 3", "volumes: 1")


def test_packed_frames_equal_single_jobs(workplace, require_program, require_module):
    require_program("pw.x", "quantum-espresso")
    require_module("aiida_quantumespresso", "qe")
    from hashigo.calculators.frames import read_frames, read_header

    for name, packed in (("single", "false"), ("packed", "true")):
        text = PAIR.replace("  sampling:", f"  packed: {packed}\n  sampling:")
        (workplace.folder / f"{name}.yaml").write_text(text)
        done = workplace.run("run", f"{name}.yaml")
        assert done.returncode == 0, done.stdout + done.stderr
    paths = [workplace.folder / f"{name}-results" / "reference.h5" for name in ("single", "packed")]
    (single,), (packed,) = (read_frames(path) for path in paths)
    assert single.identity == packed.identity
    # To the digits that pw.x prints; the two readers take their units from different years of CODATA.
    assert packed.energy == pytest.approx(single.energy, rel=1e-7)
    np.testing.assert_allclose(packed.forces, single.forces, atol=1e-6, rtol=0)
    # Half the last digit: 5e-9 Ry/bohr^3.
    np.testing.assert_allclose(packed.stress, single.stress, atol=4.6e-7, rtol=0)
    atoms = [read_header(path)["atomic_energies"]["Si"] for path in paths]
    assert atoms[1] == pytest.approx(atoms[0], rel=1e-7)


def test_a_frame_that_does_not_converge_is_tried_again_with_a_remedy(
    tmp_path, require_program, diamond, monkeypatch
):
    from hashigo.calculators.engines import Workspace, espresso_packed
    from hashigo.calculators.engines.quantum_espresso import _parameters

    engine = get_engine("quantum_espresso")
    settings = engine.complete(
        {"pseudopotentials": {"Si": "Si.pz-vbc.UPF"}, "cutoff": 12, "kpoint_spacing": 0.6}
    )
    place = Workspace(tmp_path / "rank", (require_program("pw.x", "quantum-espresso"),))

    def few_steps(settings, kind):
        namelists = _parameters(settings, kind)
        namelists["ELECTRONS"]["electron_maxstep"] = 2
        return namelists

    calculator = espresso_packed.make_calculator(
        settings, place, few_steps, lambda symbol: find_pseudopotential(symbol, settings["pseudopotentials"])
    )
    diamond.calc = calculator
    assert diamond.get_potential_energy() / 8 < -100
    assert "electron_maxstep" in (place.folder / "pw.in").read_text()
    assert calculator.converged
    monkeypatch.setitem(espresso_packed.REMEDY, "electron_maxstep", 3)
    diamond.rattle(0.01)
    with pytest.raises(WorkerError, match="self-consistency was not reached"):
        diamond.get_potential_energy()
