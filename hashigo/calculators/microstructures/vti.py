"""Grids in VTK's XML format for image data (.vti), which DAMASK writes: numbers of materials, ascii or binary.

Source: VTK file formats, "XML file formats"; blocks compressed by zlib have a header of their sizes.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.microstructures.sample import Imported, check_voxels, cubic_voxels, whole_numbers
from hashigo.errors import InputError

#: Names of the array, as DAMASK and DREAM3D write them.
NAMES = ("material", "FeatureIds", "grain_id")
_TYPES = {
    "Int8": "i1", "UInt8": "u1", "Int16": "i2", "UInt16": "u2", "Int32": "i4", "UInt32": "u4", "Int64": "i8",
    "UInt64": "u8", "Float32": "f4", "Float64": "f8",
}  # fmt: skip


@dataclass
class _Content:
    """What was found of a file: attributes of its elements, and the text of arrays of cells."""

    file: dict[str, str] = field(default_factory=dict)
    grid: dict[str, str] = field(default_factory=dict)
    pieces: int = 0
    arrays: dict[str, tuple[dict[str, str], list[str]]] = field(default_factory=dict)
    _path: list[str] = field(default_factory=list)
    _open: list[str] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._path.append(tag)
        if tag == "VTKFile":
            self.file = attributes
        elif tag == "ImageData":
            self.grid = attributes
        elif tag == "Piece":
            self.pieces += 1
        elif tag == "DataArray" and "CellData" in self._path:
            self._open = []
            self.arrays[attributes.get("Name", "")] = attributes, self._open

    def end(self, tag: str) -> None:
        """An element ends."""
        self._path.pop()
        self._open = None

    def text(self, text: str) -> None:
        """Characters within an element."""
        if self._open is not None:
            self._open.append(text)


def read_vti(path: Path) -> Imported:
    """Read numbers of grains from cell data named `material`, or whatever single array of whole numbers there is.

    Raises:
        InputError: when it is no such file.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error}") from None
    head, appended = _split(path.name, raw)
    content = _parse(path.name, head)
    numbers = _numbers(path.name, content.grid.get("WholeExtent", ""), int, 6)
    shape = (numbers[5] - numbers[4], numbers[3] - numbers[2], numbers[1] - numbers[0])
    check_voxels(path.name, shape)
    spacing = _numbers(path.name, content.grid.get("Spacing", "1 1 1"), float, 3)
    cubic_voxels(path.name, spacing)
    direction = _numbers(path.name, content.grid.get("Direction", "1 0 0 0 1 0 0 0 1"), float, 9)
    if direction != [1, 0, 0, 0, 1, 0, 0, 0, 1]:
        raise InputError(f"the grid of {path.name} is turned against its axes", fix="turn it back")
    if content.pieces != 1:
        raise InputError(f"{path.name} is in {content.pieces} pieces, expected one")
    attributes, text = _chosen(path.name, content)
    flat = _decode(path.name, content.file, attributes, "".join(text), appended, int(np.prod(shape)))
    return Imported(path.name, whole_numbers(path.name, flat.reshape(shape)), voxel=spacing[0])


def _split(name: str, raw: bytes) -> tuple[bytes, tuple[str, bytes]]:
    """The XML, and what is appended to it with its encoding: raw bytes are no XML."""
    place = raw.find(b"<AppendedData")
    if place < 0:
        return raw, ("", b"")
    end = raw.find(b">", place)
    start, stop = raw.find(b"_", end), raw.rfind(b"</AppendedData>")
    if end < 0 or start < 0 or stop < start:
        raise InputError(f"the appended data of {name} are cut off")
    encoding = "base64" if b"base64" in raw[place:end] else "raw"
    return raw[:place] + b"</VTKFile>", (encoding, raw[start + 1 : stop])


