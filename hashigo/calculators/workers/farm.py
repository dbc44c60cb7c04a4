"""A task farm: rank 0 hands out bundles of tasks and takes the results, the other ranks compute.

Rank 0 computes only when it is alone. Otherwise it sleeps between two looks, so that n computing ranks and rank 0 fit
on n cores. A task and a result are whatever can be pickled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from hashigo.calculators.workers.stopping import FrameCut, Stop

Task = TypeVar("Task")

#: Wanted computing time of a bundle, s.
BUNDLE = 1.0

#: Most tasks in a bundle, whatever they take.
LARGEST = 512

#: Time between two looks of a rank that waits, s.
LOOK = 0.005

#: Tasks that take less may be computed while a message is on its way, s.
SHORT = 0.02

#: How much longer than the ranks' own limit rank 0 waits for their last results, s.
LAST_RESULTS = 0.3

_WORK, _RESULTS = 11, 12


class Queue(Generic[Task]):
    """Tasks in the order in which they are handed out, with what is known of their times.

    Args:
        tasks: those to be computed, in order; read as they are needed.
        sizes: of each, dimensionless, in the same order; tasks of one size take alike.
        cost: relative cost of a size, dimensionless; used until times are measured.
    """

    def __init__(self, tasks: Iterable[Task], sizes: Sequence[int], cost: Callable[[int], float]) -> None:
        self._tasks: Iterator[Task] = iter(tasks)
        self._sizes = sizes
        self._cost = cost
        self._next = 0
        self._seconds: dict[int, float] = {}
        self._count: dict[int, int] = {}
        self._left = sum(cost(size) for size in sizes)

    def __len__(self) -> int:
        return len(self._sizes) - self._next

    def measured(self, size: int, seconds: float) -> None:
        """Take note of a task's time.

        Args:
            size: of the task, dimensionless.
            seconds: that it took, s.
        """
        # The mean of the first, then a moving one: the first frame of a calculator takes longer.
        count = self._count[size] = min(self._count.get(size, 0) + 1, 20)
        mean = self._seconds.get(size, seconds)
        self._seconds[size] = mean + (seconds - mean) / count

    def seconds(self, size: int) -> float | None:
        """Expected time of a task, s; None as long as nothing was measured.

        Args:
            size: of the task, dimensionless.
        """
        if size in self._seconds or not self._seconds:
            return self._seconds.get(size)
        rates = [seconds / self._cost(known) for known, seconds in self._seconds.items()]
        return self._cost(size) * sum(rates) / len(rates)

    def bundle(self, n_workers: int, time_left: float = float("inf")) -> list[Task]:
        """The next tasks for one worker; none when all are handed out, or the next would not end in time.

        Args:
            n_workers: count of those who compute.
            time_left: until the job must end, s.
        """
        if not len(self):
            return []
        first = self._sizes[self._next]
        each = self.seconds(first)
        if each is None:
            return self._take(1)
        if each > time_left:
            return []
        # Towards the end bundles shrink, so that all end together.
        left = each / self._cost(first) * self._left
        wanted = min(BUNDLE, left / (4 * n_workers), time_left)
        count, total = 1, each
        while count < min(LARGEST, len(self)):
            total += self.seconds(self._sizes[self._next + count]) or 0.0
            if total > wanted:
                break
            count += 1
        return self._take(count)

    def _take(self, count: int) -> list[Task]:
        sizes = self._sizes[self._next : self._next + count]
        self._left -= sum(self._cost(size) for size in sizes)
        self._next += count
        return [next(self._tasks) for _ in range(count)]

    def is_fine(self) -> bool:
        """Whether tasks are so short that a worker should always have a bundle in waiting."""
        each = self.seconds(self._sizes[self._next]) if len(self) else None
        return each is not None and each < BUNDLE / 2


def compute_alone(
    queue: Queue[Any], compute: Callable[[Any], Any], take: Callable[[list[Any]], None], stop: Stop
) -> None:
    """Compute all tasks in this process.

    Args:
        queue: of tasks.
        compute: makes a result of a task.
        take: called with results as they are there.
        stop: when to stop.
    """
    while not stop.reason and (bundle := queue.bundle(1, stop.time_left)):
        for results, _ in _compute(bundle, compute, stop):
            take(results)


def work(comm: Any, compute: Callable[[Any], Any], stop: Stop) -> None:
    """Compute what rank 0 hands out, until it says that there is no more.

    Args:
        comm: communicator of all ranks.
        compute: makes a result of a task.
        stop: when to stop.
    """
    outbox = _Outbox(comm)
    while True:
        while not comm.iprobe(source=0, tag=_WORK):
            time.sleep(LOOK)
        bundle = comm.recv(source=0, tag=_WORK)
        if not bundle:
            outbox.wait()
            return
        for message in _compute(bundle, compute, stop, outbox.look):
            outbox.send(message)


class _Outbox:
    """Results on their way to rank 0, which takes them while the next tasks are computed, if these are short."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self._request: Any = None

    def send(self, message: Any) -> None:
        """Send; one message is on its way at a time."""
        self.wait()
        self._request = self._comm.isend(message, dest=0, tag=_RESULTS)

    def look(self, seconds: float) -> None:
        """See to the message before a task is begun: MPI moves it on only when it is asked.

        Args:
            seconds: that the task before took, s.
        """
        if self._request is None:
            return
        if self._request.Test():
            self._request = None
        elif seconds > SHORT:
            self.wait()  # rank 0 would wait for as long as the next one takes

    def wait(self) -> None:
        """Sleep until the message has been taken."""
        if self._request is not None:
            _asleep_until(self._request)
            self._request = None


