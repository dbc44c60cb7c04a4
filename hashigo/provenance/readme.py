"""The page that greets whoever opens a package."""

from __future__ import annotations

from hashigo.provenance.entities import Contents, error_of
from hashigo.provenance.graph import Data, core_hours
from hashigo.provenance.metadata import Author

TEMPLATE = """\
# {title}

{description}

- Authors: {authors}
- Licence: {licence}
- Outcome: {outcome}
- Resources: {resources}

This folder is a Provenance Run Crate (https://w3id.org/ro/wfrun/provenance/0.5). `ro-crate-metadata.json`
describes every process that was run, what it used and what it made; the files themselves open without AiiDA.
HDF5 files of Hashigo carry the unit of every number in their attributes.

## Results

{results}

## Files

- `study.json`: what was asked for, when the run had a study
- `workflow/`: the workflow's own source
- `data/inputs/`: what came from outside the run
- `data/STAGE/`: what each stage made

{left_out}
"""


def readme(contents: Contents) -> str:
    """The README of a package: title, people, licence, results, and what is not in it."""
    graph, metadata = contents.graph, contents.metadata
    hours = core_hours(graph)
    cached = f"; {hours.cached} further jobs were taken from the cache" if hours.cached else ""
    root = graph.root
    text = TEMPLATE.format(
        title=metadata.title,
        description=metadata.description,
        authors="; ".join(_author(author) for author in metadata.authors) or "not named",
        licence=f"{metadata.licence_id} ({metadata.licence})" if metadata.licence_id else metadata.licence,
        outcome="completed"
        if root.ok
        else f"failed, exported as far as it came ({error_of(contents, root)})",
        resources=f"{hours.value:.3g} core hours in {hours.jobs} jobs ({hours.method}){cached}",
        results=_results(contents),
        left_out=_left_out(contents),
    )
    return text.rstrip() + "\n"


def _author(author: Author) -> str:
    parts = [author.name, author.affiliation.name if author.affiliation else "", author.orcid, author.email]
    return ", ".join(part for part in parts if part)


def _results(contents: Contents) -> str:
    root = contents.graph.root.uuid
    results = [link for link in contents.graph.links if link.process == root and link.kind != "input"]
    if not results:
        return "The run returned no results."
    named = [(link.label, contents.graph.data[link.data]) for link in results]
    rows = [f"| {label} | {_where(contents, data)} | {data.stage} |" for label, data in named]
    return "\n".join(["| result | file or value | stage |", "| --- | --- | --- |", *rows])


def _where(contents: Contents, data: Data) -> str:
    payload = contents.payloads.get(data.uuid)
    if payload is not None:
        return f"`{payload.path}`"
    decision = contents.decisions[data.uuid]
    return f"{data.value}" if decision.include else decision.reason


def _left_out(contents: Contents) -> str:
    counts: dict[str, int] = {}
    for decision in contents.decisions.values():
        if not decision.include:
            counts[decision.reason] = counts.get(decision.reason, 0) + 1
    if not counts:
        return ""
    rows = [f"- {number} × {reason}" for reason, number in sorted(counts.items())]
    return "\n".join(["## Not in this package", "", *rows])
