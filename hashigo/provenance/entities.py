"""The entities of a Provenance Run Crate: what `ro-crate-metadata.json` says about a run.

Source: Workflow Run RO-Crate profiles 0.5, https://w3id.org/ro/wfrun/provenance/0.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from hashigo.provenance.graph import Data, Graph, Process, job_core_hours
from hashigo.provenance.metadata import Author, Metadata, Organisation
from hashigo.provenance.payload import Payload
from hashigo.provenance.policy import Decision
from hashigo.provenance.privacy import Identity, redact
from hashigo.provenance.tools import Tool, slug

CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
CRATE = "https://w3id.org/ro/crate/1.1"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
BIO_WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
BIO_PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
PYTHON = "https://www.python.org/"
ENGINE_HOME = "https://www.aiida.net/"
COMPLETED = "http://schema.org/CompletedActionStatus"
FAILED = "http://schema.org/FailedActionStatus"

Entity = dict[str, Any]
Ref = dict[str, str]


@dataclass
class Contents:
    """Everything a crate is made from.

    Attributes:
        tools: by uuid of the process.
        sources: path of the source in the package, by key of the tool.
        payloads: files of data nodes, by uuid.
        others: files that are no data node, with a name and a description each.
        published: when the package was made.
        who: names that are taken out of messages.
    """

    graph: Graph
    metadata: Metadata
    decisions: Mapping[str, Decision]
    tools: Mapping[str, Tool]
    sources: Mapping[str, Payload]
    payloads: Mapping[str, Payload]
    others: Mapping[str, tuple[Payload, str, str]]
    published: datetime
    who: Identity
    entities: dict[str, Entity] = field(default_factory=dict)

    def add(self, entity: Entity) -> Ref:
        """Add an entity unless it is there already; returns a reference."""
        self.entities.setdefault(entity["@id"], compact(entity))
        return {"@id": entity["@id"]}


def compact(entity: Entity) -> Entity:
    """An entity without empty properties, and without lists of one."""
    kept = {key: value for key, value in entity.items() if value is not None and value != [] and value != ""}
    return {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in kept.items()
    }


def refs(ids: Iterable[str]) -> list[Ref]:
    """References to entities, each once, in order."""
    return [{"@id": entity} for entity in dict.fromkeys(ids)]


def iso(time: datetime) -> str:
    """A time in UTC with milliseconds, as the profiles want it."""
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def licence(contents: Contents) -> Ref:
    """The licence of the package."""
    metadata = contents.metadata
    name = metadata.licence_id or metadata.licence
    return contents.add(
        {
            "@id": metadata.licence,
            "@type": "CreativeWork",
            "name": name,
            "description": f"Licence of the data of this package: {name}",
            "identifier": metadata.licence,
        }
    )


def authors(contents: Contents) -> list[Ref]:
    """The people who answer for the run."""
    return [_person(contents, author) for author in contents.metadata.authors]


def _person(contents: Contents, author: Author) -> Ref:
    return contents.add(
        {
            "@id": author.orcid or f"#person-{slug(author.name)}",
            "@type": "Person",
            "name": author.name,
            "affiliation": organisation(contents, author.affiliation) if author.affiliation else None,
            "email": author.email,
        }
    )


def organisation(contents: Contents, entry: Organisation) -> Ref:
    """An organisation, by its address at ror.org where it has one."""
    identifier = entry.ror or f"#organisation-{slug(entry.name)}"
    return contents.add({"@id": identifier, "@type": "Organization", "name": entry.name, "url": entry.url})


def file_entity(payload: Payload, name: str, description: str) -> Entity:
    """A file of the package."""
    return {
        "@id": payload.path,
        "@type": "File",
        "name": name,
        "description": description,
        "encodingFormat": payload.encoding,
        "contentSize": str(payload.size),
        "sha256": payload.sha256,
    }


def data_entity(contents: Contents, data: Data, parameters: Iterable[str]) -> Entity:
    """A data node: a file, a value, or what may be said about content that stays.

    Args:
        contents: what the crate is made from.
        data: the node.
        parameters: identifiers of the formal parameters that it was given as.
    """
    decision = contents.decisions[data.uuid]
    payload = contents.payloads.get(data.uuid)
    kind = f"{data.class_name} ({data.type})"
    common = {"identifier": f"urn:uuid:{data.uuid}", "exampleOfWork": refs(parameters)}
    if payload is not None:
        entity = file_entity(payload, data.label, kind)
        return {**entity, **common, "dateCreated": iso(data.created)}
    if decision.include:
        return {
            "@id": data_id(contents, data),
            "@type": "PropertyValue",
            "name": data.label,
            "value": data.value,
            **common,
        }
    # No size and no checksum: both would let others test guesses of what is in it.
    return {
        "@id": data_id(contents, data),
        "@type": "File",
        "name": data.label,
        "description": f"{kind}. {decision.reason}",
        "encodingFormat": "application/octet-stream",
        "conditionsOfAccess": decision.access if decision.access != "open" else "not distributed",
        "dateCreated": iso(data.created),
        **common,
    }


def data_id(contents: Contents, data: Data) -> str:
    """Identifier of a data node's entity."""
    payload = contents.payloads.get(data.uuid)
    if payload is not None:
        return payload.path
    return f"#value-{data.uuid}" if contents.decisions[data.uuid].include else f"#data-{data.uuid}"


def parameter_type(contents: Contents, data: Data) -> str:
    """What kind of thing a formal parameter takes."""
    if data.uuid in contents.payloads or not contents.decisions[data.uuid].include:
        return "File"
    kinds: tuple[tuple[type, str], ...] = ((bool, "Boolean"), (int, "Integer"), (float, "Float"))
    return next((name for kind, name in kinds if isinstance(data.value, kind)), "Text")


def error_of(contents: Contents, process: Process) -> str:
    """Why a process failed, without names of machines and people; empty when it did not."""
    if process.ok:
        return ""
    message = redact(process.message, contents.who) or process.state
    return f"exit status {process.exit_status}: {message}" if process.exit_status is not None else message


def usage_entity(process: Process) -> Entity:
    """Core hours of a job."""
    hours = job_core_hours(process)
    return {
        "@id": f"#usage-{process.uuid}",
        "@type": "PropertyValue",
        "name": "core hours",
        "propertyID": "https://qudt.org/vocab/quantitykind/Time",
        "value": f"{hours.value:.6g}",
        "unitCode": "https://qudt.org/vocab/unit/HR",
        "unitText": "core·h",
        "measurementTechnique": hours.method,
    }


def step_name(name: str) -> str:
    """Name of a step without the number that tells its repetitions apart: frame_12 is a frame."""
    return re.sub(r"[_-]?\d+$", "", name) or name
