"""Pseudopotentials of Quantum ESPRESSO from folders, archives and families, and files of other engines."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from hashigo.calculators.engines import get_engine
from hashigo.calculators.engines.input_files import ElementFiles
from hashigo.calculators.engines.pseudopotentials import (
    PSEUDO_FOLDERS,
    check_pseudopotentials,
    find_pseudopotential,
    resolve,
)
from hashigo.calculators.engines.upf import header_of
from hashigo.errors import InputError

UPF = '<UPF version="2.0.1">\n<PP_HEADER element="{}" functional="{}" z_valence="4.0"/>\n</UPF>\n'


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("HASHIGO_FILES", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "pseudo"
    place.mkdir()
    for name, element, functional in (
        ("ga.upf", "Ga", "PBE"), ("as.UPF", "As", " SLA  PW   PBX  PBC"), ("x.upf", "P ", "SLA PZ NOGX NOGC"),
    ):  # fmt: skip
        (place / name).write_text(UPF.format(element, functional))
    return place


def real(name):
    return next(path for path in (Path(f) / name for f in PSEUDO_FOLDERS) if path.is_file())


@pytest.mark.parametrize(
    ("name", "element", "functional"),
    [
        ("Si.pz-vbc.UPF", "Si", "LDA"),
        ("B.pbe-n-kjpaw_psl.1.0.0.UPF", "B", "PBE"),
        ("C.UPF", "C", "LDA"),
        ("C.tpss-mt.UPF", "C", "TPSS"),
        ("Si_r.upf", "Si", "PBE"),
        ("Co.pbesol-spn-rrkjus_psl.0.3.1.UPF", "Co", "PBESOL"),
    ],
)
def test_headers_of_real_files(name, element, functional, require_program):
    require_program("pw.x", "quantum-espresso")
    header = header_of(real(name))
    assert (header.element, header.functional) == (element, functional)


def test_a_folder_becomes_names_and_digests(folder, tmp_path, store):
    settings, recommended = resolve(
        {"pseudopotentials": {"folder": "pseudo"}, "cutoff": 30}, tmp_path, ["As", "Ga"]
    )
    digest = hashlib.sha256((folder / "ga.upf").read_bytes()).hexdigest()
    assert settings["pseudopotentials"]["Ga"] == {"file": "ga.upf", "sha256": digest}
    assert settings["cutoff"] == 30
    assert not recommended
    assert str(tmp_path) not in json.dumps(settings)
    # What the job reads is what the study had when it was prepared.
    (folder / "ga.upf").write_text("changed")
    path = find_pseudopotential("Ga", settings["pseudopotentials"])
    assert path.is_relative_to(store)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    # Prepared settings are prepared again to themselves, as when a run is resumed.
    assert resolve(settings, Path("/nowhere"), ["As", "Ga"])[0] == settings
    path.write_text("changed")
    with pytest.raises(InputError, match=r"'ga\.upf' of element Ga, .* no longer kept"):
        find_pseudopotential("Ga", settings["pseudopotentials"])


def test_one_error_names_all_elements_without_one(folder, tmp_path):
    with pytest.raises(InputError, match="none for elements Al, N"):
        resolve({"pseudopotentials": {"folder": "pseudo"}}, tmp_path, ["Al", "As", "N"])
    with pytest.raises(InputError, match="none for elements Al, N"):
        check_pseudopotentials({"As": "as.UPF"}, ["Al", "As", "N"])
    with pytest.raises(InputError, match="there is no folder"):
        resolve({"pseudopotentials": {"folder": "other"}}, tmp_path, ["Al"])


def test_several_of_an_element_are_chosen_from_by_name(folder, tmp_path):
    (folder / "ga-d.upf").write_text(UPF.format("Ga", "PBE") + "d")
    with pytest.raises(InputError, match=r"several for Ga \(Ga: ga-d\.upf, ga\.upf\)"):
        resolve({"pseudopotentials": {"folder": "pseudo"}}, tmp_path, ["Ga"])
    settings, _ = resolve({"pseudopotentials": {"folder": "pseudo", "Ga": "ga-d.upf"}}, tmp_path, ["Ga"])
    assert settings["pseudopotentials"]["Ga"]["file"] == "ga-d.upf"


def test_functionals_must_agree(folder, tmp_path):
    settings, _ = resolve({"pseudopotentials": {"folder": "pseudo"}}, tmp_path, ["As", "Ga", "P"])
    check_pseudopotentials(settings["pseudopotentials"], ["As", "Ga"])
    with pytest.raises(InputError, match="different functionals: PBE for As, Ga; LDA for P"):
        check_pseudopotentials(settings["pseudopotentials"], ["As", "Ga", "P"])


@pytest.mark.parametrize("ending", [".tar.gz", ".zip"])
def test_archives_give_what_folders_give(folder, tmp_path, ending):
    path = tmp_path / f"set{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, f"set/{file.name}")
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, "set")
    elements = ["As", "Ga"]
    one, _ = resolve({"pseudopotentials": {"archive": path.name}}, tmp_path, elements)
    assert one == resolve({"pseudopotentials": {"folder": "pseudo"}}, tmp_path, elements)[0]


def tar_of(path, name, content=b"", **kind):
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        for key, value in kind.items():
            setattr(member, key, value)
        archive.addfile(member, io.BytesIO(content))


def test_hostile_archives_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "bad.tar.gz"
    given = {"pseudopotentials": {"archive": "bad.tar.gz"}}
    for name in ("../si.upf", "/si.upf"):
        tar_of(path, name)
        with pytest.raises(InputError, match="lies outside the archive"):
            resolve(given, tmp_path, ["Si"])
    tar_of(path, "si.upf", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        resolve(given, tmp_path, ["Si"])
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("si.upf")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        resolve(given, tmp_path, ["Si"])
    tar_of(path, "si.upf", UPF.format("Si", "PBE").encode())
    monkeypatch.setattr("hashigo.calculators.engines.pseudopotentials.MAX_FILE", 10)
    with pytest.raises(InputError, match=r"si\.upf is larger than"):
        resolve(given, tmp_path, ["Si"])
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"bad\.tar\.gz cannot be read"):
        resolve(given, tmp_path, ["Si"])


def test_the_form_by_name_keeps_the_identities_of_frames():
    engine = get_engine("quantum_espresso")
    given = {"pseudopotentials": {"Si": "Si.pz-vbc.UPF"}, "cutoff": 24, "kpoint_spacing": 0.29,
             "scf_threshold": 1e-10}  # fmt: skip
    settings, recommended = engine.resolve(given, Path(), ["Si"])
    assert (settings, recommended) == (given, {})
    frames = Path(__file__).parents[3] / "examples" / "silicon" / "reference.h5"
    from hashigo.calculators.frames import read_header

    recorded = {k: v for k, v in read_header(frames)["settings"].items() if k != "walltime"}
    assert engine.physics(engine.complete(settings)) == recorded


def test_an_absolute_path_is_kept_as_a_digest(folder):
    settings, _ = resolve({"pseudopotentials": {"Ga": str(folder / "ga.upf")}}, Path(), ["Ga"])
    assert settings["pseudopotentials"]["Ga"]["file"] == "ga.upf"


STUDY = """\
title: One frame of silicon
licence: CC-BY-4.0
until: reference
structure: silicon.cif
reference:
  engine: quantum_espresso
  packed: {packed}
  settings: {{pseudopotentials: {{{source}}}, {more}kpoint_spacing: 0.6, scf_threshold: 1e-6}}
  sampling: {{displaced: 0, strained: 0, volumes: 1}}
