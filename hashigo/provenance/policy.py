"""The gate: what of a run may leave, and the check of the finished package.

What never leaves, whatever the study says: computers and their host names, users and their e-mail addresses,
remote folders, job scripts, paths of codes, raw folders of an engine's output. Pseudopotentials, which carry
licences of their own, are named, but their files stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiida import orm

from hashigo.errors import GateFailure, InputError
from hashigo.provenance.formats import registered_stages
from hashigo.provenance.graph import Data, Graph, study_data
from hashigo.provenance.metadata import ACCESS, Metadata
from hashigo.provenance.privacy import Finding, Identity, redact, scan, this_machine

__all__ = [
    "Decision",
    "Finding",
    "PrivacyFailure",
    "check",
    "decide",
    "identity",
    "redact",
    "scan",
    "stage_access",
]

GATE = "privacy"
#: Types of data that are engines' raw output: they hold host names, users and paths.
RAW = ("core.folder",)
#: Types of files with licences of their own, by the start of their entry point.
LICENSED = ("core.upf", "pseudo.", "vasp.potcar")
#: Stages whose results repeat what they were given: such a result is at least as closed as the stages named.
EMBEDS = {
    # A frames file holds the cell that its frames were made from.
    "reference": ("structure",),
    # A potential's parity plots hold the energy, forces and stress of every reference frame.
    "potential": ("reference",),
    # Its rounds label frames and train potentials.
    "learning": ("reference", "potential"),
}
#: Stage that an input of the whole ladder belongs to, also when the run ended before that stage began.
ROOT_INPUTS = {
    "structure": "structure",
    "frames": "reference",
    "microstructure": "mesoscale",
    "body": "component",
}
REASONS = {
    "closed": "Closed by the study: described by metadata only.",
    "restricted": "Restricted by the study: described by metadata only; ask the authors.",
    "raw": "Raw output folder of the engine, left out because it names machines, users and paths.",
    "licensed": "A file with a licence of its own: named here, to be had from its source.",
}


class PrivacyFailure(GateFailure):
    """A package holds something that must not leave; it was not written.

    Attributes:
        findings: everything found, the first of which the message names.
    """

    gate = GATE

    def __init__(
        self, message: str, *, fix: str = "", see: str = "", findings: Sequence[Finding] = ()
    ) -> None:
        super().__init__(message, fix=fix, see=see)
        self.findings = tuple(findings)


@dataclass(frozen=True)
class Decision:
    """What happens to one data node.

    Attributes:
        include: whether its content leaves.
        access: open, restricted or closed.
        reason: why its content stays; empty when it leaves.
    """

    include: bool
    access: str = "open"
    reason: str = ""


def decide(graph: Graph, metadata: Metadata) -> dict[str, Decision]:
    """Decide for every data node of a graph whether its content may leave. The study itself always does.

    Data is as closed as the strictest stage that made it or handed it on. Data from outside the run is as
    closed as the strictest stage that uses it; a single number or word, as the least strict one. Data of no
    stage is as closed as the strictest access that the study names. How closed a stage is, `stage_access` says.

    Raises:
        InputError: when the study sets the access of a stage that does not exist.
    """
    _check_stages(graph, metadata)
    made: dict[str, set[str]] = {}
    used: dict[str, set[str]] = {}
    for link in graph.links:
        stage = graph.processes[link.process].stage
        if link.process == graph.root.uuid and link.kind == "input":
            stage = ROOT_INPUTS.get(link.label, "")
        if stage:
            (used if link.kind == "input" else made).setdefault(link.data, set()).add(stage)
    decisions = {
        uuid: _decision(data, made.get(uuid, set()), used.get(uuid, set()), metadata)
        for uuid, data in graph.data.items()
    }
    study = study_data(graph)
    return decisions if study is None else {**decisions, study.uuid: Decision(True)}


def stage_access(stage: str, access: Mapping[str, str], default: str = "open") -> str:
    """How closed a stage is: as the study says, and at least as closed as the stages that its results repeat.

    Args:
        stage: name of the stage.
        access: open, restricted or closed, by stage, as the study says.
        default: access of stages that `access` does not name.
    """
    embedded = (stage_access(source, access, default) for source in EMBEDS.get(stage, ()))
    return _strictest([access.get(stage, default), *embedded])


def identity() -> Identity:
    """Names that must not leave: those of this machine and all that AiiDA's profile knows."""
    users = orm.User.collection.all()
    computers = orm.Computer.collection.all()
    names = {name for computer in computers for name in (computer.label, computer.hostname)}
    accounts = _accounts()
    phrases = {user.email for user in users} | accounts
    phrases |= {computer.get_workdir() for computer in computers if computer.get_workdir().count("/") > 1}
    return this_machine() | Identity(hosts=frozenset(names), phrases=frozenset(phrases - {""}))


def check(package: Path, metadata: Metadata, who: Identity) -> None:
    """Scan a finished package.

    Args:
        package: folder to look through.
        metadata: whose declared authors and contacts may stand in it.
        who: names that must not.

    Raises:
        PrivacyFailure: names the first finding; carries all of them.
    """
    declared = [metadata.title]
    for author in metadata.authors:
        declared += [author.name, author.affiliation.name if author.affiliation else ""]
    findings = scan(package, identity=who, allow=metadata.contacts, declared=declared)
    if not findings:
        return
    others = f", and {len(findings) - 1} more like it" if len(findings) > 1 else ""
    raise PrivacyFailure(
        f"gate '{GATE}': nothing was exported, because {findings[0]}{others}",
        fix="take it out of the study or the data, or set the access of its stage to closed",
        findings=findings,
    )


def _accounts() -> set[str]:
    """Accounts that jobs of this profile were charged to."""
    query = orm.QueryBuilder()
    query.append(
        orm.CalcJobNode, project="attributes.account", filters={"attributes": {"has_key": "account"}}
    )
    return {str(account) for account in query.distinct().all(flat=True) if account}


def _check_stages(graph: Graph, metadata: Metadata) -> None:
    known = {process.stage for process in graph.processes.values()} | registered_stages()
    for stage in metadata.access:
        if stage not in known:
            raise InputError(
                f"access.{stage}: the study has no stage '{stage}', so it would protect nothing",
                fix=f"name one of: {', '.join(sorted(known - {''}))}",
            )


def _decision(data: Data, made: set[str], used: set[str], metadata: Metadata) -> Decision:
    if data.type in RAW:
        return Decision(False, reason=REASONS["raw"])
    if data.type.startswith(LICENSED):
        return Decision(False, reason=REASONS["licensed"])
    named = metadata.access
    if made or used:
        # A number or word that many stages share, such as the site, tells nothing of any of them.
        strictness = _strictest if made or data.value is None else _least_strict
        access = strictness(stage_access(s, named, metadata.default_access) for s in made or used)
    elif data.value is None:
        access = _strictest([*named.values(), metadata.default_access])
    else:
        access = metadata.default_access
    return Decision(access == "open", access, REASONS.get(access, ""))


def _strictest(accesses: Iterable[str]) -> str:
    return max(accesses, key=ACCESS.index)


def _least_strict(accesses: Iterable[str]) -> str:
    return min(accesses, key=ACCESS.index)
