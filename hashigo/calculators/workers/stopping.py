"""When a job is to end early: its scheduler sent a signal, or its walltime is nearly over."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

#: Sent before a job is killed: by schedulers, by launchers to their ranks, and when the CPU time of a limit is used up.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)

#: Time that a frame in flight has left after a signal, s. OpenMPI 4 leaves its ranks one second by default.
GRACE = 0.4


class FrameCut(BaseException):
    """The frame being computed is given up. No `Exception`: calculators catch those."""


def saving_time(walltime: float) -> float:
    """Time kept free before the end of a job for saving, s.

    Args:
        walltime: of the job, s.
    """
    return min(60.0, max(2.0, 0.1 * walltime))


class Stop:
    """Watches for signals and the walltime while it is entered.

    Args:
        walltime: longest time of the job, s; None where it has no limit.
        begun: when the job began, by `time.monotonic`, s.

    Attributes:
        signal: name of the signal that arrived, "" while none has.
    """

    def __init__(self, walltime: float | None = None, begun: float | None = None) -> None:
        self.signal = ""
        begin = time.monotonic() if begun is None else begun
        self._walltime = walltime
        self._last_frame = None if walltime is None else begin + walltime - saving_time(walltime)
        # Frames in flight may use half of the time that is kept free.
        self._cut = None if walltime is None else begin + walltime - saving_time(walltime) / 2
        self._cutting = False
        self._before: dict[signal.Signals, Any] = {}

    @property
    def reason(self) -> str:
        """Why no further frame is to be begun, in words; "" while there is no reason."""
        if self.signal:
            return f"the job got {self.signal}"
        if self._last_frame is not None and time.monotonic() > self._last_frame:
            return f"its walltime of {self._walltime:g} s is nearly over"
        return ""

    @property
    def time_left(self) -> float:
        """Time until frames in flight are cut, s; infinite without a limit."""
        return float("inf") if self._cut is None else self._cut - time.monotonic()

    @contextmanager
    def cutting(self) -> Iterator[None]:
        """Inside, the end of the time left raises `FrameCut`."""
        if self.time_left <= 0:
            raise FrameCut
        self._cutting = True
        try:
            yield
        finally:
            self._cutting = False

    def __enter__(self) -> Stop:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._arrived)
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._alarm)
        if self._cut is not None:
            signal.setitimer(signal.ITIMER_REAL, max(self.time_left, 0.01))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            return
        self.signal = signal.Signals(number).name
        cut = time.monotonic() + GRACE
        self._cut = cut if self._cut is None else min(cut, self._cut)
        signal.setitimer(signal.ITIMER_REAL, max(self.time_left, 0.01))

    def _alarm(self, number: int, frame: FrameType | None) -> None:
        if self._cutting:
            raise FrameCut
