"""What a file of frames holds, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import GPa

from hashigo.calculators.configuration import Frame, check_frame
from hashigo.errors import InputError
from hashigo.study.structures import structure_from_content


def summarise(frames: Iterable[Frame], header: Mapping[str, Any]) -> dict[str, Any]:
    """Counts, cells, ranges and gaps; one frame is in memory at a time.

    Args:
        frames: of a file.
        header: of the file.

    Returns:
        Plain values; energies in eV/atom, components of forces in eV/Å, of stresses in GPa.

    Raises:
        InputError: when there is no frame, or one is not finite.
    """
    unit = structure_from_content(header["structure"]) if "structure" in header else None
    kinds: Counter[str] = Counter()
    cells: Counter[tuple[int, str]] = Counter()
    missing: Counter[str] = Counter()
    elements: set[str] = set()
    ranges: dict[str, list[float] | None] = {"energy": None, "force": None, "stress": None}
    for index, frame in enumerate(frames):
        check_frame(frame, index, "the file")
        kinds[frame.kind] += 1
        elements.update(frame.symbols)
        if frame.kind != "atom":
            cells[len(frame.symbols), _repeats(frame, unit)] += 1
            for name, value in (("energy", frame.energy), ("forces", frame.forces), ("stress", frame.stress)):
                missing[name] += value is None
            if frame.energy is not None:
                _widen(ranges, "energy", frame.energy / len(frame.symbols))
        _widen(ranges, "force", frame.forces)
        _widen(ranges, "stress", None if frame.stress is None else frame.stress / GPa)
    if not kinds:
        raise InputError("the file holds no frame")
    return {
        "n_frames": sum(kinds.values()),
        "kinds": dict(sorted(kinds.items())),
        "elements": sorted(elements),
        "supercells": [
            {"frames": count, "atoms": n_atoms, "repeats": repeats}
            for (n_atoms, repeats), count in sorted(cells.items())
        ],
        "ranges": ranges,
        "engine": header.get("engine", ""),
        "first_principles": header.get("first_principles"),
        "unit_cell": unit is not None,
        "polar": "polar" in header,
        "missing": {name: count for name, count in missing.items() if count},
    }


def _repeats(frame: Frame, unit: Atoms | None) -> str:
    if unit is None:
        return ""
    matrix = np.rint(frame.cell @ np.linalg.inv(unit.cell.array))
    if np.abs(matrix @ unit.cell.array - frame.cell).max() > 0.05 * np.abs(unit.cell.array).max():
        return ""
    if np.count_nonzero(matrix - np.diag(np.diag(matrix))) == 0:
        return "×".join(str(int(n)) for n in np.diag(matrix))
    return str(matrix.T.astype(int).tolist())


def _widen(ranges: dict[str, list[float] | None], name: str, values: Any) -> None:
    if values is None:
        return
    low, high = float(np.min(values)), float(np.max(values))
    ends = ranges[name]
    ranges[name] = [low, high] if ends is None else [min(low, ends[0]), max(high, ends[1])]
