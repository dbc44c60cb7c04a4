"""Reference values and predictions side by side, one row for each number, for any kind of potential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.fitting import ENERGY, FORCE, STRESS
from hashigo.calculators.workers.potential import Evaluation, Model
from hashigo.calculators.workers.resampling import Indices

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Reference and predictions, one row for each number, as those of a design matrix.

    Attributes:
        frame: index of the frame of each row, shape (n_rows,), dimensionless.
        kind: ENERGY, FORCE or STRESS of each row, shape (n_rows,), dimensionless.
        targets: reference, energies from the free atoms, shape (n_rows,), eV/atom, eV/Å or eV/Å^3.
        mean: of the mean model, shape (n_rows,), same units.
        votes: of the members, shape (n_members, n_rows), same units.
    """

    frame: Indices
    kind: Indices
    targets: Floats
    mean: Floats
    votes: Floats

    def of(self, frames: Sequence[int] | Indices, kind: int) -> Indices:
        """Find the rows of some frames.

        Args:
            frames: indices of frames, shape (n_frames,), dimensionless.
            kind: number ENERGY, FORCE or STRESS.

        Returns:
            Indices of rows, shape (n_found,), dimensionless.
        """
        return np.flatnonzero(np.isin(self.frame, frames) & (self.kind == kind))


def rows_of(frames: Sequence[Frame], models: Sequence[Model], energies: Mapping[str, float]) -> Rows:
    """Compare models with reference frames; a value that a frame does not have gives no row.

    Args:
        frames: with what was computed of them.
        models: the mean model, then the members.
        energies: of a free atom of each element, eV.
    """
    structures = [frame.atoms() for frame in frames]
    said = [model.evaluate(structures) for model in models]
    parts: list[tuple[int, int, Floats, Floats]] = []
    for index, frame in enumerate(frames):
        known = _values(frame, frame, energies)
        votes = [_values(frame, one[index], energies) for one in said]
        for kind, target in known.items():
            parts.append((index, kind, target, np.array([vote[kind] for vote in votes])))
    counts = [len(target) for _, _, target, _ in parts]
    everyone = np.concatenate([votes for *_, votes in parts], axis=1)
    return Rows(
        frame=np.repeat([index for index, *_ in parts], counts),
        kind=np.repeat([kind for _, kind, *_ in parts], counts),
        targets=np.concatenate([target for _, _, target, _ in parts]),
        mean=everyone[0],
        votes=everyone[1:],
    )


def _values(frame: Frame, said: Frame | Evaluation, energies: Mapping[str, float]) -> dict[int, Floats]:
    out = {}
    if said.energy is not None:
        free = sum(energies[symbol] for symbol in frame.symbols)
        out[ENERGY] = np.array([(said.energy - free) / len(frame.symbols)])
    if said.forces is not None:
        out[FORCE] = np.ravel(said.forces)
    if said.stress is not None:
        out[STRESS] = np.asarray(said.stress, dtype=float)
    return out
