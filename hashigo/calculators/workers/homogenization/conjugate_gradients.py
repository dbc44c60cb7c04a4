"""Preconditioned conjugate gradients for some loads at once, each with its own step.

Sources: Hestenes & Stiefel, J. Res. Natl. Bur. Stand. 49, 409 (1952); Zeman et al., J. Comput. Phys. 229, 8065 (2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hashigo.calculators.workers.homogenization import updates
from hashigo.calculators.workers.homogenization.green import Green
from hashigo.calculators.workers.homogenization.slabs import Array
from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.errors import WorkerError

if TYPE_CHECKING:
    from hashigo.calculators.workers.homogenization.solver import Medium

MAX_ITERATIONS = 2000
#: Precision of the preconditioner's transforms.
TRANSFORM = np.dtype(np.float32)
#: Residuals below this, relative to the load itself, are rounding, dimensionless; by the precision of the fields.
ROUNDING = {np.dtype(np.float64): 1e-13, np.dtype(np.float32): 1e-6}
#: Least energy, relative to the norm of the load, that residuals are compared with, dimensionless.
LEAST_ENERGY = 1e-10


@dataclass(frozen=True)
class Balanced:
    """Potentials that balance some loads.

    Attributes:
        unknown: shape (planes, components, ny, nx · loads), voxels or K.
        residual: what is left of the balance, shape of `unknown`, GPa or W/(m K).
        iterations: of each load, count.
        relative: residual of each load, relative, dimensionless.
    """

    unknown: Array
    residual: Array
    iterations: list[int]
    relative: list[float]


class _Fields:
    """What the iteration holds: four fields, and their transform in the preconditioner."""

    def __init__(self, medium: Medium, flux: Floats) -> None:
        count = flux.shape[-1]
        planes, ny, self.nx = medium.slabs.local_shape
        shape = (planes, medium.components, ny, self.nx * count)
        kind = medium.precision
        self.medium, self.flux, self.lanes = medium, flux, (0,) * count
        self.unknown, self.residual = np.zeros(shape, kind), np.empty(shape, kind)
        self.force = np.zeros(shape, kind)
        self.direction = np.zeros((planes + 2, *shape[1:]), kind)
        self.inner = self.direction[1:-1]
        self.green = Green(medium.slabs, medium.scheme, medium.components, count, medium.ratio, TRANSFORM)
        medium.sources(-flux, self.residual, self.lanes)

    def advance(self, step: Floats) -> Floats:
        """Take a step along the direction; the square of the residual's norm for each load."""
        row = np.tile(step, self.nx).astype(self.unknown.dtype)

        def put(piece: slice) -> None:
            changed = [field[piece] for field in (self.unknown, self.residual, self.inner, self.force)]
            out = np.empty(changed[0].shape, TRANSFORM)
            updates.advance(*changed, row, 1.0 / self.medium.scale, out)
            self.green.put(piece, out)

        self.medium.slabs.each(put, self.green.pieces)
        return self.green.run()

    def turn(self, share: Floats) -> Floats:
        """Take the next direction; its work for each load."""
        row = np.tile(share, self.nx).astype(self.unknown.dtype)

        def get(piece: slice) -> None:
            updates.turn(self.inner[piece], self.green.get(piece), row)

        self.medium.slabs.each(get, self.green.pieces)
        return self.medium.balance(self.direction, self.force, self.lanes) / self.medium.scale

    def start(self, guess: Sequence[Floats]) -> Floats:
        """Begin with potentials, shape (components, planes, ny, nx) each; the energy that they take off."""
        count = len(self.lanes)
        for lane, potential in enumerate(guess):
            self.unknown[..., lane::count] = np.moveaxis(potential, 0, 1)
        self.inner[:] = self.unknown
        work = (self.unknown * self.residual).reshape(-1, count).sum(axis=0, dtype=float)
        own = self.medium.balance(self.direction, self.force, self.lanes)
        self.residual -= self.force
        return (2.0 * self.medium.slabs.total(work) - own) / self.medium.scale

    def check(self) -> Floats:
        """Compute the residual anew in double precision, load by load; the square of its norm for each."""
        medium, count = self.medium, len(self.lanes)
        green = Green(medium.slabs, medium.scheme, medium.components, 1, medium.ratio, TRANSFORM)
        shape = (*self.unknown.shape[:3], self.nx)
        residual, force = np.empty(shape), np.empty(shape)
        field = np.empty((shape[0] + 2, *shape[1:]))
        squares = []
        for lane in range(count):
            field[1:-1] = self.unknown[..., lane::count]
            medium.sources(-self.flux[..., lane : lane + 1], residual, (0,))
            medium.balance(field, force, (0,))
            residual -= force
            self.residual[..., lane::count] = residual
            for piece in green.pieces:
                green.put(piece, (residual[piece] / medium.scale).astype(TRANSFORM))
            squares.append(green.run()[0])
        return np.array(squares)


