"""Molecular dynamics by LAMMPS, for engines whose potential LAMMPS has: the heat flux at constant energy.

A trajectory is equilibrated by a Langevin thermostat and goes on at constant energy, segment by segment: each is one
start of the program, from the restart file of the one before to the next. What is finished is kept, so that a
trajectory that was ended takes up its last segment, and ends as if it had never been interrupted.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.engines import Engine
from hashigo.calculators.engines.lammps_pair import LammpsPair
from hashigo.calculators.workers.dynamics import lammps_files as files
from hashigo.calculators.workers.dynamics.schedule import FluxSchedule, FluxSeries
from hashigo.calculators.workers.evaluation import free_command
from hashigo.calculators.workers.job import NotWritten, PartialResult
from hashigo.errors import InputError, MissingComponent, WorkerError

Floats = NDArray[np.float64]

#: Change of the total energy over a trajectory that an integration may make, in units of the mean kinetic energy.
CONSERVED = 0.05
#: Difference of potential energies that files of full precision leave, eV an atom.
SAME_ENERGY = 1e-8

_LOOK = 0.05


def no_heat_flux(engine: str) -> InputError:
    """The error of an engine from which no heat flux can be had.

    Args:
        engine: its name.
    """
    return InputError(
        f"the heat flux of engine '{engine}' is not known: it tells no energies and virials of single atoms, and "
        "LAMMPS does not have its potential",
        fix="leave the section green_kubo out; engines tersoff and lennard_jones have a heat flux",
    )


def find_program(command: Sequence[str] = ()) -> tuple[str, ...]:
    """The command line of LAMMPS.

    Args:
        command: as the site names it; empty to look for `lmp` on the PATH and beside Python.

    Raises:
        MissingComponent: when there is none.
    """
    wanted = tuple(command) or ("lmp",)
    places = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    found = shutil.which(wanted[0], path=places)
    if found is None:
        raise MissingComponent(
            f"program '{wanted[0]}' (LAMMPS) is not installed",
            fix="install the Debian package lammps, or pip install 'lammps[mpi]'",
        )
    return (found, *wanted[1:])


def pair_of(engine: Engine, settings: Mapping[str, Any]) -> LammpsPair:
    """The engine's potential in LAMMPS.

    Args:
        engine: of the study's reference.
        settings: complete.

    Raises:
        InputError: where LAMMPS has no such potential, or its flux is not known.
    """
    if engine.lammps is None:
        raise no_heat_flux(engine.name)
    pair: LammpsPair = engine.lammps(settings)
    return pair


def sample(
    atoms: Atoms,
    pair: LammpsPair,
    schedule: FluxSchedule,
    seed: int,
    folder: Path,
    program: Sequence[str] = (),
    progress: Callable[[float, float], None] = lambda done, total: None,
    stopped: Callable[[], str] = lambda: "",
    version: int = 0,
) -> FluxSeries:
    """Run one trajectory, or what is left of it, and return its heat flux.

    Args:
        atoms: the supercell, its cell orthogonal and along the axes, lengths in Å.
        pair: the potential.
        schedule: of the trajectory.
        seed: of first velocities and thermostat, 1 or more.
        folder: where trajectories of all seeds are kept.
        program: command line of LAMMPS, empty to look for it.
        progress: told the segments done, dimensionless, and all of them.
        stopped: why to stop, "" to go on; asked all the time.
        version: number of the task's version; what another one has kept is not taken up.

    Raises:
        InputError: when the cell is not orthogonal.
        MissingComponent: when LAMMPS is not installed.
        WorkerError: when it fails, energy is not conserved, or another job runs it at this moment.
        PartialResult: when it was stopped; segments that are finished are kept.
        NotWritten: when the disk is full.
    """
    run = _Trajectory(atoms, pair, schedule, seed, Path(folder), find_program(program), stopped, version)
    try:
        with run.reserved():
            while run.done < schedule.segments:
                progress(run.done, schedule.segments)
                run.advance()
    except OSError as error:
        raise NotWritten(
            f"files of seed {seed} by LAMMPS cannot be written: {error.strerror}",
            fix="make room on the job's disk, and run it again: segments that are finished are kept",
        ) from error
    progress(run.done, schedule.segments)
    return run.series()


def _end_with_parent() -> None:
    """Have this process killed when its parent ends, or LAMMPS would go on writing into the folder; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG


class _Trajectory:
    """The trajectory of one seed: its folder, and what is finished."""

    def __init__(
        self, atoms: Atoms, pair: LammpsPair, schedule: FluxSchedule, seed: int, folder: Path,
        program: tuple[str, ...], stopped: Callable[[], str], version: int,
    ) -> None:  # fmt: skip
        files.check_cell(atoms)
        if seed < 1:
            raise InputError(f"seed {seed} of a trajectory by LAMMPS: it must be 1 or more")
        self._atoms, self._pair, self._schedule, self._seed = atoms, pair, schedule, seed
        self._program, self._stopped = program, stopped
        # Another version, potential, structure or schedule has another folder; only the duration may grow.
        told = {name: float(value) for name, value in vars(schedule).items() if name != "duration"}
        told["segment"] = float(schedule.segment_steps)
        text = json.dumps([version, pair.signature(), told, files.data_text(atoms, pair)], sort_keys=True)
        self._folder = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}-seed-{seed}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._kept = self._folder / "flux.npz"
        self._parts: dict[str, Floats] = {"flux": np.empty((0, 3)), "thermo": np.empty((0, 4))}
        self.done = -1  # the thermostat is not yet done

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Hold the trajectory for this process alone, and read what is finished."""
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise WorkerError(
                    f"another job runs the trajectory of seed {self._seed} at this moment",
                    fix="wait until it has ended; what it has finished is found then",
                ) from None
            self._read_kept()
            yield

    def _read_kept(self) -> None:
        """Take up what is finished; a file that a crash has cut counts as none."""
        with suppress(OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error):
            with np.load(self._kept) as kept:
                parts, done = {name: kept[name] for name in self._parts}, int(kept["done"])
            self._parts, self.done = parts, done

    def advance(self) -> None:
        """Run the next segment and keep its result."""
        first = self.done < 0
        for name, text in self._pair.files.items():
            (self._folder / name).write_text(text, encoding="utf-8")
        if first:
            (self._folder / files.DATA).write_text(files.data_text(self._atoms, self._pair), encoding="utf-8")
            lines = files.equilibration(self._pair, self._schedule, self._seed)
        else:
            lines = files.segment(self._pair, self._schedule, self.done)
        (self._folder / files.SCRIPT).write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._start()
        if not first:
            self._take()
        self.done += 1
        part = self._kept.with_name("part.npz")
        with part.open("wb") as file:
            np.savez(file, done=self.done, flux=self._parts["flux"], thermo=self._parts["thermo"])
            file.flush()
            os.fsync(file.fileno())  # before the restart file that it could be computed from goes
        part.replace(self._kept)
        files.restart(self._folder, self.done - 1).unlink(missing_ok=True)

    def _start(self) -> None:
        """Run LAMMPS on the script."""
        command = [*free_command(self._program), "-in", files.SCRIPT, "-log", files.LOG, "-screen", "none"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with open(self._folder / files.ERRORS, "wb") as errors:
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=environment,
                preexec_fn=_end_with_parent,
            )
            try:
                while process.poll() is None:
                    if why := self._stopped():
                        raise PartialResult(
                            f"dynamics of seed {self._seed} was stopped: {why}", fix="run it again"
                        )
                    time.sleep(_LOOK)
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
        if process.returncode:
            raise WorkerError(
                f"LAMMPS stopped in seed {self._seed} at {self._schedule.temperature:g} K: "
                f"{files.last_words(self._folder) or f'exit status {process.returncode}'}"
            )

    def _take(self) -> None:
        """Read the segment's fluxes and energies, and check them."""
        thermo = files.read_log(self._folder / files.LOG)
        start = self._schedule.equilibration_steps + self.done * self._schedule.segment_steps
        thermo = thermo[thermo[:, 0] > start]
        if self._pair.flux is None:
            flux = files.read_fluxes(self._folder / files.FLUXES, start)
        else:
            steps, x, v = files.read_snapshots(self._folder / files.SNAPSHOTS, start)
            energies, flux = self._pair.flux(x, v, self._atoms.cell.lengths(), self._atoms.get_masses())
            self._compare(dict(zip(steps.tolist(), energies, strict=True)), thermo)
            (self._folder / files.SNAPSHOTS).unlink()
        wanted = self._schedule.segment_steps // self._schedule.every
        if len(flux) != wanted or not np.isfinite(flux).all():
            raise WorkerError(
                f"LAMMPS wrote {len(flux)} heat fluxes of seed {self._seed}, expected {wanted} finite ones"
            )
        self._parts["flux"] = np.concatenate([self._parts["flux"], flux])
        self._parts["thermo"] = np.concatenate([self._parts["thermo"], thermo])
        drift = _drift(self._parts["thermo"])
        if drift > CONSERVED:
            raise WorkerError(
                f"the total energy of seed {self._seed} has changed by {100 * drift:.1f} % of the kinetic one",
                fix=f"shorten the time step of {self._schedule.timestep:g} fs",
            )

    def _compare(self, energies: dict[int, float], thermo: Floats) -> None:
        """The flux's potential must be the one that moved the atoms."""
        for step, _, potential, _ in thermo:
            apart = abs(energies.get(int(step), potential) - potential)
            if apart > SAME_ENERGY * len(self._atoms):
                raise WorkerError(
                    f"the heat flux's potential energy at step {int(step)} is {apart:.2g} eV from that of LAMMPS"
                )

    def series(self) -> FluxSeries:
        """The flux of all segments that the schedule asks for; there may be more."""
        schedule = self._schedule
        steps = schedule.segments * schedule.segment_steps
        thermo = self._parts["thermo"]
        thermo = thermo[thermo[:, 0] <= schedule.equilibration_steps + steps]
        return FluxSeries(
            flux=self._parts["flux"][: steps // schedule.every],
            spacing=schedule.interval / 1000,
            temperature=float(thermo[:, 1].mean()),
            volume=float(self._atoms.get_volume()),
            drift=_drift(thermo),
            seed=self._seed,
        )


def _drift(thermo: Floats) -> float:
    """Change of the total energy along the straight line through it, in units of the mean kinetic energy."""
    step, _, potential, total = thermo.T
    slope = np.polyfit(step - step[0], total - total[0], 1)[0]
    return float(abs(slope) * (step[-1] - step[0]) / (total - potential).mean())
