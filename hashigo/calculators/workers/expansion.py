"""Task "expansion": quasi-harmonic thermal expansion, by the potential and its committee or by the reference's frames.

The cell of least Gibbs energy at each temperature is found on a grid of cells, each with its static energy and the free
energy of its vibrations: one volume parameter for cubic crystals, the edges a and c for uniaxial ones, and for others
the volume with the shape relaxed at each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from hashigo.calculators.frames import Frame, read_frames, read_header
from hashigo.calculators.workers.extrapolation import departure
from hashigo.calculators.workers.job import Job, SerialComm
from hashigo.calculators.workers.lattice.cell_grid import (
    CUBIC,
    RELAXED,
    SCALED,
    deformed,
    family,
    grid_points,
    relaxed_cell,
)
from hashigo.calculators.workers.lattice.crystal import read_structure
from hashigo.calculators.workers.lattice.expansion_result import Computed, Result, write
from hashigo.calculators.workers.lattice.free_energy import Vibrations, vibrations
from hashigo.calculators.workers.lattice.polar import Polar, read_polar
from hashigo.calculators.workers.lattice.quasiharmonic import Grid, fewest
from hashigo.calculators.workers.lattice.reference_volumes import FEWEST, reference_points, spot_check
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells, read_relaxed
from hashigo.calculators.workers.polynomial import committee_for
from hashigo.calculators.workers.potential import Committee, Model
from hashigo.errors import InputError

TASK_VERSION = 3

#: Parameters and their defaults: temperatures in K, pressure in GPa, displacement in Å, imaginary_tolerance in THz.
DEFAULTS: dict[str, Any] = {
    "potential": None,
    "force_constants": "potential",
    "temperatures": [300.0],
    "pressure": 0.0,
    "volumes": 9,
    "volume_range": [0.95, 1.06],
    "supercell": [2, 2, 2],
    "displacement": 0.03,
    "mesh": 19,
    "tolerance": 0.05,
    "imaginary_tolerance": -0.1,
}

#: Largest force left on an atom in a cell of the grid, eV/Å.
FORCE_TOLERANCE = 1e-5


def run(job: Job) -> None:
    """Compute the expansion around the relaxed cells of the input "elasticity".

    Raises:
        InputError: when parameters or inputs do not fit.
        WorkerError: when a cell of the grid does not relax.
    """
    settings = check_settings(job.parameters)
    structure = read_structure(job.inputs["structure"])
    cells = read_relaxed(job.inputs["elasticity"])
    elements = sorted(set(structure.get_chemical_symbols()))
    committee = committee_for(job.inputs, settings["potential"], elements)
    frames = read_frames(job.inputs["frames"]) if "frames" in job.inputs else []
    polar = read_polar(read_header(job.inputs["frames"])) if "frames" in job.inputs else None
    if settings["force_constants"] == "reference":
        result = from_reference(structure, frames, settings, polar) if job.is_root else None
    else:
        result = compute(committee, cells, settings, job, polar)
    if result is None:
        return
    if frames:
        result.spot_check = spot_check(structure, frames, committee.mean)
    outside = None
    if settings["force_constants"] == "potential":
        result.reference = cross_check(structure, frames, settings, polar)
        corners = grid_points(family(cells.mean), 2, settings["volume_range"])
        ends = [deformed(cells.mean, point) for point in corners]
        outside = departure(job.inputs, committee, ends, "the smallest or largest cell")
    write(job.output, result, settings, TASK_VERSION, outside)


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check them.

    Args:
        parameters: any of `DEFAULTS`; temperatures in K, pressure in GPa, displacement in Å.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"expansion.{unknown[0]} is not a parameter of the stage", fix=f"known are {', '.join(DEFAULTS)}"
        )
    settings = {**DEFAULTS, **parameters}
    low, high = settings["volume_range"]
    if not 0.7 <= low < 1 < high <= 1.3:
        raise InputError(
            f"expansion.volume_range is {[low, high]}; it must hold 1 and lie between 0.7 and 1.3",
            fix=f"set it to {DEFAULTS['volume_range']}",
        )
    if settings["volumes"] < FEWEST:
        raise InputError(
            f"expansion.volumes is {settings['volumes']}, less than {FEWEST}",
            fix=f"set it to {DEFAULTS['volumes']}",
        )
    return settings


def meshes(settings: Mapping[str, Any]) -> tuple[int, int]:
    """The mesh and the coarser one that tells its error, counts of wave vectors along each reciprocal vector."""
    mesh = int(settings["mesh"])
    return mesh, max(2, round(2 * mesh / 3))


def compute(
    committee: Committee,
    cells: RelaxedCells,
    settings: Mapping[str, Any],
    job: Job | None = None,
    polar: Polar | None = None,
) -> Result | None:
    """Expansion by the mean potential and every member, each around its own relaxed cell; ranks share the cells.

    Args:
        committee: mean model and members.
        cells: relaxed by each of them.
        settings: complete, of `check_settings`.
        job: gives communicator and progress; serial without it.
        polar: Born charges of the reference's cell, taken for every cell; None where they are not known.

    Returns:
        The result on rank 0, None on the others.

    Raises:
        InputError: when cells and committee do not belong together, or too many volumes are unstable.
    """
    cells.check(committee)
    comm = job.comm if job is not None else SerialComm()
    kind = family(cells.mean)
    points = grid_points(kind, int(settings["volumes"]), settings["volume_range"])
    models: list[Model] = [committee.mean, *committee.members]
    starts = [cells.mean, *cells.members]
    # The mean's vibrations in a larger supercell come last: they tell the supercell's error.
    larger = [int(n) + 1 for n in settings["supercell"]]
    tasks = [(index, settings["supercell"], at) for index in range(len(models)) for at in range(len(points))]
    tasks += [(0, larger, at) for at in range(len(points))]
    own: dict[int, Computed] = {}
    for number in range(comm.rank, len(tasks), comm.size):
        if job is not None:
            job.progress(number, len(tasks), "cells of the thermal expansion")
        index, supercell, at = tasks[number]
        own[number] = one_cell(models[index], starts[index], points[at], kind, supercell, settings, polar)
    parts = comm.gather(own, root=0)
    if comm.rank != 0:
        return None
    found = {number: value for part in parts for number, value in part.items()}
    count = len(points)
    sets = [[found[first + at] for at in range(count)] for first in range(0, len(tasks), count)]
    whose = ["", *[f" by member {i}" for i in range(len(committee.members))], f" in a supercell {larger}"]
    unstable = [
        _unstable(one, settings, points.shape[1], whom) for one, whom in zip(sets, whose, strict=True)
    ]
    grids = [assemble(points, one).without(left) for one, left in zip(sets, unstable, strict=True)]
    coarse = assemble(points, sets[0], row=1).without(unstable[0])
    return Result(
        formula=cells.mean.get_chemical_formula(),
        atoms=cells.mean,
        kind=kind,
        mean=grids[0],
        coarse=coarse,
        larger=grids[-1],
        members=grids[1:-1],
        left_out=[float(np.linalg.det(sets[0][at].lattice)) for at in unstable[0]],
        calibrated=committee.calibrated,
        polar=polar,
    )


def _unstable(
    cells: Sequence[Computed], settings: Mapping[str, Any], n_parameters: int = 1, whose: str = ""
) -> list[int]:
    """Points with an imaginary mode, which count for nothing; too few others are an error.

    Args:
        cells: in the order of the points.
        settings: complete, of `check_settings`.
        n_parameters: count of strain parameters.
        whose: says in the message which of the grids it is.
    """
    limit = float(settings["imaginary_tolerance"])
    unstable = [at for at, cell in enumerate(cells) if cell.vibrations.minimum < limit]
    if len(cells) - len(unstable) < fewest(n_parameters):
        lowest = min(cell.vibrations.minimum for cell in cells)
        raise InputError(
            f"{len(unstable)} of {len(cells)} cells of the thermal expansion have imaginary modes{whose}, down to "
            f"{lowest:.2f} THz: a quasi-harmonic crystal must be stable",
            fix="narrow expansion.volume_range, or check the structure's phase",
        )
    return unstable


def one_cell(
    model: Model,
    start: Atoms,
    point: Any,
    kind: str,
    supercell: Sequence[int],
    settings: Mapping[str, Any],
    polar: Polar | None,
) -> Computed:
    """Static energy and vibrations of one cell of the grid.

    Args:
        model: the potential.
        start: its relaxed conventional cell; lengths in Å.
        point: strain parameters, shape (n_parameters,), dimensionless.
        kind: of `cell_grid.family`.
        supercell: repeats, shape (3,), count.
        settings: complete, of `check_settings`.
        polar: Born charges of the crystal.
    """
    cell = relaxed_cell(model, deformed(start, point), FORCE_TOLERANCE, shape=kind == RELAXED)
    found = vibrations(
        model,
        cell.atoms,
        supercell,
        float(settings["displacement"]),
        meshes(settings),
        settings["temperatures"],
        polar,
    )
    return Computed(cell.atoms.cell.array, cell.energy, found)


def assemble(points: Any, cells: Sequence[Computed], row: int = 0) -> Grid:
    """A grid of computed cells.

    Args:
        points: strain parameters, shape (n_points, n_parameters), dimensionless.
        cells: in the order of the points.
        row: index of the mesh.
    """

    def stack(name: str) -> Any:
        return np.array([getattr(cell.vibrations, name)[row] for cell in cells])

    return Grid(
        points,
        np.array([cell.lattice for cell in cells]),
        np.array([cell.energy for cell in cells]),
        cells[0].vibrations.temperatures,
        stack("helmholtz"),
        stack("entropy"),
        stack("heat_capacity"),
    )


def from_reference(
    structure: Atoms, frames: Sequence[Frame], settings: Mapping[str, Any], polar: Polar | None = None
) -> Result:
    """Expansion wholly from the reference's frames: no potential, hence no committee.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        frames: of the reference.
        settings: complete, of `check_settings`.
        polar: Born charges, where known.

    Raises:
        InputError: when the frames hold too few volumes, or too many of them are unstable.
    """
    found = reference_points(structure, frames, meshes(settings), settings["temperatures"], polar)
    points = np.log([[group.atoms.get_volume() / structure.get_volume()] for group, _ in found])
    cells = [Computed(group.atoms.cell.array, float(group.energy or 0.0), vib) for group, vib in found]
    unstable = _unstable(cells, settings)
    kind = family(structure)
    return Result(
        formula=structure.get_chemical_formula(),
        atoms=structure,
        kind=kind if kind == CUBIC else SCALED,
        mean=assemble(points, cells).without(unstable),
        coarse=assemble(points, cells, row=1).without(unstable),
        left_out=[float(np.linalg.det(cells[at].lattice)) for at in unstable],
        source="reference",
        polar=polar,
    )


def cross_check(
    structure: Atoms, frames: Sequence[Frame], settings: Mapping[str, Any], polar: Polar | None = None
) -> Grid | str:
    """The grid of the reference's frames where they hold one, or why there is none; beside the potential's.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        frames: of the reference.
        settings: complete, of `check_settings`.
        polar: Born charges, where known.
    """
    if not frames:
        return "no reference frames were given"
    try:
        return from_reference(structure, frames, settings, polar).mean
    except InputError as error:
        return error.message


__all__ = [
    "DEFAULTS",
    "TASK_VERSION",
    "Vibrations",
    "check_settings",
    "compute",
    "cross_check",
    "from_reference",
    "run",
]
