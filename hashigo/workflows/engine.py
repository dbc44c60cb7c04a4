"""Run the ladder in this process: no daemon, no broker; stop cleanly on a signal; tell a watcher how far it is."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from aiida import orm
from aiida.common.exceptions import AiidaException, NotExistent
from aiida.engine import ProcessState
from aiida.manage import get_manager
from aiida.manage.caching import enable_caching
from plumpy.process_states import ProcessState as State

from hashigo.calculators.data import FramesData
from hashigo.calculators.workers.job import PROGRESS_FILE
from hashigo.errors import HashigoError, InputError
from hashigo.study import Study
from hashigo.workflows.chain import MultiscaleWorkChain
from hashigo.workflows.inputs import Prepared
from hashigo.workflows.runner import InProcessRunner

#: Exit status of a process that a signal stopped; it is never served from the cache.
STOPPED = 130

#: Seconds between two calls of a watcher.
_BEAT = 0.5

RUN_EXTRA = "hashigo_run"

#: Processes that a command runs, by their labels.
ROOTS = ("MultiscaleWorkChain", "ConvergenceWorkChain")

#: Runners of runs that a signal stopped.
_LEFT: list[Any] = []


class Stopped(HashigoError):
    """The user stopped the run; what was finished is kept."""

    exit_code = 130


def start_inputs(prepared: Prepared) -> dict[str, Any]:
    """Input nodes of the whole ladder; equal content takes the node that is already there."""
    inputs = {
        "study": orm.Dict(prepared.content),
        "structure": orm.StructureData(ase=prepared.structure),
        "metadata": {"label": prepared.study.name, "description": prepared.study.title},
    }
    if prepared.frames is not None:
        inputs["frames"] = FramesData(prepared.frames)
    if prepared.microstructure is not None:
        inputs["microstructure"] = orm.SinglefileData(prepared.microstructure)
    if prepared.body is not None:
        inputs["body"] = orm.SinglefileData(prepared.body)
    return inputs


def run_chain(
    prepared: Prepared,
    watch: Callable[[Any], None] | None = None,
    started: Callable[[Any], None] | None = None,
) -> Any:
    """Run a study to its end; finished calculations are taken from the cache.

    Args:
        prepared: the study.
        watch: called a few times a second with the root node while it runs.
        started: called once with the root node.

    Returns:
        The root WorkChainNode; whether it succeeded is in its exit status.

    Raises:
        Stopped: when SIGINT or SIGTERM arrived; the run can be resumed.
    """
    inputs = start_inputs(prepared)
    return run_process(MultiscaleWorkChain, inputs, prepared.study, "hashigo resume {pk}", watch, started)


def run_process(
    kind: Any,
    inputs: Mapping[str, Any],
    study: Study,
    again: str,
    watch: Callable[[Any], None] | None = None,
    started: Callable[[Any], None] | None = None,
) -> Any:
    """Run a WorkChain to its end in this process; finished calculations are taken from the cache.

    Args:
        kind: its class, one of ROOTS.
        inputs: nodes.
        study: that it was made from.
        again: command that goes on when it was stopped; "{pk}" is its number.
        watch: called a few times a second with the root node while it runs.
        started: called once with the root node.

    Returns:
        Its node; whether it succeeded is in its exit status.

    Raises:
        Stopped: when SIGINT or SIGTERM arrived.
    """
    clear_abandoned()
    with enable_caching(), _runner() as runner:
        process = runner.instantiate_process(kind, **inputs)
        process.node.base.extras.set(
            RUN_EXTRA,
            {
                "folder": str(study.folder),
                "name": study.name,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "started": psutil.Process().create_time(),
            },
        )
        if started:
            started(process.node)
        stopped_by = _drive(runner, process, watch)
        if stopped_by:
            stop_processes(process.node)
            raise Stopped(
                f"run {process.node.pk} was stopped by {stopped_by}; what was finished is kept",
                fix=again.replace("{pk}", str(process.node.pk)),
            )
        return process.node


@contextmanager
def _runner() -> Iterator[InProcessRunner]:
    """The manager's runner for as long as the context lasts."""
    runner = InProcessRunner()
    get_manager().set_runner(runner)
    try:
        yield runner
    except Stopped:
        # Its pending coroutines are kept: taking them apart unfinished only makes noise.
        _LEFT.append((runner, asyncio.all_tasks(runner.loop)))
        get_manager()._runner = None
        raise
    finally:
        if get_manager()._runner is runner:
            get_manager().reset_runner()


