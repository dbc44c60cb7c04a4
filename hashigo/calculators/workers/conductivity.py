"""Task "conductivity": lattice thermal conductivity over a series of meshes, with the committee at a coarse one.

The value is that of the finest mesh, from the mean potential or straight from the reference's frames, as the study
says. Its mesh error is estimated from the series; the spread of the committee, or of resampled frames, is taken as
ratios at the coarse mesh, where one costs little.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from phonopy import Phonopy

from hashigo.calculators.frames import Frame, read_frames, read_header
from hashigo.calculators.workers.extrapolation import departure
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.conductivity_result import CrossCheck, Result, write
from hashigo.calculators.workers.lattice.crystal import read_structure
from hashigo.calculators.workers.lattice.force_constants import (
    Dataset,
    Fit,
    ForceConstants,
    build_lattice,
    first_snapshots,
    random_dataset,
    supercell_matrix,
)
from hashigo.calculators.workers.lattice.mesh_run import coarse_modes, isotropic, mesh_series, other_methods
from hashigo.calculators.workers.lattice.mesh_series import check_meshes
from hashigo.calculators.workers.lattice.polar import Polar, read_polar
from hashigo.calculators.workers.lattice.reference_conductivity import from_reference, reference_crystal
from hashigo.calculators.workers.lattice.reference_frames import reference_fit
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells, read_relaxed
from hashigo.calculators.workers.lattice.transport import Modes, build_anharmonic
from hashigo.calculators.workers.lattice.wave_vectors import Work
from hashigo.calculators.workers.polynomial import committee_for
from hashigo.calculators.workers.potential import Committee, Model
from hashigo.calculators.workers.saved import Saved
from hashigo.calculators.workers.stopping import Stop
from hashigo.errors import InputError

TASK_VERSION = 5

#: Parameters and their defaults: displacement in Å, temperatures in K, tolerance relative.
DEFAULTS: dict[str, Any] = {
    "potential": None,
    "force_constants": "potential",
    "supercell": [2, 2, 2],
    "snapshots": 20,
    "displacement": 0.03,
    "meshes": [7, 9, 11, 13],
    "coarse_mesh": 7,
    "temperatures": [300.0],
    "isotopes": True,
    "boundary": None,
    "cutoff": None,
    "beyond_relaxation": True,
    "tolerance": 0.05,
    "seed": 0,
}

#: Cost of force constants, in the unit of a mesh: that of 8^6 pairs of wave vectors.
_FIT_COST = 8.0**6


def run(job: Job) -> None:
    """Compute the conductivity at the relaxed cells of the input "elasticity" with the input "potential".

    Raises:
        InputError: when parameters or inputs do not fit.
        WorkerError: when a computation gives no finite numbers.
    """
    # Read when phono3py first uses its thread pool; ranks with more threads than cores would be slower than without.
    os.environ["RAYON_NUM_THREADS"] = str(job.threads)
    settings = check_settings(job.parameters)
    cells = read_relaxed(job.inputs["elasticity"])
    elements = sorted(set(cells.mean.get_chemical_symbols()))
    committee = committee_for(job.inputs, settings["potential"], elements)
    structure, frames, polar = None, [], None
    if "frames" in job.inputs and "structure" in job.inputs:
        structure, frames = read_structure(job.inputs["structure"]), read_frames(job.inputs["frames"])
        polar = read_polar(read_header(job.inputs["frames"]))
    if settings["force_constants"] == "reference" and (structure is None or not frames):
        raise InputError(
            "conductivity.force_constants is 'reference', but there are no reference frames",
            fix="give frames, or set it to 'potential'",
        )
    with Stop(job.walltime, job.begun) as stop, Saved.of(job, TASK_VERSION) as saved:
        work = Work(job.comm, saved, lambda: stop.reason)
        if settings["force_constants"] == "reference":
            assert structure is not None
            result = from_reference(
                structure, committee.mean, frames, settings, work, polar,
                lambda done, text: job.progress(done, 1.0, text),
            )  # fmt: skip
        else:
            result = compute(committee, cells, settings, structure, frames, work, polar, job)
        if result is not None:
            outside = None
            if settings["force_constants"] == "potential":
                moved = first_snapshots(cells.mean, settings)
                outside = departure(job.inputs, committee, moved, "the displaced supercell")
            write(job.output, result, settings, TASK_VERSION, outside)
        work.comm.bcast(None)  # partial results are removed when the result is there


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
    if settings["force_constants"] not in ("potential", "reference"):
        raise InputError(
            f"conductivity.force_constants is '{settings['force_constants']}'",
            fix="set it to 'potential' or 'reference'",
        )
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
    for name in ("boundary", "cutoff"):
        if settings[name] is not None and not settings[name] > 0:
            raise InputError(
                f"conductivity.{name} is {settings[name]}, and must be positive",
                fix="leave it out, or set a length",
            )
    if not settings["tolerance"] > 0:
        raise InputError(
            f"conductivity.tolerance is {settings['tolerance']}, and must be positive", fix="set it to 0.05"
        )
    return settings


class _Progress:
    """Work done and to do on this rank, in pairs of wave vectors."""

    def __init__(self, job: Job | None, settings: Mapping[str, Any], models: int, size: int) -> None:
        self._job = job
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
    work: Work | None = None,
    polar: Polar | None = None,
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
        work: how it is shared and kept; by default serial and nowhere.
        polar: Born charges of the reference's cell, taken for every cell; None where they are not known.
        job: is told the progress.

    Returns:
        The result on rank 0, None on the others.

    Raises:
        InputError: when cells and committee do not belong together.
        PartialResult: when the job is to end before all is done; on every rank.
    """
    cells.check(committee)
    work = work or Work()
    comm = work.comm
    progress = _Progress(job, settings, 1 + len(cells.members), comm.size)
    constants, coarse = _committee_modes(committee, cells, settings, work, progress, polar)
    check: CrossCheck | str | None = None
    if comm.rank == comm.size - 1 and structure is not None and frames:
        check = cross_check(structure, committee.mean, frames, settings, polar)
    crystal = build_anharmonic(cells.mean, settings["supercell"], comm.bcast(constants), polar=polar)
    series, kept = mesh_series(crystal, coarse.get(0), settings, replace(work, progress=progress.mesh))
    beyond = other_methods(crystal, settings) if comm.rank == 0 else ""
    parts = comm.gather((coarse, check), root=0)
    if comm.rank != 0:
        return None
    found = {index: modes for part, _ in parts for index, modes in part.items()}
    members = [found[index] for index in range(1, len(found))]
    progress.tell(np.inf, "conductivity")
    fine = kept.pop(int(series.meshes[-1]))
    return Result(
        series,
        fine,
        kept,
        found[0],
        members,
        parts[-1][1] or "no reference frames were given",
        polar=polar,
        symbols=tuple(cells.mean.get_chemical_symbols()),
        calibrated=committee.calibrated,
        beyond=beyond,
    )


