"""The same periodic problem by ours and by another solver."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hashigo.calculators.workers.homogenization.interface import (
    Homogenizer,
    Outcome,
    PeriodicProblem,
)
from hashigo.calculators.workers.homogenization.peers import own
from hashigo.calculators.workers.homogenization.tensors import Floats, mandel_to_voigt
from hashigo.errors import InputError

#: Says in a folder of another code's files which problem they are of.
RECORD = "hashigo-crosscheck.json"


@dataclass(frozen=True)
class Comparison:
    """Effective tensors of one problem by two solvers.

    Attributes:
        solver: the other one.
        outcome: what it found.
        ours: shape (6, 6), Voigt stiffness in GPa, or (3, 3), conductivity in W/(m K).
        theirs: shape and unit of `ours`.
        discretisation: of ours.
    """

    solver: Homogenizer
    outcome: Outcome
    ours: Floats
    theirs: Floats
    discretisation: str

    @property
    def differences(self) -> Floats:
        """Theirs less ours, relative to the largest entry of ours, shape of `ours`, dimensionless."""
        return np.asarray((self.theirs - self.ours) / np.abs(self.ours).max())

    @property
    def largest(self) -> float:
        """Largest of the differences, dimensionless."""
        return float(np.abs(self.differences).max())

    @property
    def other_discretisation(self) -> str:
        """That of the other solver."""
        return self.outcome.discretisation or self.solver.discretisation

    @property
    def same_equations(self) -> bool:
        """Whether both discretisations are the same, so that nothing but rounding and tolerance is between them."""
        return self.discretisation == self.other_discretisation


def compare(solver: Homogenizer, outcome: Outcome, problem: PeriodicProblem, found: Floats) -> Comparison:
    """Put two answers side by side.

    Args:
        solver: the other one.
        outcome: what it found.
        problem: that was solved.
        found: by ours, shape (6, 6), Mandel, GPa, or (3, 3), W/(m K).

    Raises:
        InputError: when the other's has entries that are no numbers.
    """
    theirs = outcome.tensor if outcome.energies is None else outcome.energies
    if not np.isfinite(theirs).all():
        raise InputError(f"the result of {solver.title} has entries that are no numbers (NaN or infinite)")
    theirs = 0.5 * (theirs + theirs.T)
    if problem.loads == 6:
        found, theirs = mandel_to_voigt(found), mandel_to_voigt(theirs)
    return Comparison(solver, outcome, found, theirs, own.discretisation(problem))


def outcome_of(
    solver: Homogenizer,
    problem: PeriodicProblem,
    tolerance: float,
    folder: Path,
    options: Mapping[str, Any],
) -> Outcome | None:
    """What another solver finds; where it runs elsewhere, its files are written as long as there is no result.

    Args:
        solver: another one.
        problem: to solve.
        tolerance: relative residual, dimensionless.
        folder: of the files of a solver that runs elsewhere; made where it is missing.
        options: for one that runs at once.

    Returns:
        None when files were written, and the solver is to be started on them.

    Raises:
        InputError: when the folder is of another problem, or of something else: nothing there is overwritten.
    """
    unknown = [name for name, value in options.items() if value is not None and name not in solver.options]
    if unknown:
        raise InputError(f"{solver.title} has no option '{unknown[0]}'", fix="leave it out")
    if solver.solve is not None:
        return solver.solve(problem, tolerance, options)
    assert solver.write is not None
    assert solver.read is not None
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a folder was expected", fix="give another --folder")
    record, digest = folder / RECORD, {"solver": solver.name, "problem": _digest(problem)}
    if record.is_file() and json.loads(record.read_text(encoding="utf-8")) != digest:
        raise InputError(f"{folder} holds files of another problem or solver", fix="give another --folder")
    if not record.is_file() and folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} holds files that are of no crosscheck", fix="give another --folder")
    if record.is_file():
        found = solver.read(folder, problem)
        if found is not None:
            return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        solver.write(problem, tolerance, folder)
        record.write_text(json.dumps(digest) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"files cannot be written into {folder}: {error.strerror or error}", fix="give another --folder"
        ) from None
    return None


def _digest(problem: PeriodicProblem) -> str:
    """Of what the problem is; tensors that differ by rounding are the same."""
    hashed = hashlib.sha256(np.ascontiguousarray(problem.phase, dtype="<i4").tobytes())
    hashed.update(str(problem.phase.shape).encode())
    table = np.where(np.isfinite(problem.table), problem.table, 0.0)
    hashed.update(problem.rigid.tobytes())
    largest = float(np.abs(table).max())
    hashed.update(f"{largest:.8e}".encode())
    hashed.update(np.round(table / largest, 9).astype("<f8").tobytes())
    return hashed.hexdigest()
