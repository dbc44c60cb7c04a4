"""What stands in a report, as plain records: the page is made from these alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hashigo.report.checks import Check, Gate
from hashigo.report.figures import Picture
from hashigo.workflows.method import label
from hashigo.workflows.results import TableLine


@dataclass(frozen=True)
class Person:
    """Somebody who made the study; what is not known is empty."""

    name: str
    orcid: str = ""
    affiliation: str = ""


@dataclass(frozen=True)
class ReferenceMethod:
    """What the numbers are relative to.

    Attributes:
        name: of the engine, as printed.
        settings: its settings, in words; empty where there are none.
        frames: count of frames; None when not known.
        first_principles: None where the frames do not say.
    """

    name: str
    settings: str = ""
    frames: int | None = None
    first_principles: bool | None = None

    @property
    def label(self) -> str:
        """Mark of all numbers that rest on it; empty for first principles."""
        return label(self.first_principles)


@dataclass(frozen=True)
class StageState:
    """How a stage went.

    Attributes:
        title: as printed.
        state: finished, failed, stopped or running.
        seconds: from its start to its end, s.
        jobs: count of jobs that were computed.
        cached: count of jobs taken from the cache.
        core_hours: number of core·h of those computed.
    """

    title: str
    state: str
    seconds: float
    jobs: int
    cached: int
    core_hours: float


@dataclass(frozen=True)
class ResultSection:
    """Numbers of one stage; `access` is "open" where everybody may see them."""

    title: str
    lines: tuple[TableLine, ...]
    access: str = "open"


@dataclass(frozen=True)
class Cost:
    """What the run cost.

    Attributes:
        core_hours: number of core·h.
        method: how that number was come by.
        jobs: count of jobs that were computed.
        cached: count of jobs taken from the cache.
    """

    core_hours: float
    method: str
    jobs: int
    cached: int


@dataclass(frozen=True)
class ReportContent:
    """A report.

    Attributes:
        state: one of "finished", "gate", "failed", "stopped", "running".
        sentence: what happened, for people.
        date: when the run ended, as printed.
        versions: of the programs that ran, by name.
        graph: the provenance graph as one `<svg>` element; it is put into the page as it is.
        graph_caption: what its shapes and colours mean.
    """

    title: str
    state: str
    sentence: str
    identifier: str
    uuid: str
    date: str
    authors: tuple[Person, ...] = ()
    licence: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    reference: ReferenceMethod | None = None
    sections: Sequence[ResultSection] = ()
    gates: Sequence[Gate] = ()
    checks: Sequence[Check] = ()
    figures: Sequence[Picture] = ()
    stages: Sequence[StageState] = ()
    cost: Cost | None = None
    graph: str = ""
    graph_caption: str = ""
