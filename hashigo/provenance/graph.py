"""The neutral graph of one run, read from AiiDA into plain records, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Literal

from aiida import orm
from aiida.common.links import LinkType

from hashigo.provenance.records import CoreHours, Data, Graph, Kind, Link, Process

__all__ = [
    "CoreHours",
    "Data",
    "Graph",
    "Kind",
    "Link",
    "Process",
    "collect",
    "core_hours",
    "job_core_hours",
    "study_data",
    "study_of",
]

#: SQLite takes a limited number of values in one query.
BATCH = 500
CALLS = [LinkType.CALL_CALC.value, LinkType.CALL_WORK.value]
INPUTS = [LinkType.INPUT_CALC.value, LinkType.INPUT_WORK.value]
OUTPUTS = [LinkType.CREATE.value, LinkType.RETURN.value]
STUDY = "study"
NAMELESS_CALL = "CALL"
#: What functions and workers call their only output.
NAMELESS_OUTPUT = "result"
#: Keys under which programs report their own wall time, s.
WALL_TIME_KEYS = ("wall_time_s", "wall_time_seconds")
VERSION_KEYS = ("creator_version", "program_version", "code_version")


def collect(root: orm.ProcessNode) -> Graph:
    """Read a process, everything it called, and all that these used and made.

    Args:
        root: any AiiDA process node.

    Returns:
        The graph. Codes and remote folders are no data of it: of a code the program's name is kept in
        its process, of a remote folder nothing.
    """
    nodes, calls = _called(root)
    processes: dict[str, Process] = {}
    for node in sorted(nodes.values(), key=lambda node: (node.pk != root.pk, node.ctime, node.pk)):
        caller, label = calls.get(node.pk, (None, ""))
        caller_node = nodes.get(caller) if caller is not None else None
        processes[node.uuid] = _process(node, caller_node, label)
    processes = {uuid: replace(p, stage=_stage(p, processes)) for uuid, p in processes.items()}
    found, links, facts = _used_and_made(nodes, processes)
    processes = {uuid: replace(p, **facts.get(uuid, {})) for uuid, p in processes.items()}
    return Graph(processes[root.uuid], processes, _data(found, links, processes), links)


def study_data(graph: Graph) -> Data | None:
    """The root's input `study`, None when it has none."""
    for link in graph.links:
        if link.process == graph.root.uuid and link.kind == "input" and link.label == STUDY:
            return graph.data[link.data]
    return None


def study_of(node: orm.ProcessNode) -> dict[str, Any]:
    """The study that a process, or one that called it, was given; empty when there is none."""
    while node is not None:
        study = node.base.links.get_incoming(link_label_filter=STUDY).first()
        if study is not None and isinstance(study.node, orm.Dict):
            return dict(study.node.get_dict())
        node = node.caller
    return {}


def core_hours(graph: Graph) -> CoreHours:
    """Core hours of all jobs that were computed for this run.

    A job counts cores times the wall time its program reported or, where it reported none, the time from
    its creation to its last change in AiiDA, which includes waiting in the queue and is an upper bound.
    """
    jobs = [p for p in graph.processes.values() if p.kind == "calculation" and not p.cached_from]
    cached = sum(p.kind == "calculation" and bool(p.cached_from) for p in graph.processes.values())
    total = sum(job_core_hours(job).value for job in jobs)
    reported = sum(job.wall_time is not None for job in jobs)
    if reported == len(jobs):
        method = "cores × wall time reported by the programs"
    elif reported == 0:
        method = "upper bound: cores × time from submission to parsing, waiting included"
    else:
        method = (
            f"upper bound: cores × wall time reported by the programs for {reported} of {len(jobs)} jobs, "
            "time from submission to parsing for the others"
        )
    return CoreHours(total, method, len(jobs), cached)


