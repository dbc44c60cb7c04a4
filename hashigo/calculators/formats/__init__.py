"""Formats that frames come in: one small file each, chosen by a file's name, registered as `hashigo.frame_formats`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from hashigo.calculators.configuration import Frame, check_frame
from hashigo.errors import InputError
from hashigo.study.compressed import plain_name

GROUP = "hashigo.frame_formats"


@dataclass(frozen=True)
class Source:
    """What a file gives.

    Attributes:
        header: what holds for all frames, as in a frames file.
        frames: read when they are asked for, once.
        labelled: whether the file itself says which frames are displaced supercells, strained cells or free atoms.
        notes: one sentence for each thing of the file that was not taken; complete when all frames are read.
    """

    header: dict[str, Any]
    frames: Iterator[Frame]
    labelled: bool = True
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FrameFormat:
    """A format of frames.

    Attributes:
        name: as in `--from` and `--to`.
        title: in words.
        patterns: of file names, lower case, without the ending of a compression.
        read: opens a file.
        write: writes frames and header to a file and returns a sentence for each thing that was lost; None where
            the format is only read.
        read_with: opens a file whose displacements are in another one, given second; None where it says all itself.
        starts: texts of which one is among a file's first characters, where names do not tell formats apart.
    """

    name: str
    title: str
    patterns: tuple[str, ...]
    read: Callable[[Path], Source]
    write: Callable[[Path, Iterable[Frame], Mapping[str, Any]], list[str]] | None = None
    read_with: Callable[[Path, Path], Source] | None = None
    starts: tuple[str, ...] = ()

    def recognises(self, path: Path) -> bool:
        """Whether a file is of this format, by its name and, if it exists and need be, by its beginning."""
        if not any(fnmatch(plain_name(path).lower(), pattern) for pattern in self.patterns):
            return False
        return not self.starts or not path.is_file() or any(text in _beginning(path) for text in self.starts)


@cache
def frame_formats() -> dict[str, FrameFormat]:
    """All registered formats by name."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return {entry.name: entry.load() for entry in found}


def find_format(path: Path, name: str | None = None) -> FrameFormat:
    """The format of a file.

    Args:
        path: the file; it need not exist.
        name: of the format, where the file's own does not tell.

    Raises:
        InputError: when there is none of that name, or none that knows the file.
    """
    formats = frame_formats()
    if name is not None:
        if name not in formats:
            raise InputError(f"there is no format '{name}' of frames", fix=f"known are {', '.join(formats)}")
        return formats[name]
    for one in formats.values():
        if one.recognises(path):
            return one
    raise InputError(
        f"{path.name} is of no known format of frames",
        fix="known are "
        + "; ".join(f"{one.name} ({', '.join(one.patterns)})" for one in formats.values())
        + "; name it as one of these, or give its format",
    )


def read_source(path: Path, name: str | None = None, displacements: Path | None = None) -> Source:
    """Open a file of frames of any format.

    Args:
        path: the file.
        name: of its format, where the file's own does not tell.
        displacements: file of the displacements that its forces are of, where it does not lie beside it.

    Raises:
        InputError: when it is missing, damaged or of no known format; a damaged frame may show only when it is read.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, and a file of frames was expected", fix="check the path")
    if not path.is_file():
        raise InputError(f"frames file {path} does not exist", fix="check the path")
    form = find_format(path, name)
    if displacements is not None and form.read_with is None:
        raise InputError(
            f"{path.name} says itself which structures its forces are of",
            fix="give no file of displacements; only FORCE_SETS, FORCES_FC2 and FORCES_FC3 need one",
        )
    if displacements is not None and form.read_with is not None:
        source = form.read_with(path, displacements)
    else:
        source = form.read(path)
    return replace(source, frames=_checked(source.frames, path.name))


def _checked(frames: Iterator[Frame], where: str) -> Iterator[Frame]:
    """The same frames; one whose numbers are not finite is named with the file that the user gave."""
    for index, frame in enumerate(frames):
        check_frame(frame, index, where)
        yield frame


def _beginning(path: Path) -> str:
    from hashigo.study.compressed import open_text

    try:
        with open_text(path) as text:
            return text.read(4096)
    except InputError:
        return ""
