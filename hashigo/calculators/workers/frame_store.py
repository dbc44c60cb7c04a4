"""What a batch has computed so far, kept where its next try finds it: frames, and a log of every frame tried."""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from hashigo.calculators.frames import Frame, FrameWriter, copy_frames, iter_frames
from hashigo.calculators.workers.job import NotWritten
from hashigo.errors import InputError, WorkerError

#: Folders of partial results that nobody has touched for so long are removed, s.
KEPT = 30 * 24 * 3600.0

#: How long to wait for another job to let go, s: one that was just killed may take a moment to be gone.
PATIENCE = 10.0

#: Most frames held in memory to bring them into order.
WINDOW = 4096


#: What an OSError says when there is no more room: disk, quota, limit of a file's size.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Reserve:
    """Keeps a little room on the disk, so that a job on a full disk can still say so.

    Args:
        path: file that holds the room.
        size: of the room, bytes.

    Raises:
        NotWritten: on leaving, when there was no room.
    """

    def __init__(self, path: Path, size: int = 1 << 17) -> None:
        self._path = path
        self._size = size

    def __enter__(self) -> None:
        try:
            self._path.write_bytes(bytes(self._size))
        except OSError as error:
            self.__exit__(OSError, error, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._path.unlink(missing_ok=True)
        number = _no_room(error)
        if number:
            raise NotWritten(
                f"there is no room for the results: {os.strerror(number)}",
                fix="make room on the job's disk, and run the study again: frames computed so far are kept",
            ) from error


def _no_room(error: BaseException | None) -> int:
    """The errno of an error, or of one that it comes from, if it says that there is no room; else 0."""
    while error is not None:
        # HDF5 has a RuntimeError, with the number in its text, for what fails on closing.
        told = re.search(r"\berrno = (\d+)", str(error))
        number = error.errno if isinstance(error, OSError) else told and int(told[1])
        if number in _NO_ROOM:
            return int(number)
        error = error.__cause__ or error.__context__
    return 0


@dataclass(frozen=True)
class Record:
    """How the computation of one frame went.

    Attributes:
        index: of the frame in the batch's input.
        identity: of the frame.
        frame: with what was computed; None when it failed.
        seconds: time it took, s.
        n_atoms: count.
        version: what the engine calls itself.
        converged: whether self-consistency was reached; None where the notion is empty.
        error: why there is no result; "" when there is one.
    """

    index: int
    identity: str
    frame: Frame | None
    seconds: float
    n_atoms: int
    version: str = ""
    converged: bool | None = None
    error: str = ""

    def line(self) -> str:
        """As a line of the log, JSON."""
        names = ("index", "identity", "n_atoms", "version", "converged", "error")
        content = {name: getattr(self, name) for name in names}
        return json.dumps({**content, "seconds": round(self.seconds, 6)}) + "\n"


def in_order(files: Iterable[Path], identities: Sequence[str], window: int = WINDOW) -> Iterator[Frame]:
    """Frames of some files in a given order; few are in memory at a time.

    Files that are nearly in that order are read once; of others, `window` frames are taken each time they are read.

    Args:
        files: of frames.
        identities: of the frames wanted, in order, each once.
        window: number of frames that may be in memory.

    Raises:
        WorkerError: when a frame is nowhere.
    """
    files = list(files)
    place = {identity: index for index, identity in enumerate(identities)}
    following = 0
    while following < len(place):
        begin = following
        held: dict[int, Frame] = {}
        for path in files:
            for frame in iter_frames(path):
                index = place.get(frame.identity, -1)
                if following <= index < following + window:
                    held[index] = frame
                while following in held:
                    yield held.pop(following)
                    following += 1
        if following == begin:
            names = ", ".join(path.name for path in files)
            raise WorkerError(f"frame {identities[following]} is in none of: {names}")


class FrameStore:
    """The partial results of one batch. Only one job at a time may have it.

    Args:
        folder: named by the hash of the job's inputs; made if it is not there.
        header: of the frames file.

    Attributes:
        done: identities of the frames that are there.
        failed: sentence on each frame that could not be computed, by its index.

    Raises:
        WorkerError: when another job computes the same, or nothing can be written there.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]) -> None:
        self.folder = folder
        self.frames = folder / "frames.h5"
        self.failed: dict[int, str] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        self._take_lock()
        self.done = self._found()
        self._writer = FrameWriter(self.frames, header)
        self._log = (folder / "log.jsonl").open("a", encoding="utf-8")

    def _take_lock(self) -> None:
        last = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > last:
                    self._lock.close()
                    raise WorkerError(
                        "another job computes the same frames at this moment",
                        fix="wait until it has ended; its frames are found then",
                    ) from None
                time.sleep(0.1)

    def _found(self) -> set[str]:
        if not self.frames.is_file():
            return set()
        try:
            return {frame.identity for frame in iter_frames(self.frames)}
        except InputError:  # as after a power cut; nothing in it can be trusted
            self.frames.replace(self.frames.with_suffix(".damaged"))
            return set()

    def add(self, records: Iterable[Record]) -> None:
        """Keep what was computed; it survives a kill when this returns.

        Raises:
            WorkerError: when it cannot be written, as on a full disk.
        """
        lines = []
        for record in records:
            if record.frame is None:
                self.failed[record.index] = record.error
            else:
                self._writer.append(record.frame)
                self.done.add(record.identity)
            lines.append(record.line())
        self._writer.flush()
        try:
            self._log.writelines(lines)
            self._log.flush()
        except OSError as error:
            raise WorkerError(f"the log of the batch cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the files and let another job have the folder."""
        try:
            self._writer.close()
        finally:
            self._log.close()
            self._lock.close()

    def __enter__(self) -> FrameStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except WorkerError:
            if error is None:  # else the first error tells more
                raise

    def save(self, path: Path, identities: Sequence[str], header: Mapping[str, Any]) -> None:
        """Write a frames file of what is there; equal frames give equal files, however they came.

        Args:
            path: file to write; none is written when there is no frame.
            identities: of the batch's frames, in order.
            header: of the frames file.
        """
        wanted = [identity for identity in identities if identity in self.done]
        if wanted:
            copy_frames(path, self.frames, wanted, header)

    def save_log(self, path: Path) -> None:
        """Write the log of all tries, JSON lines, compressed.

        Args:
            path: file to write.
        """
        part = path.with_name(path.name + ".part")
        with (
            (self.folder / "log.jsonl").open(encoding="utf-8") as lines,
            part.open("wb") as raw,
            gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        ):
            for line in lines:
                if _is_record(line):  # one may be cut off where a try was killed
                    packed.write(line.encode())
        part.replace(path)


def _is_record(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def clean(root: Path, kept: float = KEPT) -> None:
    """Remove partial results that nobody has come back for.

    Args:
        root: folder of all partial results.
        kept: least time since they were last written, s.
    """
    for folder in root.iterdir() if root.is_dir() else ():
        lock = folder / "lock"
        if not lock.is_file() or time.time() - lock.stat().st_mtime < kept:
            continue
        with lock.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(folder, ignore_errors=True)
