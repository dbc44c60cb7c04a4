"""Text files that may be compressed, as large sets of forces come."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from hashigo.errors import InputError

#: First bytes of a compressed file, and what opens it. Names lie more often than these.
_OPENERS = {b"\xfd7zXZ\x00": lzma.open, b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\x5d\x00\x00": lzma.open}

#: Endings of compressed files.
SUFFIXES = (".xz", ".gz", ".bz2", ".lzma")

#: Longest text that is read at once, bytes: a small archive may hold more than the memory does.
MAX_TEXT = 2_000_000_000


@contextmanager
def open_text(path: Path, purpose: str = "a file") -> Iterator[IO[str]]:
    """Open a text, compressed or not, for reading line by line.

    Args:
        path: the file.
        purpose: what was expected there, for messages.

    Raises:
        InputError: when it is missing, a folder, damaged, or no text; also while it is being read.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, and {purpose} was expected", fix="check the path")
    if not path.is_file():
        raise InputError(f"{path} does not exist, and {purpose} was expected", fix="check the path")
    try:
        with path.open("rb") as file:
            start = file.read(6)
        opener = next((use for magic, use in _OPENERS.items() if start.startswith(magic)), open)
        with cast("IO[str]", opener(path, "rt", encoding="utf-8")) as text:  # type: ignore[operator]
            yield text
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error):
        raise InputError(f"{path.name} is truncated or damaged", fix="copy or download it again") from None
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not a text, and {purpose} was expected") from None
    except MemoryError:
        raise InputError(f"{path.name} holds more text in a line than the memory does") from None
    except OSError as error:
        raise InputError(
            f"{path.name} cannot be read: {error.strerror or error}", fix="check the file"
        ) from None


def read_text(path: Path, purpose: str = "a file") -> str:
    """Read a text, compressed or not.

    Args:
        path: the file.
        purpose: what was expected there, for messages.

    Raises:
        InputError: as `open_text`, and when the text is longer than `MAX_TEXT`.
    """
    with open_text(path, purpose) as file:
        text = file.read(MAX_TEXT + 1)
    if len(text) > MAX_TEXT:
        raise InputError(f"{path.name} holds more than {MAX_TEXT / 1e9:.0f} GB of text")
    return text


def plain_name(path: Path) -> str:
    """A file's name without the ending of its compression."""
    return path.name.removesuffix(path.suffix) if path.suffix in SUFFIXES else path.name
