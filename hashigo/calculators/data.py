"""The AiiDA nodes of the ladder. Each holds one HDF5 file and is checked when it is stored."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from aiida.common.exceptions import ValidationError
from aiida.orm import SinglefileData

from hashigo.calculators.frames import Frame, read_frames, read_header
from hashigo.calculators.results import ResultReader
from hashigo.errors import HashigoError


class _HDF5Data(SinglefileData):
    """A single HDF5 file whose content is checked before it is stored."""

    def local_path(self, folder: Path) -> Path:
        """Write the file below a folder and return its path."""
        path = Path(folder) / self.filename
        path.write_bytes(self.get_content(mode="rb"))
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


class FramesData(_HDF5Data):
    """Atomic configurations with energies, forces and stress.

    The file holds physical content only, so that equal frames have equal hashes; times and hosts are kept in the
    `statistics` output beside it.
    """

    def _check(self, path: Path) -> dict[str, Any]:
        frames = read_frames(path)
        header = read_header(path)
        return {
            "n_frames": len(frames),
            "elements": sorted({s for f in frames for s in f.symbols}),
            "identities": [f.identity for f in frames],
            "engine": header.get("engine", ""),
        }

    def frames(self) -> list[Frame]:
        """Read all frames."""
        with tempfile.TemporaryDirectory() as folder:
            return read_frames(self.local_path(Path(folder)))

    def header(self) -> dict[str, Any]:
        """What holds for all frames."""
        with tempfile.TemporaryDirectory() as folder:
            return read_header(self.local_path(Path(folder)))


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
