"""Frames that tell nothing of a strain, as published forces of displaced supercells do: their cell is kept."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ase import Atoms

from hashigo.calculators.frames import Frame, iter_frames, read_header
from hashigo.study.structures import standardise, structure_from_content

#: Volumes of an atom that differ by less are one, dimensionless.
SAME_VOLUME = 1e-3

#: Mark on every number that the cell or its strain enters.
MARK = "cell of the frames, not relaxed"
WHY = "the frames hold no stresses, and no energies at several volumes: the potential knows one cell only"


def tell_of_strain(frames: Iterable[Frame]) -> bool:
    """Whether frames tell a potential of its cell: by a stress, or by energies at more than one volume of an atom."""
    smallest, largest = float("inf"), 0.0
    for frame in frames:
        if frame.stress is not None:
            return True
        if frame.energy is None or frame.kind == "atom":
            continue
        volume = Atoms(cell=frame.cell).get_volume() / len(frame.symbols)
        smallest, largest = min(smallest, volume), max(largest, volume)
    return largest > smallest * (1 + SAME_VOLUME)


def kept_cell(structure: Atoms, frames: Path) -> Atoms | None:
    """The structure in the cell of its frames, when these tell nothing of any other.

    Args:
        structure: conventional standardised cell; lengths in Å.
        frames: file of the reference's frames.

    Returns:
        None where the potential can be asked for a relaxed cell.
    """
    if tell_of_strain(iter_frames(frames)):
        return None
    kept = structure.copy()
    header = read_header(frames)
    if "structure" in header:
        own = standardise(structure_from_content(header["structure"]))
        kept.set_cell(own.cell.array, scale_atoms=True)
    return kept