def _drive(runner: InProcessRunner, process: Any, watch: Callable[[Any], None] | None) -> str:
    """Step the process to its end; returns the name of the signal that stopped it, or ""."""
    loop = runner.loop
    stop = loop.create_future()
    # SIGHUP: the terminal or the connection to it was lost.
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def request(number: signal.Signals) -> None:
        if not stop.done():
            stop.set_result(number.name)

    async def main() -> str:
        work = loop.create_task(process.step_until_terminated())
        beat = loop.create_task(_beat(process.node, watch))
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            beat.cancel()
        if stop.done():
            return str(stop.result())
        await work
        return ""

    handlers = {number: signal.getsignal(number) for number in signals}
    try:
        for number in signals:
            loop.add_signal_handler(number, request, number)
        return str(runner.run_until_complete(loop.create_task(main())))
    finally:
        for number, handler in handlers.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
        if watch:
            watch(process.node)


async def _beat(node: Any, watch: Callable[[Any], None] | None) -> None:
    while watch is not None:
        watch(node)
        await asyncio.sleep(_BEAT)


def stop_processes(root: Any) -> None:
    """End the jobs of a run at once, and mark its unfinished processes as killed."""
    for node in [*root.called_descendants, root]:
        if node.is_sealed:
            continue
        if isinstance(node, orm.CalcJobNode):
            _kill_job(node)
        node.set_process_state(State.KILLED)
        node.set_exit_status(STOPPED)
        node.set_exit_message("stopped by the user")
        node.seal()


def _kill_job(node: Any) -> None:
    job = node.get_job_id()
    if not job:
        return
    if node.computer.scheduler_type == "core.direct":
        _kill_tree(int(job), node.get_remote_workdir())
        return
    try:
        with node.computer.get_transport() as transport:
            scheduler = node.computer.get_scheduler()
            scheduler.set_transport(transport)
            scheduler.kill_job(job)
    except (AiidaException, OSError):
        return  # the site is out of reach: its walltime ends the job


def _kill_tree(pid: int, folder: str | None) -> None:
    """Kill a job's launcher and all it started, if the process is still the one that was started in its folder."""
    try:
        leader = psutil.Process(pid)
        if not folder or not os.path.samefile(leader.cwd(), folder):
            return  # the number has been given to somebody else's process since
        family = [leader, *leader.children(recursive=True)]
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def clear_abandoned() -> None:
    """Mark as killed what a run of this machine left behind whose own process is gone, as after a power cut."""
    query = orm.QueryBuilder().append(
        orm.WorkChainNode,
        filters={
            "attributes.process_label": {"in": list(ROOTS)},
            "attributes.process_state": {"in": [s.value for s in ProcessState if not _is_final(s)]},
        },
    )
    for node in query.all(flat=True):
        if is_abandoned(node):
            stop_processes(node)


def is_abandoned(node: Any) -> bool:
    """Whether the process that ran an unfinished run on this machine is gone."""
    record = node.base.extras.get(RUN_EXTRA, None)
    if node.is_sealed or not record or record["host"] != socket.gethostname():
        return False
    return not _is_alive(record)


def _is_alive(record: dict[str, Any]) -> bool:
    """Whether the process that began a run is still there, and no later one of the same number."""
    try:
        return bool(abs(psutil.Process(record["pid"]).create_time() - record["started"]) < 1)
    except psutil.NoSuchProcess:
        return False


def _is_final(state: Any) -> bool:
    return state in (ProcessState.FINISHED, ProcessState.EXCEPTED, ProcessState.KILLED)


def job_progress(node: Any) -> dict[str, Any] | None:
    """What a running worker last told of itself: done, total, text; None when it has told nothing."""
    folder = node.get_remote_workdir()
    if not folder or node.computer.transport_type != "core.local":
        return None
    try:
        return dict(json.loads((Path(folder) / PROGRESS_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def find_run(identifier: str | None = None) -> Any:
    """A run by pk or uuid; the latest without one.

    Raises:
        InputError: when there is none.
    """
    if identifier is None:
        query = orm.QueryBuilder().append(
            orm.WorkChainNode, filters={"attributes.process_label": "MultiscaleWorkChain"}, tag="run"
        )
        query.order_by({"run": {"ctime": "desc"}}).limit(1)
        found = query.first(flat=True)
        if found is None:
            raise InputError("nothing has been run yet", fix="hashigo run STUDY")
        return found
    try:
        node = orm.load_node(identifier)
    except (NotExistent, ValueError, AiidaException):
        node = None
    if not isinstance(node, orm.WorkChainNode) or node.process_label != MultiscaleWorkChain.__name__:
        raise InputError(f"there is no run '{identifier}'", fix="hashigo status lists them")
    return node


def runs() -> list[Any]:
    """All runs, latest first."""
    query = orm.QueryBuilder().append(
        orm.WorkChainNode, filters={"attributes.process_label": "MultiscaleWorkChain"}, tag="run"
    )
    return list(query.order_by({"run": {"ctime": "desc"}}).all(flat=True))
