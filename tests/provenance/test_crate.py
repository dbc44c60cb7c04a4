from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from pathlib import Path

import ase.io
import h5py
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.plugins import CalculationFactory

from hashigo.errors import InputError
from hashigo.provenance.crate import FORMAT
from hashigo.provenance.formats import Format
from hashigo.provenance.policy import PrivacyFailure, scan

STUDY = {"licence": "CC-BY-4.0", "title": "A ladder", "authors": [{"name": "Josiah Carberry"}]}
CONTEXTS = Path(__file__).parents[1] / "data" / "contexts"
ADDRESSES = {
    "https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1.jsonld",
    "https://w3id.org/ro/terms/workflow-run/context": "workflow-run.jsonld",
}
#: Wants the main workflow's identifier to be an absolute address, while the profile below it requires
#: (workflow-ro-crate-1.0_4.1) that the main workflow is a file of the crate.
CONTRADICTORY = "process-run-crate-0.5_5.1"


def seed_cache(path):
    """Put the contexts into the validator's HTTP cache, which answers for the network then."""
    import requests_cache
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPResponse

    class Shelf(HTTPAdapter):
        def send(self, request, **options):
            content = io.BytesIO((CONTEXTS / ADDRESSES[request.url]).read_bytes())
            headers = {"Content-Type": "application/ld+json"}
            answer = HTTPResponse(body=content, headers=headers, status=200, preload_content=False)
            return self.build_response(request, answer)

    with requests_cache.CachedSession(str(path), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", Shelf())
        for address in ADDRESSES:
            for accept in ("application/ld+json, application/json", "application/ld+json", "*/*"):
                session.get(address, headers={"Accept": accept})


@pytest.fixture(scope="session")
def validate(tmp_path_factory):
    """Validate a crate without network; returns what failed."""
    try:
        from rocrate_validator import services
    except ImportError:
        message = "the crate validator is not installed: pip install 'aiida-hashigo[validate]'"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    cache = tmp_path_factory.mktemp("validator") / "http"
    seed_cache(cache)

    def run(crate, severity="REQUIRED"):
        result = services.validate(
            {
                "rocrate_uri": str(crate),
                "profile_identifier": "provenance-run-crate",
                "requirement_severity": severity,
                "cache_path": cache,
                "cache_max_age": -1,
                "offline": True,
                "skip_checks": [CONTRADICTORY],
            }
        )
        return [f"{issue.check.identifier}: {issue.message}" for issue in result.get_issues()]

    return run


@pytest.fixture(scope="module")
def crate(done, tmp_path_factory):
    return FORMAT.write(done, tmp_path_factory.mktemp("crate") / "ladder")


@pytest.fixture(scope="module")
def entities(crate):
    return {
        entity["@id"]: entity
        for entity in json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    }


def of_type(entities, name):
    return [entity for entity in entities.values() if name in entity["@type"]]


def contents(folder):
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("severity", ["REQUIRED", "RECOMMENDED"])
def test_the_validator_has_nothing_to_say(crate, validate, severity):
    assert validate(crate, severity) == []


def test_the_validator_sees_what_is_wrong(crate, validate, tmp_path):
    document = json.loads((crate / "ro-crate-metadata.json").read_text())
    root = next(entity for entity in document["@graph"] if entity["@id"] == "./")
    del root["license"]
    (tmp_path / "ro-crate-metadata.json").write_text(json.dumps(document))
    assert any("license" in failure for failure in validate(tmp_path))


def test_it_is_a_format():
    assert isinstance(FORMAT, Format)


def test_people_and_licence_come_from_the_study(entities):
    root = entities["./"]
    assert root["name"] == "A ladder of two steps"
    assert root["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert root["author"] == {"@id": "https://orcid.org/0000-0002-1825-0097"}
    assert entities["https://ror.org/05gq02987"]["name"] == "Brown University"


def test_every_process_is_an_action_with_its_inputs_and_results(entities, done):
    actions = {entity["identifier"]: entity for entity in of_type(entities, "CreateAction")}
    assert set(actions) == {f"urn:uuid:{node.uuid}" for node in [done, *done.called_descendants]}
    named = entities["./"]["mentions"]
    for action in actions.values():
        assert {"@id": action["@id"]} in named
        for key in ("object", "result"):
            found = action[key] if isinstance(action[key], list) else [action[key]]
            assert all(reference["@id"] in entities for reference in found)


def test_every_reference_leads_somewhere(entities):
    def references(value):
        if isinstance(value, dict):
            yield from [value["@id"]] if set(value) == {"@id"} else []
            for entry in value.values():
                yield from references(entry)
        elif isinstance(value, list):
            for entry in value:
                yield from references(entry)

    elsewhere = {"https://w3id.org/ro/crate/1.1"}
    assert {name for entity in entities.values() for name in references(entity)} <= set(entities) | elsewhere


def test_files_are_listed_with_size_and_checksum(crate, entities):
    found = contents(crate)
    listed = {reference["@id"] for reference in entities["./"]["hasPart"]}
    assert listed == set(found) - {"ro-crate-metadata.json"}
    for name in listed:
        assert int(entities[name]["contentSize"]) == found[name].stat().st_size
        assert entities[name]["sha256"] == hashlib.sha256(found[name].read_bytes()).hexdigest()


def test_typed_data_opens_without_aiida(crate):
    found = contents(crate)
    structure = ase.io.read(next(path for name, path in found.items() if name.endswith(".extxyz")))
    assert structure.get_chemical_symbols() == ["Si"]
    assert structure.cell.lengths() == pytest.approx([5.4, 5.4, 5.4])
    with h5py.File(next(path for name, path in found.items() if name.endswith(".h5"))) as file:
        assert file["forces"].shape == (1, 3)
    assert any(path.read_bytes() == b"lattice constant 5.4 A\n" for name, path in found.items())
    assert json.loads(found["study.json"].read_text())["licence"] == "CC-BY-4.0"


def test_raw_output_stays(crate):
    assert not any("aiida" in name or "_scheduler" in name for name in contents(crate))
    assert "Raw output folder" in (crate / "README.md").read_text()


def test_core_hours_are_there_and_energy_is_not_guessed(crate, entities):
    usage = [entity for entity in of_type(entities, "PropertyValue") if entity["@id"].startswith("#usage-")]
    assert len(usage) == 2
    assert all(entity["measurementTechnique"] for entity in usage)
    assert "energy" not in (crate / "README.md").read_text().lower()


def test_zip_holds_the_same_files(crate, done, tmp_path, validate):
    target = FORMAT.write(done, tmp_path / "ladder.zip")
    with zipfile.ZipFile(target) as archive:
        assert set(archive.namelist()) == set(contents(crate))
    assert validate(target) == []


@pytest.mark.parametrize("severity", ["REQUIRED", "RECOMMENDED"])
def test_a_failed_run_can_be_exported(failed, tmp_path, validate, severity):
    target = FORMAT.write(failed, tmp_path / "failed")
    assert validate(target, severity) == []
    graph = json.loads((target / "ro-crate-metadata.json").read_text())["@graph"]
    failed = [entity for entity in graph if entity.get("actionStatus", "").endswith("FailedActionStatus")]
    assert any(entity["error"] == "exit status 401: stage 'elasticity' failed" for entity in failed)
    assert "failed, exported as far as it came" in (target / "README.md").read_text()


def test_a_single_job_can_be_exported(add_inputs, tmp_path, validate):
    node = run_get_node(CalculationFactory("core.arithmetic.add"), **add_inputs)[1]
    with pytest.raises(InputError, match="licence"):
        FORMAT.write(node, tmp_path / "job")
    target = FORMAT.write(node, tmp_path / "job", study={"licence": "MIT", "title": "An addition"})
    assert validate(target) == []


@pytest.mark.parametrize("access", ["closed", "restricted"])
def test_closed_data_is_described_only(done, tmp_path, validate, access):
    study = {**STUDY, "access": {"reference": access}}
    target = FORMAT.write(done, tmp_path / "crate", study=study)
    assert not [name for name in contents(target) if name.startswith("data/reference")]
    graph = json.loads((target / "ro-crate-metadata.json").read_text())["@graph"]
    closed = [entity for entity in graph if entity.get("conditionsOfAccess") == access]
    assert {"arrays", "file", "sum"} <= {entity["name"] for entity in closed}
    assert not any({"sha256", "contentSize", "value"} & set(entity) for entity in closed)
    assert validate(target) == []


@pytest.fixture
def person(monkeypatch):
    """A user and a machine with names that one would not like to read in a package."""
    monkeypatch.setattr("getpass.getuser", lambda: "tanakaichiro")
    monkeypatch.setattr("socket.gethostname", lambda: "gaia7.lab.example.org")


@pytest.mark.parametrize(
    ("leak", "kind"),
    [
        ("written by tanakaichiro", "a user name"),
        ("computed on gaia7", "a host name"),
        (str(Path.home() / "calculations" / "run.in"), "path"),
        ("/home/somebody/potentials", "an absolute path"),
        ("somebody@lab.example.org", "an e-mail address"),
    ],
)
def test_nothing_private_leaves(noted, tmp_path, person, leak, kind):
    node = noted(note=leak)
    for name in ("crate", "crate.zip"):
        with pytest.raises(PrivacyFailure, match="privacy") as failure:
            FORMAT.write(node, tmp_path / name, study=STUDY)
        assert any("data/inputs/extra" in finding.file for finding in failure.value.findings)
        assert any(kind in finding.kind for finding in failure.value.findings)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_export_leaves_the_old_package(noted, done, tmp_path):
    target = FORMAT.write(done, tmp_path / "crate")
    before = {name: path.read_bytes() for name, path in contents(target).items()}
    with pytest.raises(InputError, match="already"):
        FORMAT.write(done, target)
    with pytest.raises(PrivacyFailure):
        FORMAT.write(noted(note="/home/somebody/x"), target, overwrite=True, study=STUDY)
    assert {name: path.read_bytes() for name, path in contents(target).items()} == before
    FORMAT.write(done, target, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"crate"}


def test_a_run_that_failed_at_once_is_described_without_paths(aiida_profile, tmp_path, validate):
    node = orm.WorkChainNode()
    node.set_process_label("LadderWorkChain")
    node.set_process_state("finished")
    node.set_exit_status(300)
    node.set_exit_message("cannot read /home/somebody/silicon.cif")
    node.store().seal()
    target = FORMAT.write(node, tmp_path / "failed", study=STUDY)
    assert "cannot read [removed]" in (target / "ro-crate-metadata.json").read_text()
    assert validate(target) == []


def test_a_run_that_is_not_over_is_not_exported(aiida_profile, tmp_path):
    node = orm.WorkChainNode().store()
    with pytest.raises(InputError, match="still in state"):
        FORMAT.write(node, tmp_path / "crate")


def test_a_whole_run_of_the_ladder_validates(finished, validate):
    place = finished.workplace
    done = place.run("export", finished.identifier, "--as", "crate", "-o", "ladder-crate")
    assert done.returncode == 0, done.stderr
    assert validate(place.folder / "ladder-crate") == []


def test_the_crate_of_the_examples_frames_validates_and_leaks_nothing(repository, validate, tmp_path):
    archive = repository / "examples" / "silicon" / "reference-crate.zip"
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path / "crate")
    assert validate(tmp_path / "crate") == []
    assert scan(tmp_path / "crate") == []
    frames = (repository / "examples" / "silicon" / "reference.h5").read_bytes()
    assert any(path.read_bytes() == frames for path in (tmp_path / "crate").rglob("*.h5"))


def test_closed_frames_of_a_run_that_ended_before_their_stage_stay(finished):
    place = finished.workplace
    lines = (
        "licence: CC-BY-4.0",
        "structure: silicon.cif",
        "reference: study-results/reference.h5",
        "access: {reference: closed}",
        "until: structure",
    )
    (place.folder / "kept.yaml").write_text("\n".join(lines) + "\n")
    run = place.run("run", "kept.yaml")
    number = re.search(r"^run (\d+):", run.stdout, flags=re.M)[1]
    done = place.run("export", number, "--as", "crate", "-o", "kept-package")
    assert done.returncode == 0, done.stdout + done.stderr
    package = place.folder / "kept-package"
    assert not list(package.rglob("*.h5"))
    assert '"conditionsOfAccess": "closed"' in (package / "ro-crate-metadata.json").read_text()
