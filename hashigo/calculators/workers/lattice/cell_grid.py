"""The cells that a quasi-harmonic crystal is computed on: over its volume, or over two edges of a uniaxial one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import spglib
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from numpy.typing import NDArray

from hashigo.calculators.workers.lattice.crystal import SYMMETRY_TOLERANCE
from hashigo.calculators.workers.potential import Model, ModelCalculator
from hashigo.errors import WorkerError

Floats = NDArray[np.float64]

CUBIC, UNIAXIAL, RELAXED = "cubic", "uniaxial", "shape relaxed at each volume"
#: Of cells of the reference, whose shape is that of the structure.
SCALED = "scaled as a whole"
#: What is left out where the cell has more free parameters than the grid.
MARKS = {
    RELAXED: "cell's shape relaxed without vibrations at each volume",
    SCALED: "cell scaled as a whole: its shape is that of the structure at each volume",
}
_STEPS = 300


def family(atoms: Atoms) -> str:
    """How a crystal's cell is varied: "cubic" and others by their volume, "uniaxial" by two edges.

    Args:
        atoms: conventional standardised cell, its unique axis along z; lengths in Å.
    """
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    number = int(spglib.get_symmetry_dataset(cell, symprec=SYMMETRY_TOLERANCE).number)
    if number >= 195:
        return CUBIC
    return UNIAXIAL if number >= 75 else RELAXED


def grid_points(kind: str, volumes: int, volume_range: Sequence[float]) -> Floats:
    """Logarithms of the volume, or of the edges a and c, over the relaxed cell's.

    Args:
        kind: of `family`.
        volumes: count along each parameter.
        volume_range: smallest and largest volume over the relaxed one, dimensionless.

    Returns:
        Shape (n_points, 1) or (n_points, 2), dimensionless.
    """
    line = np.linspace(np.log(volume_range[0]), np.log(volume_range[1]), volumes)
    if kind != UNIAXIAL:
        return line[:, None]
    return np.array([(a, c) for a in line / 3 for c in line / 3])


def deformed(atoms: Atoms, point: Floats) -> Atoms:
    """The cell at a point, atoms moved with it.

    Args:
        atoms: relaxed conventional cell; lengths in Å.
        point: shape (1,) or (2,), dimensionless.
    """
    stretch = np.exp(np.repeat(point / 3, 3) if len(point) == 1 else point[[0, 0, 1]])
    out = atoms.copy()
    out.set_cell(atoms.cell.array * stretch, scale_atoms=True)
    return out


@dataclass(frozen=True)
class StaticCell:
    """A cell whose atoms, and shape where it is free, are relaxed.

    Attributes:
        atoms: lengths in Å.
        energy: without vibrations, eV.
    """

    atoms: Atoms
    energy: float


def relaxed_cell(model: Model, atoms: Atoms, force_tolerance: float, *, shape: bool) -> StaticCell:
    """Relax atoms at a fixed cell, or atoms and shape at a fixed volume; the symmetry is kept.

    Args:
        model: the potential.
        atoms: where to start; lengths in Å.
        force_tolerance: largest force left, eV/Å.
        shape: whether the shape is free.

    Raises:
        WorkerError: when it does not converge.
    """
    relaxed = atoms.copy()
    relaxed.calc = ModelCalculator(model)
    relaxed.set_constraint(FixSymmetry(relaxed, symprec=SYMMETRY_TOLERANCE))
    target = FrechetCellFilter(relaxed, constant_volume=True) if shape else relaxed
    if not BFGS(target, logfile=None).run(fmax=force_tolerance, steps=_STEPS):
        ratio = atoms.get_volume() / len(atoms)
        raise WorkerError(
            f"{atoms.get_chemical_formula()} at {ratio:.3f} Å^3 an atom did not relax in {_STEPS} steps",
            fix="make expansion.volume_range smaller, or add strained cells to the reference frames",
        )
    energy = float(relaxed.get_potential_energy())
    relaxed.set_constraint()
    relaxed.calc = None
    return StaticCell(relaxed, energy)
