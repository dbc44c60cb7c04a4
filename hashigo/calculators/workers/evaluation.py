"""One frame by one ASE calculator: checked before, computed, checked after; what goes wrong becomes a sentence."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from hashigo.calculators.engines import Engine, Workspace
from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.frame_store import Record
from hashigo.errors import HashigoError

#: Least distance of two atoms, in sums of their covalent radii, dimensionless.
LEAST_DISTANCE = 0.5

#: Atoms compared with all others at a time.
_ROWS = 256

#: What launchers of OpenMPI, MPICH, Intel MPI and PMIx set in their ranks; a program started by a rank would take
#: itself for that rank.
_OF_RANKS = ("OMPI_", "PMIX_", "PMI_", "ORTE_", "PRTE_", "HYDRA_", "HYDI_", "MPI_LOCAL")

#: Those of them that a site or a user sets.
_OF_USERS = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_MCA_btl", "OMPI_MCA_mpi_", "OMPI_MCA_rmaps_", "PRTE_MCA_rmaps_",
             "PRTE_ALLOW")  # fmt: skip


def free_command(program: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """A command line that starts a program as if no MPI launcher had started this process.

    Args:
        program: launcher and program, word by word; empty for none.
        environment: of this process by default.
    """
    names = sorted(
        name
        for name in (os.environ if environment is None else environment)
        if name.startswith(_OF_RANKS) and not name.startswith(_OF_USERS)
    )
    if not program or not names:
        return tuple(program)
    return ("env", *(word for name in names for word in ("-u", name)), *program)


class Evaluator:
    """Computes frames; the calculator is kept as long as frames of one composition follow each other.

    Args:
        engine: that computes.
        settings: complete.
        workspace: of this rank.
        begin: told the identity of each frame before it is computed.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Mapping[str, Any],
        workspace: Workspace,
        begin: Callable[[str], None] = lambda identity: None,
    ) -> None:
        self._begin = begin
        self._engine = engine
        self._settings = settings
        self._workspace = workspace
        self._kept: tuple[tuple[str, ...], Atoms] | None = None

    def __call__(self, task: tuple[int, Frame]) -> Record:
        """Compute one frame.

        Args:
            task: index of the frame in the batch, and the frame.
        """
        index, frame = task
        begin = time.perf_counter()
        version, converged, result = "", None, None
        error = overlap(frame)
        if not error:
            self._begin(frame.identity)
            atoms = self._atoms(frame)
            try:
                result = _computed(atoms, frame)
                converged = self._engine.converged(atoms.calc)
                version = self._engine.version(atoms.calc)
                error = _fault(result, converged)
            except Exception as problem:  # calculators raise whatever they like
                error = self._sentence(problem)
        if error:
            result = None
            # Nobody knows in which state it is.
            self._kept = None
        else:
            assert result is not None
            result = replace(result, origin=f"{self._engine.title} {version}".strip())
        return Record(
            index, frame.identity, result, time.perf_counter() - begin, len(frame.symbols), version,
            converged, error,
        )  # fmt: skip

    def _atoms(self, frame: Frame) -> Atoms:
        """The frame as atoms with their calculator."""
        if self._kept is not None and self._kept[0] == frame.symbols:
            atoms = self._kept[1]
            atoms.cell[:] = frame.cell
            atoms.positions[:] = frame.positions
            return atoms
        # The next one works in the same folder: a program that a calculator keeps running ends with it, and ASE's
        # calculators hold themselves.
        self._kept = None
        gc.collect()
        atoms = frame.atoms()
        assert self._engine.calculator is not None
        atoms.calc = self._engine.calculator(self._settings, self._workspace)
        self._kept = (frame.symbols, atoms)
        return atoms

    def _sentence(self, error: Exception) -> str:
        if isinstance(error, HashigoError):
            text = str(error)
        elif isinstance(error, subprocess.CalledProcessError):
            text = _how_it_ended(error.returncode)
        else:
            cause = error.__cause__
            text = f"{type(error).__name__}: {error}"
            if isinstance(cause, subprocess.CalledProcessError):
                text = _how_it_ended(cause.returncode)
        # Paths name users, and the log is handed on.
        return " ".join(text.replace(str(self._workspace.folder.absolute()), ".").split())[:500]


def _how_it_ended(status: int) -> str:
    # A launcher or a shell says 128 + n of a program that was killed by signal n.
    number = -status if status < 0 else status - 128
    try:
        return f"its program was ended by {signal.Signals(number).name}"
    except ValueError:
        return f"its program ended with status {status}"