def _committee_modes(
    committee: Committee,
    cells: RelaxedCells,
    settings: Mapping[str, Any],
    work: Work,
    progress: _Progress,
    polar: Polar | None,
) -> tuple[ForceConstants | None, dict[int, Modes]]:
    """Coarse modes of this rank's models by index, 0 being the mean's; and the mean's force constants on rank 0."""
    models: list[Model] = [committee.mean, *committee.members]
    atoms = [cells.mean, *cells.members]
    fit: Fit | None = None
    mean: ForceConstants | None = None
    modes: dict[int, Modes] = {}
    own = range(work.comm.rank, len(models), work.comm.size)
    for index in own:
        if work.reason():
            break
        constants = _constants(work.saved.load("constants")) if index == 0 else None
        modes_kept = work.saved.load(f"model-{index}")
        if modes_kept is not None and (index > 0 or constants is not None):
            modes[index] = Modes.of(modes_kept)
        else:
            lattice = build_lattice(atoms[index], settings["supercell"])
            if fit is None or not fit.serves(lattice):
                fit = Fit(lattice, 3, settings["cutoff"])
            constants = fit.solve(_snapshots(models[index], lattice, settings))
            crystal = build_anharmonic(atoms[index], settings["supercell"], constants, polar=polar)
            modes[index] = coarse_modes(crystal, settings)
            if index == 0:
                assert constants.third is not None
                work.saved.save("constants", {"second": constants.second, "third": constants.third})
            work.saved.save(f"model-{index}", modes[index].arrays())
        mean = constants if index == 0 else mean
        progress.model(int(settings["coarse_mesh"]))
    work.go_on(len(modes) == len(own), "models of the committee are")
    return mean, modes


def _constants(kept: dict[str, Any] | None) -> ForceConstants | None:
    return None if kept is None else ForceConstants(kept["second"], kept["third"])


def _snapshots(model: Model, lattice: Phonopy, settings: Mapping[str, Any]) -> Dataset:
    count, distance = int(settings["snapshots"]), float(settings["displacement"])
    return random_dataset(model, lattice, count, distance, int(settings["seed"]), paired=True)


def cross_check(
    structure: Atoms,
    model: Model,
    frames: Sequence[Frame],
    settings: Mapping[str, Any],
    polar: Polar | None = None,
) -> CrossCheck | str:
    """Conductivity at the coarse mesh from the reference's frames and from a model on the same displacements.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        model: the potential.
        frames: of the reference.
        settings: complete, of `check_settings`.
        polar: Born charges of the crystal.

    Returns:
        The two, or a sentence why the frames do not fit the structure or do not determine the third order: only the
        comparison needs them.
    """
    try:
        found = reference_fit(structure, frames, polar)
        if found.third is None:
            return found.lacking
        crystals = [
            reference_crystal(structure, found, constants, polar)
            for constants in (found.solve(), found.model(model))
        ]
    except InputError as error:
        return str(error)
    first, second = (isotropic(coarse_modes(crystal, settings)) for crystal in crystals)
    return CrossCheck(first, second, found.frames)
