"""What a worker is given: parameters, input files, where to write, and whom to tell about progress."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hashigo.errors import InputError, WorkerError

PROGRESS_FILE = "progress.json"


class Incomplete(WorkerError):
    """The job came to its end, and its result is saved, but something is missing in it.

    Attributes:
        in_order: whether all ranks have ended their work; where not, they must be aborted.
    """

    in_order = True


class PartialResult(Incomplete):
    """A signal or the walltime ended the job early; its result holds what was computed."""


class FramesFailed(Incomplete):
    """Some frames could not be computed; the result holds all others."""


class NotWritten(WorkerError):
    """A file could not be written, as on a full disk; the next try finds what was written before."""


class SerialComm:
    """Stands in for an MPI communicator when the worker was not started by a launcher."""

    rank = 0
    size = 1

    def bcast(self, value: Any, root: int = 0) -> Any:
        """Return the value: there is no rank number other than `root`."""
        return value

    def gather(self, value: Any, root: int = 0) -> list[Any]:
        """Return the value as the only entry, on rank number `root`."""
        return [value]

    def allgather(self, value: Any) -> list[Any]:
        """Return the value as the only entry."""
        return [value]

    def allreduce(self, value: Any, op: Any = None) -> Any:
        """Return the value: there is nothing to combine it with."""
        return value

    def alltoall(self, values: list[Any]) -> list[Any]:
        """Return the values: they are for this rank."""
        return values


#: Set by the launchers of OpenMPI, MPICH / Intel MPI, Slurm's srun and Fujitsu MPI in every rank.
LAUNCHER_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "FLIB_RANK_ON_NODE")


def world() -> Any:
    """The communicator of all ranks: MPI's under a launcher, a serial stand-in without one or without MPI."""
    if not any(name in os.environ for name in LAUNCHER_VARIABLES):
        return SerialComm()
    try:
        from mpi4py import MPI  # heavy, and absent where there is no MPI library
    except (ImportError, RuntimeError) as error:
        # Every rank would compute everything and write the same file.
        raise InputError(
            f"the worker was started under an MPI launcher, but mpi4py does not load: {error}",
            fix="install an MPI library that mpi4py finds, or run with one rank",
        ) from None
    return MPI.COMM_WORLD


@dataclass
class Job:
    """One worker job.

    Attributes:
        task: name of the task, a module of `hashigo.calculators.workers`.
        parameters: plain values, as in the study.
        inputs: input files by name.
        output: the result file to write.
        threads: number of threads each rank may use.
        scratch: folder where partial results of all jobs are kept; by default one beside the result.
        walltime: longest time of the job, s; None where it has no limit.
        program: what an engine of the batch starts, with its launcher, word by word; empty for none.
        begun: when the job began, by `time.monotonic`, s.
    """

    task: str
    parameters: dict[str, Any]
    inputs: dict[str, Path]
    output: Path
    threads: int = 1
    comm: Any = field(default_factory=SerialComm)
    progress_path: Path | None = None
    scratch: Path | None = None
    walltime: float | None = None
    program: tuple[str, ...] = ()
    begun: float = field(default_factory=lambda: time.monotonic() - time.process_time())
    _told: float = 0.0

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read the job file that the CalcJob wrote.

        Raises:
            InputError: when it is no job file, or an input it names is missing.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            job = cls(
                task=content["task"],
                parameters=content["parameters"],
                inputs={name: path.parent / file for name, file in content["inputs"].items()},
                output=path.parent / content["output"],
                threads=int(content.get("threads", 1)),
                comm=world(),
                progress_path=path.parent / PROGRESS_FILE,
                scratch=path.parent / content["scratch"] if content.get("scratch") else None,
                walltime=float(content["walltime"]) if content.get("walltime") else None,
                program=tuple(content.get("program", ())),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path.name} is not a worker's job file: {error!r}") from None
        for name, file in job.inputs.items():
            if not file.is_file():
                raise InputError(f"input '{name}' of task '{job.task}' is missing: {file.name}")
        return job

    @property
    def is_root(self) -> bool:
        """Whether this is the rank that reads, writes and tells."""
        return bool(self.comm.rank == 0)

    @property
    def partial_results(self) -> Path:
        """Folder of the partial results of all jobs."""
        return self.output.parent / "partial" if self.scratch is None else self.scratch

    def progress(self, done: float, total: float, text: str = "") -> None:
        """Tell how far the job is, at most twice a second.

        Args:
            done: amount done, dimensionless.
            total: amount to do, dimensionless.
            text: what is being done.
        """
        now = time.monotonic()
        if not self.is_root or self.progress_path is None or (now - self._told < 0.5 and done < total):
            return
        self._told = now
        part = self.progress_path.with_suffix(".part")
        part.write_text(json.dumps({"done": done, "total": total, "text": text}), encoding="utf-8")
        part.replace(self.progress_path)