def _computed(atoms: Atoms, frame: Frame) -> Frame:
    """The frame with what its calculator says."""
    stress, missing = None, None
    if frame.kind != "atom":
        try:
            stress = np.array(atoms.get_stress())
        except NotImplementedError as error:  # the engine may have none
            missing = error
    try:
        # Most calculators have all now; asking them would make them compare all positions again.
        known = getattr(atoms.calc, "results", {}) if stress is not None else {}
        forces = np.array(known["forces"] if "forces" in known else atoms.get_forces())
        energy = float(known["energy"] if "energy" in known else atoms.get_potential_energy())
    except Exception as error:
        raise (missing or error) from error.__cause__
    return replace(
        frame,
        energy=energy,
        forces=forces,
        stress=stress,
        stored_identity=frame.identity,
        magnetic_moments=_per_atom(atoms, "magmoms"),
        charges=_per_atom(atoms, "charges"),
    )


def _per_atom(atoms: Atoms, name: str) -> Any:
    """Numbers of each atom that the calculator has computed beside the forces, shape (n_atoms,); or None."""
    values = np.array(getattr(atoms.calc, "results", {}).get(name), dtype=float)
    return values if values.shape == (len(atoms),) else None


def _fault(frame: Frame, converged: bool | None) -> str:
    """What is wrong with a result, "" for nothing."""
    if converged is False:
        return "self-consistency was not reached"
    for name in ("energy", "forces", "stress"):
        value = getattr(frame, name)
        if value is not None and not np.all(np.isfinite(value)):
            return f"its {name} is not finite" if name != "forces" else "its forces are not finite"
    return ""


def overlap(frame: Frame) -> str:
    """A sentence on two atoms of a frame that are much too near to each other, "" where there are none.

    Args:
        frame: the frame.
    """
    radii = _radii(frame.symbols)
    n = len(radii)
    inverse, least_height = _geometry(np.asarray(frame.cell, dtype=float).tobytes())
    own, positions = frame.positions, frame.positions
    if least_height <= 4 * LEAST_DISTANCE * float(radii.max()):
        # Rounding is only sure to find the nearest image in cells that are not small.
        own = (frame.positions @ inverse % 1) @ frame.cell
        shifts = np.array(np.meshgrid(*[[0, -1, 1]] * 3, indexing="ij")).reshape(3, -1).T @ frame.cell
        positions = (own[None] + shifts[:, None]).reshape(-1, 3)
    for first in range(0, n, _ROWS):
        apart = (own[first : first + _ROWS, None] - positions).reshape(-1, 3)
        if len(positions) == n:
            apart -= np.rint(apart @ inverse) @ frame.cell
        square = np.einsum("ij,ij->i", apart, apart).reshape(-1, len(positions))
        limit = _limits(frame.symbols, first, len(positions) // n)
        near = square < limit
        if near.any():
            row, column = np.argwhere(near)[0]
            i, j = int(row) + first, int(column) % n
            return (
                f"atoms {i} ({frame.symbols[i]}) and {j} ({frame.symbols[j]}) overlap: they are"
                f" {np.sqrt(square[row, column]):.2f} Å apart, and half the sum of their covalent radii is"
                f" {np.sqrt(limit[row, column]):.2f} Å"
            )
    return ""


# What frames of one composition, or one cell, have in common is worked out once.


@lru_cache(maxsize=8)
def _radii(symbols: tuple[str, ...]) -> Any:
    return covalent_radii[[atomic_numbers[symbol] for symbol in symbols]]


@lru_cache(maxsize=8)
def _geometry(cell: bytes) -> tuple[Any, float]:
    inverse = np.linalg.inv(np.frombuffer(cell).reshape(3, 3))
    return inverse, float(1 / np.sqrt((inverse**2).sum(axis=0)).max())


@lru_cache(maxsize=8)
def _limits(symbols: tuple[str, ...], first: int, images: int) -> Any:
    """Squares of the least distances of some atoms to all and their images; an atom is never near to itself."""
    radii = _radii(symbols)
    rows = np.arange(first, min(first + _ROWS, len(radii)))
    limits = (LEAST_DISTANCE * (radii[rows, None] + np.tile(radii, images))) ** 2
    limits[rows - first, rows] = -1.0
    return limits
