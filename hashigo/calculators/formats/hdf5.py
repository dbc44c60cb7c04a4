"""The project's own files of frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hashigo.calculators.configuration import Frame
from hashigo.calculators.formats import FrameFormat, Source
from hashigo.calculators.frames import iter_frames, read_header, write_frames


def read(path: Path) -> Source:
    """Open a frames file.

    Raises:
        InputError: when it is unreadable.
    """
    return Source(read_header(path), iter_frames(path))


def write(path: Path, frames: Iterable[Frame], header: Mapping[str, Any]) -> list[str]:
    """Write a frames file; nothing is lost."""
    write_frames(path, frames, header)
    return []


FORMAT = FrameFormat(
    name="hdf5",
    title="frames of hashigo",
    patterns=("*.h5", "*.hdf5"),
    read=read,
    write=write,
)
