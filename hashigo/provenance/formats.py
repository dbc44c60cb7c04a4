"""Export formats, found by their entry points: one file a format."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hashigo.errors import InputError, MissingComponent

GROUP = "hashigo.formats"
STAGES = "hashigo.stages"


@runtime_checkable
class Format(Protocol):
    """How a run leaves: what an entry point of the group `hashigo.formats` gives."""

    name: str
    description: str

    def write(
        self, node: Any, target: Path, *, overwrite: bool = False, study: Mapping[str, Any] | None = None
    ) -> Path:
        """Write the run of a process node.

        Args:
            node: the AiiDA process node to export, with all it called.
            target: folder or file to make; it appears under its name only when it is complete.
            overwrite: replace a package that is already there.
            study: title, authors, licence and access, when the run itself carries no study.

        Returns:
            What was written.
        """


def formats() -> dict[str, Format]:
    """All installed export formats by name."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return {entry.name: _load(entry) for entry in found}


def export_format(name: str) -> Format:
    """The export format of a name.

    Raises:
        InputError: when there is none; the fix names those there are.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        raise InputError(
            f"there is no export format '{name}'", fix=f"choose one of: {', '.join(sorted(found))}"
        )
    return _load(found[name])


def registered_stages() -> set[str]:
    """Names of all installed stages of the ladder, without loading them."""
    return {entry.name for entry in entry_points(group=STAGES)}


def _load(entry: Any) -> Format:
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        raise MissingComponent(
            f"export format '{entry.name}' needs the Python package '{error.name}', which is not installed",
            fix=f"pip install {error.name}",
        ) from None
