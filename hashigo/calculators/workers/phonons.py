"""Task "phonons": bands, density of states and thermal properties by three routes, and properties of single modes.

"symfc": force constants from the reference's displaced frames, at the reference's cell. "reference_cell": the mean
potential on the same displacements, so that what differs is its forces. And, as the result, the mean potential and
every member of its committee, each at its own relaxed cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from hashigo.calculators.frames import Frame, read_frames, read_header
from hashigo.calculators.workers.extrapolation import departure
from hashigo.calculators.workers.job import Job, SerialComm
from hashigo.calculators.workers.lattice.crystal import read_structure
from hashigo.calculators.workers.lattice.elastic import relax
from hashigo.calculators.workers.lattice.fit_quality import check_untold, untold_share
from hashigo.calculators.workers.lattice.force_constants import (
    Fit,
    ForceConstants,
    build_lattice,
    first_snapshots,
    model_dataset,
    random_dataset,
)
from hashigo.calculators.workers.lattice.harmonic import (
    BandPath,
    Phonons,
    band_path,
    difference,
    phonons,
)
from hashigo.calculators.workers.lattice.mode_result import Detail, ModeResult, Thermal, detail, thermal
from hashigo.calculators.workers.lattice.modes import VOLUME_STEP, Volumes, scaled
from hashigo.calculators.workers.lattice.phonon_result import ReferenceRoutes, Result, write
from hashigo.calculators.workers.lattice.polar import Polar, marks, read_polar
from hashigo.calculators.workers.lattice.reference_frames import reference_fit
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells, read_relaxed
from hashigo.calculators.workers.lattice.unstable import ImaginaryMode, Stable, follow, imaginary_mode
from hashigo.calculators.workers.polynomial import committee_for
from hashigo.calculators.workers.potential import Committee, Model
from hashigo.errors import InputError

TASK_VERSION = 5

Floats = NDArray[np.float64]

#: Parameters and their defaults: displacement in Å, temperatures in K, imaginary_tolerance and mode_cutoff in THz.
DEFAULTS: dict[str, Any] = {
    "potential": None,
    "supercell": [2, 2, 2],
    "displacement": 0.03,
    "snapshots": 4,
    "mesh": 31,
    "temperatures": [300.0],
    "band_points": 51,
    "imaginary_tolerance": -0.1,
    "mode_mesh": 15,
    "mode_cutoff": 0.01,
    "follow_imaginary": False,
    "seed": 0,
}


def run(job: Job) -> None:
    """Compute phonons at the relaxed cells of the input "elasticity", and at the cell of the input "structure".

    Raises:
        InputError: when parameters or inputs do not fit.
    """
    settings = check_settings(job.parameters)
    structure = read_structure(job.inputs["structure"])
    elements = sorted(set(structure.get_chemical_symbols()))
    committee = committee_for(job.inputs, settings["potential"], elements)
    cells = read_relaxed(job.inputs["elasticity"])
    frames = read_frames(job.inputs["frames"]) if "frames" in job.inputs else []
    polar = read_polar(read_header(job.inputs["frames"])) if "frames" in job.inputs else None
    result = compute(structure, committee, cells, frames, settings, job, polar)
    if result is not None:
        moved = first_snapshots(cells.mean, settings)
        write(
            job.output,
            result,
            TASK_VERSION,
            departure(job.inputs, committee, moved, "the displaced supercell"),
        )


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check them.

    Args:
        parameters: any of `DEFAULTS`; displacement in Å, temperatures in K, imaginary_tolerance and mode_cutoff in THz.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"phonons.{unknown[0]} is not a parameter of the stage", fix=f"known are {', '.join(DEFAULTS)}"
        )
    settings = {**DEFAULTS, **parameters}
    if not 0 < settings["displacement"] <= 0.5:
        raise InputError(
            f"phonons.displacement is {settings['displacement']} Å, not a small positive length",
            fix="set it to 0.03",
        )
    for name, least in (("snapshots", 1), ("mesh", 1), ("band_points", 2), ("mode_mesh", 1)):
        if settings[name] < least:
            raise InputError(
                f"phonons.{name} is {settings[name]}, less than {least}", fix=f"set it to {DEFAULTS[name]}"
            )
    if not settings["temperatures"] or min(settings["temperatures"]) < 0:
        raise InputError(f"phonons.temperatures is {settings['temperatures']}; give temperatures from 0 K up")
    if settings["imaginary_tolerance"] > 0:
        raise InputError(
            f"phonons.imaginary_tolerance is {settings['imaginary_tolerance']} THz: imaginary modes count as negative",
            fix=f"set it to {DEFAULTS['imaginary_tolerance']}",
        )
    if settings["mode_cutoff"] < 0:
        raise InputError(
            f"phonons.mode_cutoff is {settings['mode_cutoff']} THz: an imaginary mode has no thermal displacement",
            fix=f"set it to {DEFAULTS['mode_cutoff']}",
        )
    return settings


def compute(
    structure: Atoms,
    committee: Committee,
    cells: RelaxedCells,
    frames: Sequence[Frame],
    settings: Mapping[str, Any],
    job: Job | None = None,
    polar: Polar | None = None,
) -> Result | None:
    """Phonons by all routes; ranks share the models.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        committee: mean model and members.
        cells: relaxed by each of them.
        frames: of the reference; none leaves the routes at the reference's cell out.
        settings: complete, of `check_settings`.
        job: gives communicator and progress; serial without it.
        polar: Born charges of the reference's cell, taken for every cell; None where they are not known.

    Returns:
        The result on rank 0, None on the others.

    Raises:
        InputError: when cells and committee do not belong together.
    """
    cells.check(committee)
    comm = job.comm if job is not None else SerialComm()
    lattice = build_lattice(cells.mean, settings["supercell"], polar)
    path = band_path(lattice, int(settings["band_points"]))
    fit = Fit(lattice, 2)
    models = [committee.mean, *committee.members]
    atoms = [cells.mean, *cells.members]
    own: dict[int, tuple[Phonons, Thermal, Detail | None]] = {}
    for index in range(comm.rank, len(models), comm.size):
        if job is not None:
            job.progress(index, len(models) + 1, "phonons")
        own[index] = own_phonons(models[index], atoms[index], path, settings, fit, polar, single=index == 0)
    reference = None
    # The last rank has no more models than the others.
    if frames and comm.rank == comm.size - 1:
        reference = reference_routes(structure, committee.mean, frames, path, settings, polar)
    parts = comm.gather((own, reference), root=0)
    if comm.rank != 0:
        return None
    if job is not None:
        job.progress(1, 1, "phonons")
    found = {index: value for part, _ in parts for index, value in part.items()}
    members = [found[index] for index in range(1, len(models))]
    single = found[0][2]
    assert single is not None
    modes = ModeResult(
        temperatures=np.array(settings["temperatures"], dtype=float),
        cutoff=float(settings["mode_cutoff"]),
        detail=single,
        mean=found[0][1],
        members=[own for _, own, _ in members],
        marks=cells.marks,
        polar_marks=marks(polar, structure.get_chemical_symbols()),
    )
    mode = stable = None
    if not found[0][0].gate.passed:
        mode, stable = _unstable(committee.mean, cells, settings, found[0][0], polar)
    return Result(
        structure=structure,
        path=path,
        mean=found[0][0],
        members=[own for own, _, _ in members],
        reference=parts[-1][1],
        polar=polar,
        calibrated=committee.calibrated,
        modes=modes,
        imaginary=mode,
        stable=stable,
    )


def _unstable(
    model: Model, cells: RelaxedCells, settings: Mapping[str, Any], found: Phonons, polar: Polar | None
) -> tuple[ImaginaryMode, Stable | str | None]:
    """The imaginary mode of the mean potential and, where asked for, the structure that it leads to."""
    lattice, constants = _constants(model, cells.mean, settings, None, polar)
    mode = imaginary_mode(lattice, constants, found.gate)
    if not settings["follow_imaginary"]:
        return mode, None
    return mode, follow(model, mode, cell=not cells.marks)


def own_phonons(
    model: Model,
    atoms: Atoms,
    path: BandPath,
    settings: Mapping[str, Any],
    fit: Fit | None = None,
    polar: Polar | None = None,
    *,
    single: bool = False,
) -> tuple[Phonons, Thermal, Detail | None]:
    """Phonons of one model at its own relaxed cell, and at a larger and a smaller volume.

    Args:
        model: the potential.
        atoms: its relaxed conventional cell; lengths in Å.
        path: of the bands.
        settings: complete, of `check_settings`.
        fit: of second order, used when it serves this cell.
        polar: Born charges of the crystal.
        single: whether properties of single modes are wanted too.
    """
    lattice, constants = _constants(model, atoms, settings, fit, polar, judged=single)
    larger, smaller = (
        _constants(model, relax(model, scaled(atoms, step), cell=False), settings, fit, polar)[0]
        for step in (VOLUME_STEP, -VOLUME_STEP)
    )
    volumes = Volumes(lattice, larger, smaller)
    mesh, temperatures = int(settings["mode_mesh"]), [float(t) for t in settings["temperatures"]]
    return (
        phonons(lattice, constants, path, *_mesh(settings)),
        thermal(volumes, constants, mesh, temperatures, float(settings["mode_cutoff"])),
        detail(volumes, constants, atoms, path, mesh) if single else None,
    )


def _constants(
    model: Model,
    atoms: Atoms,
    settings: Mapping[str, Any],
    fit: Fit | None,
    polar: Polar | None,
    *,
    judged: bool = False,
) -> tuple[Phonopy, ForceConstants]:
    """Lattice with force constants set, from pairs of opposite random displacements; judged, these may be too large."""
    lattice = build_lattice(atoms, settings["supercell"], polar)
    if fit is None or not fit.serves(lattice):
        fit = Fit(lattice, 2)
    dataset = random_dataset(
        model,
        lattice,
        int(settings["snapshots"]),
        float(settings["displacement"]),
        int(settings["seed"]),
        paired=True,
    )
    constants = fit.solve(dataset)
    lattice.force_constants = constants.second
    if judged:
        largest = float(np.linalg.norm(dataset.displacements, axis=-1).max())
        share = untold_share(lattice, constants, dataset)
        check_untold(share, 2, largest, "make phonons.displacement smaller, to 0.03 Å or less")
    return lattice, constants


def _mesh(settings: Mapping[str, Any]) -> tuple[int, list[float], float]:
    temperatures = [float(t) for t in settings["temperatures"]]
    return int(settings["mesh"]), temperatures, float(settings["imaginary_tolerance"])


def reference_routes(
    structure: Atoms,
    model: Model,
    frames: Sequence[Frame],
    path: BandPath,
    settings: Mapping[str, Any],
    polar: Polar | None = None,
) -> ReferenceRoutes | str:
    """Phonons from the reference's frames, and from a model on the same displacements.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        model: the potential.
        frames: of the reference.
        path: of the bands.
        settings: complete, of `check_settings`.
        polar: Born charges of the crystal.

    Returns:
        Both, or a sentence why the frames do not fit the structure or are too few: only the comparison needs them.
    """
    try:
        found = reference_fit(structure, frames, polar)
        constants = found.second.fit.solve(found.second.dataset)
        untold = found.second.judge(constants)
    except InputError as error:
        return str(error)
    part = found.second
    again = part.fit.solve(model_dataset(model, part.lattice, part.dataset.displacements))
    direct = phonons(part.lattice, constants, path, *_mesh(settings))
    modelled = phonons(part.lattice, again, path, *_mesh(settings))
    return ReferenceRoutes(
        symfc=direct,
        potential=modelled,
        apart=difference(modelled.commensurate, direct.commensurate),
        frames=len(part.dataset.displacements),
        left_out=part.dataset.left_out,
        order=part.order,
        residual=part.dataset.residual,
        untold=untold,
        atoms=len(part.lattice.supercell),
    )
