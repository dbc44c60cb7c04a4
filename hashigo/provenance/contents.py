"""Reading whatever a package may hold as text: files, HDF5, compressed files and archives."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

#: Archives in archives are opened this deep, number of levels.
MAX_DEPTH = 3
#: Compressed content above this size is not opened, number of bytes.
MAX_UNPACKED = 512 * 2**20

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNPACKERS: dict[bytes, Callable[[io.BytesIO], Any]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
OPAQUE = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "zstd-compressed data",
}


@dataclass(frozen=True)
class Text:
    """A piece of content.

    Attributes:
        place: where in the file it stands; empty for a text file, whose lines are counted.
        binary: whether it is no text, so that only unmistakable things can be found in it.
        unreadable: whether it could not be opened; `content` says why.
    """

    place: str
    content: str
    binary: bool = False
    unreadable: bool = False


def texts(file: Path) -> Iterator[Text]:
    """Everything readable in a file.

    HDF5 is read by its names, attributes and texts without loading its numbers.
    """
    with file.open("rb") as stream:
        head = stream.read(len(HDF5_SIGNATURE))
    if head == HDF5_SIGNATURE:
        with h5py.File(file, "r") as content:
            yield from _hdf5(content, "")
    else:
        yield from _bytes(file.read_bytes(), "", 0)


def _bytes(content: bytes, place: str, depth: int) -> Iterator[Text]:
    unpack = next((unpack for magic, unpack in UNPACKERS.items() if content.startswith(magic)), None)
    opaque = next((name for magic, name in OPAQUE.items() if content.startswith(magic)), None)
    is_tar = content[257:262] == b"ustar"
    packed = unpack is not None or is_tar or content.startswith(b"PK\x03\x04")
    if opaque or (packed and depth >= MAX_DEPTH):
        yield Text(place or "the file", opaque or "archives nested too deep", unreadable=True)
    elif content.startswith(HDF5_SIGNATURE):
        with h5py.File(io.BytesIO(content), "r") as file:
            yield from _hdf5(file, place)
    elif packed:
        yield from _packed(content, place, depth, unpack)
    elif b"\x00" in content[:65536]:
        yield Text(place or "binary content", content.decode("latin-1"), binary=True)
    else:
        yield Text(place, content.decode("utf-8", "replace"))


def _packed(
    content: bytes, place: str, depth: int, unpack: Callable[[io.BytesIO], Any] | None
) -> Iterator[Text]:
    try:
        if unpack is not None:
            with unpack(io.BytesIO(content)) as stream:
                yield from _limited(stream, f"{place} unpacked".strip(), depth)
        elif content.startswith(b"PK"):
            yield from _zip_members(content, place, depth)
        else:
            yield from _tar_members(content, place, depth)
    except (
        OSError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        tarfile.TarError,
        RuntimeError,
    ) as error:
        # RuntimeError is how zipfile says that a member is encrypted.
        yield Text(place or "the file", f"a damaged or encrypted archive ({error})", unreadable=True)


def _limited(stream: Any, place: str, depth: int) -> Iterator[Text]:
    content = stream.read(MAX_UNPACKED + 1)
    if len(content) > MAX_UNPACKED:
        yield Text(place, "more content than can be inspected", unreadable=True)
    else:
        yield from _bytes(content, place, depth + 1)


def _zip_members(content: bytes, place: str, depth: int) -> Iterator[Text]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        yield Text(f"{place} names of members".strip(), "\n".join(archive.namelist()))
        for name in archive.namelist():
            with archive.open(name) as stream:
                yield from _limited(stream, f"{place} member {name}".strip(), depth)


def _tar_members(content: bytes, place: str, depth: int) -> Iterator[Text]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            # An archive made with tar's defaults names its owner.
            owner = f'\n"owner": "{member.uname}"' if member.uname else ""
            yield Text(f"{place} member {member.name}".strip(), member.name + owner)
            stream = archive.extractfile(member)
            if stream is not None:
                yield from _limited(stream, f"{place} member {member.name}".strip(), depth)


def _hdf5(file: h5py.File, place: str) -> Iterator[Text]:
    """Names, attributes and texts of an HDF5 file; each attribute as `"name": "value"`."""
    names = ["/"]
    file.visit(names.append)
    yield Text(f"{place} names".strip(), "\n".join(names))
    for name in names:
        item = file[name]
        where = f"{place} {name}".strip()
        for key, value in item.attrs.items():
            for text in _strings(value):
                yield Text(f"{where}, attribute {key}", f'"{key}": "{text}"')
        if isinstance(item, h5py.Group):
            yield from _links(item, where)
        elif _holds_text(item):
            key = name.rsplit("/", 1)[-1]
            for text in _strings(item[()]):
                yield Text(where, text if "\n" in text else f'"{key}": "{text}"')


def _links(group: h5py.Group, where: str) -> Iterator[Text]:
    """Files and places that links of a group point to; `visit` follows neither."""
    for key in group:
        link = group.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            yield Text(f"{where}, link {key}", f"{key} -> {link.filename}")
        elif isinstance(link, h5py.SoftLink):
            yield Text(f"{where}, link {key}", f"{key} -> {link.path}")


def _holds_text(dataset: h5py.Dataset) -> bool:
    kind = dataset.dtype.kind
    # Texts are also stored as arrays of bytes.
    return kind in "OSUV" or (dataset.dtype == np.uint8 and dataset.ndim == 1)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, str):
        yield value
    elif isinstance(value, np.ndarray) and value.dtype == np.uint8:
        yield from (text.content for text in _bytes(value.tobytes(), "", 0) if not text.binary)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "OSUV":
        for entry in value.ravel().tolist():
            yield from _strings(entry)
    elif isinstance(value, (tuple, list)):
        for entry in value:
            yield from _strings(entry)
