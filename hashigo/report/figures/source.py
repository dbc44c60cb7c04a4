"""Where figures take their numbers from: the result files of a run by stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from hashigo.calculators.results import QuantityRecord, ResultReader
from hashigo.errors import InputError


class Results:
    """The open result files of a run; what is not there raises, and the figure that needs it is left out.

    Args:
        readers: open files by name of the stage.
    """

    def __init__(self, readers: Mapping[str, ResultReader]) -> None:
        self._readers = dict(readers)

    def reader(self, stage: str) -> ResultReader:
        """The result file of a stage.

        Raises:
            InputError: when the stage has none.
        """
        if stage not in self._readers:
            raise InputError(f"stage '{stage}' has no result")
        return self._readers[stage]

    def array(self, stage: str, name: str) -> NDArray[Any]:
        """An array under /data, in the shape and unit it was written with.

        Raises:
            InputError: when it is not there.
        """
        return self.reader(stage).array(name)

    def quantity(self, stage: str, name: str) -> QuantityRecord:
        """A quantity.

        Raises:
            InputError: when it is not there.
        """
        return self.reader(stage).quantity(name)

    def has(self, stage: str, name: str) -> bool:
        """Whether there is an array or group of this name."""
        return stage in self._readers and self._readers[stage].has(name)

    def note(self, stage: str, name: str) -> dict[str, Any]:
        """A record kept with the results; empty when there is none."""
        note = self._readers[stage].note(name) if stage in self._readers else None
        return dict(note) if isinstance(note, Mapping) else {}
