"""`hashigo engines`: what there is, what is missing, and what each can be told; a missing one stops a study at once."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from hashigo.calculators import engines as engines_module
from hashigo.calculators.engines import engine_names, get_engine
from hashigo.cli import hashigo


def listed(*arguments):
    done = CliRunner().invoke(hashigo, ["engines", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_every_engine_is_listed_with_its_truth():
    rows = {row["engine"]: row for row in json.loads(listed("--json"))}
    assert list(rows) == engine_names()
    truths = {name for name, row in rows.items() if row["first_principles"]}
    assert truths == {"abinit", "cp2k", "fhi_aims", "gpaw", "quantum_espresso", "siesta", "vasp"}
    assert rows["emt"]["installed"]
    for row in rows.values():
        assert row["installed"] or (row["missing"] and row["obtain"])


def test_a_missing_program_and_how_to_get_it(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    row = next(row for row in json.loads(listed("--json")) if row["engine"] == "abinit")
    assert not row["installed"]
    assert (row["missing"], row["obtain"]) == ("program abinit", "Debian package abinit")
    assert "program abinit: Debian package abinit" in listed()


def test_a_missing_plugin_is_told(monkeypatch):
    monkeypatch.setattr(engines_module, "find_spec", lambda name: None)
    row = next(row for row in json.loads(listed("--json")) if row["engine"] == "quantum_espresso")
    assert row["missing"] == "Python module aiida_quantumespresso"
    assert row["obtain"] == "pip install 'aiida-hashigo[qe]'; Debian package quantum-espresso"


def test_settings_of_one_engine():
    assert "Plane-wave cut-off of the wavefunctions." in listed("vasp")
    found = json.loads(listed("vasp", "--json"))
    units = {row["setting"]: row["unit"] for row in found["settings"]}
    assert units["cutoff"] == "eV"
    assert list(units) == list(get_engine("vasp").settings)


def test_version_of_an_installed_program(require_program):
    require_program("abinit", "abinit")
    assert json.loads(listed("abinit", "--json"))["version"][0].isdigit()


def test_unknown_engines_are_refused(workplace):
    done = workplace.run("engines", "wasp")
    assert done.returncode == 2
    assert "engine 'wasp' is not known" in done.stderr


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_missing_engine_is_one_sentence_and_nothing_is_stored(workplace, command):
    (workplace.folder / "missing.yaml").write_text(
        "title: Missing\nlicence: CC-BY-4.0\nuntil: reference\nstructure: silicon.cif\nreference: {engine: vasp}\n"
    )
    workplace.environment["PATH"] = str(workplace.folder)
    done = workplace.run(command, "missing.yaml")
    assert done.returncode == 2
    assert "engine 'vasp' needs the program vasp_std, which is not on site 'local'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (workplace.folder / "aiida").exists()
    assert not (workplace.folder / "missing-results").exists()


def test_numbers_of_other_engines_are_labelled_everywhere(finished, tmp_path):
    assert finished.done.returncode == 0, finished.done.stderr
    place = finished.workplace
    heads = [line for line in finished.done.stdout.splitlines() if "not first-principles" in line]
    # Beside the title of each stage with numbers, and once below the table.
    assert len(heads) > 3
    content = json.loads((place.folder / "study-results" / "results.json").read_text())
    assert content["reference"] == {"engine": "tersoff", "first_principles": False}
    assert {row["first_principles"] for row in content["results"]} == {False}
    page = (place.folder / "study-results" / "report.html").read_text()
    assert page.count("not first-principles") > 3
    exported = place.run("export", finished.identifier, "--as", "crate", "--output", str(tmp_path / "crate"))
    assert exported.returncode == 0, exported.stderr
    crate = json.loads((tmp_path / "crate" / "ro-crate-metadata.json").read_text())
    root = next(entity for entity in crate["@graph"] if entity["@id"] == "./")
    assert "not first-principles" in root["description"]
    assert "not first-principles" in (tmp_path / "crate" / "README.md").read_text()
