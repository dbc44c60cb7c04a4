"""Task "sscha": force constants renormalised by temperature, for crystals whose harmonic ones do not suffice.

The cell is the relaxed one at 0 K. The committee's spread is that of one fit to each member's forces on the mean
potential's last ensemble: what the members make of self-consistency beyond that is not followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hashigo.calculators.frames import read_header
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.extrapolation import Departure, departure
from hashigo.calculators.workers.job import Job, SerialComm
from hashigo.calculators.workers.lattice.force_constants import (
    build_lattice,
    first_snapshots,
)
from hashigo.calculators.workers.lattice.harmonic import band_frequencies, band_path, commensurate_qpoints
from hashigo.calculators.workers.lattice.polar import Polar, marks, read_polar
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells, read_relaxed
from hashigo.calculators.workers.lattice.renormalised import LEAST, Renormalised, renormalise
from hashigo.calculators.workers.polynomial import committee_for
from hashigo.calculators.workers.potential import Committee
from hashigo.errors import InputError

TASK_VERSION = 1

#: Parameters and their defaults: temperatures in K, displacement in Å, imaginary_tolerance in THz.
DEFAULTS: dict[str, Any] = {
    "potential": None,
    "temperatures": [300.0],
    "supercell": [2, 2, 2],
    "snapshots": 100,
    "iterations": 14,
    "transient": 4,
    "displacement": 0.01,
    "mesh": 19,
    "tolerance": 0.01,
    "imaginary_tolerance": -0.1,
    "seed": 0,
}

#: q-points along the longest line of the bands, count.
_BAND_POINTS = 51
#: eV a primitive cell in kJ/mol.
_KJ_PER_MOL = 96.48533212331001


def run(job: Job) -> None:
    """Renormalise at the relaxed cell of the input "elasticity" with the input "potential".

    Raises:
        InputError: when parameters or inputs do not fit.
    """
    settings = check_settings(job.parameters)
    cells = read_relaxed(job.inputs["elasticity"])
    elements = sorted(set(cells.mean.get_chemical_symbols()))
    committee = committee_for(job.inputs, settings["potential"], elements)
    polar = read_polar(read_header(job.inputs["frames"])) if "frames" in job.inputs else None
    found = compute(committee, cells, settings, job, polar)
    if found is not None:
        moved = first_snapshots(cells.mean, {**settings, "displacement": 0.1})
        outside = departure(job.inputs, committee, moved, "a supercell displaced by 0.1 Å")
        write(job.output, found, committee, cells, settings, polar, outside)


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check them.

    Args:
        parameters: any of `DEFAULTS`; temperatures in K, displacement in Å.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"sscha.{unknown[0]} is not a parameter of the stage", fix=f"known are {', '.join(DEFAULTS)}"
        )
    settings = {**DEFAULTS, **parameters}
    if settings["iterations"] < settings["transient"] + LEAST:
        raise InputError(
            f"sscha.iterations is {settings['iterations']}: after a transient of {settings['transient']} fewer than "
            f"{LEAST} are left",
            fix="raise sscha.iterations",
        )
    return settings


def compute(
    committee: Committee,
    cells: RelaxedCells,
    settings: Mapping[str, Any],
    job: Job | None = None,
    polar: Polar | None = None,
) -> list[Renormalised] | None:
    """Force constants at every temperature; ranks share the temperatures.

    Args:
        committee: mean model and members.
        cells: relaxed by the mean model; members are asked at the same cell.
        settings: complete, of `check_settings`.
        job: gives communicator and progress; serial without it.
        polar: Born charges of the crystal; None where they are not known.

    Returns:
        By rising temperature on rank 0, None on the others.
    """
    comm = job.comm if job is not None else SerialComm()
    temperatures = [float(t) for t in settings["temperatures"]]
    own = {}
    for index in range(comm.rank, len(temperatures), comm.size):
        lattice = build_lattice(cells.mean, settings["supercell"], polar)

        def tell(fraction: float, index: int = index) -> None:
            if job is not None:
                text = f"self-consistent force constants at {temperatures[index]:g} K"
                job.progress(index + fraction, len(temperatures), text)

        own[index] = renormalise(
            committee.mean, committee.members, lattice, temperatures[index], settings, tell
        )
    parts = comm.gather(own, root=0)
    if comm.rank != 0:
        return None
    found = {index: one for part in parts for index, one in part.items()}
    return [found[index] for index in range(len(temperatures))]


def write(
    path: Path,
    found: list[Renormalised],
    committee: Committee,
    cells: RelaxedCells,
    settings: Mapping[str, Any],
    polar: Polar | None = None,
    outside: Departure | None = None,
) -> None:
    """Write the result file of the task.

    Args:
        path: file to write.
        found: by temperature.
        committee: the potential.
        cells: relaxed by it.
        settings: complete, of `check_settings`.
        polar: Born charges, where known.
        outside: supercells that the potential was not trained for.
    """
    lattice = build_lattice(cells.mean, settings["supercell"], polar)
    bands = band_path(lattice, _BAND_POINTS)
    symbols = cells.mean.get_chemical_symbols()
    tolerance = float(settings["tolerance"])
    converged = [one.converged(tolerance) for one in found]
    with ResultWriter(path, task="sscha", task_version=TASK_VERSION) as writer:
        _write_quantities(writer, found, all(converged), committee.calibrated, marks(polar, symbols))
        writer.array("qpoints", commensurate_qpoints(lattice), units="dimensionless")
        writer.array("bands/distance", bands.distances(lattice.primitive.cell), units="1/Å")
        positions, labels = bands.ticks(bands.distances(lattice.primitive.cell))
        writer.note("bands", {"labels": labels, "positions": positions, "segments": bands.ranges})
        writer.array("temperatures", [one.temperature for one in found], units="K")
        for one in found:
            group = f"{one.temperature:g}K"
            writer.array(f"{group}/force_constants", one.constants.second, units="eV/Å^2")
            writer.array(f"{group}/frequency", one.frequency, units="THz")
            writer.array(f"{group}/frequency_error", one.error, units="THz")
            writer.array(
                f"{group}/bands/frequency", band_frequencies(lattice, one.constants, bands), units="THz"
            )
            writer.array(f"{group}/free_energy", one.free_energy, units="eV")
            if len(one.members):
                writer.array(f"{group}/members/frequency", one.members, units="THz")
        writer.note(
            "sscha",
            {
                "converged": converged,
                "drift": [one.drift for one in found],
                "tolerance": tolerance,
                "supercell": [int(n) for n in settings["supercell"]],
                "cell": "relaxed at 0 K; it does not expand",
                "model_part": "one fit to each member's forces on the mean potential's last ensemble",
            },
        )
        _write_gate(writer, found, settings, cells.mean.get_chemical_formula())
        if outside is not None:
            outside.write(writer)


def _write_quantities(
    writer: ResultWriter,
    found: list[Renormalised],
    converged: bool,
    calibrated: bool,
    own: tuple[str, ...],
) -> None:
    conditions = [{"temperature": one.temperature} for one in found]
    kept = [one.free_energy[-len(one.free_energy) // 2 :] for one in found]
    writer.quantity(
        "sscha_free_energy",
        np.array([values.mean() for values in kept]) * _KJ_PER_MOL,
        conditions=conditions,
        components={
            "sampling": np.array([values.std(ddof=1) / np.sqrt(len(values)) for values in kept]) * _KJ_PER_MOL
        },
        converged=converged,
        marks=own,
    )
    if found[0].frequency.shape[1] <= 3:
        return
    # The first commensurate wave vector is Γ.
    value = np.array([one.frequency[0].max() for one in found])
    parts = {"sampling": np.array([one.error[0, one.frequency[0].argmax()] for one in found])}
    votes = None
    if len(found[0].members):
        shift = np.array([one.members[:, 0].max(axis=1) - one.again[0].max() for one in found]).T
        votes = value + shift
    if votes is not None and len(votes) > 1:
        parts["model"] = votes.std(axis=0, ddof=1)
    writer.quantity(
        "renormalised_optical_frequency_gamma",
        value,
        conditions=conditions,
        members=votes,
        components=parts,
        calibrated=calibrated,
        converged=converged,
        marks=own,
    )


def _write_gate(
    writer: ResultWriter, found: list[Renormalised], settings: Mapping[str, Any], formula: str
) -> None:
    limit = float(settings["imaginary_tolerance"])
    unstable = [one for one in found if one.minimum < limit]
    message = ""
    if unstable:
        worst = min(unstable, key=lambda one: one.minimum)
        message = (
            f"{formula} has an imaginary renormalised phonon of {worst.minimum:.2f} THz at {worst.temperature:g} K, "
            f"below the tolerance of {limit} THz"
        )
    writer.gate(
        "imaginary_mode",
        message,
        fix="check the structure's phase, raise sscha.temperatures, or set sscha.imaginary_tolerance or stop_at_gates",
        minimum_frequency=min(one.minimum for one in found),
        tolerance=limit,
        unit="THz",
        temperatures=[one.temperature for one in unstable],
    )