def wait_for_all(comm: Any) -> None:
    """Sleep until every rank has come here: MPI's own waiting takes a whole core from the ranks that still work.

    Args:
        comm: communicator of all ranks.
    """
    if comm.size > 1:
        _asleep_until(comm.Ibarrier())


def _asleep_until(request: Any) -> None:
    while not request.Test():
        time.sleep(LOOK)


def _compute(
    bundle: list[Any],
    compute: Callable[[Any], Any],
    stop: Stop,
    look: Callable[[float], None] = lambda seconds: None,
) -> Iterator[tuple[list[Any], bool]]:
    """Results of a bundle, each time with whether they are its last; at once when it takes twice the time wanted."""
    results: list[Any] = []
    told = ended = time.monotonic()
    seconds = 0.0
    for task in bundle:
        if stop.reason:
            break
        look(seconds)
        try:
            with stop.cutting():
                result = compute(task)
        except FrameCut:
            break
        seconds, ended = time.monotonic() - ended, time.monotonic()
        if results and ended - told > 2 * BUNDLE:
            yield results, False
            results, told = [], ended
        results.append(result)
    yield results, True


def manage(comm: Any, queue: Queue[Any], take: Callable[[list[Any]], None], stop: Stop) -> bool:
    """Hand out all tasks to the other ranks, and take their results.

    Args:
        comm: communicator of all ranks.
        queue: of tasks.
        take: called with results as they arrive.
        stop: when to stop handing out; results of the frames in flight are awaited for as long as it allows.

    Returns:
        Whether all ranks have ended their work.
    """
    workers = range(1, comm.size)
    flying = dict.fromkeys(workers, 0)
    sent: list[Any] = []
    while True:
        results = _arrived(comm, flying)
        if results:
            take(results)
        for rank in workers:
            while not stop.reason and flying[rank] < (2 if queue.is_fine() else 1):
                bundle = queue.bundle(len(workers), stop.time_left)
                if not bundle:
                    break
                # A blocking send would wait for the worker to end what it computes.
                sent.append(comm.isend(bundle, dest=rank, tag=_WORK))
                flying[rank] += 1
        sent = [request for request in sent if not request.test()[0]]
        if not any(flying.values()) and not results:
            break  # all are done, or none that is left would end in time
        if stop.reason and stop.time_left < -LAST_RESULTS:
            return False  # who has not answered by now computes something that cannot be cut
        if not results:
            time.sleep(LOOK)
    for rank in workers:
        comm.send([], dest=rank, tag=_WORK)
    return True


def _arrived(comm: Any, flying: dict[int, int]) -> list[Any]:
    """All results that wait; how many bundles are in flight is kept up to date."""
    from mpi4py import MPI  # heavy, and absent where there is no MPI library

    status = MPI.Status()
    found: list[Any] = []
    while comm.iprobe(source=MPI.ANY_SOURCE, tag=_RESULTS, status=status):
        results, last = comm.recv(source=status.Get_source(), tag=_RESULTS)
        flying[status.Get_source()] -= last
        found += results
    return found
