"""The records of the neutral graph: processes, data nodes and the links between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["workflow", "calculation", "function"]


@dataclass(frozen=True)
class Process:
    """One executed process.

    Attributes:
        name: what its caller calls it; the process's own label when the caller gave no name.
        type: AiiDA's process type: an entry point or a dotted Python path.
        stage: the step of the ladder it belongs to; empty for the root.
        state: AiiDA's state: finished, excepted, killed, or what it was left in.
        message: why it failed, as the engine wrote it; empty when it did not.
        caller: uuid of the process that called it, None for the root.
        program: name of the executable, without its path; empty where there is none.
        program_version: version the program reported; empty where it did not.
        versions: versions of aiida-core and of the plugin, as recorded when it ran.
        cached_from: uuid of the process whose results were taken over; empty when it was computed.
        cores: number of cores it asked for, None where it is not a job.
        exit_status: number; None where it did not end.
        wall_time: s, as the program reported it; None where it did not.
    """

    uuid: str
    label: str
    name: str
    type: str
    kind: Kind
    stage: str
    started: datetime
    ended: datetime
    state: str
    exit_status: int | None = None
    message: str = ""
    caller: str | None = None
    program: str = ""
    program_version: str = ""
    versions: tuple[tuple[str, str], ...] = ()
    cached_from: str = ""
    cores: int | None = None
    wall_time: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it finished with exit status 0."""
        return self.state == "finished" and self.exit_status == 0

    @property
    def ended_in_state(self) -> bool:
        """Whether it came to an end, good or bad."""
        return self.state in ("finished", "excepted", "killed")


@dataclass(frozen=True)
class Data:
    """One data node; what it holds stays in the database until it is written.

    Attributes:
        label: the node's own label, or that of the link that made it, or of its first use.
        type: entry point of the node's class, such as `core.dict`.
        creator: uuid of the process of this graph that made it, None when it came from outside.
        stage: stage of the creator; empty when it came from outside.
        value: the value of a number, text or truth value; None for anything larger.
        files: names of the files in the node's repository.
    """

    uuid: str
    label: str
    type: str
    class_name: str
    created: datetime
    creator: str | None = None
    stage: str = ""
    value: int | float | str | bool | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """A process used (`input`), made (`output`) or handed on (`return`) a data node under a name."""

    process: str
    data: str
    label: str
    kind: Literal["input", "output", "return"]


@dataclass(frozen=True)
class Graph:
    """All of one run.

    Attributes:
        root: the process that was exported.
        processes: in the order in which they were started, the root first; by uuid.
        data: in the order in which they were made; by uuid.
        links: in the order of the processes.
    """

    root: Process
    processes: Mapping[str, Process]
    data: Mapping[str, Data]
    links: tuple[Link, ...]

    def called_by(self, uuid: str) -> list[Process]:
        """The processes that a process called itself, in order."""
        return [process for process in self.processes.values() if process.caller == uuid]


@dataclass(frozen=True)
class CoreHours:
    """What a run cost.

    Attributes:
        value: number of core hours, core·h.
        method: how the number was come by.
        jobs: number of jobs counted.
        cached: number of jobs that cost nothing, because their results were taken from the cache.
    """

    value: float
    method: str
    jobs: int
    cached: int
