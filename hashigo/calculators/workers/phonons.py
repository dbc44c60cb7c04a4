"""Task "phonons": bands, density of states and thermal properties by three routes.

"symfc": force constants from the reference's displaced frames, at the reference's cell. "reference_cell": the mean
potential on the same displacements, so that what differs is its forces. And, as the result, the mean potential and
every member of its committee, each at its own relaxed cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame, read_frames
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.job import Job, SerialComm
from hashigo.calculators.workers.lattice.crystal import read_structure
from hashigo.calculators.workers.lattice.force_constants import (
    Dataset,
    Fit,
    ForceConstants,
    build_lattice,
    frames_dataset,
    frames_supercell,
    model_dataset,
    random_dataset,
)
from hashigo.calculators.workers.lattice.harmonic import (
    THERMAL,
    BandPath,
    Difference,
    Phonons,
    band_path,
    difference,
    phonons,
)
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells, read_relaxed
from hashigo.calculators.workers.polynomial import committee_for
from hashigo.calculators.workers.potential import Committee, Model
from hashigo.errors import GateFailure, InputError

TASK_VERSION = 1

Floats = NDArray[np.float64]

#: Parameters and their defaults: displacement in Å, temperatures in K, imaginary_tolerance in THz.
DEFAULTS: dict[str, Any] = {
    "potential": None,
    "supercell": [2, 2, 2],
    "displacement": 0.03,
    "snapshots": 4,
    "mesh": 31,
    "temperatures": [300.0],
    "band_points": 51,
    "imaginary_tolerance": -0.1,
    "seed": 0,
    "stop_at_gates": True,
}


@dataclass(frozen=True)
class ReferenceRoutes:
    """Phonons at the reference's cell: from its frames, and from the potential on the same displacements.

    Attributes:
        symfc: from the reference's frames.
        potential: from the mean potential.
        apart: their difference at the commensurate wave vectors.
        frames: count of frames used.
        left_out: indices of frames of another cell.
        order: highest order fitted; 3 keeps the anharmonic part of the forces out of the second, number.
        residual: largest component of the undisplaced supercell's forces, eV/Å; None when the reference has no such
            frame and nothing was subtracted.
    """

    symfc: Phonons
    potential: Phonons
    apart: Difference
    frames: int
    left_out: tuple[int, ...]
    order: int
    residual: float | None


@dataclass(frozen=True)
class Result:
    """What the task computes.

    Attributes:
        path: wave vectors of the bands.
        mean: of the mean potential at its own cell.
        members: of the committee's members, in their order, each at its own cell.
        reference: at the reference's cell; None without frames.
    """

    path: BandPath
    mean: Phonons
    members: list[Phonons] = field(default_factory=list)
    reference: ReferenceRoutes | None = None


def run(job: Job) -> None:
    """Compute phonons at the relaxed cells of the input "elasticity", and at the cell of the input "structure".

    Raises:
        InputError: when parameters or inputs do not fit.
        GateFailure: when there is an imaginary mode; the result is written before.
    """
    settings = check_settings(job.parameters)
    structure = read_structure(job.inputs["structure"])
    elements = sorted(set(structure.get_chemical_symbols()))
    committee = committee_for(job.inputs, settings["potential"], elements)
    cells = read_relaxed(job.inputs["elasticity"])
    frames = read_frames(job.inputs["frames"]) if "frames" in job.inputs else []
    result = compute(structure, committee, cells, frames, settings, job)
    if result is None:
        return
    write(job, result)
    gate = result.mean.gate
    if settings["stop_at_gates"] and not gate.passed:
        where = ", ".join(f"{x:g}" for x in gate.qpoint)
        raise GateFailure(
            f"{structure.get_chemical_formula()} has an imaginary phonon of {gate.minimum:.2f} THz at the commensurate "
            f"wave vector ({where}), below the tolerance of {gate.tolerance} THz",
            fix="check the structure's phase, or set phonons.imaginary_tolerance or stop_at_gates",
        )


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check them.

    Args:
        parameters: any of `DEFAULTS`; displacement in Å, temperatures in K, imaginary_tolerance in THz.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"phonons.{unknown[0]} is not a parameter of the stage", fix=f"known are {', '.join(DEFAULTS)}"
        )
    settings = {**DEFAULTS, **parameters}
    if not 0 < settings["displacement"] <= 0.2:
        raise InputError(
            f"phonons.displacement is {settings['displacement']} Å, not a small positive length",
            fix="set it to 0.03",
        )
    for name, least in (("snapshots", 1), ("mesh", 1), ("band_points", 2)):
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
    return settings


def compute(
    structure: Atoms,
    committee: Committee,
    cells: RelaxedCells,
    frames: Sequence[Frame],
    settings: Mapping[str, Any],
    job: Job | None = None,
) -> Result | None:
    """Phonons by all routes; ranks share the models.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        committee: mean model and members.
        cells: relaxed by each of them.
        frames: of the reference; none leaves the routes at the reference's cell out.
        settings: complete, of `check_settings`.
        job: gives communicator and progress; serial without it.

    Returns:
        The result on rank 0, None on the others.

    Raises:
        InputError: when cells and committee, or frames and structure, do not belong together.
    """
    cells.check(committee)
    comm = job.comm if job is not None else SerialComm()
    lattice = build_lattice(cells.mean, settings["supercell"])
    path = band_path(lattice, int(settings["band_points"]))
    fit = Fit(lattice, 2)
    models = [committee.mean, *committee.members]
    atoms = [cells.mean, *cells.members]
    own: dict[int, Phonons] = {}
    for index in range(comm.rank, len(models), comm.size):
        if job is not None:
            job.progress(index, len(models) + 1, "phonons")
        own[index] = own_phonons(models[index], atoms[index], path, settings, fit)
    reference = None
    # The last rank has no more models than the others.
    if frames and comm.rank == comm.size - 1:
        reference = reference_routes(structure, committee.mean, frames, path, settings)
    parts = comm.gather((own, reference), root=0)
    if comm.rank != 0:
        return None
    if job is not None:
        job.progress(1, 1, "phonons")
    found = {index: value for part, _ in parts for index, value in part.items()}
    members = [found[index] for index in range(1, len(models))]
    return Result(path, found[0], members, parts[-1][1])


def own_phonons(
    model: Model, atoms: Atoms, path: BandPath, settings: Mapping[str, Any], fit: Fit | None = None
) -> Phonons:
    """Phonons of one model at its own relaxed cell, from pairs of opposite random displacements.

    Args:
        model: the potential.
        atoms: its relaxed conventional cell; lengths in Å.
        path: of the bands.
        settings: complete, of `check_settings`.
        fit: of second order, used when it serves this cell.
    """
    lattice = build_lattice(atoms, settings["supercell"])
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
    return phonons(lattice, fit.solve(dataset), path, *_mesh(settings))


def _mesh(settings: Mapping[str, Any]) -> tuple[int, list[float], float]:
    temperatures = [float(t) for t in settings["temperatures"]]
    return int(settings["mesh"]), temperatures, float(settings["imaginary_tolerance"])


def reference_routes(
    structure: Atoms, model: Model, frames: Sequence[Frame], path: BandPath, settings: Mapping[str, Any]
) -> ReferenceRoutes:
    """Phonons from the reference's frames, and from a model on the same displacements.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        model: the potential.
        frames: of the reference.
        path: of the bands.
        settings: complete, of `check_settings`.

    Raises:
        InputError: when no frame fits, or they are too few.
    """
    lattice = build_lattice(structure, frames_supercell(structure, frames))
    dataset = frames_dataset(lattice, frames)
    constants, fit, order = fit_frames(lattice, dataset)
    again = fit.solve(model_dataset(model, lattice, dataset.displacements))
    direct = phonons(lattice, constants, path, *_mesh(settings))
    modelled = phonons(lattice, again, path, *_mesh(settings))
    return ReferenceRoutes(
        symfc=direct,
        potential=modelled,
        apart=difference(modelled.commensurate, direct.commensurate),
        frames=len(dataset.displacements),
        left_out=dataset.left_out,
        order=order,
        residual=dataset.residual,
    )


def fit_frames(lattice: Any, dataset: Dataset) -> tuple[ForceConstants, Fit, int]:
    """Fit second and third order together where the frames are enough, second alone where they are not.

    Args:
        lattice: the frames' supercell, of `build_lattice`.
        dataset: of the frames.

    Returns:
        Force constants, the fit, and the highest order fitted.

    Raises:
        InputError: when there are too few even for second order.
    """
    fit = Fit(lattice, 3)
    if fit.unknowns <= dataset.displacements.size:
        return fit.solve(dataset), fit, 3
    fit = Fit(lattice, 2)
    return fit.solve(dataset), fit, 2


def write(job: Job, result: Result) -> None:
    """Write the result file of the job.

    Args:
        job: gives the path.
        result: of `compute`.
    """
    with ResultWriter(job.output, task="phonons", task_version=TASK_VERSION) as writer:
        _write_quantities(writer, result)
        _write_route(writer, "", result.mean)
        writer.array("bands/qpoints", result.path.qpoints, units="dimensionless")
        if len(result.members) > 1:
            spread = np.std([member.frequency for member in result.members], axis=0, ddof=1)
            writer.array("bands/spread", spread, units="THz")
        positions, labels = result.path.ticks(result.mean.distance)
        writer.note("bands", {"labels": labels, "positions": positions, "segments": result.path.ranges})
        writer.note("gate", _gate_note(result))
        if result.reference is not None:
            _write_route(writer, "symfc/", result.reference.symfc)
            _write_route(writer, "reference_cell/", result.reference.potential)
            writer.note("comparison", _comparison_note(result.reference))


def _write_route(writer: ResultWriter, group: str, route: Phonons) -> None:
    writer.array(f"{group}bands/distance", route.distance, units="1/Å")
    writer.array(f"{group}bands/frequency", route.frequency, units="THz")
    writer.array(f"{group}dos/frequency", route.spectrum.frequency, units="THz")
    writer.array(f"{group}dos/density", route.spectrum.density, units="1/THz")


def _write_quantities(writer: ResultWriter, result: Result) -> None:
    conditions = [{"temperature": float(t)} for t in result.mean.thermal.temperatures]
    for row, name in enumerate(THERMAL):
        _write_quantity(
            writer,
            name,
            result.mean.thermal.rows[row],
            [m.thermal.rows[row] for m in result.members],
            conditions,
        )
    if result.mean.gamma is not None:
        members = [[m.gamma] for m in result.members if m.gamma is not None]
        _write_quantity(writer, "optical_frequency_gamma", np.array([result.mean.gamma]), members, [{}])


def _write_quantity(
    writer: ResultWriter, name: str, value: Floats, members: Sequence[Any], conditions: list[dict[str, float]]
) -> None:
    stack = np.array(members, dtype=float) if members else None
    # One member has no spread.
    parts = {"model": stack.std(axis=0, ddof=1)} if stack is not None and len(stack) > 1 else None
    writer.quantity(name, value, conditions=conditions, members=stack, components=parts, calibrated=False)


def _gate_note(result: Result) -> dict[str, Any]:
    note = result.mean.gate.note()
    # Between commensurate points a wave is interpolated: reported, not judged.
    note["minimum_on_path"] = float(result.mean.frequency.min())
    note["failed_members"] = [i for i, member in enumerate(result.members) if not member.gate.passed]
    if result.reference is not None:
        note["symfc_minimum"] = result.reference.symfc.gate.minimum
        note["reference_cell_minimum"] = result.reference.potential.gate.minimum
    return note


def _comparison_note(reference: ReferenceRoutes) -> dict[str, Any]:
    return {
        "what": "potential against symfc on the reference's frames, same cell and displacements, commensurate q-points",
        "maximum": reference.apart.maximum,
        "rms": reference.apart.rms,
        "unit": "THz",
        "qpoints": len(reference.symfc.commensurate),
        "frames": reference.frames,
        "frames_left_out": len(reference.left_out),
        "order": reference.order,
        "residual_force": reference.residual,
        "residual_force_unit": "eV/Å",
        "residual_subtracted": reference.residual is not None,
        "optical_frequency_gamma": {
            "symfc": reference.symfc.gamma,
            "reference_cell": reference.potential.gamma,
        },
    }
