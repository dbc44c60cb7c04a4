"""Frames of several files as one, and of one file as two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hashigo.calculators.configuration import Floats, Frame, check_frame, frame_identity
from hashigo.calculators.formats import Source
from hashigo.errors import InputError
from hashigo.study.structures import difference, standardise, structure_from_content

#: Atoms of two unit cells of one crystal that are farther apart are not the same, Å.
_SAME_SITE = 0.2

#: Forces of frames of the same structure that differ more are of different methods, eV/Å.
_SAME_FORCES = 1e-4


class Merger:
    """Frames of several files in their order, equal ones once.

    Args:
        sources: name and content of each file.

    Raises:
        InputError: when the files are of different crystals or engines.
    """

    def __init__(self, sources: Sequence[tuple[str, Source]]) -> None:
        self._sources = sources
        self.kept = self.dropped = 0
        self.header: dict[str, Any] = {}
        first: dict[str, str] = {}
        # A method that only some of the files name is not that of all frames.
        unsaid = {
            key for key in ("engine", "first_principles") if any(key not in s.header for _, s in sources)
        }
        for name, source in sources:
            for key, value in source.header.items():
                if key not in self.header:
                    self.header[key] = value
                    first[key] = name
                else:
                    self._compare(key, value, name, first[key])
        self.header = {key: value for key, value in self.header.items() if key not in unsaid}

    def _compare(self, key: str, value: Any, name: str, other: str) -> None:
        mine = self.header[key]
        if key == "structure" and mine != value:
            one, two = (standardise(structure_from_content(content)) for content in (mine, value))
            reason = difference(one, two, strain=1e-3)
            if reason:
                raise InputError(
                    f"{name} is not of the crystal of {other}: {reason}", fix="merge files of one crystal"
                )
            # Born charges are listed by the atoms of the unit cell.
            if mine["symbols"] != value["symbols"] or not _same_sites(mine, value):
                raise InputError(
                    f"{name} has its unit cell in another setting, or its atoms in another order, than {other}",
                    fix="convert it with --structure and the other's unit cell",
                )
        elif key in ("engine", "settings", "atomic_energies") and mine != value:
            what = {"engine": "engine", "settings": "settings", "atomic_energies": "energies of free atoms"}[
                key
            ]
            raise InputError(
                f"{name} has another {what} than {other}: forces of different methods do not mix",
                fix="merge files that were computed alike",
            )

    def frames(self) -> Iterator[Frame]:
        """The frames; few are in memory at a time.

        Raises:
            InputError: when two are of the same structure, and their forces differ.
        """
        seen: dict[str, tuple[str, Floats]] = {}
        elements: tuple[str, frozenset[str]] | None = None
        for name, source in self._sources:
            for index, frame in enumerate(source.frames):
                check_frame(frame, index, name)
                if frame.kind != "atom":
                    own = frozenset(frame.symbols)
                    elements = elements or (name, own)
                    if own != elements[1]:
                        raise InputError(
                            f"frame {index} of {name} holds {', '.join(sorted(own))}, and {elements[0]} "
                            f"{', '.join(sorted(elements[1]))}",
                            fix="merge files of one crystal",
                        )
                own_forces = _fingerprint(frame.forces)
                # Not by their identities: those know settings, which other formats do not keep.
                place = frame_identity(frame.cell, frame.positions, frame.symbols, "")
                if place in seen:
                    other, theirs = seen[place]
                    if np.abs(theirs - own_forces).max() > _SAME_FORCES:
                        raise InputError(
                            f"frame {index} of {name} is the same structure as a frame of {other}, with other forces",
                            fix="merge files that were computed alike",
                        )
                    self.dropped += 1
                    continue
                seen[place] = (name, own_forces)
                self.kept += 1
                yield frame


def _fingerprint(forces: Floats | None) -> Floats:
    """Two numbers that stand for forces which would fill the memory, shape (2,), eV/Å."""
    if forces is None:
        return np.zeros(2)
    values = forces.ravel()
    # No sign, axis or order of atoms leaves the second as it is.
    return np.array([np.abs(values).max(), values @ np.cos(np.arange(len(values))) / np.sqrt(len(values))])


def _same_sites(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """Whether two unit cells of the same symbols have the same lattice vectors, and their atoms at the same places."""
    cell = np.asarray(one["cell"])
    steps = np.subtract(one["positions"], two["positions"])
    apart = np.linalg.norm((steps - np.rint(steps)) @ cell, axis=1)
    return bool(np.abs(cell - two["cell"]).max() < 1e-3 and apart.max() < _SAME_SITE)


def choose(frames: Iterable[Frame], share: float | None, seed: int, kind: str | None) -> list[bool]:
    """Which frames go to the first of two files.

    Args:
        frames: of a file.
        share: of the first file, of each kind of frames alike, dimensionless.
        seed: of the random choice.
        kind: of the frames of the first file, where no share is given.
    """
    kinds = np.array([frame.kind for frame in frames])
    if share is None:
        return [bool(one == kind) for one in kinds]
    chosen = np.zeros(len(kinds), dtype=bool)
    generator = np.random.default_rng(seed)
    for one in np.unique(kinds):
        members = np.flatnonzero(kinds == one)
        chosen[generator.permutation(members)[: round(share * len(members))]] = True
    return [bool(one) for one in chosen]
