"""Inputs of programs that cannot run here, as ASE's calculators write them; compared with files in data/.

`HASHIGO_WRITE_GOLDEN=1` writes the files anew: look at the difference before it is committed.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ase.build import bulk

from hashigo.calculators.engines import Workspace, fhi_aims, get_engine, siesta, vasp
from hashigo.calculators.engines.frame_calculator import starting_moments
from hashigo.errors import InputError

DATA = Path(__file__).parent / "data"


def compare(path: Path, name: str) -> None:
    """Compare a file without its comments with data/NAME."""
    lines = [line.rstrip() for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines) + "\n"
    golden = DATA / name
    if os.environ.get("HASHIGO_WRITE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text(), name


@pytest.fixture
def frame():
    """A displaced rock-salt cell; nickel oxide, with moments."""
    atoms = bulk("NiO", "rocksalt", a=4.2, cubic=True)
    atoms.positions[0] += [0.02, 0.0, -0.01]
    return atoms


@pytest.fixture
def workspace(tmp_path):
    """An empty folder, and a program that does not exist."""
    (tmp_path / "work").mkdir()
    return Workspace(tmp_path / "work", ("mpirun", "-n", "4", "program"))


def licensed_folder(tmp_path, inside, symbols=("Ni", "O")):
    """Files with a marker in the place of licensed text."""
    for symbol in symbols:
        path = tmp_path / "licensed" / inside.format(symbol)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"  stand-in for the file of {symbol}\n")
    return str(tmp_path / "licensed")


def test_vasp(tmp_path, frame, workspace):
    settings = vasp.ENGINE.complete(
        {
            "pseudopotentials": {"Ni": "Ni_pv", "O": "O_pv"}, "cutoff": "520 eV", "xc": "PBEsol",
            "pseudopotential_folder": licensed_folder(tmp_path, "{}_pv/POTCAR"), "smearing": "0.1 eV",
            "spin": {"Ni": 2.0},
        }
    )  # fmt: skip
    vasp.ENGINE.check(settings, ["Ni", "O"])
    frame.set_initial_magnetic_moments(starting_moments(frame, settings["spin"]))
    calculator = vasp.calculator(frame, settings, workspace)
    assert calculator.command == "mpirun -n 4 program"
    calculator.write_input(frame)
    for name in ("INCAR", "KPOINTS", "POSCAR"):
        compare(workspace.folder / name, f"vasp/{name}")
    # One after the other in the order of POSCAR.
    assert (workspace.folder / "POTCAR").read_text().split()[-1] == "O"


def test_nothing_that_vasp_wrote_is_left_beside_a_frame(tmp_path, workspace):
    stand_in = Path(__file__).with_name("stand_in_vasp.py")
    settings = vasp.ENGINE.complete(
        {
            "pseudopotentials": {"Si": "Si"}, "kpoint_spacing": 2,
            "pseudopotential_folder": licensed_folder(tmp_path, "{}/POTCAR", ["Si"]),
        }
    )  # fmt: skip
    atoms = bulk("Si")
    workspace = replace(workspace, command=(sys.executable, str(stand_in)))
    atoms.calc = vasp.ENGINE.calculator(settings, workspace)
    assert atoms.get_forces().shape == (2, 3)
    assert not list(workspace.folder.iterdir())


def test_siesta(tmp_path, frame, workspace):
    settings = siesta.ENGINE.complete(
        {
            "pseudopotentials": {"Ni": "Ni.psml", "O": "O.psml"}, "spin": {"Ni": 2.0}, "cutoff": "300 Ry",
            "pseudopotential_folder": licensed_folder(tmp_path, "{}.psml"),
        }
    )  # fmt: skip
    siesta.ENGINE.check(settings, ["Ni", "O"])
    frame.set_initial_magnetic_moments(starting_moments(frame, settings["spin"]))
    siesta.calculator(frame, settings, workspace).write_input(frame, ["energy", "forces", "stress"])
    compare(workspace.folder / "siesta.fdf", "siesta/siesta.fdf")
    assert (workspace.folder / "Ni.1.psml").resolve().name == "Ni.psml"


def test_fhi_aims(tmp_path, frame, workspace):
    folder = tmp_path / "species" / "tight"
    folder.mkdir(parents=True)
    for name in ("28_Ni_default", "08_O_default"):
        (folder / name).write_text(f"  species        {name.split('_')[1]}\n    nucleus             1\n")
    settings = fhi_aims.ENGINE.complete(
        {"basis_set": "tight", "species_folder": str(folder.parent), "spin": {"Ni": 2.0}}
    )
    fhi_aims.ENGINE.check(settings, ["Ni", "O"])
    frame.set_initial_magnetic_moments(starting_moments(frame, settings["spin"]))
    fhi_aims.write_input(workspace.folder, frame, settings)
    control = workspace.folder / "control.in"
    # Only what this project sets is compared: the rest would be a licensed file.
    control.write_text(control.read_text().split("species ")[0])
    compare(control, "fhi_aims/control.in")
    compare(workspace.folder / "geometry.in", "fhi_aims/geometry.in")


def test_missing_licensed_files_are_named(tmp_path, monkeypatch):
    for name in ("VASP_PP_PATH", "AIMS_SPECIES_DIR"):
        monkeypatch.delenv(name, raising=False)
    engine = get_engine("vasp")
    with pytest.raises(InputError, match="names none for Ni, O"):
        engine.check(engine.complete({}), ["Ni", "O"])
    with pytest.raises(InputError, match="'Ni_pv' of element Ni is in none of"):
        engine.check(engine.complete({"pseudopotentials": {"Ni": "Ni_pv"}}), ["Ni"])
    aims = get_engine("fhi_aims")
    with pytest.raises(InputError, match="FHI-aims has no species files for Ni, O"):
        aims.check(aims.complete({}), ["Ni", "O"])


def test_species_files_of_fhi_aims_are_named_relative_to_the_study(tmp_path, monkeypatch):
    monkeypatch.setenv("HASHIGO_FILES", str(tmp_path / "store"))
    monkeypatch.delenv("AIMS_SPECIES_DIR", raising=False)
    folder = tmp_path / "study" / "species" / "tight"
    folder.mkdir(parents=True)
    (folder / "28_Ni_default").write_text("made up")
    given = {"species_folder": "species", "basis_set": "tight"}
    aims = get_engine("fhi_aims")
    settings = aims.complete(aims.resolve(given, tmp_path / "study", ["Ni"])[0])
    aims.check(settings, ["Ni"])
    assert settings["species_folder"] == ""
    assert str(tmp_path) not in str(settings)
    with pytest.raises(InputError, match="no species files for O"):
        aims.resolve(given, tmp_path / "study", ["Ni", "O"])
    with pytest.raises(InputError, match="are not those whose SHA-256"):
        aims.resolve({**given, "species_sha256": "../" * 3 + "elsewhere"}, tmp_path / "study", ["Ni"])
    (folder / "28_Ni_default").write_text("changed")
    with pytest.raises(InputError, match="are not those whose SHA-256"):
        aims.check(settings, ["Ni"])


def test_a_study_writes_nothing_outside_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("HASHIGO_FILES", str(tmp_path / "home" / "store"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "profile").write_text("precious")
    study = tmp_path / "study"
    (study / "a" / "b").mkdir(parents=True)
    (study / "profile").write_text("hostile")
    given = {"pseudopotential_folder": "a/b", "pseudopotentials": {"Si": "../../profile"}}
    with pytest.raises(InputError, match=r"the file name \.\./\.\./profile leads out of its folder"):
        get_engine("abinit").resolve(given, study, ["Si"])
    assert (tmp_path / "home" / "profile").read_text() == "precious"
    named = {"pseudopotentials": {"Si": "Si.psp8"}, "pseudopotential_sha256": {"Si": "../x"}}
    with pytest.raises(InputError, match=r"'\.\./x' is no SHA-256"):
        get_engine("abinit").complete(named)
    with pytest.raises(InputError, match=r"pseudopotentials\.Si is 3"):
        get_engine("abinit").complete({"pseudopotentials": {"Si": 3}})
