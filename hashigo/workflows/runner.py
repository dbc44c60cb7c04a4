"""A runner for one process: no broker, and no polling where what is waited for can be seen to have ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import psutil
from aiida.engine.processes.calcjobs.manager import JobManager, JobsList
from aiida.engine.runners import Runner

#: Seconds between two looks at what runs.
LOOK = 0.1

#: Longest time between two questions to the scheduler of this computer, s.
LONGEST = 10.0


class InProcessRunner(Runner):
    """Runs all processes in this event loop, whether or not the profile has a broker that is up."""

    def __init__(self) -> None:
        super().__init__(poll_interval=LOOK, communicator=None, broker_submit=False)
        self._job_manager = _JobManager(self._transport)
        self._processes: dict[int, Any] = {}

    def instantiate_process(self, process: Any, **inputs: Any) -> Any:
        """As AiiDA does; what is started here is known to this runner."""
        started = super().instantiate_process(process, **inputs)
        self._processes[started.pid] = started
        return started

    def call_on_process_finish(self, pk: int, callback: Callable[[], Any]) -> None:
        """Call back when a process has ended: it says so itself, so that nobody has to ask the database.

        Args:
            pk: number of the process.
            callback: called without arguments.
        """
        process = self._processes.get(pk)
        if process is None or process.node.is_terminated:
            super().call_on_process_finish(pk, callback)
            return
        process.add_cleanup(lambda: self._ended(pk, callback))

    def _ended(self, pk: int, callback: Callable[[], Any]) -> None:
        self._processes.pop(pk, None)
        self.loop.call_soon(callback)


class _JobManager(JobManager):
    def get_jobs_list(self, authinfo: Any) -> JobsList:
        computer = authinfo.computer
        if (computer.transport_type, computer.scheduler_type) != ("core.local", "core.direct"):
            return super().get_jobs_list(authinfo)
        return self._job_lists.setdefault(authinfo.pk, _LocalJobs(authinfo, self._transport_queue))


class _LocalJobs(JobsList):
    """Jobs that are processes of this computer: each question costs AiiDA a process and a dozen writes to the database,
    so it is asked when a job has ended, or after a while.
    """

    def get_minimum_update_interval(self) -> float:
        """No pause but that between two looks, s."""
        return LOOK

    async def _get_jobs_from_scheduler(self) -> dict[str, Any]:
        longest = time.monotonic() + LONGEST
        while all(_runs(int(job)) for job in self._job_update_requests) and time.monotonic() < longest:
            await asyncio.sleep(LOOK)
        return await super()._get_jobs_from_scheduler()


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
