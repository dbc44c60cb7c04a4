from __future__ import annotations

from datetime import datetime, timezone

import pytest
from aiida import orm

from hashigo.errors import InputError
from hashigo.provenance.graph import collect, study_data
from hashigo.provenance.metadata import read_metadata
from hashigo.provenance.policy import PrivacyFailure, check, decide, identity, stage_access
from hashigo.provenance.records import Data, Graph, Link, Process


@pytest.fixture(scope="module")
def graph(done):
    return collect(done)


def metadata(**fields):
    return read_metadata({"licence": "CC-BY-4.0", **fields}, title="run")


def by_access(graph, decisions, access):
    return {graph.data[uuid].label for uuid, decision in decisions.items() if decision.access == access}


def test_raw_folders_never_leave(graph):
    decisions = decide(graph, metadata())
    stays = {graph.data[uuid].class_name for uuid, decision in decisions.items() if not decision.include}
    assert stays == {"FolderData"}


def test_what_a_closed_stage_made_stays_with_whatever_uses_it(graph):
    decisions = decide(graph, metadata(access={"reference": "closed"}))
    closed = [graph.data[uuid] for uuid, decision in decisions.items() if decision.access == "closed"]
    assert {data.stage for data in closed if data.creator} == {"reference"}
    assert {"arrays", "file", "summary", "sum"} <= {data.label for data in closed}
    # The mapping that both stages were given is one that a closed stage has seen.
    assert "extra" in {data.label for data in closed}
    assert all(not decisions[data.uuid].include for data in closed)


def test_one_word_for_all_stages(graph):
    decisions = decide(graph, metadata(access="restricted"))
    study = study_data(graph)
    assert decisions[study.uuid].include
    assert not any(decision.include for uuid, decision in decisions.items() if uuid != study.uuid)


def test_access_of_a_stage_that_is_none_protects_nothing(graph):
    with pytest.raises(InputError, match="no stage 'referense'") as error:
        decide(graph, metadata(access={"referense": "closed"}))
    assert "reference" in error.value.fix


def test_access_of_a_stage_that_did_not_run_is_no_error(graph):
    assert decide(graph, metadata(access={"mesoscale": "closed"}))


NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def ladder_graph(*links, values=()):
    """A run of the ladder from links (stage, data, label, kind); the stage "" is the root."""
    processes = {
        stage: Process(stage, stage, stage, "", "workflow", stage, NOW, NOW, "finished")
        for stage in dict.fromkeys(["", *(link[0] for link in links)])
    }
    data = {
        name: Data(name, name, "", "", NOW, value=1 if name in values else None)
        for name in dict.fromkeys(link[1] for link in links)
    }
    return Graph(processes[""], processes, data, tuple(Link(*link) for link in links))


def accesses(graph, **access):
    return {uuid: decision.access for uuid, decision in decide(graph, metadata(access=access)).items()}


def test_inputs_of_a_run_that_ended_early_belong_to_their_stages():
    early = ladder_graph(
        ("", "study", "study", "input"),
        ("", "frames", "frames", "input"),
        ("", "cell", "structure", "input"),
        ("structure", "cell", "structure", "input"),
    )
    closed = accesses(early, reference="closed")
    assert closed == {"study": "open", "frames": "closed", "cell": "open"}
    restricted = accesses(early, structure="restricted")
    assert restricted == {"study": "open", "frames": "restricted", "cell": "restricted"}
    never_used = ladder_graph(("", "cell", "structure", "input"))
    assert accesses(never_used, structure="closed") == {"cell": "closed"}


def test_data_of_no_stage_is_as_closed_as_the_strictest_stage():
    lone = ladder_graph(("", "extra", "extra", "input"), ("", "flag", "flag", "input"), values=["flag"])
    assert accesses(lone, phonons="closed", potential="restricted") == {"extra": "closed", "flag": "open"}
    assert accesses(lone) == {"extra": "open", "flag": "open"}


def test_a_potential_is_at_least_as_closed_as_the_frames_it_repeats():
    run = ladder_graph(
        ("reference", "frames", "result", "output"),
        ("potential", "frames", "files__frames", "input"),
        ("potential", "model", "result", "output"),
        ("elasticity", "model", "files__potential", "input"),
        ("elasticity", "stiffness", "result", "output"),
    )
    open_potential = accesses(run, reference="closed", potential="open")
    assert open_potential == {"frames": "closed", "model": "closed", "stiffness": "open"}
    assert accesses(run, potential="closed") == {"frames": "open", "model": "closed", "stiffness": "open"}


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        ({}, "open"),
        ({"reference": "restricted"}, "restricted"),
        ({"reference": "restricted", "potential": "closed"}, "closed"),
        ({"structure": "closed", "reference": "open", "potential": "open"}, "closed"),
        ({"phonons": "closed"}, "open"),
    ],
)
def test_access_of_the_potential(access, expected):
    assert stage_access("potential", access) == expected


def test_pseudopotentials_are_named_only(graph):
    licensed = next(iter(graph.data.values()))
    changed = {**graph.data, licensed.uuid: type(licensed)(**{**vars(licensed), "type": "pseudo.upf"})}
    other = type(graph)(graph.root, graph.processes, changed, graph.links)
    access = metadata()
    decision = decide(other, access)[licensed.uuid]
    assert decision.include is (licensed == study_data(graph))
    assert access.default_access == "open"


def test_identity_knows_the_profiles_users_and_computers(code):
    who = identity()
    computer = orm.Computer(
        "karst3", "karst3.hpc.example.org", "", "core.ssh", "core.slurm", "/gpfs/u123/aiida"
    )
    computer.store()
    more = identity()
    assert {"karst3", "karst3.hpc.example.org"} <= more.hosts - who.hosts
    assert "/gpfs/u123/aiida" in more.phrases
    assert {user.email for user in orm.User.collection.all()} <= more.phrases


def test_check_names_the_first_finding_and_carries_all(tmp_path, code):
    (tmp_path / "a.txt").write_text("see /home/somebody/x and mail somebody@example.org\n")
    with pytest.raises(PrivacyFailure, match=r"gate 'privacy'.*a\.txt \(line 1\).*1 more") as failure:
        check(tmp_path, metadata(), identity())
    assert len(failure.value.findings) == 2
    assert failure.value.gate == "privacy"
    assert failure.value.exit_code == 3


def test_declared_contacts_may_stand(tmp_path, code):
    authors = [{"name": "Josiah Carberry", "email": "josiah@example.org"}]
    (tmp_path / "a.txt").write_text("ask josiah@example.org\n")
    check(tmp_path, metadata(authors=authors), identity())
    with pytest.raises(PrivacyFailure):
        check(tmp_path, metadata(), identity())


def test_learning_is_as_closed_as_the_reference_and_the_potential_that_its_rounds_make():
    assert stage_access("learning", {"reference": "closed"}) == "closed"
    assert stage_access("learning", {"potential": "restricted"}) == "restricted"
    assert stage_access("learning", {}) == "open"
