"""ABINIT, run for real: slopes of the energy, convergence, its own words when it stops."""

from __future__ import annotations

import pytest
from ase import Atoms

from hashigo.calculators.engines import Workspace, get_engine
from hashigo.errors import InputError, WorkerError

SETTINGS = {"pseudopotentials": {"Si": "14si.pspnc"}, "cutoff": "10 hartree", "kpoint_spacing": 1.2}


@pytest.fixture
def abinit(require_program, make_calculator):
    require_program("abinit", "abinit and abinit-data")
    return lambda **more: make_calculator("abinit", **{**SETTINGS, **more})


def test_forces_and_stress_are_slopes_of_the_energy(abinit, crystal, slopes):
    atoms = crystal("Si", 5.43)
    atoms.calc = abinit(cutoff="18 hartree")
    # At constant cut-off the number of plane waves changes with the strain: slope and stress differ a little.
    slopes(atoms, 1e-3, 5e-4)
    assert atoms.calc.version.startswith("9.") or atoms.calc.version.startswith("10.")
    assert atoms.calc.converged is True


def test_with_smearing_the_energy_is_the_one_of_the_forces(abinit, crystal, slopes):
    atoms = crystal("Si", 5.43)
    atoms.calc = abinit(smearing="0.05 hartree", cutoff="18 hartree")
    slopes(atoms, 1e-3, 5e-4)


def test_without_convergence_there_is_no_number(abinit, crystal):
    atoms = crystal("Si", 5.43)
    atoms.calc = abinit(scf_steps=3)
    with pytest.raises(WorkerError, match="self-consistency was not reached"):
        atoms.get_potential_energy()
    assert atoms.calc.results == {}


def test_a_pseudopotential_of_another_element_is_refused(abinit):
    with pytest.raises(InputError, match=r"gives 13al\.pspnc for Si, and it is a pseudopotential of Al"):
        abinit(pseudopotentials={"Si": "13al.pspnc"})


def test_the_program_tells_why_it_stopped(require_program, tmp_path):
    program = require_program("abinit", "abinit and abinit-data")
    atoms = Atoms("Si", cell=[5] * 3, pbc=True)
    engine = get_engine("abinit")
    wrong = engine.complete({**SETTINGS, "pseudopotentials": {"Si": "13al.pspnc"}})
    atoms.calc = engine.calculator(wrong, Workspace(tmp_path / "work", (program,)))
    with pytest.raises(WorkerError, match=r"its program stopped: .*znucl"):
        atoms.get_potential_energy()


def test_missing_and_changed_pseudopotentials_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ABINIT_PP_PATH", str(tmp_path))
    engine = get_engine("abinit")
    with pytest.raises(InputError, match="names none for Mg, O"):
        engine.check(engine.complete({}), ["Mg", "O"])
    settings = engine.complete({"pseudopotentials": {"Mg": "none.psp8"}})
    with pytest.raises(InputError, match=r"'none\.psp8' of element Mg is in none of"):
        engine.check(settings, ["Mg"])
    (tmp_path / "Mg.psp8").write_text("one")
    settings = engine.complete({"pseudopotentials": {"Mg": "Mg.psp8"}})
    engine.check(settings, ["Mg"])
    before = engine.signature(settings)
    (tmp_path / "Mg.psp8").write_text("another")
    with pytest.raises(InputError, match="is not the file whose SHA-256"):
        engine.check(settings, ["Mg"])
    assert engine.signature(engine.complete({"pseudopotentials": {"Mg": "Mg.psp8"}})) != before
    with pytest.raises(InputError, match=r"pseudopotentials\.Mg is the path"):
        engine.complete({"pseudopotentials": {"Mg": str(tmp_path / "Mg.psp8")}})
    with pytest.raises(InputError, match="cutoff is 0, and engine 'abinit' needs more than 0"):
        engine.check({**settings, "cutoff": 0.0}, ["Mg"])
    with pytest.raises(InputError, match="xc is 'B3LYP'"):
        engine.check({**settings, "xc": "B3LYP"}, ["Mg"])
