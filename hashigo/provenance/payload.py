"""Data nodes as files that open without AiiDA."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import ase.io
import h5py
import numpy as np
from aiida import orm

from hashigo.provenance.graph import Data
from hashigo.provenance.tools import slug

ENCODINGS = {
    ".json": "application/json",
    ".h5": "application/x-hdf5",
    ".hdf5": "application/x-hdf5",
    ".vtkhdf": "application/x-hdf5",
    ".npy": "application/x-npy",
    ".xyz": "chemical/x-xyz",
    ".extxyz": "chemical/x-xyz",
    ".cif": "chemical/x-cif",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".py": "text/x-python",
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".xml": "application/xml",
    ".xz": "application/x-xz",
    ".gz": "application/gzip",
    ".zip": "application/zip",
    ".png": "image/png",
    ".html": "text/html",
}
UNKNOWN_ENCODING = "application/octet-stream"
HASH_BLOCK = 2**20


@dataclass(frozen=True)
class Payload:
    """A file of the package: its path inside it, its format, its size in bytes and its SHA-256."""

    path: str
    encoding: str
    size: int
    sha256: str


def describe(root: Path, path: str) -> Payload:
    """Size and checksum of a file that was written.

    Args:
        root: folder of the package.
        path: of the file, inside it.
    """
    digest = hashlib.sha256()
    with (root / path).open("rb") as stream:
        while block := stream.read(HASH_BLOCK):
            digest.update(block)
    suffix = PurePosixPath(path).suffix.lower()
    return Payload(
        path, ENCODINGS.get(suffix, UNKNOWN_ENCODING), (root / path).stat().st_size, digest.hexdigest()
    )


def write_data(root: Path, data: Data) -> Payload:
    """Write what a data node holds as one file below `data/`.

    Files stay as they are; arrays become HDF5, structures extended XYZ, everything else JSON.

    Args:
        root: folder of the package.
        data: the node.
    """
    node = orm.load_node(data.uuid)
    stem = f"data/{slug(data.stage) if data.stage else 'inputs'}/{slug(data.label)}-{data.uuid[:8]}"
    (root / stem).parent.mkdir(parents=True, exist_ok=True)
    if isinstance(node, orm.SinglefileData):
        path = stem + slug_suffix(node.filename)
        with node.open(mode="rb") as source, (root / path).open("wb") as target:
            shutil.copyfileobj(source, target)
    elif isinstance(node, orm.ArrayData):
        path = stem + ".h5"
        _write_arrays(root / path, node)
    elif isinstance(node, orm.StructureData) and not (node.is_alloy or node.has_vacancies):
        path = stem + ".extxyz"
        ase.io.write(root / path, node.get_ase(), format="extxyz")
    else:
        path = stem + ".json"
        write_json(root / path, _content(node))
    return describe(root, path)


def slug_suffix(filename: str) -> str:
    """The suffixes of a file's name, such as `.yaml.xz`, without what only looks like one."""
    suffixes = [suffix for suffix in PurePosixPath(filename).suffixes if suffix[1:].isalnum()]
    known = [suffix for suffix in suffixes if suffix.lower() in ENCODINGS]
    return "".join(known) if known else "".join(suffixes[-1:])


def write_json(path: Path, content: Any, *, sort: bool = True) -> None:
    """Write JSON so that equal content gives equal files; `sort=False` keeps the order of the keys."""
    path.write_text(
        json.dumps(content, indent=1, sort_keys=sort, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _content(node: Any) -> Any:
    if isinstance(node, orm.Dict):
        return node.get_dict()
    if isinstance(node, orm.List):
        return node.get_list()
    return node.base.attributes.all


def _write_arrays(path: Path, node: Any) -> None:
    """Arrays with the node's other attributes, which hold units where the node knows them, beside them."""
    with h5py.File(path, "w", track_order=False) as file:
        for name in sorted(node.get_arraynames()):
            array = np.asarray(node.get_array(name))
            if array.dtype.kind in "US":
                file.create_dataset(name, data=array.astype(object), dtype=h5py.string_dtype())
            else:
                file.create_dataset(name, data=array)
        for key, value in sorted(node.base.attributes.all.items()):
            if not key.startswith("array|"):
                file.attrs[key] = json.dumps(value, sort_keys=True)
