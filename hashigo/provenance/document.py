"""The document `ro-crate-metadata.json`: the package itself, its files, and the run in it."""

from __future__ import annotations

from hashigo.provenance.actions import add_run
from hashigo.provenance.entities import (
    CONTEXT,
    CRATE,
    PROFILES,
    WORKFLOW_CRATE,
    Contents,
    Entity,
    Ref,
    authors,
    compact,
    file_entity,
    iso,
    licence,
    organisation,
    refs,
)
from hashigo.provenance.payload import Payload


def crate_metadata(contents: Contents) -> Entity:
    """The whole of `ro-crate-metadata.json`."""
    # The root is filled last, and stands first.
    contents.entities["ro-crate-metadata.json"] = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": refs([CRATE, WORKFLOW_CRATE]),
        "about": {"@id": "./"},
    }
    contents.entities["./"] = {}
    main, actions = add_run(contents)
    for payload, name, description in contents.others.values():
        contents.add(file_entity(payload, name, description) | _about(payload))
    for address, (name, version) in PROFILES.items():
        contents.add({"@id": address, "@type": "CreativeWork", "name": name, "version": version})
    contents.entities["./"] = _root(contents, main, actions)
    return {"@context": CONTEXT, "@graph": list(contents.entities.values())}


def _about(payload: Payload) -> Entity:
    return {"about": {"@id": "./"}} if payload.path == "README.md" else {}


def _root(contents: Contents, main: Ref, actions: list[str]) -> Entity:
    metadata = contents.metadata
    files = [payload.path for payload in contents.sources.values()]
    files += [payload.path for payload, _, _ in contents.others.values()]
    files += [payload.path for payload in contents.payloads.values()]
    people = authors(contents)
    publishers = [a.affiliation for a in metadata.authors if a.affiliation is not None]
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": metadata.title,
        "description": metadata.description,
        "datePublished": iso(contents.published),
        "license": licence(contents),
        "author": people,
        "publisher": organisation(contents, publishers[0]) if publishers else None,
        "keywords": "AiiDA, provenance, materials science",
        "conformsTo": refs(PROFILES),
        "mainEntity": main,
        "hasPart": refs(files),
        "mentions": refs(actions),
    }
    return compact(root)
