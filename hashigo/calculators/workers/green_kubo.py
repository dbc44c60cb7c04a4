"""Task "green_kubo": heat flux of trajectories by LAMMPS, shared by the ranks, and the conductivity from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.engines import Workspace, get_engine
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.dynamics.green_kubo import GreenKubo, green_kubo
from hashigo.calculators.workers.dynamics.lammps import pair_of, sample
from hashigo.calculators.workers.dynamics.schedule import FluxSchedule, FluxSeries
from hashigo.calculators.workers.frame_store import clean
from hashigo.calculators.workers.job import Job, PartialResult
from hashigo.calculators.workers.lattice.crystal import point_group, read_structure
from hashigo.calculators.workers.lattice.elastic import relax
from hashigo.calculators.workers.potential import AseModel
from hashigo.calculators.workers.stopping import Stop
from hashigo.errors import InputError

TASK_VERSION = 1

Floats = NDArray[np.float64]

#: Parameters and their defaults: temperatures in K, times in ps, time step and interval in fs.
DEFAULTS: dict[str, Any] = {
    "engine": None,
    "temperatures": [1000.0],
    "supercell": [4, 4, 4],
    "seeds": 8,
    "duration": 500.0,
    "equilibration": 20.0,
    "timestep": 1.0,
    "interval": 10.0,
    "seed": 0,
}

SCOPE = (
    "classical nuclei, in a cell of the size and lattice constants of 0 K given: waves longer than the cell carry no "
    "heat, and all orders of anharmonicity scatter; isotopes do not. The uncertainty is statistical: that of the "
    "cell's size is not in it"
)

#: Seeds of trajectories of different studies lie this far apart; LAMMPS takes none above 900 million.
_APART, _LARGEST = 10_000, 80_000


@dataclass(frozen=True)
class Conductivity:
    """Conductivity at one temperature.

    Attributes:
        temperature: of the thermostat, K.
        axes: by each group of axes that are alike: their indices and what was found.
        drift: largest relative change of a trajectory's total energy, dimensionless; see `FluxSeries`.
    """

    temperature: float
    axes: list[tuple[tuple[int, ...], GreenKubo]]
    drift: float

    def tensor(self, name: str) -> Floats:
        """A number of each axis on the diagonal, shape (3, 3), W/(m K).

        Args:
            name: of the attribute of `GreenKubo`.
        """
        diagonal = np.zeros(3)
        for axes, found in self.axes:
            diagonal[list(axes)] = getattr(found, name)
        return np.diag(diagonal)


def run(job: Job) -> None:
    """Compute the conductivity of the input "structure" with an engine's own potential.

    Raises:
        InputError: when parameters or structure do not fit, or the engine has no heat flux.
        MissingComponent: when LAMMPS is not installed.
        WorkerError: when a trajectory fails.
        PartialResult: when a signal or the walltime ended the job; the next one goes on from there.
    """
    settings = check_settings(job.parameters)
    cell = relaxed_cell(read_structure(job.inputs["structure"]), settings["engine"])
    supercell = cell.repeat(tuple(settings["supercell"]))
    wanted = [
        (float(temperature), int(settings["seed"]) % _LARGEST * _APART + number)
        for temperature in settings["temperatures"]
        for number in range(1, int(settings["seeds"]) + 1)
    ]
    if job.is_root:
        clean(job.partial_results)
    with Stop(job.walltime, job.begun) as stop:
        own, why = _own(job, supercell, settings, wanted, stop)
    parts = job.comm.gather((own, why), root=0)
    if not job.is_root:
        return
    series = {key: one for part, _ in parts for key, one in part.items()}
    if len(series) < len(wanted):
        why = next((reason for _, reason in parts if reason), "the job was stopped")
        raise PartialResult(
            f"{len(wanted) - len(series)} of {len(wanted)} trajectories are not finished: {why}",
            fix="run the study again: they go on where they ended",
        )
    groups: list[tuple[int, ...]] = [(0, 1, 2)] if is_cubic(cell) else [(0,), (1,), (2,)]
    found = []
    for temperature in settings["temperatures"]:
        trajectories = [series[key] for key in wanted if key[0] == temperature]
        axes = [(group, green_kubo(trajectories, group)) for group in groups]
        found.append(Conductivity(temperature, axes, max(one.drift for one in trajectories)))
    write(job, found, cell, len(supercell), settings)
    job.progress(1, 1, "heat flux")


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check them.

    Args:
        parameters: any of `DEFAULTS`; temperatures in K, times in ps, time step and interval in fs.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"green_kubo.{unknown[0]} is not a parameter of the stage", fix=f"known are {', '.join(DEFAULTS)}"
        )
    settings = {**DEFAULTS, **parameters}
    if not settings["engine"] or not settings["engine"].get("name"):
        raise InputError(
            "green_kubo needs an engine as the reference, whose potential LAMMPS has, and not a file of frames",
            fix="leave the section green_kubo out, or name the engine as reference.engine",
        )
    for name in ("temperatures", "seeds"):
        if not np.all(np.asarray(settings[name], dtype=float) > 0) or not np.size(settings[name]):
            raise InputError(f"green_kubo.{name} is {settings[name]}; give more than 0")
    _schedule(settings, 1.0)
    return settings


def _schedule(settings: Mapping[str, Any], temperature: float) -> FluxSchedule:
    times = {name: float(settings[name]) for name in ("timestep", "equilibration", "duration", "interval")}
    return FluxSchedule(temperature=temperature, **times)


def relaxed_cell(structure: Atoms, engine: Mapping[str, Any]) -> Atoms:
    """The conventional cell, relaxed by the engine's potential; lengths in Å.

    Args:
        structure: conventional cell; lengths in Å.
        engine: its "name" and complete "settings".
    """
    found = get_engine(engine["name"])
    pair_of(found, engine["settings"] or {})
    assert found.calculator is not None
    calculator = found.calculator(engine["settings"] or {}, Workspace())
    return relax(AseModel(calculator, sorted(set(structure.get_chemical_symbols()))), structure)


def is_cubic(atoms: Atoms) -> bool:
    """Whether every symmetric tensor of the crystal is the same along all axes.

    Args:
        atoms: any periodic cell of the crystal; lengths in Å.
    """
    rotations = point_group(atoms)
    probe = np.diag([1.0, 2.0, 4.0])
    mean = np.mean(rotations @ probe @ rotations.transpose(0, 2, 1), axis=0)
    return bool(np.allclose(mean, np.eye(3) * np.trace(probe) / 3, atol=1e-6))


def _own(
    job: Job, supercell: Atoms, settings: Mapping[str, Any], wanted: list[tuple[float, int]], stop: Stop
) -> tuple[dict[tuple[float, int], FluxSeries], str]:
    """The trajectories of this rank, as far as there is time, and why there were no more."""
    engine = settings["engine"]
    pair = pair_of(get_engine(engine["name"]), engine["settings"] or {})
    mine = wanted[job.comm.rank :: job.comm.size]
    done: dict[tuple[float, int], FluxSeries] = {}

    for index, (temperature, seed) in enumerate(mine):

        def progress(part: float, total: float, index: int = index) -> None:
            job.progress(index + max(0.0, part) / total, len(mine), "heat flux")

        try:
            done[temperature, seed] = sample(
                supercell,
                pair,
                _schedule(settings, temperature),
                seed,
                job.partial_results,
                job.program,
                progress,
                lambda: stop.reason,
                TASK_VERSION,
            )
        except PartialResult:
            return done, stop.reason
    return done, ""


def write(
    job: Job, found: list[Conductivity], cell: Atoms, n_atoms: int, settings: Mapping[str, Any]
) -> None:
    """Write the result file of the job.

    Args:
        job: gives the path.
        found: conductivities by temperature.
        cell: relaxed conventional cell; lengths in Å.
        n_atoms: number of atoms of the supercell.
        settings: complete, of `check_settings`.
    """
    with ResultWriter(job.output, task="green_kubo", task_version=TASK_VERSION) as writer:
        writer.quantity(
            "green_kubo_conductivity",
            [one.tensor("conductivity") for one in found],
            conditions=[{"temperature": one.temperature} for one in found],
            components={"sampling": [one.tensor("uncertainty") for one in found]},
            marks=(f"classical, cell of {n_atoms} atoms",),
        )
        for one in found:
            for axes, result in one.axes:
                _write_curves(
                    writer, f"{one.temperature:g}K/{'xyz' if len(axes) > 1 else 'xyz'[axes[0]]}", result
                )
        writer.note(
            "green_kubo",
            {
                "atoms": n_atoms,
                "lattice_constants": cell.cell.lengths().tolist(),
                "seeds": settings["seeds"],
                "duration": settings["duration"],
                "timestep": settings["timestep"],
                "engine": settings["engine"]["name"],
                "scope": SCOPE,
                "temperatures": [_told(one) for one in found],
                "units": {"lattice_constants": "Å", "duration": "ps", "timestep": "fs", "conductivity": "W/(m K)",
                          "cutoff_time": "ps", "cutoff_frequency": "THz", "temperature": "K"},
            },
        )  # fmt: skip


def _told(one: Conductivity) -> dict[str, Any]:
    """The numbers behind a conductivity, in plain values."""
    names = ("conductivity", "cepstral_error", "jackknife_error", "coefficients", "cutoff_frequency", "integral",
             "integral_error", "cutoff_time", "temperature")  # fmt: skip
    axes = {
        "".join("xyz"[axis] for axis in group): {
            **{name: getattr(result, name) for name in names},
            "other_cutoffs": result.other_cutoffs.tolist(),
        }
        for group, result in one.axes
    }
    return {"thermostat": one.temperature, "drift": one.drift, "axes": axes}


def _write_curves(writer: ResultWriter, group: str, result: GreenKubo) -> None:
    step = max(1, len(result.times) // 2000)
    for name, unit in (("times", "ps"), ("running", "W/(m K)"), ("running_error", "W/(m K)")):
        writer.array(f"{group}/{name}", getattr(result, name)[::step], units=unit)
    last = np.searchsorted(result.frequencies, 4 * result.cutoff_frequency)
    for name, unit in (("frequencies", "THz"), ("periodogram", "W/(m K)")):
        writer.array(f"{group}/{name}", getattr(result, name)[:last], units=unit)
