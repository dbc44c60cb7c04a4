"""Which frame a rank was computing when a library took the whole process down."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

#: Frames that took a process down, with the sentence on each.
CASUALTIES = "died.json"


class FlightRecorder:
    """Notes the frame in hand; a fatal signal (SIGSEGV, SIGFPE, SIGABRT, SIGBUS, SIGILL) leaves a second note.

    Args:
        folder: of the batch's partial results.
        rank: number of the rank.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        self._frame = folder / f"rank-{rank}.frame"
        self._fault = folder / f"rank-{rank}.fault"
        self._descriptor = -1
        self._file: IO[str] | None = None

    def __enter__(self) -> FlightRecorder:
        self._frame.parent.mkdir(parents=True, exist_ok=True)
        self._was_enabled = faulthandler.is_enabled()
        self._descriptor = os.open(self._frame, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._file = self._fault.open("w")
        faulthandler.enable(self._file, all_threads=False)
        return self

    def begin(self, identity: str) -> None:
        """Note the frame that is begun.

        Args:
            identity: of the frame; all have the same length.
        """
        os.pwrite(self._descriptor, identity.encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        faulthandler.disable()
        if self._was_enabled:
            faulthandler.enable(sys.__stderr__ or sys.stderr)
        os.close(self._descriptor)
        if self._file:
            self._file.close()
        # In this order: a fault without its frame would tell nothing.
        self._fault.unlink(missing_ok=True)
        self._frame.unlink(missing_ok=True)


def casualties(folder: Path) -> dict[str, str]:
    """Frames that took a rank down in this try or an earlier one: identity -> sentence.

    Args:
        folder: of the batch's partial results.
    """
    record = folder / CASUALTIES
    found: dict[str, str] = {}
    try:
        found = dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        found = {}  # there was none, or its writing was cut off
    before = len(found)
    for fault in folder.glob("rank-*.fault"):
        text, frame = fault.read_text(encoding="utf-8", errors="replace"), fault.with_suffix(".frame")
        identity = frame.read_text(encoding="utf-8") if frame.is_file() else ""
        if text and identity:
            # "Fatal Python error: Segmentation fault"
            found[identity] = f"the engine took its process down: {text.splitlines()[0].partition(': ')[2]}"
            fault.unlink()
    if len(found) > before:
        record.write_text(json.dumps(found), encoding="utf-8")
    return found


def forget_casualties(folder: Path) -> None:
    """Let the next try compute them again.

    Args:
        folder: of the batch's partial results.
    """
    (folder / CASUALTIES).unlink(missing_ok=True)
