"""The result file of the task "dynamics"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
from hashigo.calculators.workers.dynamics.guard import TrajectoryDeparture, excesses
from hashigo.calculators.workers.dynamics.h5md import write_h5md
from hashigo.calculators.workers.dynamics.motion import velocity_spectrum
from hashigo.calculators.workers.extrapolation import write_outside
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import PrimitiveCell
from hashigo.errors import WorkerError

Floats = NDArray[np.float64]

#: Group of the trajectories in the result; each is a whole H5MD structure.
TRAJECTORIES = "trajectories"
SCOPE = (
    "classical nuclei: no zero-point motion, so that below the Debye temperature the vibrational pressure and energy "
    "are not those of quantum statistics; cells are scaled as a whole"
)
MODEL_PART = (
    "members of the committee are reweighted to first order on frames of the mean potential's trajectories (Imbalzano "
    "et al., J. Chem. Phys. 154, 074102 (2021)): of pressures, volumes, and bulk moduli of an equation of state; of "
    "bulk moduli from fluctuations of the volume, and of what is read from the motion of atoms, it is not included"
)


@dataclass(frozen=True)
class Run:
    """What came of a job.

    Attributes:
        cell: relaxed conventional cell; lengths in Å.
        settings: complete, of `check_settings`.
        step: time step, fs.
        calibrated: whether the committee's spread is.
        outcomes: of the trajectories that came to their end.
        departures: of those that left the region in which the potential was trained.
    """

    cell: Atoms
    settings: Mapping[str, Any]
    step: float
    calibrated: bool
    outcomes: Sequence[Outcome]
    departures: Sequence[TrajectoryDeparture]

    @property
    def supercell(self) -> Atoms:
        """The cell as often as it was repeated; lengths in Å."""
        return self.cell.repeat(tuple(self.settings["supercell"]))

    @property
    def repeats(self) -> int:
        """Number of conventional cells in the supercell."""
        return len(self.supercell) // len(self.cell)

    @property
    def by_temperature(self) -> dict[float, list[Outcome]]:
        """Outcomes by their temperature, rising, K."""
        return _by(self.outcomes, "temperature")


def write(job: Job, run: Run) -> None:
    """Write the result file of the job.

    Args:
        job: gives the path.
        run: what came of it.
    """
    degrees = 3 * len(PrimitiveCell.of(run.cell).atoms)
    with ResultWriter(job.output, task="dynamics", task_version=TASK_VERSION) as writer:
        _write_gate(writer, run)
        writer.note("dynamics", _summary(run))
        if run.settings["ensemble"] == "npt":
            states = {t: breathing(group) for t, group in run.by_temperature.items()}
            _write_states(writer, run, states)
        else:
            _write_pressures(writer, run)
        _write_diffusion(writer, run)
        for temperature, group in run.by_temperature.items():
            motions = [o.motion for o in group if o.motion is not None]
            if motions:
                _write_motion(writer, f"{temperature:g}K", motions, degrees)
        for outcome in run.outcomes:
            if len(outcome.samples.positions):
                _write_trajectory(writer, run, outcome)


def _by(outcomes: Sequence[Outcome], name: str) -> dict[float, list[Outcome]]:
    """Trajectories sorted by a condition, rising."""
    values = sorted({getattr(o.trajectory, name) for o in outcomes})
    return {v: [o for o in outcomes if getattr(o.trajectory, name) == v] for v in values}


def _write_gate(writer: ResultWriter, run: Run) -> None:
    temperatures = sorted({one.trajectory.temperature for one in run.departures})
    where = "molecular dynamics at " + ", ".join(f"{temperature:g} K" for temperature in temperatures)
    write_outside(writer, [one.atoms for one in run.departures], excesses(run.departures), where)


def _write_pressures(writer: ResultWriter, run: Run) -> None:
    conditions, rows, deviations = [], [], [0.0]
    states: dict[float, tuple[Estimate, Estimate]] = {}
    absent: dict[str, str] = {}
    marks: set[str] = set()
    for temperature, group in run.by_temperature.items():
        pressures = [pressure_of(of_cell) for of_cell in _by(group, "volume").values()]
        for p in pressures:
            conditions.append({"temperature": temperature, "cell_volume": round(p.volume / run.repeats, 6)})
            rows.append(Estimate(float(p.mean.value), float(p.mean.error), p.members))
            deviations.append(p.deviation)
        _write_curve(writer, f"{temperature:g}K", pressures, run.repeats)
        try:
            volume, modulus, told = equation_of_state(pressures, float(run.settings["pressure"]))
            states[temperature] = (volume, modulus)
            marks.update(told)
        except WorkerError as error:  # the other temperatures, and all pressures, are worth having
            absent[f"{temperature:g}"] = error.message
    _write_estimates(writer, run, "pressure", conditions, rows)
    _write_states(writer, run, states, sorted(marks))
    note = {"absent": absent, "pressure": run.settings["pressure"], "deviation": max(deviations)}
    writer.note("equation_of_state", note)


def _write_states(
    writer: ResultWriter,
    run: Run,
    states: Mapping[float, tuple[Estimate, Estimate]],
    marks: Sequence[str] = (),
) -> None:
    conditions = [{"temperature": t, "pressure": float(run.settings["pressure"])} for t in states]
    volumes = [_divided(volume, run.repeats) for volume, _ in states.values()]
    moduli = [modulus for _, modulus in states.values()]
    _write_estimates(writer, run, "thermal_volume", conditions, volumes, marks)
    _write_estimates(writer, run, "isothermal_bulk_modulus", conditions, moduli, marks)


def _divided(estimate: Estimate, by: int) -> Estimate:
    members = None if estimate.members is None else estimate.members / by
    return Estimate(estimate.value / by, estimate.sampling / by, members)


def _write_estimates(
    writer: ResultWriter,
    run: Run,
    name: str,
    conditions: Sequence[Mapping[str, float]],
    rows: Sequence[Estimate],
    marks: Sequence[str] = (),
) -> None:
    if not rows:
        return
    parts = {"sampling": [row.sampling for row in rows]}
    members = None
    if all(row.members is not None for row in rows):
        members = np.array([row.members for row in rows]).T
        parts["model"] = list(members.std(axis=0, ddof=1))
    writer.quantity(
        name,
        [row.value for row in rows],
        conditions=conditions,
        components=parts,
        members=members,
        calibrated=run.calibrated and members is not None,
        marks=marks,
    )


def _write_curve(writer: ResultWriter, group: str, pressures: Sequence[Pressure], repeats: int) -> None:
    volumes = np.array([p.volume for p in pressures])
    values = np.array([float(p.mean.value) for p in pressures])
    errors = np.array([float(p.mean.error) for p in pressures])
    writer.array(f"equation_of_state/{group}/volume", volumes / repeats, units="Å^3")
    writer.array(f"equation_of_state/{group}/pressure", values, units="GPa")
    writer.array(f"equation_of_state/{group}/error", errors, units="GPa")
    if len(pressures) >= FEWEST:
        fine = np.linspace(volumes.min(), volumes.max(), 101)
        with suppress(WorkerError):  # told where its volume is missing
            fitted = fit(volumes, values, errors)(fine)
            writer.array(f"equation_of_state/{group}/fitted_volume", fine / repeats, units="Å^3")
            writer.array(f"equation_of_state/{group}/fitted_pressure", fitted, units="GPa")


def _write_diffusion(writer: ResultWriter, run: Run) -> None:
    seen: list[tuple[dict[str, float], float, float]] = []
    limits: list[tuple[dict[str, float], float]] = []
    words = {}
    for temperature, group in run.by_temperature.items():
        followed = [o for o in group if o.motion is not None]
        for found in diffusion_of(followed, run.supercell) if followed else ():
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
        rows = [m.displacement[element] for m in motions]
        _write_spread(writer, f"displacement/{group}/{element}", rows, "Å^2")
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


def _write_trajectory(writer: ResultWriter, run: Run, outcome: Outcome) -> None:
    interval = np.diff(outcome.samples.frame_time[:2])[0]
    stride = max(1, round(float(run.settings["trajectory_interval"]) / interval))
    group = writer.file.require_group(TRAJECTORIES).create_group(outcome.trajectory.name)
    supercell = run.supercell
    write_h5md(
        group,
        outcome.samples,
        supercell.get_chemical_symbols(),
        supercell.get_masses(),
        timestep=run.step,
        stride=stride,
    )


def _summary(run: Run) -> dict[str, Any]:
    committee = any(outcome.votes is not None for outcome in run.outcomes)
    return {
        "timestep": run.step,
        "atoms": len(run.supercell),
        "trajectories": len(run.outcomes) + len(run.departures),
        "production": run.settings["production"],
        "ensemble": run.settings["ensemble"],
        "thermostat": "Bussi, Donadio & Parrinello (2007); Langevin during the equilibration",
        "checks": [drift(outcome) for outcome in run.outcomes],
        "scope": SCOPE,
        "model_part": MODEL_PART
        if committee
        else "not included: no committee, or no trajectory came to its end",
        "left": [
            {
                "trajectory": one.trajectory.name,
                "after": round(one.step * run.step / 1000, 6),
                "why": one.sentence,
            }
            for one in run.departures
        ],
        "units": {
            "timestep": "fs",
            "production": "ps",
            "after": "ps",
            "temperature": "K",
            "drift": "meV/ps/atom",
        },
    }