def job_core_hours(process: Process) -> CoreHours:
    """Core hours of one job, by the rule of `core_hours`; zero for what was taken from the cache."""
    if process.cached_from:
        return CoreHours(0.0, "taken from the cache", 0, 1)
    cores = process.cores or 1
    if process.wall_time is not None:
        return CoreHours(cores * process.wall_time / 3600, "cores × wall time reported by the program", 1, 0)
    seconds = (process.ended - process.started).total_seconds()
    return CoreHours(cores * seconds / 3600, "upper bound: cores × time from submission to parsing", 1, 0)


def _batches(keys: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(keys), BATCH):
        yield list(keys[start : start + BATCH])


def _called(root: orm.ProcessNode) -> tuple[dict[int, Any], dict[int, tuple[int, str]]]:
    """All processes below the root, level by level, with caller and name of the call."""
    nodes: dict[int, Any] = {root.pk: root}
    calls: dict[int, tuple[int, str]] = {}
    level = [root.pk]
    while level:
        found: list[int] = []
        for batch in _batches(level):
            query = orm.QueryBuilder()
            query.append(orm.ProcessNode, filters={"id": {"in": batch}}, tag="caller", project="id")
            query.append(
                orm.ProcessNode,
                with_incoming="caller",
                tag="called",
                project="*",
                edge_filters={"type": {"in": CALLS}},
                edge_project="label",
            )
            for row in query.iterdict():
                node = row["called"]["*"]
                if node.pk not in nodes:
                    nodes[node.pk] = node
                    calls[node.pk] = (row["caller"]["id"], row["caller--called"]["label"])
                    found.append(node.pk)
        level = sorted(found)
    return nodes, calls


def _process(node: Any, caller: Any, call_label: str) -> Process:
    label = node.process_label or type(node).__name__
    versions = node.base.attributes.get("version", None) or {}
    return Process(
        uuid=node.uuid,
        label=label,
        name=call_label if call_label and call_label != NAMELESS_CALL else label,
        type=node.process_type or label,
        kind=_kind(node),
        stage="",
        started=node.ctime,
        ended=max(node.ctime, node.mtime),
        state=node.process_state.value if node.process_state else "created",
        exit_status=node.exit_status,
        message=_message(node),
        caller=caller.uuid if caller is not None else None,
        versions=tuple(sorted((str(key), str(value)) for key, value in versions.items())),
        cached_from=node.base.caching.get_cache_source() or "",
        cores=_cores(node),
    )


def _kind(node: Any) -> Kind:
    if isinstance(node, orm.WorkflowNode):
        return "workflow"
    return "calculation" if isinstance(node, orm.CalcJobNode) else "function"


def _message(node: Any) -> str:
    if node.is_finished_ok:
        return ""
    if node.exit_message:
        return str(node.exit_message)
    if node.exception:
        # The last line of a traceback is the error; the lines before it name files of this machine.
        return str(node.exception).strip().splitlines()[-1]
    return (
        ""
        if node.is_finished_ok
        else f"left in state '{node.process_state.value if node.process_state else 'created'}'"
    )


def _cores(node: Any) -> int | None:
    if not isinstance(node, orm.CalcJobNode):
        return None
    resources = node.get_option("resources") or {}
    ranks = resources.get("tot_num_mpiprocs")
    if ranks is None:
        ranks = int(resources.get("num_machines") or 1) * int(resources.get("num_mpiprocs_per_machine") or 1)
    return int(ranks) * int(resources.get("num_cores_per_mpiproc") or 1)


def _stage(process: Process, processes: Mapping[str, Process]) -> str:
    """Name of the root's own step that a process belongs to."""
    step = process
    while step.caller is not None and processes[step.caller].caller is not None:
        step = processes[step.caller]
    if step.caller is None:
        return ""
    group, _, entry_point = step.type.partition(":")
    if group == "aiida.workflows" and entry_point.startswith("hashigo."):
        return entry_point.removeprefix("hashigo.")
    return step.name