def balance_loads(
    medium: Medium, flux: Floats, energy: Floats, tolerance: float, guess: Sequence[Floats] | None
) -> Balanced:
    """Balance constant fluxes of the phases by potentials.

    Args:
        medium: the microstructure.
        flux: of each phase, as rows of stress, shape (n_phases, components, 3, loads), GPa or W/(m K).
        energy: of a voxel without fluctuations, shape (loads,), GPa or W/(m K).
        tolerance: of the residual, relative to that without fluctuations, or to the energy where this is smaller:
            a rigid phase makes the first one huge; dimensionless.
        guess: potentials to start from, shape (components, planes, ny, nx) each, voxels or K; None for zero.

    Raises:
        WorkerError: when it does not converge, or the numbers overflow.
    """
    fields, count, kind = _Fields(medium, flux), flux.shape[-1], medium.precision
    voxels, scale = medium.slabs.voxels, medium.scale
    still = np.zeros(count)
    start = square = fields.advance(still)
    rounding = voxels * np.einsum("p,pcal->l", medium.fractions, (flux / scale) ** 2) * ROUNDING[kind] ** 2

    def norm() -> Floats:
        """What the residual is compared with, its square."""
        return np.clip(voxels * energy / scale - lost, LEAST_ENERGY * start, start)

    def limits() -> Floats:
        return np.maximum(tolerance**2 * norm(), rounding)

    lost = np.zeros(count)
    if guess is not None and (square > limits()).any():
        lost = fields.start(guess)
        square = fields.advance(still)
    iterations, share = np.zeros(count, dtype=int), still
    while (busy := ~(square <= limits())).any():
        if iterations.max() == MAX_ITERATIONS or not np.isfinite(square).all():
            worst = int(np.argmax(np.nan_to_num(square / start, nan=np.inf)))
            raise WorkerError(
                f"the {medium.what} problem does not converge: relative residual "
                f"{np.sqrt(square[worst] / norm()[worst]):.1e} after {iterations.max()} iterations",
                fix="raise the tolerance, or look for phases of extreme contrast",
            )
        iterations[busy] += 1
        work = fields.turn(share)
        step = np.divide(square, work, out=np.zeros(count), where=(work > 0) & busy)
        lost = lost + step * square
        previous, square = square, fields.advance(step)
        share = np.divide(square, previous, out=np.zeros(count), where=previous > 0)
    if kind != np.float64:
        square = fields.check()
        # The energy, which an effective tensor is made of, is wrong by the square.
        allowed = 4.0 * tolerance**2 * np.maximum(norm(), voxels * energy / scale - lost)
        if (square > allowed).any():
            worst = int(np.argmax(square / allowed))
            raise WorkerError(
                f"the {medium.what} problem has a relative residual of "
                f"{np.sqrt(square[worst] / norm()[worst]):.1e} in single precision, asked for is {tolerance:.0e}",
                fix="take double precision, or a larger tolerance",
            )
    relative = np.sqrt(np.divide(square, norm(), out=np.zeros(count), where=start > 0))
    return Balanced(fields.unknown, fields.residual, iterations.tolist(), relative.tolist())
