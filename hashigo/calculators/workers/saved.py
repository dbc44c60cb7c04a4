"""What a job has finished, kept where its next try finds it: arrays by name, each written at once or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.frame_store import clean
from hashigo.calculators.workers.job import Job
from hashigo.errors import WorkerError


def inputs_hash(job: Job, task_version: int) -> str:
    """Name of a job's partial results: equal for jobs that compute the same, whatever their ranks and walltime.

    Args:
        job: with its input files.
        task_version: number of the task's version.
    """
    digest = hashlib.sha256(
        f"{job.task} {task_version} {json.dumps(job.parameters, sort_keys=True)}".encode()
    )
    for name in sorted(job.inputs):
        digest.update(name.encode())
        with job.inputs[name].open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:32]


class Saved:
    """Finished pieces of one job, in a folder of its own. Only one job at a time may have it.

    Args:
        folder: named by the hash of the job's inputs; made if it is not there. None keeps nothing.
        comm: communicator; its first rank reads and has the lock, every rank writes.

    Raises:
        WorkerError: when another job computes the same.
    """

    def __init__(self, folder: Path | None = None, comm: Any = None) -> None:
        self._folder = folder
        self._comm = comm
        self._lock: Any = None

    @classmethod
    def of(cls, job: Job, task_version: int) -> Saved:
        """Those of a job.

        Args:
            job: with its input files.
            task_version: number of the task's version.
        """
        name = job.comm.bcast(inputs_hash(job, task_version) if job.is_root else None)
        return cls(job.partial_results / name, job.comm)

    def __enter__(self) -> Saved:
        problem = ""
        if self._folder is not None and self._is_root:
            clean(self._folder.parent)
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self._folder / "lock").open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._lock.close()
                problem = "another job computes the same at this moment"
        if self._comm is not None:
            problem = self._comm.bcast(problem)  # which also tells the others that the folder is there
        if problem:
            raise WorkerError(problem, fix="wait until it has ended")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.close()
            if error is None:
                shutil.rmtree(self._folder, ignore_errors=True)  # type: ignore[arg-type]

    @property
    def _is_root(self) -> bool:
        return self._comm is None or self._comm.rank == 0

    def save(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep some arrays; they survive a kill when this returns.

        Args:
            name: of the piece; letters, digits, hyphens and points.
            arrays: of any shape and unit.

        Raises:
            WorkerError: when they cannot be written, as on a full disk.
        """
        if self._folder is None:
            return
        part = self._folder / f"{name}.{os.getpid()}.part"
        try:
            with part.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            part.replace(self._folder / f"{name}.npz")
        except OSError as error:
            raise WorkerError(f"partial results cannot be written: {error.strerror}") from error

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """Arrays kept by this name, of any shape and unit; None when there are none or they are damaged."""
        if self._folder is None or not (path := self._folder / f"{name}.npz").is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # as after a power cut
            return None

    def names(self, prefix: str) -> list[str]:
        """Names of the pieces that begin so, sorted."""
        if self._folder is None or not self._folder.is_dir():
            return []
        return sorted(path.name[: -len(".npz")] for path in self._folder.glob(f"{prefix}*.npz"))
