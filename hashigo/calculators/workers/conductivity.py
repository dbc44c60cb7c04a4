"""Task "conductivity": lattice thermal conductivity over a series of meshes, with the committee at a coarse one.

The value is that of the finest mesh. Its mesh error is estimated from the series, and the committee's spread is taken
as ratios at the coarse mesh, where a member costs little.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame, read_frames
from hashigo.calculators.workers.job import Job, SerialComm
from hashigo.calculators.workers.lattice.conductivity_result import CrossCheck, Result, write
from hashigo.calculators.workers.lattice.crystal import read_structure
from hashigo.calculators.workers.lattice.force_constants import (
    Fit,
    ForceConstants,
    build_lattice,
    model_dataset,
    random_dataset,
    supercell_matrix,
)
from hashigo.calculators.workers.lattice.mesh_series import MeshSeries, check_meshes
from hashigo.calculators.workers.lattice.reference_frames import frames_dataset, frames_supercell
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells, read_relaxed
from hashigo.calculators.workers.lattice.transport import (
    Modes,
    build_anharmonic,
    mode_properties,
)
from hashigo.calculators.workers.polynomial import committee_for
from hashigo.calculators.workers.potential import Committee, Model
from hashigo.errors import InputError

TASK_VERSION = 2

Floats = NDArray[np.float64]

#: Parameters and their defaults: displacement in Å, temperatures in K, tolerance relative.
DEFAULTS: dict[str, Any] = {
    "potential": None,
    "supercell": [2, 2, 2],
    "snapshots": 20,
    "displacement": 0.03,
    "meshes": [7, 9, 11, 13],
    "coarse_mesh": 7,
    "temperatures": [300.0],
    "isotopes": True,
    "tolerance": 0.05,
    "seed": 0,
}

#: Cost of force constants, in the unit of a mesh: that of 8^6 pairs of wave vectors.
_FIT_COST = 8.0**6
#: Meshes at the end of the series whose modes are kept: those that the error is estimated from.
_KEPT = 3
#: Pieces of a mesh after which progress is told.
_BATCHES = 10


def run(job: Job) -> None:
    """Compute the conductivity at the relaxed cells of the input "elasticity" with the input "potential".

    Raises:
        InputError: when parameters or inputs do not fit.
        WorkerError: when a computation gives no finite numbers.
    """
    # Read when phono3py first uses its thread pool.
    os.environ.setdefault("RAYON_NUM_THREADS", str(job.threads))
    settings = check_settings(job.parameters)
    cells = read_relaxed(job.inputs["elasticity"])
    elements = sorted(set(cells.mean.get_chemical_symbols()))
    committee = committee_for(job.inputs, settings["potential"], elements)
    structure, frames = None, []
    if "frames" in job.inputs and "structure" in job.inputs:
        structure, frames = read_structure(job.inputs["structure"]), read_frames(job.inputs["frames"])
    result = compute(committee, cells, settings, structure, frames, job)
    if result is not None:
        write(job.output, result, settings, TASK_VERSION)


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check them.

    Args:
        parameters: any of `DEFAULTS`; displacement in Å, temperatures in K, tolerance dimensionless.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"conductivity.{unknown[0]} is not a parameter of the stage",
            fix=f"known are {', '.join(DEFAULTS)}",
        )
    settings = {**DEFAULTS, **parameters}
    supercell_matrix(settings["supercell"])
    check_meshes(settings["meshes"], "conductivity.meshes")
    check_meshes([settings["coarse_mesh"]], "conductivity.coarse_mesh")
    if not 0 < settings["displacement"] <= 0.5:
        raise InputError(
            f"conductivity.displacement is {settings['displacement']} Å, not a small positive length",
            fix="set it to 0.03",
        )
    if settings["snapshots"] < 1:
        raise InputError(
            f"conductivity.snapshots is {settings['snapshots']}, less than 1", fix="set it to 20"
        )
    if not settings["temperatures"] or min(settings["temperatures"]) <= 0:
        raise InputError(
            f"conductivity.temperatures is {settings['temperatures']}", fix="give temperatures above 0 K"
        )
    if not settings["tolerance"] > 0:
        raise InputError(
            f"conductivity.tolerance is {settings['tolerance']}, and must be positive", fix="set it to 0.05"
        )
    return settings


class _Progress:
    """Work done and to do on this rank, in pairs of wave vectors."""

    def __init__(self, job: Job | None, settings: Mapping[str, Any], models: int) -> None:
        self._job = job
        size = job.comm.size if job is not None else 1
        each = _FIT_COST + float(settings["coarse_mesh"]) ** 6
        meshes = [float(mesh) ** 6 for mesh in settings["meshes"]]
        self._total = -(-models // size) * each + sum(meshes) / size
        self._size = size
        self._done = 0.0

    def model(self, coarse_mesh: int) -> None:
        """One model's force constants and coarse mesh are done."""
        self.add(_FIT_COST + float(coarse_mesh) ** 6, "force constants of the committee")

    def add(self, amount: float, text: str) -> None:
        """An amount is done."""
        self._done += amount
        self.tell(self._done, text)

    def tell(self, done: float, text: str) -> None:
        """Tell an amount without keeping it."""
        if self._job is not None:
            self._job.progress(min(done, self._total), self._total, text)

    def mesh(self, mesh: int, fraction: float) -> None:
        """A fraction of a mesh is done."""
        work = float(mesh) ** 6 / self._size
        self.tell(self._done + fraction * work, f"conductivity, mesh {mesh}")
        if fraction >= 1:
            self._done += work


