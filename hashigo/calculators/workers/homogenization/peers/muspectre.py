"""muSpectre as a second implementation: run by another interpreter, which has it in an environment of its own.

It is LGPL, brings its own copy of the library muGrid, and is never imported here.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hashigo.calculators.workers.homogenization.interface import (
    ROTATED,
    Homogenizer,
    Outcome,
    PeriodicProblem,
)
from hashigo.errors import InputError, MissingComponent, WorkerError

#: Names the interpreter that has muSpectre.
VARIABLE = "HASHIGO_MUSPECTRE_PYTHON"
#: Where `make peers` puts it.
ENVIRONMENT = Path(".venv-muspectre")

#: Discretisations: "rotated" is ours; "fourier" is muSpectre's default, and the only one for conductivity. Both want
#: odd numbers of voxels: on even ones muSpectre's rotated scheme is off by 1e-4 and more.
SCHEMES = {
    "rotated": ROTATED,
    "fourier": "trigonometric polynomials",
    "tetrahedra": "five linear tetrahedra a voxel",
}
_SCRIPT = Path(__file__).with_name("muspectre_script.py")
_OBTAIN = (
    f"python3 -m venv {ENVIRONMENT} && {ENVIRONMENT}/bin/pip install muSpectre==0.27.0 numpy scipy, and give "
    f"{ENVIRONMENT}/bin/python"
)


def find_python(given: str | Path | None = None) -> Path:
    """The interpreter that has muSpectre: the one given, that of HASHIGO_MUSPECTRE_PYTHON, or .venv-muspectre.

    Args:
        given: path of an interpreter; None to look for one.

    Raises:
        MissingComponent: when there is none.
    """
    named = given or os.environ.get(VARIABLE)
    path = Path(named) if named else ENVIRONMENT / "bin" / "python"
    if not path.is_file():
        where = f"'{path}' is no file" if named else f"neither {VARIABLE} nor {ENVIRONMENT} is there"
        raise MissingComponent(f"no interpreter with muSpectre: {where}", fix=_OBTAIN)
    # Not resolved: a virtual environment is known by the path of its link.
    return path.absolute()


def run(
    problem: PeriodicProblem,
    tolerance: float,
    python: str | Path | None = None,
    *,
    scheme: str = "fourier",
    energies: bool = False,
) -> Outcome:
    """Effective tensor by muSpectre's projection-based conjugate gradients, every load from zero.

    Args:
        problem: what to homogenise, without rigid phases.
        tolerance: relative residual of each load, dimensionless.
        python: interpreter that has muSpectre; None to look for one.
        scheme: a key of SCHEMES.
        energies: also the tensor from energies of pairs of solutions.

    Returns:
        Tensor of mean fluxes, as muSpectre's users compute it; times are those of the solution alone, and the memory
        is the most of its process up to the end of the first solution.

    Raises:
        InputError: when the scheme is not known, or wants odd numbers of voxels.
        MissingComponent: when there is no interpreter with muSpectre.
        WorkerError: when it does not converge.
    """
    _check(problem, scheme)
    executable = find_python(python)
    with tempfile.TemporaryDirectory(prefix="hashigo-muspectre-") as folder:
        source, target = Path(folder) / "problem.npz", Path(folder) / "outcome.npz"
        given: dict[str, Any] = {"phase": problem.phase, "table": problem.table, "scheme": scheme}
        given |= {"tolerance": tolerance, "energies": energies}
        if problem.eigenstrain is not None:
            given["eigenstrain"] = problem.eigenstrain
        np.savez(source, **given)
        # From the standard input: beside the script lie modules that others could be taken for.
        done = subprocess.run(
            [str(executable), "-", str(source), str(target)],
            input=_SCRIPT.read_text(encoding="utf-8"),
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        if done.returncode != 0:
            raise _failure(executable, done.stderr)
        with np.load(target) as found:
            return _outcome(found, SCHEMES[scheme])


def _check(problem: PeriodicProblem, scheme: str) -> None:
    if scheme not in SCHEMES:
        raise InputError(
            f"muSpectre's scheme '{scheme}' is not known", fix=f"choose one of: {', '.join(SCHEMES)}"
        )
    dataclasses.replace(problem, eigenstrain=None).require_plain("muSpectre", voids=True)
    if problem.loads == 3 and scheme != "fourier":
        # Its projection of gradients takes no other derivative.
        raise InputError(
            f"muSpectre has no scheme '{scheme}' for conductivity, only 'fourier'", fix="choose 'fourier'"
        )
    even = [count for count in problem.phase.shape if count % 2 == 0]
    if scheme != "tetrahedra" and even:
        others = "an odd grid" if problem.loads == 3 else "scheme 'tetrahedra', or an odd grid"
        raise InputError(
            f"muSpectre's scheme '{scheme}' wants odd numbers of voxels, not {even[0]}",
            fix=f"choose {others}",
        )


def _failure(executable: Path, text: str) -> MissingComponent | WorkerError:
    last = (text.strip().splitlines() or ["it said nothing"])[-1]
    if "ModuleNotFoundError" in text:
        return MissingComponent(f"{executable} does not serve for muSpectre: {last}", fix=_OBTAIN)
    told = [line for line in text.splitlines() if "Error" in line]
    return WorkerError(f"muSpectre failed: {told[-1] if told else last}", fix="raise the tolerance")


def _outcome(found: Mapping[str, Any], discretisation: str) -> Outcome:
    return Outcome(
        tensor=found["tensor"],
        iterations=tuple(int(count) for count in found["iterations"]),
        wall=tuple(float(value) for value in found["wall"]),
        cpu=tuple(float(value) for value in found["cpu"]),
        memory=int(found["memory"]),
        memory_before=int(found["memory_before"]),
        energies=found.get("energies"),
        discretisation=discretisation,
        held_stress=found.get("held_stress"),
    )


def solve(problem: PeriodicProblem, tolerance: float, options: Mapping[str, Any]) -> Outcome:
    """As `run`, with options "python" and "scheme".

    Args:
        problem: what to homogenise.
        tolerance: relative residual of each load, dimensionless.
        options: interpreter and scheme, where given.
    """
    odd = all(count % 2 for count in problem.phase.shape)
    best = "fourier" if problem.loads == 3 else "rotated" if odd else "tetrahedra"
    scheme = options.get("scheme") or best
    return run(problem, tolerance, options.get("python"), scheme=scheme, energies=True)


HOMOGENIZER = Homogenizer(
    name="muspectre",
    title="muSpectre",
    discretisation="that of option scheme",
    solve=solve,
    options={
        "python": f"interpreter that has muSpectre; else that of {VARIABLE}",
        "scheme": "; ".join(SCHEMES),
    },
)
