from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.plugins import CalculationFactory

from hashigo.provenance.graph import collect, core_hours, job_core_hours, study_of


@pytest.fixture(scope="module")
def graph(done):
    return collect(done)


def test_all_processes_are_there_in_order(graph, done):
    assert {p.uuid for p in graph.processes.values()} == {
        done.uuid,
        *(node.uuid for node in done.called_descendants),
    }
    assert next(iter(graph.processes)) == done.uuid
    kinds = [p.kind for p in graph.processes.values()]
    assert kinds.count("workflow") == 3
    assert kinds.count("calculation") == 2
    assert kinds.count("function") == 4


def test_a_stage_is_what_the_root_called(graph):
    assert graph.root.stage == ""
    assert [p.name for p in graph.called_by(graph.root.uuid)] == ["reference", "elasticity"]
    job = next(p for p in graph.processes.values() if p.kind == "calculation")
    assert (job.stage, job.program, job.cores, job.ok) == ("reference", "bash", 1, True)


def test_data_has_its_creator_and_no_machine_is_in_it(graph):
    classes = {data.class_name for data in graph.data.values()}
    assert {"StructureData", "ArrayData", "SinglefileData", "Dict", "Int", "FolderData"} <= classes
    assert not {"RemoteData", "InstalledCode"} & classes
    file = next(data for data in graph.data.values() if data.class_name == "SinglefileData")
    assert graph.processes[file.creator].label == "measure"
    assert file.files == ("report.txt",)
    assert (file.label, file.stage, file.type) == ("file", "reference", "core.singlefile")
    values = {data.value for data in graph.data.values() if data.class_name == "Int"}
    assert values == {1, 2, 3, 5}


def test_links_name_what_was_used_and_made(graph, done):
    named = {(link.label, link.kind) for link in graph.links if link.process == done.uuid}
    assert {("study", "input"), ("extra", "input"), ("structure", "return"), ("file", "return")} <= named
    assert all(link.data in graph.data and link.process in graph.processes for link in graph.links)


def test_equal_reads_give_equal_graphs(graph, done):
    again = collect(done)
    assert (again.links, list(again.processes)) == (graph.links, list(graph.processes))


def test_a_failed_run_says_why(failed):
    graph = collect(failed)
    assert (graph.root.ok, graph.root.exit_status, graph.root.message) == (
        False,
        401,
        "stage 'elasticity' failed",
    )
    step = graph.called_by(graph.root.uuid)[-1]
    assert step.message == "the step failed as planned"


def test_any_process_can_be_the_root(add_inputs):
    node = run_get_node(CalculationFactory("core.arithmetic.add"), **add_inputs)[1]
    graph = collect(node)
    assert list(graph.processes) == [node.uuid]
    assert {link.label for link in graph.links if link.kind == "output"} == {"retrieved", "sum"}


def test_the_study_is_found_from_below(done):
    job = next(node for node in done.called_descendants if isinstance(node, orm.CalcJobNode))
    assert study_of(job)["licence"] == "CC-BY-4.0"
    assert study_of(done) == study_of(job)


def test_core_hours_without_reports_are_an_upper_bound(graph):
    hours = core_hours(graph)
    assert (hours.jobs, hours.cached) == (2, 0)
    assert 0 < hours.value < 1
    assert hours.method.startswith("upper bound")


def test_core_hours_from_the_programs_own_time(graph):
    job = next(p for p in graph.processes.values() if p.kind == "calculation")
    told = replace(job, cores=4, wall_time=1800.0)
    assert job_core_hours(told).value == pytest.approx(2.0)
    untold = replace(job, cores=2, ended=job.started + timedelta(hours=3))
    assert job_core_hours(untold).value == pytest.approx(6.0)
    processes = {told.uuid: told, "other": replace(untold, uuid="other")}
    hours = core_hours(replace(graph, processes=processes))
    assert hours.value == pytest.approx(8.0)
    assert "1 of 2 jobs" in hours.method


def test_what_came_from_the_cache_costs_nothing(add_inputs):
    job = CalculationFactory("core.arithmetic.add")
    run_get_node(job, **add_inputs)
    with enable_caching():
        node = run_get_node(job, **add_inputs)[1]
    graph = collect(node)
    assert graph.root.cached_from
    assert core_hours(graph).value == 0
    assert core_hours(graph).cached == 1