def _used_and_made(
    nodes: Mapping[int, Any], processes: Mapping[str, Process]
) -> tuple[dict[str, Any], tuple[Link, ...], dict[str, dict[str, Any]]]:
    """Data nodes, links, and what codes and outputs tell about their process."""
    found: dict[str, Any] = {}
    links: list[Link] = []
    facts: dict[str, dict[str, Any]] = {}
    for relation, edges in (("with_outgoing", INPUTS), ("with_incoming", OUTPUTS)):
        for batch in _batches(sorted(nodes)):
            query = orm.QueryBuilder()
            query.append(orm.ProcessNode, filters={"id": {"in": batch}}, tag="process", project="uuid")
            query.append(
                orm.Data,
                tag="data",
                project="*",
                edge_filters={"type": {"in": edges}},
                edge_project=["label", "type"],
                **{relation: "process"},
            )
            for row in query.iterdict():
                edge = row.get("process--data") or row["data--process"]
                process, node = row["process"]["uuid"], row["data"]["*"]
                if isinstance(node, orm.AbstractCode):
                    facts.setdefault(process, {})["program"] = _program(node)
                elif not isinstance(node, orm.RemoteData):
                    found[node.uuid] = node
                    links.append(Link(process, node.uuid, edge["label"], _link_kind(edge["type"])))
                    if edge["type"] == LinkType.CREATE.value:
                        facts.setdefault(process, {}).update(_reported(node))
    order = {uuid: index for index, uuid in enumerate(processes)}
    kinds = ("input", "output", "return")
    links.sort(key=lambda link: (order[link.process], kinds.index(link.kind), link.label, link.data))
    return found, tuple(links), facts


def _link_kind(edge: str) -> Literal["input", "output", "return"]:
    if edge in INPUTS:
        return "input"
    return "output" if edge == LinkType.CREATE.value else "return"


def _program(code: Any) -> str:
    """The executable's name: neither its path nor the code's label, which may name a machine."""
    executable = str(code.get_executable()) if hasattr(code, "get_executable") else ""
    return PurePosixPath(executable).name


def _reported(node: Any) -> dict[str, Any]:
    """Wall time, s, and version that a program wrote into one of its outputs."""
    if not isinstance(node, orm.Dict):
        return {}
    facts: dict[str, Any] = {}
    for key in WALL_TIME_KEYS:
        seconds = node.base.attributes.get(key, None)
        if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds >= 0:
            facts["wall_time"] = float(seconds)
    for key in VERSION_KEYS:
        version = node.base.attributes.get(key, None)
        if isinstance(version, (str, int, float)):
            facts["program_version"] = str(version)
    return facts


def _data(
    found: Mapping[str, Any], links: Sequence[Link], processes: Mapping[str, Process]
) -> dict[str, Data]:
    creators = {link.data: link for link in links if link.kind == "output"}
    known_as: dict[str, list[Link]] = {}
    for link in links:
        known_as.setdefault(link.data, []).append(link)
    data: dict[str, Data] = {}
    for node in sorted(found.values(), key=lambda node: (node.ctime, node.pk)):
        made = creators.get(node.uuid)
        entry_point = getattr(type(node), "entry_point", None)
        data[node.uuid] = Data(
            uuid=node.uuid,
            label=node.label or _label(made, known_as[node.uuid], processes),
            type=entry_point.name if entry_point is not None else node.node_type,
            class_name=type(node).__name__,
            created=node.ctime,
            creator=made.process if made else None,
            stage=processes[made.process].stage if made else "",
            value=node.value if isinstance(node, (orm.Int, orm.Float, orm.Str, orm.Bool)) else None,
            files=tuple(sorted(node.base.repository.list_object_names())),
        )
    return data


def _label(made: Link | None, links: Sequence[Link], processes: Mapping[str, Process]) -> str:
    """What a node is called where it was made, where it was handed on, or where it was first used."""
    if made is None:
        label = links[0].label
    elif made.label != NAMELESS_OUTPUT:
        label = made.label
    else:
        handed_on = [link.label for link in links if link.kind == "return" and link.label != NAMELESS_OUTPUT]
        label = handed_on[0] if handed_on else processes[made.process].name
    return label.rpartition("__")[2]
