"""One atomic configuration with what was computed of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from hashigo.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """One configuration; values that were not computed are None.

    Attributes:
        cell: lattice vectors as rows, shape (3, 3), Å.
        positions: Cartesian, shape (n_atoms, 3), Å.
        symbols: chemical symbol of each atom.
        energy: of the whole cell, eV.
        forces: shape (n_atoms, 3), eV/Å.
        stress: shape (6,), eV/Å^3, Voigt xx, yy, zz, yz, xz, xy; positive under tension.
        kind: "displaced" (supercell at the reference's cell), "strained" (deformed cell) or "atom" (a free atom).
        weight: relative weight in a fit, dimensionless.
        origin: what computed it, and from which file it is.
        settings: the engine's settings as a canonical string; part of the identity.
        magnetic_moments: computed, along the axis of magnetisation, shape (n_atoms,), μ_B.
        charges: computed, of each atom, shape (n_atoms,), e.
    """

    cell: Floats
    positions: Floats
    symbols: tuple[str, ...]
    energy: float | None = None
    forces: Floats | None = None
    stress: Floats | None = None
    kind: str = "displaced"
    weight: float = 1.0
    origin: str = ""
    settings: str = ""
    stored_identity: str = ""
    magnetic_moments: Floats | None = None
    charges: Floats | None = None

    @cached_property
    def identity(self) -> str:
        """Hash of the structure (to 1e-8 Å) and the engine's settings; the same work has the same identity."""
        return self.stored_identity or frame_identity(self.cell, self.positions, self.symbols, self.settings)

    def atoms(self) -> Atoms:
        """The structure as periodic ASE atoms."""
        return Atoms(self.symbols, cell=self.cell, positions=self.positions, pbc=True)


def frame_identity(cell: Floats, positions: Floats, symbols: Sequence[str], settings: str) -> str:
    """Name a piece of work: this structure by an engine with these settings.

    Args:
        cell: lattice vectors as rows, shape (3, 3), Å.
        positions: Cartesian, shape (n_atoms, 3), Å.
        symbols: chemical symbol of each atom.
        settings: the engine's settings as a canonical string.
    """
    digest = hashlib.sha256()
    for array in (cell, positions):
        # Adding zero turns -0.0 into 0.0.
        digest.update((np.round(np.asarray(array, dtype="<f8"), 8) + 0.0).tobytes())
    digest.update("\0".join([*symbols, settings]).encode())
    return digest.hexdigest()[:32]


def check_frame(frame: Frame, index: int, where: str) -> None:
    """Check shapes and that every number is finite.

    Args:
        frame: the frame.
        index: its number in the file.
        where: the file's name, for the message.

    Raises:
        InputError: names the frame and what is wrong with it.
    """
    n = len(frame.symbols)
    shapes = {
        "cell": (3, 3),
        "positions": (n, 3),
        "forces": (n, 3),
        "stress": (6,),
        "energy": (),
        "weight": (),
        "magnetic_moments": (n,),
        "charges": (n,),
    }
    for name, shape in shapes.items():
        value = getattr(frame, name)
        if value is None:
            continue
        # Called for every frame read or written: np.shape and np.all would take most of the time.
        has = value.shape if isinstance(value, np.ndarray) else np.shape(value)
        if has != shape:
            raise InputError(f"{name} of frame {index} of {where} has shape {has}, expected {shape}")
        # A number that is not finite makes the sum of squares so.
        if not math.isfinite(np.vdot(value, value) if shape else value):
            raise InputError(
                f"{name} of frame {index} of {where} is not finite (NaN or infinite)",
                fix="leave the frame out, or compute it again",
            )
    if n == 0:
        raise InputError(f"frame {index} of {where} has no atoms")
    unknown = sorted(set(frame.symbols) - _ELEMENTS)
    if unknown:
        raise InputError(f"frame {index} of {where} names an unknown element '{unknown[0]}'")


#: ASE's list begins with "X", a place without an atom.
_ELEMENTS = frozenset(chemical_symbols[1:])
