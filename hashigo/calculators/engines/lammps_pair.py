"""What LAMMPS must be told to compute the same energy and forces as an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LammpsPair:
    """A potential in LAMMPS's words, units `metal`.

    Attributes:
        style: arguments of `pair_style`, word by word.
        coefficients: arguments of `pair_coeff`, word by word.
        files: text of the files that the coefficients name, by name.
        charged: whether the style asks for atoms that have a charge; it is zero.
        flux: energy and heat flux of snapshots, for potentials whose flux LAMMPS gets wrong; None where its
            `compute heat/flux` is right, which is so for pairs. Called with positions [Å] and velocities [Å/ps], shape
            (n_frames, n_atoms, 3), edges of the orthogonal cell, shape (3,), Å, and masses, shape (n_atoms,), u; it
            returns potential energies, shape (n_frames,), eV, and fluxes, shape (n_frames, 3), eV Å/ps.
    """

    style: tuple[str, ...]
    coefficients: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    charged: bool = False
    flux: Callable[[Floats, Floats, Floats, Floats], tuple[Floats, Floats]] | None = None

    def signature(self) -> list[Any]:
        """What tells it from others, in plain values."""
        return [list(self.style), list(self.coefficients), dict(self.files), self.charged]
