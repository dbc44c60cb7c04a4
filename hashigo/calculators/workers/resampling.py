"""Which frames are trained on, held out, folded away and drawn again; each kind of frame gets its share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def split(kinds: Sequence[str], held_out: float, generator: np.random.Generator) -> tuple[Indices, Indices]:
    """Choose frames to hold out, from each kind its share and at least one where it has two or more.

    Args:
        kinds: kind of each frame.
        held_out: share of the frames to hold out, dimensionless.
        generator: source of random numbers.

    Returns:
        Indices of the frames to train on and of those held out, shapes (n_train,), (n_test,), dimensionless.
    """
    test: list[int] = []
    for members in groups(kinds).values():
        if len(members) >= 2:
            count = min(max(1, round(held_out * len(members))), len(members) - 1)
            test.extend(generator.permutation(members)[:count])
    chosen = np.array(sorted(test), dtype=np.int64)
    return np.setdiff1d(np.arange(len(kinds)), chosen), chosen


def stratified_folds(
    kinds: Sequence[str], train: Indices, count: int, generator: np.random.Generator
) -> list[Indices]:
    """Deal training frames into folds, each kind evenly.

    Args:
        kinds: kind of each frame of the whole set.
        train: indices of the training frames, shape (n_train,), dimensionless.
        count: number of folds at most.
        generator: source of random numbers.

    Returns:
        Indices of the frames of each fold, shapes (n_fold,), dimensionless.
    """
    dealt: list[int] = []
    for members in groups([kinds[i] for i in train]).values():
        dealt.extend(generator.permutation(train[members]))
    order = np.array(dealt, dtype=np.int64)
    return [order[start::count] for start in range(min(count, len(order)))]


def resample(kinds: Sequence[str], train: Indices, generator: np.random.Generator) -> Indices:
    """Draw as many training frames of each kind as there are, with replacement.

    Args:
        kinds: kind of each frame of the whole set.
        train: indices of the training frames, shape (n_train,), dimensionless.
        generator: source of random numbers.

    Returns:
        Indices with repetition, shape (n_train,), dimensionless.
    """
    drawn = [
        generator.choice(train[members], size=len(members))
        for members in groups([kinds[i] for i in train]).values()
    ]
    return np.concatenate(drawn)


def groups(labels: Sequence[str]) -> dict[str, Indices]:
    """Indices of each label, labels in alphabetical order; shapes (n_of_label,), dimensionless."""
    array = np.asarray(labels)
    return {str(label): np.flatnonzero(array == label) for label in np.unique(array)}
