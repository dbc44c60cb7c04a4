"""`python -m hashigo.calculators.workers job.json`: run one task; errors become one sentence and an exit status."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

from hashigo.calculators.workers.job import Job
from hashigo.errors import GateFailure, HashigoError, InputError, MissingComponent, WorkerError

ERROR_FILE = "error.json"


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
    try:
        run_task(Job.read(path))
    except HashigoError as error:
        kind = next(
            k.__name__
            for k in (InputError, MissingComponent, GateFailure, WorkerError, HashigoError)
            if isinstance(error, k)
        )
        content = {"kind": kind, "message": error.message, "fix": error.fix}
        path.with_name(ERROR_FILE).write_text(json.dumps(content), encoding="utf-8")
        print("\n".join(error.lines()), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    status = main(Path(sys.argv[1]))
    if status and "mpi4py.MPI" in sys.modules:
        # One failed rank must not leave the others waiting.
        sys.modules["mpi4py.MPI"].COMM_WORLD.Abort(status)
    sys.exit(status)
