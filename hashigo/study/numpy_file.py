"""Arrays of NumPy files that somebody else wrote: headers are read before what they announce, and nothing is run."""

from __future__ import annotations

import os
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Container
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

#: What NumPy and archives say of damaged files; an encrypted archive is a RuntimeError.
_DAMAGED = (
    OSError, ValueError, TypeError, KeyError, EOFError, SyntaxError, OverflowError, RuntimeError,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
#: Kinds of entries that are numbers or words, and most bytes of one.
_PLAIN, _WIDEST = "biufUS", 1024
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class NotPlain(Exception):
    """The file is damaged, or holds something else than plain arrays; the message says what."""


def read_arrays(
    path: Path, check: Callable[[tuple[int, ...]], None], wanted: Container[str] | None = None
) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file, whatever the end of its name.

    Args:
        path: made by `numpy.save` or `numpy.savez`.
        check: is called with the shape of each array before it is read, and raises what is to be said of a wrong one.
        wanted: names in an archive; None for all.

    Returns:
        By name, of any shape and unit; one under "" from a file that is no archive.

    Raises:
        NotPlain: when it cannot be read.
    """
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as stream:
                return {"": _array(stream, os.fstat(stream.fileno()).st_size, check)}
        arrays = {}
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if wanted is None or name in wanted:
                    with archive.open(member) as packed:
                        arrays[name] = _array(packed, member.file_size, check)
        return arrays
    except _DAMAGED as error:
        raise NotPlain(str(error)) from None


def _array(stream: IO[bytes], available: int, check: Callable[[tuple[int, ...]], None]) -> NDArray[Any]:
    """The array of a stream, which must have the bytes that its header announces."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"an array is of version {version}")
    shape, _, dtype = _HEADERS[version](stream)
    if dtype.kind not in _PLAIN or dtype.itemsize > _WIDEST:
        raise ValueError(f"it holds {dtype}")
    check(shape)
    size = dtype.itemsize * int(np.prod([int(n) for n in shape], dtype=object))
    if size > available:
        raise ValueError(f"it announces {size} bytes and has {available}")
    stream.seek(0)
    return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
