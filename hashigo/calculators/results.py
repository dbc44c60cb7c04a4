"""The one result format: quantities and arrays of a worker in HDF5, each dataset with its units."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hashigo.errors import InputError
from hashigo.quantities import COMPONENTS, quantity

FORMAT = "hashigo-results"
SCHEMA_VERSION = 1

Floats = NDArray[np.float64]

#: Text files that results may keep, written beside the report; each names its creator.
TEXTS = ("displacements.cif", "imaginary-mode.xyz", "stable.cif")
CREATOR = "Hashigo"

#: Notes of a result that hold a gate, the first that does not hold is told first.
GATES = ("trained_region", "gate")


@dataclass(frozen=True)
class QuantityRecord:
    """One quantity as read from a result file.

    Attributes:
        value: shape (n_conditions, \\*tensor), in `unit`.
        conditions: one mapping per row of `value`, e.g. {"temperature": 300.0}.
        standard_uncertainty: shape of `value`, in `unit`; None where it is not known.
        components: parts of the standard uncertainty, each of the shape of `value`, in `unit`.
        members: one value for each member of the committee, shape (n_members, \\*value.shape), in `unit`; or None.
        marks: what the reader must know of it, in a few words each.
    """

    name: str
    symbol: str
    unit: str
    value: Floats
    conditions: list[dict[str, float]]
    standard_uncertainty: Floats | None
    components: dict[str, Floats] = field(default_factory=dict)
    members: Floats | None = None
    calibrated: bool = False
    converged: bool | None = None
    marks: tuple[str, ...] = ()


class ResultWriter:
    """Write a result file; it appears under its name only when it is complete.

    Args:
        path: file to write.
        task: name of the worker task that computed the results.
        task_version: number of that task's version.
    """

    def __init__(self, path: Path, *, task: str, task_version: int) -> None:
        self._path = Path(path)
        self._part = self._path.with_name(self._path.name + ".part")
        # Times are left out, so that equal results are equal files.
        self._file = h5py.File(self._part, "w", track_order=False)
        self._file.attrs.update(
            {"format": FORMAT, "schema_version": SCHEMA_VERSION, "task": task, "task_version": task_version}
        )
        self._data = self._file.require_group("data")
        self._quantities = self._file.require_group("quantities")

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)

    @property
    def file(self) -> h5py.File:
        """The open file, for content beside /quantities and /data such as /VTKHDF."""
        return self._file

    def quantity(
        self,
        name: str,
        value: ArrayLike,
        *,
        conditions: Sequence[Mapping[str, float]] = ({},),
        standard_uncertainty: ArrayLike | None = None,
        components: Mapping[str, ArrayLike] | None = None,
        members: ArrayLike | None = None,
        calibrated: bool = False,
        converged: bool | None = None,
        marks: Sequence[str] = (),
    ) -> None:
        """Write one quantity of the vocabulary.

        Args:
            name: key in quantities.yaml, which gives unit and tensor shape.
            value: shape (n_conditions, \\*tensor), in the vocabulary's unit; the first axis may be left out when
                there is one condition.
            conditions: one mapping per row of `value`, in the vocabulary's units.
            standard_uncertainty: shape of `value`, same unit; by default the root of the sum of squares of
                `components`.
            components: parts of the standard uncertainty, each of the shape of `value`, same unit.
            members: shape (n_members, \\*value.shape), same unit.
            calibrated: whether the model's part was scaled on data that was held out.
            converged: whether the numerical parts are within the study's tolerance; None when that was not checked.
            marks: what the reader must know of it, in a few words each.

        Raises:
            InputError: when a shape or a component's name is not the vocabulary's.
        """
        entry = quantity(name)
        shape = (len(conditions), *entry.shape)
        array = _shaped(name, "value", value, shape)
        group = self._quantities.create_group(name)
        group.attrs.update(
            {
                "symbol": entry.symbol,
                "units": entry.unit,
                "conditions": json.dumps([dict(c) for c in conditions], sort_keys=True),
                "calibrated": bool(calibrated),
                "converged": "not checked" if converged is None else bool(converged),
            }
        )
        if marks:
            group.attrs["marks"] = json.dumps(list(marks))
        parts = {key: _shaped(name, key, part, shape) for key, part in (components or {}).items()}
        unknown = sorted(set(parts) - set(COMPONENTS))
        if unknown:
            raise InputError(
                f"'{unknown[0]}' is no part of an uncertainty; known are {', '.join(COMPONENTS)}"
            )
        datasets = {"value": array, **{f"components/{key}": part for key, part in parts.items()}}
        if standard_uncertainty is not None:
            datasets["standard_uncertainty"] = _shaped(
                name, "standard_uncertainty", standard_uncertainty, shape
            )
        elif parts:
            datasets["standard_uncertainty"] = np.sqrt(np.sum([p**2 for p in parts.values()], axis=0))
        if members is not None:
            stack = np.asarray(members, dtype=float)
            datasets["members"] = stack.reshape((len(stack), *shape))
        for key, data in datasets.items():
            group.create_dataset(key, data=data).attrs["units"] = entry.unit

    def array(self, name: str, data: ArrayLike, *, units: str) -> None:
        """Write an array under /data.

        Args:
            name: path below /data.
            data: any shape, in `units`.
            units: its unit; "dimensionless" for pure numbers.
        """
        array = np.asarray(data)
        packed = {"compression": "gzip", "shuffle": True} if array.size > 1000 else {}
        self._data.create_dataset(name, data=array, **packed).attrs["units"] = units

    def text(self, name: str, content: str) -> None:
        """Keep a text file with the results, under /files; it is written beside the report.

        Args:
            name: one of `TEXTS`.
            content: of the file; it names `CREATOR` in its first lines.
        """
        self._file.require_group("files").create_dataset(name, data=np.frombuffer(content.encode(), np.uint8))

    def note(self, name: str, content: Any) -> None:
        """Keep a small JSON-serialisable record with the results."""
        self._data.attrs[name] = json.dumps(content, sort_keys=True)

    def gate(self, name: str, message: str, *, fix: str, note: str = "gate", **values: Any) -> None:
        """Keep whether a physical condition holds, as a note; what follows from it is for the stage to say.

        Args:
            name: of the gate.
            message: a sentence on what does not hold; empty when the condition holds.
            fix: what to do about it.
            note: one of `GATES`; a result may have one gate of each.
            values: the numbers behind it, JSON-serialisable.
        """
        passed = not message
        self.note(
            note,
            {**values, "name": name, "passed": passed, "message": message, "fix": "" if passed else fix},
        )


def _shaped(name: str, what: str, data: ArrayLike, shape: tuple[int, ...]) -> Floats:
    array = np.asarray(data, dtype=float)
    if array.shape == shape[1:] and shape[0] == 1:
        array = array[None]
    if array.shape != shape:
        raise InputError(f"{what} of '{name}' has shape {array.shape}, expected {shape}")
    return array


class ResultReader:
    """Read a result file.

    Args:
        path: file written by `ResultWriter`, or an open binary stream of one.

    Raises:
        InputError: when the file is no result file, is truncated, or is of a later schema.
    """

    def __init__(self, path: Path | Any) -> None:
        self._name = getattr(path, "name", path)
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise InputError(f"{self._name} cannot be read as HDF5: {error}") from None
        if self._file.attrs.get("format") != FORMAT:
            raise InputError(f"{self._name} is not a result file of this project")
        if int(self._file.attrs["schema_version"]) > SCHEMA_VERSION:
            raise InputError(
                f"{self._name} has results schema {self._file.attrs['schema_version']}, newer than {SCHEMA_VERSION}",
                fix="update aiida-hashigo",
            )

    def __enter__(self) -> ResultReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def file(self) -> h5py.File:
        """The open file."""
        return self._file

    @property
    def task(self) -> str:
        """Name of the task that wrote the file."""
        return str(self._file.attrs["task"])

    def quantities(self) -> list[str]:
        """Names of the quantities in the file, in alphabetical order."""
        return list(self._file["quantities"])

    def quantity(self, name: str) -> QuantityRecord:
        """Read one quantity.

        Raises:
            InputError: when the file does not have it.
        """
        if name not in self._file["quantities"]:
            raise InputError(f"{self._name} holds no '{name}'")
        group = self._file["quantities"][name]

        def read(key: str) -> Floats | None:
            return np.asarray(group[key][()], dtype=float) if key in group else None

        return QuantityRecord(
            name=name,
            symbol=str(group.attrs["symbol"]),
            unit=str(group.attrs["units"]),
            value=np.asarray(group["value"][()], dtype=float),
            conditions=json.loads(group.attrs["conditions"]),
            standard_uncertainty=read("standard_uncertainty"),
            components={key: np.asarray(data[()]) for key, data in group.get("components", {}).items()},
            members=read("members"),
            calibrated=bool(group.attrs["calibrated"]),
            converged=None if group.attrs["converged"] == "not checked" else bool(group.attrs["converged"]),
            marks=tuple(json.loads(group.attrs.get("marks", "[]"))),
        )

    def has(self, name: str) -> bool:
        """Whether there is an array or group of this name under /data."""
        return name in self._file["data"]

    def array(self, name: str) -> NDArray[Any]:
        """Read an array under /data; its shape and unit are those it was written with.

        Raises:
            InputError: when the file does not have it.
        """
        if name not in self._file["data"]:
            raise InputError(f"{self._name} holds no array '{name}'")
        return np.asarray(self._file["data"][name][()])

    def texts(self) -> dict[str, str]:
        """The text files kept by `ResultWriter.text`, by name."""
        files = self._file.get("files", {})
        return {name: bytes(files[name][()]).decode() for name in files}

    def note(self, name: str) -> Any:
        """Read a record kept by `ResultWriter.note`; None when there is none."""
        text = self._file["data"].attrs.get(name)
        return None if text is None else json.loads(text)
