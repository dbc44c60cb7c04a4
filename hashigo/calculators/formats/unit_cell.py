"""Which unit cell frames are made of, for files that do not say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.configuration import Frame
from hashigo.calculators.formats import Source
from hashigo.study.structures import structure_content

Floats = NDArray[np.float64]

#: Relative difference of lattice vectors that is still the same crystal: a study may start from a measured cell.
_STRAIN = 0.05
#: Lattice vectors that differ less are those of the same cell, Å.
_CELL_TOLERANCE = 1e-3
#: An atom of a displaced supercell is closer than this to its site, Å.
_MAX_DISPLACEMENT = 0.5


def with_unit_cell(opened: Callable[[], Source], cells: Sequence[Atoms]) -> Source:
    """A source whose header names the unit cell, and whose frames say what they are.

    A frame of this cell's lattice is a displaced supercell; one of another lattice is a strained cell.

    Args:
        opened: opens the file; it is read twice where it does not name its unit cell.
        cells: unit cells to try, in any setting, the likeliest first; lengths in Å.

    Returns:
        As the file gives it, where it names its unit cell itself or is made of none of these.
    """
    source = opened()
    if "structure" in source.header:
        return source
    for cell in cells:
        found = _find(opened().frames, cell)
        if found is not None:
            header = {**source.header, "structure": structure_content(found)}
            frames = source.frames if source.labelled else _labelled(source.frames, found)
            return replace(source, header=header, frames=frames, labelled=True)
    return source


def _find(frames: Iterable[Frame], cell: Atoms) -> Atoms | None:
    """The cell at the lattice constant that most atoms have, with its origin where the frames have it."""
    found: Counter[tuple[float, ...]] = Counter()
    first: dict[tuple[float, ...], Frame] = {}
    for frame in frames:
        lattice = _own_lattice(frame, cell) if frame.kind != "atom" else None
        if lattice is not None:
            key = tuple(np.round(lattice, 4).ravel())
            found[key] += len(frame.symbols)
            first.setdefault(key, frame)
    if not found:
        return None
    frame = first[found.most_common(1)[0][0]]
    lattice = _own_lattice(frame, cell)
    assert lattice is not None
    own = Atoms(
        cell.get_chemical_symbols(),
        cell=lattice,
        scaled_positions=cell.get_scaled_positions(wrap=False),
        pbc=True,
    )
    shift = _origin(frame, own)
    if shift is None:
        return None
    own.positions += shift
    return own


def _own_lattice(frame: Frame, cell: Atoms) -> Floats | None:
    """The lattice vectors whose repeats the frame is, shape (3, 3), Å; None when it is none of such a cell."""
    matrix = np.rint(frame.cell @ np.linalg.inv(cell.cell.array))
    if round(abs(np.linalg.det(matrix))) * len(cell) != len(frame.symbols):
        return None
    lattice = np.array(np.linalg.solve(matrix, frame.cell), dtype=np.float64)
    strain = np.abs(lattice - cell.cell.array).max() / np.abs(cell.cell.array).max()
    return lattice if strain <= _STRAIN else None


def _origin(frame: Frame, cell: Atoms) -> Floats | None:
    """The shift that puts the cell's atoms where the frame has them, shape (3,), Å."""
    symbols = cell.get_chemical_symbols()
    rarest = min(set(symbols), key=lambda symbol: (symbols.count(symbol), symbol))
    anchor = frame.positions[frame.symbols.index(rarest)]
    sites = [site for symbol, site in zip(symbols, cell.positions, strict=True) if symbol == rarest]
    for shift in [np.zeros(3), *(anchor - site for site in sites)]:
        steps = _nearest_steps(frame, cell, shift)
        if steps is not None:
            # What all atoms have in common is no displacement. Below rounding the cell's own origin is kept.
            moved = shift + steps.mean(axis=0) if np.abs(shift).max() > 0 else shift
            return np.array(moved, dtype=np.float64)
    return None


def _nearest_steps(frame: Frame, cell: Atoms, shift: Floats) -> Floats | None:
    inverse = np.linalg.inv(cell.cell.array)
    symbols = np.array(cell.get_chemical_symbols())
    steps = np.empty_like(frame.positions)
    for atom, (symbol, position) in enumerate(zip(frame.symbols, frame.positions, strict=True)):
        fractions = (position - cell.positions[symbols == symbol] - shift) @ inverse
        vectors = (fractions - np.rint(fractions)) @ cell.cell.array
        lengths = np.linalg.norm(vectors, axis=1)
        if not len(lengths) or lengths.min() > _MAX_DISPLACEMENT:
            return None
        steps[atom] = vectors[lengths.argmin()]
    return steps


def _labelled(frames: Iterable[Frame], cell: Atoms) -> Iterator[Frame]:
    inverse = np.linalg.inv(cell.cell.array)
    for frame in frames:
        if frame.kind != "displaced":
            yield frame
            continue
        matrix = np.rint(frame.cell @ inverse)
        same = np.abs(matrix @ cell.cell.array - frame.cell).max() < _CELL_TOLERANCE
        yield frame if same else replace(frame, kind="strained")
