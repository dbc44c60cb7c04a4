"""What a mesoscale result keeps of the problems it solved, so that another solver can be given the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.homogenization.interface import PeriodicProblem
from hashigo.calculators.workers.homogenization.tensors import Floats, mandel_to_voigt, voigt_to_mandel
from hashigo.errors import InputError

UNITS = {"stiffness": "GPa", "conductivity": "W/(m K)"}
#: Problems of more phases are not kept: each voxel at a boundary that has a resistance is a phase of its own.
MOST_PHASES = 100_000


def write_problem(
    writer: ResultWriter, name: str, table: Floats, phase: NDArray[np.int32] | None = None
) -> None:
    """Keep the tensors of the first realisation under the first condition, stiffness as Voigt matrices.

    Nothing is kept of a problem of more than MOST_PHASES.

    Args:
        writer: open result file.
        name: "stiffness" or "conductivity".
        table: of each phase in sample axes, shape (n_phases, m, m), GPa (Mandel) or W/(m K).
        phase: phase of each voxel of the whole grid, shape (nz, ny, nx), indices; None where phases are grains.
    """
    if len(table) > MOST_PHASES:
        return
    values = mandel_to_voigt(table) if name == "stiffness" else table
    writer.array(f"problem/{name}/table", values, units=UNITS[name])
    if phase is not None:
        writer.array(f"problem/{name}/phase", phase, units="dimensionless")


def read_problem(reader: ResultReader, name: str) -> tuple[PeriodicProblem, Floats]:
    """The problem of the first realisation under the first condition, and what was found for it.

    Args:
        reader: open result file of the mesoscale.
        name: "stiffness" or "conductivity".

    Returns:
        The problem, and its effective tensor, shape (6, 6), Mandel, GPa, or (3, 3), W/(m K).

    Raises:
        InputError: when the file is of another stage, or does not have the problem.
    """
    if reader.task != "mesoscale":
        raise InputError(
            f"a result of stage '{reader.task}' holds no microstructure", fix="give one of the mesoscale"
        )
    if not reader.has(f"realisations/{name}"):
        raise InputError(f"the mesoscale result holds no {name}", fix="choose another property")
    if not reader.has(f"problem/{name}/table"):
        raise InputError(
            f"the mesoscale result does not keep the {name} of its phases, as those of an earlier version or of more "
            f"than {MOST_PHASES} phases",
            fix="run the study again, with fewer voxels where boundaries have a resistance",
        )
    table, found = reader.array(f"problem/{name}/table"), reader.array(f"realisations/{name}")[0, 0]
    if name == "stiffness":
        table, found = voigt_to_mandel(table), voigt_to_mandel(found)
    phase, rotations = _phases(reader, name, len(table))
    return PeriodicProblem(phase, table, rotations=rotations), found


def _phases(reader: ResultReader, name: str, count: int) -> tuple[NDArray[np.int32], Floats | None]:
    """Phase of each voxel, and the rotations of the phases where these are grains."""
    if reader.has(f"problem/{name}/phase"):
        return reader.array(f"problem/{name}/phase").astype(np.int32), None
    grains: Any = reader.file["VTKHDF/CellData/grain_id"][()]
    quaternions = reader.array("grains/orientation")
    if len(quaternions) != count:
        raise InputError(f"the mesoscale result has {len(quaternions)} grains and {count} tensors")
    return grains.astype(np.int32), np.asarray(Rotation.from_quat(quaternions).as_matrix())
