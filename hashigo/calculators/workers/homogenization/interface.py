"""What a solver of periodic problems is given and what it returns: ours, and others that it is checked against.

A solver is one file behind the entry point `hashigo.homogenizers`. Some run at once; others, where they are installed,
from files that are written for them, and their results are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.homogenization.tensors import (
    Floats,
    rotate_conductivity,
    rotate_stiffness,
)
from hashigo.errors import InputError, MissingComponent

#: Discretisations of ours: with one quadrature point in each voxel, and, for voids and rigid phases, with eight.
ROTATED = "hexahedra with reduced integration, the rotated scheme"
HEXAHEDRA = "hexahedra with full integration"

#: What is homogenised, by the number of components of its flux.
PROPERTIES = {6: "stiffness", 3: "thermal conductivity"}


@dataclass(frozen=True)
class PeriodicProblem:
    """A periodic microstructure of cubic voxels, and one tensor for each of its phases.

    Attributes:
        phase: phase of each voxel, shape (nz, ny, nx), indices.
        table: of each phase in sample axes, shape (n_phases, 6, 6), Mandel stiffness in GPa, or (n_phases, 3, 3),
            conductivity in W/(m K); zero for a void, infinite on the diagonal for a rigid phase.
        names: of the phases, for errors; none for "phase 0" and so on.
        rotations: of each phase from crystal to sample axes, shape (n_phases, 3, 3), dimensionless, for codes that
            want tensors in crystal axes; None where the crystal's axes are the sample's.
        eigenstrain: of each phase, Mandel, shape (n_phases, 6), dimensionless; or None.

    Raises:
        InputError: when shapes do not fit, a voxel's phase is not in the table, or an entry is no number.
    """

    phase: NDArray[np.int32]
    table: Floats
    names: Sequence[str] = ()
    rotations: Floats | None = None
    eigenstrain: Floats | None = None

    def __post_init__(self) -> None:
        size = self.table.shape[-1]
        if self.table.ndim != 3 or self.table.shape[1:] != (size, size) or size not in PROPERTIES:
            raise InputError(f"a table of tensors has shape (n, 6, 6) or (n, 3, 3), not {self.table.shape}")
        if self.phase.ndim != 3 or self.phase.size == 0:
            raise InputError(f"the phases of the voxels have shape (nz, ny, nx), not {self.phase.shape}")
        if self.phase.min() < 0 or self.phase.max() >= len(self.table):
            wrong = int(self.phase.min() if self.phase.min() < 0 else self.phase.max())
            raise InputError(f"phase {wrong} of a voxel is not in the table of {len(self.table)} phases")
        for name, tensor, rigid in zip(self.labels, self.table, self.rigid, strict=True):
            if not rigid and not np.isfinite(tensor).all():
                raise InputError(
                    f"the {self.what} of {name} has entries that are no numbers (NaN or infinite)"
                )
        for name, shape in (("rotations", (3, 3)), ("eigenstrain", (6,))):
            given = getattr(self, name)
            if given is not None and given.shape != (len(self.table), *shape):
                raise InputError(f"{name} of {len(self.table)} phases have shape {given.shape}")

    @property
    def what(self) -> str:
        """The property that is homogenised, "stiffness" or "thermal conductivity"."""
        return PROPERTIES[self.loads]

    @property
    def loads(self) -> int:
        """Number of unit loads, 6 or 3."""
        return int(self.table.shape[-1])

    @property
    def labels(self) -> list[str]:
        """A name for each phase."""
        return list(self.names) or [f"phase {index}" for index in range(len(self.table))]

    @property
    def voids(self) -> NDArray[np.bool_]:
        """Whether each phase is a void, shape (n_phases,), dimensionless."""
        return np.asarray(~self.table.any(axis=(1, 2)))

    @property
    def rigid(self) -> NDArray[np.bool_]:
        """Whether each phase is rigid, or a perfect conductor, shape (n_phases,), dimensionless."""
        return np.asarray(np.isinf(np.diagonal(self.table, axis1=1, axis2=2)).all(axis=1))

    def require_plain(self, title: str, *, voids: bool) -> None:
        """Make sure that another code can be given the problem.

        Args:
            title: of the code.
            voids: whether it takes phases without stiffness or conductivity.

        Raises:
            InputError: when it has an eigenstrain, a rigid phase, or a void that the code does not take.
        """
        for name, rigid, void in zip(self.labels, self.rigid, self.voids, strict=True):
            if rigid:
                raise InputError(
                    f"{title} cannot be given {name}, which is rigid", fix="give it a finite tensor"
                )
            if void and not voids:
                raise InputError(
                    f"{title} cannot be given {name}, which is a void", fix="choose another solver"
                )
        if self.eigenstrain is not None:
            raise InputError(f"{title} cannot be given a problem with eigenstrain here", fix="leave it out")

    @property
    def crystal_table(self) -> Floats:
        """The table in crystal axes, shape and unit of `table`."""
        if self.rotations is None:
            return self.table
        turn = rotate_stiffness if self.loads == 6 else rotate_conductivity
        return turn(self.table, np.swapaxes(self.rotations, 1, 2))


@dataclass(frozen=True)
class Outcome:
    """Effective tensor of a problem, and what a solver tells of its work.

    Attributes:
        tensor: Mandel stiffness, shape (6, 6), GPa; or conductivity, shape (3, 3), W/(m K). Row i is the mean flux
            under the unit load i.
        iterations: of each load, count; empty where the solver does not tell.
        wall: of each load, for the solution alone, s; empty where the solver does not tell.
        cpu: of each load, CPU time, s.
        memory: most that the solver's process held, bytes; 0 where it is not known.
        memory_before: what the process had held before the problem was set up, bytes.
        energies: the tensor from energies of pairs of solutions, whose error is the square of that of the mean flux,
            shape and unit of `tensor`; None where it was not asked for.
        discretisation: of the balance, where the solver has several; "" for its own.
        held_stress: mean stress (Mandel) of a problem with eigenstrain where nothing may strain in the mean, shape
            (6,), GPa; None without eigenstrain.
    """

    tensor: Floats
    iterations: tuple[int, ...] = ()
    wall: tuple[float, ...] = ()
    cpu: tuple[float, ...] = ()
    memory: int = 0
    memory_before: int = 0
    energies: Floats | None = None
    discretisation: str = ""
    held_stress: Floats | None = None


@dataclass(frozen=True)
class Homogenizer:
    """A solver of periodic problems.

    Attributes:
        name: key of the entry point.
        title: as printed.
        discretisation: of the balance, as printed.
        solve: from (problem, relative tolerance, options as given on the command line); None for a solver that runs
            elsewhere.
        write: input files for a problem, into a folder that is there; returns them.
        how: sentence that says how to start it on those files, from (folder).
        read: what it found, from (folder, problem); None as long as there is no result.
        options: what `solve` or `write` may be told, with a sentence on each.
    """

    name: str
    title: str
    discretisation: str
    solve: Callable[[PeriodicProblem, float, Mapping[str, Any]], Outcome] | None = None
    write: Callable[[PeriodicProblem, float, Path], list[Path]] | None = None
    how: Callable[[Path], str] = lambda folder: ""
    read: Callable[[Path, PeriodicProblem], Outcome | None] | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@cache
def homogenizer_names() -> list[str]:
    """Names of all registered solvers."""
    return sorted(point.name for point in entry_points(group="hashigo.homogenizers"))


@cache
def get_homogenizer(name: str) -> Homogenizer:
    """Load a solver by name.

    Raises:
        InputError: when there is none of this name.
    """
    for point in entry_points(group="hashigo.homogenizers", name=name):
        found: Homogenizer = point.load()
        return found
    if not homogenizer_names():
        raise MissingComponent(
            "no homogenisation solver is registered: this installation is older than its source",
            fix="install it again, e.g. pip install --no-deps -e .",
        )
    raise InputError(
        f"homogenisation solver '{name}' is not known", fix=f"choose one of: {', '.join(homogenizer_names())}"
    )
