"""Gather what a report shows from a run in AiiDA."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from hashigo.calculators.engines import get_engine
from hashigo.errors import InputError
from hashigo.provenance.diagram import caption, provenance_svg
from hashigo.provenance.graph import collect, core_hours, job_core_hours
from hashigo.provenance.policy import stage_access
from hashigo.provenance.records import Graph, Process
from hashigo.report.checks import checks, gates
from hashigo.report.content import (
    Cost,
    Person,
    ReferenceMethod,
    ReportContent,
    ResultSection,
    StageState,
)
from hashigo.report.figures import Results, draw_all
from hashigo.workflows.method import first_principles, reference_frames
from hashigo.workflows.results import further_results, result_rows, stage_results, table_lines
from hashigo.workflows.stage import GATE_EXIT, stages, stages_of

#: Exit status of a run that a signal stopped.
_STOPPED = 130
_PROGRAMS = {"plugin": "hashigo", "core": "AiiDA"}


def collect_content(node: Any) -> ReportContent:
    """Gather a report.

    Args:
        node: the run, finished or not.
    """
    study: dict[str, Any] = node.inputs.study.get_dict()
    graph = collect(node)
    titles = {name: stage.title for name, stage in stages().items()}
    with ExitStack() as stack:
        found = {**stage_results(node), **further_results(node)}
        results = Results({name: stack.enter_context(data.reader()) for name, data in found.items()})
        every = gates(results, titles)
        reported = checks(results, titles)
        figures = draw_all(results)
    state, sentence = _state(node, study, sum(not gate.passed for gate in every))
    cost = core_hours(graph)
    return ReportContent(
        title=str(study.get("title") or "Untitled study"),
        state=state,
        sentence=sentence,
        identifier=str(node.pk),
        uuid=node.uuid,
        date=f"{graph.root.ended:%Y-%m-%d %H:%M} UTC",
        authors=tuple(_person(author) for author in study.get("authors") or []),
        licence=str(study.get("licence") or ""),
        versions={_PROGRAMS.get(name, name): version for name, version in reversed(graph.root.versions)},
        reference=_reference(node),
        sections=_sections(node, study.get("access") or {}),
        gates=every,
        checks=reported,
        figures=figures,
        stages=[_stage(process, graph) for process in graph.called_by(graph.root.uuid)],
        cost=Cost(cost.value, cost.method, cost.jobs, cost.cached),
        graph=provenance_svg(graph),
        graph_caption=" ".join(caption(graph)),
    )


def _person(author: Mapping[str, Any]) -> Person:
    return Person(*(str(author.get(key) or "") for key in ("name", "orcid", "affiliation")))


def _state(node: Any, study: Mapping[str, Any], broken: int) -> tuple[str, str]:
    if not node.is_terminated:
        return "running", "The run goes on; this page shows what was there when it was written."
    message = str(node.exit_message or "")
    if node.is_finished_ok:
        until = stages_of(study)[-1].title if study.get("until") in stages() else "the last stage"
        if broken:
            went_on = "the study says to go on where a gate does not hold"
            return "gate", f"Finished up to “{until}”, but {_count(broken)} not hold: {went_on}."
        return "finished", f"Finished: every stage up to “{until}” was run, and every gate held."
    if node.exit_status == GATE_EXIT:
        return "gate", f"Stopped at a gate: {message}. What was computed before is shown."
    if node.is_killed or node.exit_status == _STOPPED:
        return "stopped", "Stopped by the user; what was computed before is shown."
    return "failed", f"Failed: {message or 'no reason was recorded'}. What was computed before is shown."


def _count(broken: int) -> str:
    return "one gate did" if broken == 1 else f"{broken} gates did"


def _reference(node: Any) -> ReferenceMethod | None:
    """The method of the reference frames; None when there are none yet."""
    frames = reference_frames(node)
    if frames is None:
        return None
    header = frames.header()
    name = str(header.get("engine") or "")
    try:
        title = get_engine(name).title
    except InputError:  # frames made elsewhere, or by an engine that is not installed here
        title = name or "a frames file"
    return ReferenceMethod(
        name=title,
        settings=_settings(header.get("settings")),
        frames=frames.base.attributes.get("n_frames", None),
        first_principles=first_principles(frames),
    )


def _settings(settings: Any) -> str:
    if not isinstance(settings, Mapping):
        return str(settings or "")
    plain = {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in settings.items()
    }
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in plain.items())


def _sections(node: Any, access: Mapping[str, str]) -> list[ResultSection]:
    lines = table_lines(result_rows(node))
    return [
        ResultSection(
            stages()[name].title,
            tuple(line for line in lines if line.stage == name),
            stage_access(name, access),
        )
        for name in dict.fromkeys(line.stage for line in lines)
    ]


def _stage(process: Process, graph: Graph) -> StageState:
    jobs = [p for p in graph.processes.values() if p.stage == process.stage and p.kind == "calculation"]
    titles = stages()
    return StageState(
        title=titles[process.name].title if process.name in titles else process.name,
        state=_stage_state(process),
        seconds=(process.ended - process.started).total_seconds(),
        jobs=sum(not job.cached_from for job in jobs),
        cached=sum(bool(job.cached_from) for job in jobs),
        core_hours=sum(job_core_hours(job).value for job in jobs),
    )


def _stage_state(process: Process) -> str:
    if process.ok:
        return "finished"
    if not process.ended_in_state:
        return "running"
    if process.exit_status == GATE_EXIT:
        return "stopped at its gate"
    return "stopped" if process.state == "killed" or process.exit_status == _STOPPED else "failed"
