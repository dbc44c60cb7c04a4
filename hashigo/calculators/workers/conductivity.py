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
from numpy.typing import NDArray
from phonopy import Phonopy

from hashigo.calculators.frames import Frame, read_frames, read_header
from hashigo.calculators.workers.extrapolation import departure
from hashigo.calculators.workers.farm import wait_for_all
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.conductivity_result import CrossCheck, Result, write
from hashigo.calculators.workers.lattice.conductivity_settings import DEFAULTS, check_settings
from hashigo.calculators.workers.lattice.crystal import read_structure
from hashigo.calculators.workers.lattice.force_constants import (
    Dataset,
    Fit,
    ForceConstants,
    build_lattice,
    first_snapshots,
    random_dataset,
)
from hashigo.calculators.workers.lattice.mesh_run import (
    coarse_modes,
    expected_meshes,
    isotropic,
    mesh_series,
    other_methods,
)
from hashigo.calculators.workers.lattice.polar import Polar, read_polar
from hashigo.calculators.workers.lattice.reference_conductivity import from_reference, reference_crystal
from hashigo.calculators.workers.lattice.reference_frames import reference_fit
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells, read_relaxed
from hashigo.calculators.workers.lattice.renormalised import read_renormalised
from hashigo.calculators.workers.lattice.settle import Settled, is_open, settle
from hashigo.calculators.workers.lattice.transport import Modes, build_anharmonic
from hashigo.calculators.workers.lattice.wave_vectors import Work
from hashigo.calculators.workers.polynomial import committee_for
from hashigo.calculators.workers.potential import Committee, Model
from hashigo.calculators.workers.saved import Saved
from hashigo.calculators.workers.stopping import Stop
from hashigo.errors import InputError

TASK_VERSION = 6

Floats = NDArray[np.float64]

__all__ = ["DEFAULTS", "TASK_VERSION", "check_settings", "compute", "cross_check", "run"]

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
            second = _renormalised(job, settings)
            result = compute(committee, cells, settings, structure, frames, work, polar, job, second)
        if result is not None:
            outside = None
            if settings["force_constants"] != "reference":
                moved = first_snapshots(cells.mean, settings)
                outside = departure(job.inputs, committee, moved, "the displaced supercell")
            write(job.output, result, settings, TASK_VERSION, outside)
        work.comm.bcast(None)  # partial results are removed when the result is there


def _renormalised(job: Job, settings: Mapping[str, Any]) -> Floats | None:
    """Second-order force constants of the stage "sscha", where the study wants them."""
    if settings["force_constants"] != "sscha":
        return None
    if "sscha" not in job.inputs:
        raise InputError(
            "conductivity.force_constants is 'sscha', but there are no renormalised force constants",
            fix="give the study a section sscha",
        )
    return read_renormalised(job.inputs["sscha"], float(settings["temperatures"][0]), settings["supercell"])


class _Progress:
    """Work done and to do on this rank, in pairs of wave vectors."""

    def __init__(self, job: Job | None, settings: Mapping[str, Any], models: int, size: int) -> None:
        self._job = job
        each = _FIT_COST + float(settings["coarse_mesh"]) ** 6
        meshes = [float(mesh) ** 6 for mesh in expected_meshes(settings)]
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
    second: Floats | None = None,
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
        second: force constants of second order that replace those of every model, compact, shape
            (n_primitive, n_supercell, 3, 3), eV/Å^2; the committee's spread is then that of the third order alone.

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
    found_settings, mean = _settled(committee, cells, settings, work, polar)
    settings = settings if found_settings is None else found_settings.settings(settings)
    if second is not None:
        mean = None  # of the harmonic force constants
    constants, coarse = _committee_modes(committee, cells, settings, work, progress, polar, mean, second)
    check: CrossCheck | str | None = None
    if comm.rank == comm.size - 1 and structure is not None and frames:
        check = cross_check(structure, committee.mean, frames, settings, polar)
    crystal = build_anharmonic(cells.mean, settings["supercell"], comm.bcast(constants), polar=polar)
    series, kept, stopped = mesh_series(
        crystal, coarse.get(0), settings, replace(work, progress=progress.mesh)
    )
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
        source="potential" if second is None else "sscha",
        settled=found_settings,
        stopped=stopped,
        beyond=beyond,
    )


def _settled(
    committee: Committee, cells: RelaxedCells, settings: Mapping[str, Any], work: Work, polar: Polar | None
) -> tuple[Settled | None, tuple[ForceConstants, Modes] | None]:
    """Supercells and cut-off, where they are to be found, on every rank; and on rank 0 what was found with them."""
    if not is_open(settings):
        return None, None
    mean: tuple[ForceConstants, Modes] | None = None
    found: Settled | None = None
    if work.comm.rank == 0:
        kept, constants = work.saved.load("settled"), _constants(work.saved.load("constants"))
        modes = work.saved.load("model-0")
        if kept is not None and constants is not None and modes is not None:
            found, mean = Settled.of(kept), (constants, Modes.of(modes))
        else:
            found, fitted, coarse = settle(committee.mean, cells.mean, settings, polar)
            mean = (fitted, coarse)
            _keep_mean(work.saved, *mean)
            work.saved.save("settled", found.arrays())
    wait_for_all(work.comm)
    return work.comm.bcast(found), mean


def _committee_modes(
    committee: Committee,
    cells: RelaxedCells,
    settings: Mapping[str, Any],
    work: Work,
    progress: _Progress,
    polar: Polar | None,
    known: tuple[ForceConstants, Modes] | None,
    second: Floats | None,
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
        # What is kept of the mean model may be harmonic.
        own_second = second is not None and index == 0
        constants = _constants(work.saved.load("constants")) if index == 0 and not own_second else None
        modes_kept = None if own_second else work.saved.load(f"model-{index}")
        if index == 0 and known is not None:
            constants, modes[0] = known
        elif modes_kept is not None and (index > 0 or constants is not None):
            modes[index] = Modes.of(modes_kept)
        else:
            lattice = build_lattice(atoms[index], settings["supercell"])
            if fit is None or not fit.serves(lattice):
                fit = Fit(lattice, 3, settings["cutoff"])
            constants = fit.solve(_snapshots(models[index], lattice, settings))
            if second is not None:
                constants = ForceConstants(second, constants.third)
            crystal = build_anharmonic(atoms[index], settings["supercell"], constants, polar=polar)
            modes[index] = coarse_modes(crystal, settings)
            if index == 0 and second is None:
                _keep_mean(work.saved, constants, modes[0])
            elif index > 0:
                work.saved.save(f"model-{index}", modes[index].arrays())
        mean = constants if index == 0 else mean
        progress.model(int(settings["coarse_mesh"]))
    work.go_on(len(modes) == len(own), "models of the committee are")
    return mean, modes


def _keep_mean(saved: Saved, constants: ForceConstants, modes: Modes) -> None:
    assert constants.third is not None
    saved.save("constants", {"second": constants.second, "third": constants.third})
    saved.save("model-0", modes.arrays())


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
