"""The result file of the task "dynamics"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from numpy.typing import NDArray

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.dynamics import TASK_VERSION
from hashigo.calculators.workers.dynamics.analysis import Motion, Outcome
from hashigo.calculators.workers.dynamics.averages import (
    Estimate,
    Pressure,
    breathing,
    diffusion_of,
    drift,
    equation_of_state,
    pressure_of,
)
from hashigo.calculators.workers.dynamics.equation_of_state import FEWEST, fit
from hashigo.calculators.workers.dynamics.h5md import write_h5md
from hashigo.calculators.workers.dynamics.motion import velocity_spectrum
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import PrimitiveCell

Floats = NDArray[np.float64]

#: Group of the trajectories in the result; each is a whole H5MD structure.
TRAJECTORIES = "trajectories"
SCOPE = (
    "classical nuclei: no zero-point motion, so that below the Debye temperature the vibrational pressure and energy "
    "are not those of quantum statistics; cells are scaled as a whole"
)
MODEL_PART = (
    "members of the committee are reweighted to first order on frames of the mean potential's trajectories (Imbalzano "
    "et al., J. Chem. Phys. 154, 074102 (2021)): of pressures, volumes and bulk moduli; of what is read from the "
    "motion of atoms it is not included"
)


def write(
    job: Job, cell: Atoms, settings: Mapping[str, Any], step: float, outcomes: Sequence[Outcome]
) -> None:
    """Write the result file of the job.

    Args:
        job: gives the path.
        cell: relaxed conventional cell; lengths in Å.
        settings: complete, of `check_settings`.
        step: time step, fs.
        outcomes: of all trajectories.
    """
    supercell = cell.repeat(tuple(settings["supercell"]))
    repeats = len(supercell) // len(cell)
    with ResultWriter(job.output, task="dynamics", task_version=TASK_VERSION) as writer:
        if settings["ensemble"] == "npt":
            _write_breathing(writer, outcomes, settings, repeats)
        else:
            _write_pressures(writer, outcomes, settings, repeats)
        _write_diffusion(writer, outcomes, supercell)
        for temperature, group in _by(outcomes, "temperature").items():
            motions = [o.motion for o in group if o.motion is not None]
            _write_motion(writer, f"{temperature:g}K", motions, 3 * len(PrimitiveCell.of(cell).atoms))
        for outcome in outcomes:
            if len(outcome.samples.positions):
                _write_trajectory(writer, outcome, supercell, settings, step)
        writer.note("dynamics", _summary(settings, step, outcomes, supercell))


def _by(outcomes: Sequence[Outcome], name: str) -> dict[float, list[Outcome]]:
    """Trajectories sorted by a condition, rising."""
    values = sorted({getattr(o.trajectory, name) for o in outcomes})
    return {v: [o for o in outcomes if getattr(o.trajectory, name) == v] for v in values}


def _write_pressures(
    writer: ResultWriter, outcomes: Sequence[Outcome], settings: Mapping[str, Any], repeats: int
) -> None:
    conditions, rows, states, absent = [], [], {}, {}
    for temperature, group in _by(outcomes, "temperature").items():
        pressures = [pressure_of(of_cell) for of_cell in _by(group, "volume").values()]
        for p in pressures:
            conditions.append({"temperature": temperature, "cell_volume": round(p.volume / repeats, 6)})
            rows.append(Estimate(float(p.mean.value), float(p.mean.error), p.members))
        _write_curve(writer, f"{temperature:g}K", pressures, repeats)
        found = equation_of_state(pressures, float(settings["pressure"]))
        if found is None:
            few = (
                f"fewer than {FEWEST} volumes"
                if len(pressures) < FEWEST
                else "the pressure is not reached near them"
            )
            absent[f"{temperature:g}"] = few
        else:
            states[temperature] = found
    _write_estimates(writer, "pressure", conditions, rows)
    if states:
        marks = () if all(inside for *_, inside in states.values()) else ("beyond the volumes sampled",)
        _write_states(writer, {t: s[:2] for t, s in states.items()}, settings, repeats, marks)
    writer.note("equation_of_state", {"absent": absent, "pressure": settings["pressure"]})


def _write_breathing(
    writer: ResultWriter, outcomes: Sequence[Outcome], settings: Mapping[str, Any], repeats: int
) -> None:
    states = {t: breathing(group) for t, group in _by(outcomes, "temperature").items()}
    _write_states(writer, states, settings, repeats, ())


def _write_states(
    writer: ResultWriter,
    states: Mapping[float, tuple[Estimate, Estimate]],
    settings: Mapping[str, Any],
    repeats: int,
    marks: Sequence[str],
) -> None:
    conditions = [{"temperature": t, "pressure": float(settings["pressure"])} for t in states]
    volumes = [_divided(volume, repeats) for volume, _ in states.values()]
    _write_estimates(writer, "thermal_volume", conditions, volumes, marks)
    _write_estimates(writer, "isothermal_bulk_modulus", conditions, [b for _, b in states.values()], marks)


def _divided(estimate: Estimate, by: int) -> Estimate:
    members = None if estimate.members is None else estimate.members / by
    return Estimate(estimate.value / by, estimate.sampling / by, members)


def _write_estimates(
    writer: ResultWriter,
    name: str,
    conditions: Sequence[Mapping[str, float]],
    rows: Sequence[Estimate],
    marks: Sequence[str] = (),
) -> None:
    parts = {"sampling": [row.sampling for row in rows]}
    members = None
    if all(row.members is not None for row in rows):
        members = np.array([row.members for row in rows]).T
        parts["model"] = list(members.std(axis=0, ddof=1))
    values = [row.value for row in rows]
    writer.quantity(name, values, conditions=conditions, components=parts, members=members, marks=marks)


def _write_curve(writer: ResultWriter, group: str, pressures: Sequence[Pressure], repeats: int) -> None:
    volumes = np.array([p.volume for p in pressures])
    values = np.array([float(p.mean.value) for p in pressures])
    errors = np.array([float(p.mean.error) for p in pressures])
    writer.array(f"equation_of_state/{group}/volume", volumes / repeats, units="Å^3")
    writer.array(f"equation_of_state/{group}/pressure", values, units="GPa")
    writer.array(f"equation_of_state/{group}/error", errors, units="GPa")
    if len(pressures) >= FEWEST:
        fine = np.linspace(volumes.min(), volumes.max(), 101)
        writer.array(f"equation_of_state/{group}/fitted_volume", fine / repeats, units="Å^3")
        fitted = fit(volumes, values, errors)(fine)
        writer.array(f"equation_of_state/{group}/fitted_pressure", fitted, units="GPa")


def _write_diffusion(writer: ResultWriter, outcomes: Sequence[Outcome], supercell: Atoms) -> None:
    seen: list[tuple[dict[str, float], float, float]] = []
    limits: list[tuple[dict[str, float], float]] = []
    words = {}
    for temperature, group in _by(outcomes, "temperature").items():
        for found in diffusion_of([o for o in group if o.motion is not None], supercell):
            condition = {"temperature": temperature, "atomic_number": float(atomic_numbers[found.element])}
            words[f"{found.element} at {temperature:g} K"] = found.seen
            if found.coefficient is not None:
                seen.append((condition, found.coefficient, found.error))
            elif found.limit is not None:
                limits.append((condition, found.limit))
    if seen:
        conditions, values, errors = zip(*seen, strict=True)
        writer.quantity("self_diffusion", values, conditions=conditions, components={"sampling": errors})
    if limits:
        conditions, values = zip(*limits, strict=True)
        writer.quantity("self_diffusion_limit", values, conditions=conditions, marks=("upper bound, 95 %",))
    writer.note("diffusion", words)


def _write_motion(writer: ResultWriter, group: str, motions: Sequence[Motion], degrees: int) -> None:
    radial = motions[0].radial
    # Cells that breathe differ a little in how far they reach.
    reach = min(len(m.radial.distance) for m in motions)
    writer.array(f"radial/{group}/distance", radial.distance[:reach], units="Å")
    for pair in radial.pairs:
        rows = [m.radial.pairs[pair][:reach] for m in motions]
        _write_spread(writer, f"radial/{group}/{pair}", rows, "dimensionless")
    interval = motions[0].interval
    times = np.arange(len(motions[0].correlation)) * interval
    writer.array(f"displacement/{group}/time", times / 1000, units="ps")
    for element in motions[0].displacement:
        _write_spread(
            writer, f"displacement/{group}/{element}", [m.displacement[element] for m in motions], "Å^2"
        )
    spectra = [velocity_spectrum(m.correlation, interval, degrees) for m in motions]
    writer.array(f"spectrum/{group}/time", times, units="fs")
    _write_spread(writer, f"spectrum/{group}/correlation", [m.correlation for m in motions], "dimensionless")
    writer.array(f"spectrum/{group}/frequency", spectra[0].frequency, units="THz")
    _write_spread(writer, f"spectrum/{group}/density", [s.density for s in spectra], "1/THz")
    writer.array(f"spectrum/{group}/resolution", spectra[0].resolution, units="THz")


def _write_spread(writer: ResultWriter, name: str, rows: Sequence[Floats], units: str) -> None:
    """A curve averaged over trajectories; with its standard error where there are several."""
    stacked = np.array(rows)
    writer.array(name, stacked.mean(axis=0), units=units)
    if len(rows) > 1:
        writer.array(f"{name} error", stacked.std(axis=0, ddof=1) / np.sqrt(len(rows)), units=units)


def _write_trajectory(
    writer: ResultWriter, outcome: Outcome, supercell: Atoms, settings: Mapping[str, Any], step: float
) -> None:
    interval = np.diff(outcome.samples.frame_time[:2])[0]
    stride = max(1, round(float(settings["trajectory_interval"]) / interval))
    group = writer.file.require_group(TRAJECTORIES).create_group(outcome.trajectory.name)
    symbols, masses = supercell.get_chemical_symbols(), supercell.get_masses()
    write_h5md(group, outcome.samples, symbols, masses, timestep=step, stride=stride)


def _summary(
    settings: Mapping[str, Any], step: float, outcomes: Sequence[Outcome], supercell: Atoms
) -> dict[str, Any]:
    first = outcomes[0].samples
    return {
        "timestep": step,
        "interval": float(first.time[1] - first.time[0]),
        "atoms": len(supercell),
        "trajectories": len(outcomes),
        "production": settings["production"],
        "ensemble": settings["ensemble"],
        "thermostat": "Bussi, Donadio & Parrinello (2007); Langevin during the equilibration",
        "checks": [drift(outcome) for outcome in outcomes],
        "scope": SCOPE,
        "model_part": MODEL_PART if outcomes[0].votes is not None else "the potential has no committee",
        "units": {
            "timestep": "fs",
            "interval": "fs",
            "production": "ps",
            "temperature": "K",
            "drift": "meV/ps/atom",
        },
    }
