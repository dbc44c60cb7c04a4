"""The zero of a potential's energy: a potential trained elsewhere counts from other atoms than the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.potential import Model


def energy_offsets(frames: Sequence[Frame], model: Model) -> dict[str, float]:
    """Energies of atoms that, added to a potential's, come nearest to the energies of frames.

    Where the frames' compositions leave elements undetermined, the smallest offsets are taken.

    Args:
        frames: with or without energies.
        model: the potential.

    Returns:
        By chemical symbol of the frames that have an energy, eV.
    """
    known = [frame for frame in frames if frame.energy is not None]
    if not known:
        return {}
    said = np.array([one.energy for one in model.evaluate([frame.atoms() for frame in known])])
    elements = sorted({symbol for frame in known for symbol in frame.symbols})
    counts = np.array([[frame.symbols.count(symbol) for symbol in elements] for frame in known], dtype=float)
    missing = np.array([frame.energy for frame in known], dtype=float) - said
    found = np.linalg.lstsq(counts, missing, rcond=None)[0]
    return dict(zip(elements, map(float, found), strict=True))