"""


def test_real_frames_from_a_folder_and_a_family(workplace, require_program, require_module, store):
    require_program("pw.x", "quantum-espresso")
    require_module("aiida_quantumespresso", "qe")
    from hashigo.calculators.frames import read_frames, read_header

    folder = workplace.folder / "private-place"
    folder.mkdir()
    (folder / "Si.pz-vbc.UPF").write_bytes(real("Si.pz-vbc.UPF").read_bytes())
    studies = {
        "folder": STUDY.format(packed="true", source="folder: private-place", more="cutoff: 8, "),
        "family": STUDY.format(packed="false", source="family: trial", more=""),
    }
    headers, energies = {}, {}
    for name, text in studies.items():
        if name == "family":
            install = workplace.folder / "install.py"
            install.write_text(INSTALL.format(folder=str(folder)))
            done = subprocess.run(
                [sys.executable, str(install)], env=workplace.environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
        (workplace.folder / f"{name}.yaml").write_text(text)
        done = workplace.run("run", f"{name}.yaml")
        assert done.returncode == 0, done.stdout + done.stderr
        path = workplace.folder / f"{name}-results" / "reference.h5"
        headers[name], energies[name] = read_header(path)["settings"], read_frames(path)[0].energy
        assert "private-place" not in json.dumps(read_header(path))
    assert headers["folder"]["pseudopotentials"] == headers["family"]["pseudopotentials"]
    # The family recommends what the other study sets: 4 hartree, and four times that for the density.
    assert (headers["family"]["cutoff"], headers["family"]["density_cutoff"]) == pytest.approx((8, 32))
    assert energies["family"] == pytest.approx(energies["folder"], rel=1e-6)


INSTALL = """
from pathlib import Path
from aiida import load_profile
load_profile()
from aiida_pseudo.data.pseudo import UpfData
from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily
family = CutoffsPseudoPotentialFamily.create_from_folder(Path({folder!r}), "trial", pseudo_type=UpfData)
family.set_cutoffs({{"Si": {{"cutoff_wfc": 4.0, "cutoff_rho": 16.0}}}}, "normal", unit="hartree")
"""


def test_a_relative_folder_of_another_engine_is_that_of_the_study(tmp_path, monkeypatch):
    files = ElementFiles("abinit", "NOWHERE_PP_PATH")
    (tmp_path / "study" / "psp").mkdir(parents=True)
    (tmp_path / "study" / "psp" / "si.psp8").write_text("silicon")
    given = {"pseudopotentials": {"Si": "si.psp8"}, "pseudopotential_folder": "psp"}
    settings, _ = files.resolve(given, tmp_path / "study", ["Si"])
    assert str(tmp_path) not in json.dumps(settings)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    found = files.find("Si", files.fill(settings))
    assert found.read_text() == "silicon"
    # Files under a licence are not copied.
    assert os.path.samefile(found, tmp_path / "study" / "psp" / "si.psp8")
    found.write_text("another")
    with pytest.raises(InputError, match="is not the file whose SHA-256"):
        files.find("Si", settings)
    with pytest.raises(InputError, match=r"'si\.psp9' of element Si is in none of: .*study/psp"):
        files.resolve({**given, "pseudopotentials": {"Si": "si.psp9"}}, tmp_path / "study", ["Si"])


def test_a_pseudopotential_of_another_element_is_refused(folder, tmp_path):
    (folder / "wrong.upf").write_text(UPF.format("O", "PBE"))
    settings, _ = resolve({"pseudopotentials": {"Si": str(folder / "wrong.upf")}}, tmp_path, ["Si"])
    with pytest.raises(InputError, match="for Si, and it is a pseudopotential of O"):
        check_pseudopotentials(settings["pseudopotentials"], ["Si"])
