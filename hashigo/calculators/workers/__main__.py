"""`python -m hashigo.calculators.workers job.json`: run one task; errors become one sentence and an exit status."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import time
import traceback
from pathlib import Path

from hashigo.calculators.workers.farm import wait_for_all
from hashigo.calculators.workers.job import FramesFailed, Incomplete, Job, NotWritten, PartialResult
from hashigo.errors import HashigoError, InputError, MissingComponent, WorkerError

ERROR_FILE = "error.json"
STATISTICS_FILE = "statistics.json"


#: The kinds of error that a job may end with, the more special first.
KINDS = (PartialResult, FramesFailed, NotWritten, InputError, MissingComponent, WorkerError, HashigoError)


#: What ended the job. HDF5 may crash when a file is let go whose writing failed, and the error's traceback holds it.
_ERRORS: list[HashigoError] = []


def _cpu_time() -> float:
    """CPU time of this process and of the programs it has waited for, s."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _write_statistics(job: Job, path: Path, wall: float) -> None:
    """Times and ranks, kept beside the result: they are no physics."""
    wait_for_all(job.comm)
    cpu = sum(job.comm.allgather(_cpu_time()))
    if job.is_root:
        content = {"wall_time_s": round(wall, 3), "cpu_time_s": round(cpu, 3), "ranks": job.comm.size}
        path.write_text(json.dumps(content), encoding="utf-8")


def run_task(job: Job) -> None:
    """Find the task's module by its name and run it.

    Raises:
        InputError: when there is no such task.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", job.task):
        raise InputError(f"'{job.task}' is not the name of a worker task")
    name = f"hashigo.calculators.workers.{job.task}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise InputError(f"there is no worker task '{job.task}'") from None
        raise MissingComponent(
            f"task '{job.task}' needs the Python package '{error.name}', which is not installed here",
            fix=f"pip install {error.name}",
        ) from None
    module.run(job)


def main(path: Path) -> int:
    """Run the job of a file; returns the exit status, number."""
    begin = time.monotonic()
    try:
        job = Job.read(path)
        try:
            run_task(job)
        except Incomplete as error:
            if not error.in_order:
                raise
            # All ranks end by themselves, with status 0: a launcher would kill the others if one ended with another.
            _tell(path, error)
        _write_statistics(job, path.with_name(STATISTICS_FILE), time.monotonic() - begin)
    except HashigoError as error:
        _ERRORS.append(error)
        _tell(path, error)
        return error.exit_code
    except (
        Exception
    ) as error:  # a fault of ours or of a library: the cause must reach the user through any launcher
        traceback.print_exc()
        _write_error(path, {"kind": "WorkerError", "message": f"{type(error).__name__}: {error}", "fix": ""})
        return WorkerError.exit_code
    return 0


def _tell(path: Path, error: HashigoError) -> None:
    kind = next(k.__name__ for k in KINDS if isinstance(error, k))
    _write_error(path, {"kind": kind, "message": error.message, "fix": error.fix})
    print("\n".join(error.lines()), file=sys.stderr)


def _write_error(path: Path, content: dict[str, str]) -> None:
    """Tell why the job failed; any rank may be the first to do so, and may be stopped by another's abort."""
    part = path.with_name(f"{ERROR_FILE}.{os.getpid()}")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path.with_name(ERROR_FILE))


if __name__ == "__main__":
    try:
        status = main(Path(sys.argv[1]))
    except BaseException:  # whatever it was: a rank that is gone must not leave the others waiting
        traceback.print_exc()
        status = 1
    if status and "mpi4py.MPI" in sys.modules:
        sys.modules["mpi4py.MPI"].COMM_WORLD.Abort(status)
    if _ERRORS:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
