"""FANS (0.6) as a second implementation: its input files, and its results.

Its hexahedra, with reduced integration or, where there are voids, with full one, are our discretisation.

Source: Leuschner and Fritzen, Comput. Mech. 62, 359 (2018); keys as in the sources of FANS 0.6.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hashigo.calculators.workers.homogenization.interface import (
    ROTATED,
    Homogenizer,
    Outcome,
    PeriodicProblem,
)
from hashigo.calculators.workers.homogenization.peers.own import discretisation
from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.errors import InputError

INPUT, MICROSTRUCTURE, RESULT = "input.json", "microstructure.h5", "results.h5"
DATASET = "/phase"
#: FANS orders Mandel components xx, yy, zz, xy, xz, yz.
ORDER = [0, 1, 2, 5, 4, 3]
#: Largest number of phases that fits its 16-bit indices.
MOST_PHASES = 65536


def _to_theirs(tensors: Floats) -> Floats:
    """Tensors in FANS's order of components, which is its own inverse."""
    if tensors.shape[-1] != 6:
        return tensors
    return tensors[..., ORDER, :][..., ORDER]


def write(problem: PeriodicProblem, tolerance: float, folder: Path) -> list[Path]:
    """Write input and microstructure.

    Args:
        problem: without eigenstrain.
        tolerance: relative, of the largest force on a node, dimensionless.
        folder: that is there.

    Returns:
        The files.

    Raises:
        InputError: when FANS cannot be given this problem.
    """
    nz, _, nx = problem.phase.shape
    problem.require_plain("FANS", voids=True)
    if nx < 4 or (nx % 2 and nz % 2):
        raise InputError(
            f"FANS wants four voxels along x or more, and an even number along x or z, not {nx} and {nz}",
            fix="choose another grid, or check against muspectre",
        )
    # Its phases are numbered without gaps.
    used, phase = np.unique(problem.phase, return_inverse=True)
    if len(used) > MOST_PHASES:
        raise InputError(f"FANS takes {MOST_PHASES} phases at most, not {len(used)}", fix="take fewer grains")
    with h5py.File(folder / MICROSTRUCTURE, "w") as file:
        data = phase.reshape(problem.phase.shape).astype(np.uint16)
        file.create_dataset(DATASET, data=data).attrs["permute_order"] = "zyx"
    content = _input(problem, tolerance, problem.table[used])
    (folder / INPUT).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return [folder / INPUT, folder / MICROSTRUCTURE]


def _input(problem: PeriodicProblem, tolerance: float, table: Floats) -> dict[str, Any]:
    elastic = problem.loads == 6
    tensors = _to_theirs(table)
    letter = "C" if elastic else "K"
    properties = {
        f"{letter}_{i + 1}{j + 1}": [float(f"{value:.15g}") for value in tensors[:, i, j]]
        for i in range(problem.loads)
        for j in range(i, problem.loads)
    }
    nz, ny, nx = problem.phase.shape
    return {
        "microstructure": {
            "filepath": MICROSTRUCTURE,
            "datasetname": DATASET,
            "L": [float(nx), float(ny), float(nz)],
        },
        "problem_type": "mechanical" if elastic else "thermal",
        "strain_type": "small",
        "materials": [
            {
                "phases": list(range(len(table))),
                "matmodel": "LinearElasticTriclinic" if elastic else "LinearThermalTriclinic",
                "material_properties": properties,
            }
        ],
        "FE_type": "HEX8R" if discretisation(problem) == ROTATED else "HEX8",
        "method": "cg",
        "error_parameters": {"measure": "Linfinity", "type": "relative", "tolerance": tolerance},
        "n_it": 2000,
        "macroscale_loading": [[load] for load in np.eye(problem.loads).tolist()],
        "results": ["stress_average", "strain_average", "absolute_error"],
    }


def how(folder: Path) -> str:
    """How to start FANS on the files."""
    return f"in {folder}: mpiexec -n 1 FANS {INPUT} {RESULT}"


def read(folder: Path, problem: PeriodicProblem) -> Outcome | None:
    """The tensor of the mean fluxes in a result of FANS; None as long as there is none.

    Args:
        folder: where FANS was started.
        problem: that was written there.

    Raises:
        InputError: when the file is of another problem, or ends before the last load.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    tensor, iterations = np.empty((problem.loads, problem.loads)), []
    try:
        with h5py.File(path, "r") as file:
            for row in range(problem.loads):
                name = f"{DATASET}_results/load{row}/time_step0"
                if name not in file or "stress_average" not in file[name]:
                    raise InputError(
                        f"{RESULT} ends before load {row + 1} of {problem.loads}",
                        fix="look at what FANS printed",
                    )
                group = file[name]
                reached = group["strain_average"][()]
                if (
                    reached.shape != (problem.loads,)
                    or not np.abs(reached - np.eye(problem.loads)[row]).max() <= 1e-6
                ):
                    raise InputError(
                        f"{RESULT} is of other loads: load {row + 1} has not the gradient that was written"
                    )
                tensor[row] = group["stress_average"][()]
                iterations.append(len(group["absolute_error"]) - 1)
    except OSError as error:
        raise InputError(f"{RESULT} cannot be read as HDF5: {error}") from None
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{RESULT} is not laid out as FANS does: {error}") from None
    order = ORDER if problem.loads == 6 else [0, 1, 2]
    return Outcome(
        tensor=_to_theirs(tensor),
        iterations=tuple(iterations[load] for load in order),
        discretisation=discretisation(problem),
    )


HOMOGENIZER = Homogenizer(
    name="fans",
    title="FANS",
    discretisation=ROTATED,
    write=write,
    how=how,
    read=read,
)