def compute(
    committee: Committee,
    cells: RelaxedCells,
    settings: Mapping[str, Any],
    structure: Atoms | None = None,
    frames: Sequence[Frame] = (),
    job: Job | None = None,
) -> Result | None:
    """Conductivity by the mean potential, by every member, and from the reference's frames.

    Ranks share the models first, then the wave vectors of each mesh.

    Args:
        committee: mean model and members.
        cells: relaxed by each of them.
        settings: complete, of `check_settings`.
        structure: conventional cell at the reference's lattice constant, lengths in Å; needed with `frames`.
        frames: of the reference, for the cross-check; may be empty.
        job: gives communicator and progress; serial without it.

    Returns:
        The result on rank 0, None on the others.

    Raises:
        InputError: when cells and committee do not belong together.
    """
    cells.check(committee)
    comm = job.comm if job is not None else SerialComm()
    progress = _Progress(job, settings, 1 + len(cells.members))
    constants, coarse = _committee_modes(committee, cells, settings, comm, progress)
    check: CrossCheck | str | None = None
    if comm.rank == comm.size - 1 and structure is not None and frames:
        check = cross_check(structure, committee.mean, frames, settings)
    series, kept = _mesh_series(cells.mean, comm.bcast(constants), coarse.get(0), settings, comm, progress)
    parts = comm.gather((coarse, check), root=0)
    if comm.rank != 0:
        return None
    found = {index: modes for part, _ in parts for index, modes in part.items()}
    members = [found[index] for index in range(1, len(found))]
    progress.tell(np.inf, "conductivity")
    fine = kept.pop(int(series.meshes[-1]))
    return Result(series, fine, kept, found[0], members, parts[-1][1] or "no reference frames were given")


def _committee_modes(
    committee: Committee, cells: RelaxedCells, settings: Mapping[str, Any], comm: Any, progress: _Progress
) -> tuple[ForceConstants | None, dict[int, Modes]]:
    """Coarse modes of this rank's models by index, 0 being the mean's; and the mean's force constants on rank 0."""
    models: list[Model] = [committee.mean, *committee.members]
    atoms = [cells.mean, *cells.members]
    fit: Fit | None = None
    mean: ForceConstants | None = None
    modes: dict[int, Modes] = {}
    for index in range(comm.rank, len(models), comm.size):
        lattice = build_lattice(atoms[index], settings["supercell"])
        if fit is None or not fit.serves(lattice):
            fit = Fit(lattice, 3)
        constants = fit.solve(
            random_dataset(
                models[index],
                lattice,
                int(settings["snapshots"]),
                float(settings["displacement"]),
                int(settings["seed"]),
                paired=True,
            )
        )
        modes[index] = _modes(atoms[index], settings["supercell"], constants, settings)
        mean = constants if index == 0 else mean
        progress.model(int(settings["coarse_mesh"]))
    return mean, modes


def _modes(atoms: Atoms, supercell: Any, constants: ForceConstants, settings: Mapping[str, Any]) -> Modes:
    return mode_properties(
        build_anharmonic(atoms, supercell, constants),
        int(settings["coarse_mesh"]),
        settings["temperatures"],
        isotopes=bool(settings["isotopes"]),
    )


def _mesh_series(
    atoms: Atoms,
    constants: ForceConstants,
    coarse: Modes | None,
    settings: Mapping[str, Any],
    comm: Any,
    progress: _Progress,
) -> tuple[MeshSeries, dict[int, Modes]]:
    """Conductivity over the meshes, and the modes of the last ones; the coarse mesh is not computed again."""
    crystal = build_anharmonic(atoms, settings["supercell"], constants)
    meshes = check_meshes(settings["meshes"], "conductivity.meshes")
    coarse = comm.bcast(coarse)
    values = []
    kept: dict[int, Modes] = {}
    for mesh in (int(number) for number in meshes):
        if mesh == int(settings["coarse_mesh"]):
            modes = coarse
            progress.mesh(mesh, 1.0)
        else:
            modes = mode_properties(
                crystal,
                mesh,
                settings["temperatures"],
                isotopes=bool(settings["isotopes"]),
                comm=comm,
                progress=lambda fraction, mesh=mesh: progress.mesh(mesh, fraction),  # type: ignore[misc]
                batches=_BATCHES,
            )
        assert modes is not None
        values.append(modes.conductivity())
        if mesh in meshes[-_KEPT:]:
            kept[mesh] = modes
    return MeshSeries(meshes, np.array(values)), kept


def cross_check(
    structure: Atoms, model: Model, frames: Sequence[Frame], settings: Mapping[str, Any]
) -> CrossCheck | str:
    """Conductivity at the coarse mesh from the reference's frames and from a model on the same displacements.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        model: the potential.
        frames: of the reference.
        settings: complete, of `check_settings`.

    Returns:
        The two, or a sentence why the frames do not fit the structure or do not determine the third order: only the
        comparison needs them.
    """
    try:
        matrix = frames_supercell(structure, frames)
        lattice = build_lattice(structure, matrix)
        dataset = frames_dataset(lattice, frames)
    except InputError as error:
        return str(error)
    fit = Fit(lattice, 3)
    needed = fit.snapshots_needed(dataset)
    if needed > len(dataset.displacements):
        return f"third-order force constants need {needed} frames; there are {len(dataset.displacements)}"
    traces = [
        _modes(structure, matrix, fit.solve(data), settings).conductivity().trace(axis1=1, axis2=2) / 3
        for data in (dataset, model_dataset(model, lattice, dataset.displacements))
    ]
    return CrossCheck(traces[0], traces[1], len(dataset.displacements))
