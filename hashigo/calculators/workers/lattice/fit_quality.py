"""Whether displacements are small enough for force constants: how much of the forces these do not tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from phonopy import Phonopy

from hashigo.calculators.workers.lattice.force_constants import Dataset, ForceConstants
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Largest share of the forces, root mean square, that force constants may leave untold, dimensionless: where all of it
#: went along the displacements, squared frequencies would be off by as much, and frequencies by a tenth.
MOST_UNTOLD = 0.2


def untold_share(lattice: Phonopy, constants: ForceConstants, dataset: Dataset) -> float:
    """Root mean square of what force constants do not tell of the forces, over that of the forces, dimensionless.

    Of pairs of opposite displacements without third order the odd part of the forces is judged: the even one is left
    out by the pairs.

    Args:
        lattice: gives the sites of the primitive cell, on which forces are compared.
        constants: of this supercell.
        dataset: that they were fitted to.
    """
    sites = np.asarray(lattice.primitive.p2s_map)
    moves, forces = dataset.displacements, dataset.forces[:, sites]
    if dataset.paired and constants.third is None:
        half = len(moves) // 2
        moves, forces = moves[:half], (forces[:half] - forces[half:]) / 2
    told = -np.einsum("ijab,sjb->sia", constants.second, moves)
    if constants.third is not None:
        for row, move in enumerate(moves):
            inner = np.einsum("ijkabc,kc->ijab", constants.third, move)
            told[row] -= np.einsum("ijab,jb->ia", inner, move) / 2
    scale = float(np.sqrt(np.mean(forces**2)))
    return float(np.sqrt(np.mean((forces - told) ** 2))) / scale if scale > 0 else 0.0


def check_untold(share: float, order: int, largest: float, fix: str) -> None:
    """Check that displacements were small enough.

    Args:
        share: of `untold_share`, dimensionless.
        order: highest of the force constants, number.
        largest: displacement of an atom, Å.
        fix: what to do about it.

    Raises:
        InputError: when more than `MOST_UNTOLD` of the forces is not told.
    """
    if share > MOST_UNTOLD:
        kind = "second order" if order == 2 else "second and third order"
        raise InputError(
            f"displacements of up to {largest:.2f} Å are too large for a fit: force constants of {kind} leave "
            f"{share:.0%} of the forces untold, more than {MOST_UNTOLD:.0%}",
            fix=fix,
        )
