"""The relaxed cells that the elasticity task hands on: of the mean potential and of each member."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.lattice.fixed_cell import MARK
from hashigo.calculators.workers.potential import Committee
from hashigo.errors import InputError


@dataclass(frozen=True)
class RelaxedCells:
    """Conventional cells, each relaxed by its own model, in the same axes and order of atoms.

    Attributes:
        mean: by the mean model; lengths in Å.
        members: by the committee's members, in their order; lengths in Å.
        marks: what the reader must know of numbers that the cell enters.
    """

    mean: Atoms
    members: tuple[Atoms, ...] = ()
    marks: tuple[str, ...] = ()

    def check(self, committee: Committee) -> None:
        """Check that every member has its cell.

        Raises:
            InputError: when the numbers differ.
        """
        if len(self.members) != len(committee.members):
            raise InputError(
                f"the committee has {len(committee.members)} members, but the elasticity result has relaxed cells of "
                f"{len(self.members)}",
                fix="compute the elasticity with this potential",
            )


def read_relaxed(path: Path) -> RelaxedCells:
    """Read the relaxed cells from a result of the task "elasticity".

    Args:
        path: the result file.

    Raises:
        InputError: when the file holds no relaxed cell.
    """
    with ResultReader(path) as reader:
        note = reader.note("relaxed")
        if note is None or "symbols" not in note:
            raise InputError(f"{Path(path).name} names no atoms of a relaxed cell")
        symbols = note["symbols"]

        def atoms(cell: object, positions: object) -> Atoms:
            return Atoms(symbols, cell=cell, scaled_positions=positions, pbc=True)

        marks = (MARK,) if note.get("cell_kept") else ()
        mean = atoms(reader.array("relaxed/cell"), reader.array("relaxed/positions"))
        if not reader.has("members/cell"):
            return RelaxedCells(mean, marks=marks)
        cells = zip(reader.array("members/cell"), reader.array("members/positions"), strict=True)
        return RelaxedCells(mean, tuple(atoms(cell, positions) for cell, positions in cells), marks)
