"""The batch: energies, forces and stresses of many frames by an in-process engine, shared among MPI ranks."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hashigo.calculators.engines import Engine, Workspace, get_engine
from hashigo.calculators.frames import Frame, read_header, read_sizes
from hashigo.calculators.workers.evaluation import Evaluator, free_command
from hashigo.calculators.workers.farm import Queue, compute_alone, manage, work
from hashigo.calculators.workers.flight import FlightRecorder, casualties, forget_casualties
from hashigo.calculators.workers.frame_store import FrameStore, Record, Reserve, clean, in_order
from hashigo.calculators.workers.job import FramesFailed, Job, PartialResult
from hashigo.calculators.workers.stopping import Stop
from hashigo.errors import WorkerError

TASK_VERSION = 2

LOG_FILE = "log.jsonl.gz"


def run(job: Job) -> None:
    """Compute every frame of the input `frames` that an earlier try has not.

    Parameters are `engine` (its name) and `settings` (complete). Rank 0 reads and writes, and computes only when it is
    alone. The result holds the frames that could be computed, in the order of the input.

    Raises:
        PartialResult: when a signal or the walltime ended it before all frames were tried.
        FramesFailed: when some frames could not be computed.
        NotWritten: when the disk is full.
    """
    engine = get_engine(job.parameters["engine"])
    if engine.calculator is None:
        raise WorkerError(f"engine '{engine.name}' does not run inside the batch")
    folder = None
    if job.is_root:
        folder = job.partial_results / inputs_hash(job, engine)
        casualties(folder)  # before the ranks begin their notes anew
    folder = job.comm.bcast(folder)
    with Stop(job.walltime, job.begun) as stop:
        if job.comm.size > 1 and not job.is_root:
            with _workplace(job, engine, folder) as evaluator:
                work(job.comm, evaluator, stop)
        else:
            _Batch(job, engine, stop, folder).run()


@contextmanager
def _workplace(job: Job, engine: Engine, partial: Path) -> Iterator[Evaluator]:
    """A rank's evaluator with a folder of its own, which is removed when it is done."""
    folder = job.output.parent / f"rank-{job.comm.rank}"
    folder.mkdir(exist_ok=True)
    workspace = Workspace(folder, free_command(job.program))
    with FlightRecorder(partial, job.comm.rank) as recorder:
        yield Evaluator(engine, job.parameters["settings"], workspace, recorder.begin)
    shutil.rmtree(folder, ignore_errors=True)


def inputs_hash(job: Job, engine: Engine) -> str:
    """Name of a job's partial results: equal for jobs that compute the same.

    Args:
        job: with the input `frames`.
        engine: that computes.
    """
    digest = hashlib.sha256(f"forces {TASK_VERSION} {engine.signature(job.parameters['settings'])}".encode())
    with job.inputs["frames"].open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:32]


class _Batch:
    """What rank 0 does."""

    def __init__(self, job: Job, engine: Engine, stop: Stop, folder: Path) -> None:
        self._folder = folder
        self._job = job
        self._engine = engine
        self._stop = stop
        self._path = job.inputs["frames"]
        # Equal frames are computed once.
        self._sizes = read_sizes(self._path)
        self._identities = list(self._sizes)
        self._begun = time.monotonic()
        self._n_new = 0
        self._in_order = True

    def run(self) -> None:
        """Compute, save, and tell how it ended."""
        header = read_header(self._path)
        clean(self._job.partial_results)
        with Reserve(self._job.output.with_name("reserve")):
            with FrameStore(self._folder, header) as store:
                self._note_casualties(store)
                self._compute(store)
                self._note_casualties(store)
                store.save(self._job.output, self._identities, header)
                store.save_log(self._job.output.with_name(LOG_FILE))
            self._conclude(store)

    def _compute(self, store: FrameStore) -> None:
        tried = store.done | {self._identities[index] for index in store.failed}
        queue = self._queue([identity for identity in self._identities if identity not in tried])

        def take(records: Sequence[Record]) -> None:
            for record in records:
                if not record.error:
                    queue.measured(record.n_atoms, record.seconds)
            store.add(records)
            self._n_new += len(records)
            self._tell(store)

        self._tell(store)
        if self._job.comm.size > 1:
            self._in_order = manage(self._job.comm, queue, take, self._stop)
        else:
            with _workplace(self._job, self._engine, self._folder) as evaluator:
                compute_alone(queue, evaluator, take, self._stop)

    def _note_casualties(self, store: FrameStore) -> None:
        place = {identity: index for index, identity in enumerate(self._identities)}
        store.add(
            Record(place[identity], identity, None, 0.0, self._sizes[identity], error=sentence)
            for identity, sentence in casualties(self._folder).items()
            if identity in place and place[identity] not in store.failed
        )

    def _queue(self, missing: list[str]) -> Queue[tuple[int, Frame]]:
        """The longest first: at the end no rank waits long for another."""
        cost = self._engine.cost
        missing.sort(key=lambda identity: -cost(self._sizes[identity]))
        place = {identity: index for index, identity in enumerate(self._identities)}

        def tasks() -> Iterator[tuple[int, Frame]]:
            for frame in in_order([self._path], missing):
                yield place[frame.identity], frame

        return Queue(tasks(), [self._sizes[identity] for identity in missing], cost)

    def _tell(self, store: FrameStore) -> None:
        done, total = len(store.done) + len(store.failed), len(self._sizes)
        rate = self._n_new / max(time.monotonic() - self._begun, 1e-9)
        self._job.progress(done, total, f"{done} of {total} frames{rate_text(rate)}")

    def _conclude(self, store: FrameStore) -> None:
        total, failed = len(self._sizes), store.failed
        left = total - len(store.done) - len(failed)
        if left:
            why = self._stop.reason or "the next frame would take longer than the rest of the walltime"
            fix = "" if self._n_new else "none was computed in this job: give the site a longer walltime"
            partial = PartialResult(f"{left} of {total} frames are left to be computed: {why}", fix=fix)
            partial.in_order = self._in_order
            raise partial
        forget_casualties(self._folder)
        if failed:
            first = min(failed)
            raise FramesFailed(
                f"{len(failed)} of {total} frames failed; the first: frame {first}: {failed[first]}",
                fix="all others are kept; the job's log tells of each",
            )


def rate_text(rate: float) -> str:
    """Speed of a batch, as people read it; "" when nothing was computed.

    Args:
        rate: frames a second, 1/s.
    """
    for seconds, unit in ((1, "s"), (60, "min"), (3600, "h")):
        if rate * seconds >= 1:
            return f", {rate * seconds:.3g}/{unit}"
    return ""
