"""Export as a Provenance Run Crate 0.5: a folder or ZIP archive that explains itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hashigo.errors import InputError
from hashigo.provenance.document import crate_metadata
from hashigo.provenance.entities import Contents
from hashigo.provenance.graph import Graph, collect, study_data, study_of
from hashigo.provenance.metadata import Metadata, read_metadata
from hashigo.provenance.payload import Payload, describe, write_data, write_json
from hashigo.provenance.policy import Decision, check, decide, identity
from hashigo.provenance.readme import readme
from hashigo.provenance.staging import MARK, staged
from hashigo.provenance.tools import Tool, source_of, tools_of
from hashigo.workflows.method import first_principles, label, reference_frames

STUDY_FILE = "study.json"
README_FILE = "README.md"
#: Sources of our own workflows go in; of others only the main one does.
OWN = "hashigo."


class CrateFormat:
    """A run as a Provenance Run Crate, checked before it appears under its name."""

    name = "crate"
    description = "Provenance Run Crate 0.5 (RO-Crate): folder, or archive when the name ends with .zip"

    def write(
        self, node: Any, target: Path, *, overwrite: bool = False, study: Mapping[str, Any] | None = None
    ) -> Path:
        """Write a run that has come to an end, good or bad.

        Args:
            node: the AiiDA process node, with all it called.
            target: folder to make, or archive when the name ends with `.zip`.
            overwrite: replace a package that is already there.
            study: title, authors, licence and access, in place of those that the run carries.

        Returns:
            The target.

        Raises:
            InputError: when the run is not over, the study names no licence, or the target is there already.
            PrivacyFailure: when something in the package must not leave; nothing is written then.
        """
        graph = collect(node)
        if not graph.root.ended_in_state:
            raise InputError(
                f"run {node.pk} ({graph.root.label}) is still in state '{graph.root.state}'",
                fix="wait until it has ended, or resume it",
                see=f"hashigo status {node.pk}",
            )
        content = dict(study) if study is not None else study_of(node)
        metadata = read_metadata(content, title=f"{graph.root.label} {graph.root.uuid[:8]}")
        metadata = replace(metadata, description=metadata.description + _truth(node))
        with staged(Path(target), overwrite=overwrite) as package:
            write_crate(package, graph, metadata, content)
        return Path(target)


FORMAT = CrateFormat()


def _truth(node: Any) -> str:
    """What the description must say of the numbers' origin."""
    frames = reference_frames(node)
    mark = "" if frames is None else label(first_principles(frames))
    return f" ({mark}: this holds for every number in this package.)" if mark else ""


def write_crate(package: Path, graph: Graph, metadata: Metadata, study: Mapping[str, Any]) -> None:
    """Fill an empty folder with a crate, and check it.

    Args:
        package: the folder.
        graph: the run.
        metadata: title, people, licence and access.
        study: written as it is into `study.json`.

    Raises:
        PrivacyFailure: when something in it must not leave.
    """
    decisions = decide(graph, metadata)
    tools = tools_of(graph)
    who = identity()
    payloads = _write_payloads(package, graph, decisions, study)
    sources = _write_sources(package, graph, tools)
    others: dict[str, tuple[Payload, str, str]] = {}
    if study and STUDY_FILE not in {payload.path for payload in payloads.values()}:
        write_json(package / STUDY_FILE, study)
        others[STUDY_FILE] = (describe(package, STUDY_FILE), "study", "What was asked for")
    contents = Contents(
        graph=graph,
        metadata=metadata,
        decisions=decisions,
        tools=tools,
        sources=sources,
        payloads=payloads,
        others=others,
        published=datetime.now(timezone.utc),
        who=who,
    )
    (package / README_FILE).write_text(readme(contents), encoding="utf-8")
    others[README_FILE] = (describe(package, README_FILE), "README", "What this package is, for readers")
    write_json(package / MARK, crate_metadata(contents), sort=False)
    check(package, metadata, who)


def _write_payloads(
    package: Path, graph: Graph, decisions: Mapping[str, Decision], study: Mapping[str, Any]
) -> dict[str, Payload]:
    """A file for each data node that may leave; numbers and words stand in the metadata itself."""
    payloads: dict[str, Payload] = {}
    asked = study_data(graph)
    for data in graph.data.values():
        if asked is not None and data.uuid == asked.uuid:
            write_json(package / STUDY_FILE, dict(study))
            payloads[data.uuid] = describe(package, STUDY_FILE)
        elif decisions[data.uuid].include and data.value is None:
            payloads[data.uuid] = write_data(package, data)
    return payloads


def _write_sources(package: Path, graph: Graph, tools: Mapping[str, Tool]) -> dict[str, Payload]:
    """Sources of the main workflow and of our own stages, by key of the tool; one file a module."""
    sources: dict[str, Payload] = {}
    modules: set[str] = set()
    for process in graph.processes.values():
        tool = tools[process.uuid]
        is_main = process.uuid == graph.root.uuid
        own = process.kind == "workflow" and tool.module.startswith(OWN)
        if tool.key in sources or tool.module in modules or not (is_main or own):
            continue
        source = source_of(tool)
        if not source and not is_main:
            continue
        path = f"workflow/{tool.module.replace('.', '/') or tool.key}.py"
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(source or _no_source(tool), encoding="utf-8")
        sources[tool.key] = describe(package, path)
        modules.add(tool.module)
    return sources


def _no_source(tool: Tool) -> str:
    return (
        f'"""The source of {tool.label} (AiiDA process type {tool.type}) was not at hand at the export."""\n'
    )