def _parse(name: str, head: bytes) -> _Content:
    """Elements of interest; a document type, in which entities could be, is refused."""
    content = _Content()
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: Any) -> None:
        raise InputError(f"{name} declares a document type, which no VTK file has")

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = content.start
    parser.EndElementHandler = content.end
    parser.CharacterDataHandler = content.text
    try:
        parser.Parse(head, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # of an encoding that is not known too
        raise InputError(f"{name} is no VTK XML file: {error}") from None
    if content.file.get("type") != "ImageData" or not content.grid:
        raise InputError(f"{name} is no VTK XML file of image data")
    return content


def _numbers(name: str, text: str, kind: Any, count: int) -> Any:
    try:
        values = [kind(word) for word in text.split()]
    except ValueError:
        values = []
    if len(values) != count:
        raise InputError(f"{name} does not tell its grid: '{text}'")
    return values


def _chosen(name: str, content: _Content) -> tuple[dict[str, str], list[str]]:
    for wanted in NAMES:
        if wanted in content.arrays:
            return content.arrays[wanted]
    whole = [key for key, (attributes, _) in content.arrays.items() if "Int" in attributes.get("type", "")]
    if len(whole) == 1:
        return content.arrays[whole[0]]
    shown = ", ".join(content.arrays) or "none"
    raise InputError(f"{name} has no cell data named 'material'", fix=f"there are: {shown}")


def _decode(
    name: str,
    file: dict[str, str],
    attributes: dict[str, str],
    text: str,
    appended: tuple[str, bytes],
    count: int,
) -> NDArray[Any]:
    """Numbers of one array."""
    order = ">" if file.get("byte_order") == "BigEndian" else "<"
    if attributes.get("type") not in _TYPES:
        raise InputError(f"the array of {name} is of type {attributes.get('type')}")
    dtype = np.dtype(order + _TYPES[attributes["type"]])
    header = np.dtype(order + ("u8" if file.get("header_type") == "UInt64" else "u4"))
    compressor = file.get("compressor", "")
    if compressor not in ("", "vtkZLibDataCompressor"):
        raise InputError(f"{name} is compressed by {compressor}", fix="save it with zlib, or uncompressed")
    limit = count * dtype.itemsize
    try:
        if attributes.get("format") == "ascii":
            values = np.array(text.split(), dtype=dtype.newbyteorder("="))
        elif attributes.get("format") == "appended":
            encoding, data = appended
            data = data[int(attributes.get("offset", "0")) :]
            source = _Encoded(data) if encoding == "base64" else _Raw(data)
            values = np.frombuffer(_blocks(source, header, bool(compressor), limit), dtype)
        else:
            source = _Encoded("".join(text.split()).encode("ascii"))
            values = np.frombuffer(_blocks(source, header, bool(compressor), limit), dtype)
    except (ValueError, binascii.Error, zlib.error, OverflowError) as error:
        raise InputError(f"the array of {name} cannot be decoded: {error}") from None
    if len(values) != count:
        raise InputError(f"the array of {name} has {len(values)} numbers, its grid {count} cells")
    return values


class _Raw:
    """Bytes as they are."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, start: int, size: int) -> bytes:
        """Bytes of the stream that begins at an offset."""
        return self.data[start : start + size]

    def after(self, size: int) -> int:
        """Offset of the stream after one of some bytes."""
        return size


class _Encoded(_Raw):
    """Bytes in base64; each stream is padded to a multiple of four letters."""

    def take(self, start: int, size: int) -> bytes:
        """Bytes of the stream that begins at an offset (letters)."""
        letters = self.data[start : start + 4 * -(-size // 3)]
        return base64.b64decode(letters, validate=True)[:size]

    def after(self, size: int) -> int:
        """Offset, in letters, of the stream after one of some bytes."""
        return 4 * -(-size // 3)


def _blocks(source: _Raw, header: np.dtype[Any], compressed: bool, limit: int) -> bytes:
    """The bytes of an array: after their number, or in compressed blocks after their sizes."""
    width = header.itemsize
    first = source.take(0, width)
    if len(first) < width:
        raise ValueError("it is cut off")
    number = int(np.frombuffer(first, header)[0])
    if not compressed:
        if number != limit:
            raise ValueError(f"it has {number} bytes, expected {limit}")
        return source.take(0, width + number)[width:]
    if number > limit:
        raise ValueError(f"it has {number} blocks, more than bytes")
    sizes = np.frombuffer(source.take(0, width * (3 + number)), header).astype(object)
    block, last = int(sizes[1]), int(sizes[2])
    whole = block * (number - 1) + (last or block) if number else 0
    if len(sizes) != 3 + number or whole != limit:
        raise ValueError(f"its blocks have {whole} bytes, expected {limit}")
    data = source.take(source.after(width * (3 + number)), int(sum(sizes[3:])))
    out, place = [], 0
    most = max(1, min(block, limit))  # none would be no limit
    for size in sizes[3:]:
        out.append(zlib.decompressobj().decompress(data[place : place + int(size)], most))
        place += int(size)
    return b"".join(out)
