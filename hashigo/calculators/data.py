"""The AiiDA nodes of the ladder. Each holds one HDF5 file and is checked when it is stored."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from aiida.common.exceptions import ValidationError
from aiida.orm import SinglefileData
from aiida.orm.nodes.caching import NodeCaching

from hashigo.calculators.frames import Frame, iter_frames, read_header
from hashigo.calculators.results import ResultReader
from hashigo.errors import HashigoError, InputError


class _HDF5Data(SinglefileData):
    """A single HDF5 file whose content is checked before it is stored."""

    def local_path(self, folder: Path) -> Path:
        """Write the file below a folder and return its path."""
        path = Path(folder) / self.filename
        with self.open(mode="rb") as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)
        return path

    def _check(self, path: Path) -> dict[str, Any]:
        """Read the file, raise HashigoError where it is wrong, and return the attributes to keep."""
        raise HashigoError(f"{type(self).__name__} has no check")

    def store(self) -> Any:
        """Check the content and store the node."""
        if not self.is_stored:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    attributes = self._check(self.local_path(Path(folder)))
                except HashigoError as error:
                    raise ValidationError(str(error)) from error
            self.base.attributes.set_many(attributes)
        return super().store()


class _ContentCaching(NodeCaching):
    """Equal frames have equal hashes, whatever their file is called and whatever it says of their origin."""

    def get_objects_to_hash(self) -> dict[str, Any]:
        """The digest that was taken when the node was stored."""
        content = self._node.base.attributes.get("content", None)
        if content is None:  # stored by a version that took none
            return super().get_objects_to_hash()
        return {"class": str(self._node.__class__), "content": content}


class FramesData(_HDF5Data):
    """Atomic configurations with energies, forces and stress, and what else was computed of them.

    Its hash is of physical content only: times and hosts are kept in the `statistics` output beside it, and the
    origin of a frame, though kept, does not count.
    """

    _CLS_NODE_CACHING = _ContentCaching

    def _check(self, path: Path) -> dict[str, Any]:
        header = read_header(path)
        digest = _Digest(header)
        elements: set[str] = set()
        identities = []
        for frame in iter_frames(path):
            digest.add(frame)
            elements.update(frame.symbols)
            identities.append(frame.identity)
        if not identities:
            raise InputError(f"{path.name} holds no frame")
        return {
            "n_frames": len(identities),
            "elements": sorted(elements),
            "identities": identities,
            "engine": header.get("engine", ""),
            "content": digest.hexdigest(),
        }

    def iter_frames(self) -> Iterator[Frame]:
        """Read frames one by one; few are in memory at a time."""
        with tempfile.TemporaryDirectory() as folder:
            yield from iter_frames(self.local_path(Path(folder)))

    def frames(self) -> list[Frame]:
        """Read all frames."""
        return list(self.iter_frames())

    def header(self) -> dict[str, Any]:
        """What holds for all frames."""
        with tempfile.TemporaryDirectory() as folder:
            return read_header(self.local_path(Path(folder)))


class _Digest:
    """Hash of all that a computation with these frames can depend on."""

    def __init__(self, header: Mapping[str, Any]) -> None:
        physical = {key: value for key, value in header.items() if key != "sources"}
        if isinstance(physical.get("polar"), Mapping):
            physical["polar"] = {k: v for k, v in physical["polar"].items() if k != "origin"}
        self._hash = hashlib.sha256(json.dumps(physical, sort_keys=True).encode())

    def add(self, frame: Frame) -> None:
        texts = [frame.identity, frame.kind, *frame.symbols]
        self._hash.update(json.dumps(texts).encode())
        for values in (
            frame.cell, frame.positions, frame.energy, frame.forces, frame.stress, frame.weight,
            frame.magnetic_moments, frame.charges,
        ):  # fmt: skip
            if values is None:
                self._hash.update(b"none")
            else:
                # Adding zero turns -0.0 into 0.0.
                self._hash.update((np.asarray(values, dtype="<f8") + 0.0).tobytes())

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class QuantitiesData(_HDF5Data):
    """Quantities and arrays that one worker computed."""

    def _check(self, path: Path) -> dict[str, Any]:
        with ResultReader(path) as reader:
            for name in reader.quantities():
                reader.quantity(name)
            return {"task": reader.task, "quantities": reader.quantities()}

    def reader(self) -> ResultReader:
        """Open the results; the file is read into memory."""
        import io

        stream = io.BytesIO(self.get_content(mode="rb"))
        stream.name = self.filename
        return ResultReader(stream)


class PotentialData(QuantitiesData):
    """A committee of potentials with its held-out errors."""
