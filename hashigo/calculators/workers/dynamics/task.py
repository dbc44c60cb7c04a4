"""Task "dynamics": trajectories at every temperature and volume, shared by the ranks, and what follows from them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.dynamics import TASK_VERSION
from hashigo.calculators.workers.dynamics.analysis import Outcome, motion_of, votes_of
from hashigo.calculators.workers.dynamics.driver import Conditions, RanAway, Snapshot, State, thermal_state
from hashigo.calculators.workers.dynamics.guard import Guard, TrajectoryDeparture, unharmed
from hashigo.calculators.workers.dynamics.result import Run, write
from hashigo.calculators.workers.dynamics.segments import Samples, SegmentStore, StepSchedule, sampled
from hashigo.calculators.workers.dynamics.settings import (
    STEPS,
    Trajectory,
    check_settings,
    planned,
    schedule,
    time_step,
)
from hashigo.calculators.workers.extrapolation import TrainedRegion
from hashigo.calculators.workers.frame_store import clean
from hashigo.calculators.workers.job import Job, PartialResult
from hashigo.calculators.workers.lattice.relaxed import read_relaxed
from hashigo.calculators.workers.polynomial import committee_for
from hashigo.calculators.workers.potential import Committee, Model
from hashigo.calculators.workers.stopping import Stop
from hashigo.errors import InputError, WorkerError

#: Time constant of the barostat, fs: of a few vibrations, so that a short run sees many independent volumes.
BREATHING = 300.0


@dataclass(frozen=True)
class Setup:
    """What all trajectories share.

    Attributes:
        settings: complete, of `check_settings`.
        cell: relaxed conventional cell; lengths in Å.
        committee: mean model and members.
        fresh: makes the mean model anew.
        step: time step, fs.
        highest: frequency of the phonons, THz.
        bulk_modulus: rough value for a barostat, GPa.
        region: that the potential was trained in; None where it is not known.
    """

    settings: dict[str, Any]
    cell: Atoms
    committee: Committee
    fresh: Callable[[], Model]
    step: float
    highest: float
    bulk_modulus: float
    region: TrainedRegion | None

    def atoms(self, trajectory: Trajectory) -> Atoms:
        """The supercell of a trajectory at its volume; lengths in Å."""
        supercell = self.cell.repeat(tuple(self.settings["supercell"]))
        supercell.set_cell(supercell.cell.array * trajectory.volume ** (1 / 3), scale_atoms=True)
        return supercell

    def conditions(self, trajectory: Trajectory) -> Conditions:
        """Of the ensemble of a trajectory."""
        pressure = float(self.settings["pressure"]) if self.settings["ensemble"] == "npt" else None
        return Conditions(
            trajectory.temperature,
            self.step,
            pressure=pressure,
            pressure_relaxation=BREATHING,
            bulk_modulus=self.bulk_modulus,
        )

    def schedule(self, trajectory: Trajectory) -> StepSchedule:
        """Of a trajectory."""
        return schedule(self.settings, self.step, self.highest, followed=trajectory.followed)

    def start(self, trajectory: Trajectory) -> State:
        """First state of a trajectory; it depends on the trajectory alone, not on which others there are."""
        key = (
            int(self.settings["seed"]), round(1000 * trajectory.temperature), round(1e6 * trajectory.volume),
            trajectory.seed,
        )  # fmt: skip
        return thermal_state(self.atoms(trajectory), trajectory.temperature, np.random.SeedSequence(key))


def perform(job: Job) -> None:
    """Run the trajectories of a job and write what follows from them.

    Raises:
        InputError: when parameters or inputs do not fit.
        WorkerError: when a trajectory runs away.
        PartialResult: when a signal or the walltime ended the job; the next one goes on from there.
    """
    setup = prepare(job)
    trajectories = planned(setup.settings)
    root = job.partial_results / inputs_hash(job)
    with _reserved(job, root), Stop(job.walltime, job.begun) as stop:
        own = _own(job, setup, trajectories, root, stop)
        parts = job.comm.gather((own, stop.reason), root=0)
        if not job.is_root:
            return
        ended = {one.trajectory: one for part, _ in parts for one in part}
        if len(ended) < len(trajectories):
            why = next((reason for _, reason in parts if reason), "the job was stopped")
            raise PartialResult(
                f"{len(trajectories) - len(ended)} of {len(trajectories)} trajectories are not finished: {why}",
                fix="run the study again: they go on where they ended",
            )
        departures = [one for t in trajectories if isinstance(one := ended[t], TrajectoryDeparture)]
        outcomes = [one for t in unharmed(trajectories, departures) if isinstance(one := ended[t], Outcome)]
        calibrated = setup.committee.calibrated
        write(job, Run(setup.cell, setup.settings, setup.step, calibrated, outcomes, departures))
    shutil.rmtree(root, ignore_errors=True)
    job.progress(1, 1, "molecular dynamics")


def prepare(job: Job) -> Setup:
    """Read parameters and inputs.

    Raises:
        InputError: when they do not fit.
    """
    settings = check_settings(job.parameters)
    cell = read_relaxed(job.inputs["elasticity"]).mean
    elements = sorted(set(cell.get_chemical_symbols()))
    committee = committee_for(job.inputs, settings["potential"], elements)

    def fresh() -> Model:
        # An engine's calculator may remember neighbour lists; a polynomial remembers nothing.
        if settings["potential"]:
            return committee_for(job.inputs, settings["potential"], elements).mean
        return committee.mean

    if len(cell.repeat(tuple(settings["supercell"]))) < 2:
        raise InputError("dynamics.supercell holds one atom, which has nothing to move against",
                         fix="repeat the cell more")  # fmt: skip
    highest = _highest_frequency(job, settings)
    with ResultReader(job.inputs["elasticity"]) as reader:
        bulk = float(reader.quantity("bulk_modulus").value[0])
    region = TrainedRegion.read(job.inputs["potential"]) if "potential" in job.inputs else None
    step = time_step(settings, highest)
    return Setup(settings, cell, committee, fresh, step, highest, max(bulk, 1.0), region)


def _highest_frequency(job: Job, settings: Mapping[str, Any]) -> float:
    if "phonons" in job.inputs:
        with ResultReader(job.inputs["phonons"]) as reader:
            return float(reader.array("bands/frequency").max())
    if settings["timestep"] is None:
        raise InputError("without phonons dynamics has no time step", fix="set dynamics.timestep")
    return 1000.0 / (STEPS * float(settings["timestep"]))


def inputs_hash(job: Job) -> str:
    """Name of a job's partial results: equal for jobs that compute the same."""
    told = json.dumps(job.parameters, sort_keys=True)
    digest = hashlib.sha256(f"dynamics {TASK_VERSION} {told}".encode())
    for name in sorted(job.inputs):
        digest.update(job.inputs[name].read_bytes())
    return digest.hexdigest()[:32]


@contextmanager
def _reserved(job: Job, folder: Path) -> Iterator[None]:
    """Hold the folder of partial results for this job alone; the lock goes with the process, however it ends."""
    with ExitStack() as held:
        refused: WorkerError | None = None
        if job.is_root:
            try:
                held.enter_context(_locked(job, folder))
            except WorkerError as error:
                refused = error
        # No rank may write into a folder that another job holds.
        refused = job.comm.bcast(refused)
        if refused is not None:
            raise refused
        yield


@contextmanager
def _locked(job: Job, folder: Path) -> Iterator[None]:
    clean(job.partial_results)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkerError(
                "another job computes the same trajectories at this moment",
                fix="wait until it has ended; its trajectories are found then",
            ) from None
        yield


def _own(
    job: Job, setup: Setup, trajectories: list[Trajectory], root: Path, stop: Stop
) -> list[Outcome | TrajectoryDeparture]:
    """The trajectories of this rank, as far as there is time."""
    own = trajectories[job.comm.rank :: job.comm.size]
    ended: list[Outcome | TrajectoryDeparture] = []
    for index, trajectory in enumerate(own):
        plan = setup.schedule(trajectory)

        def goes_on(snapshot: Snapshot, index: int = index, last: int = plan.production) -> bool:
            done = max(0, snapshot.step) / last
            job.progress(index + done, len(own), f"{index + 1} of {len(own)} trajectories of a rank")
            return not stop.reason

        one = _ended(setup, trajectory, plan, root, goes_on)
        if one is None:
            break
        ended.append(one)
    return ended


def _ended(
    setup: Setup, trajectory: Trajectory, plan: StepSchedule, root: Path, goes_on: Callable[[Snapshot], bool]
) -> Outcome | TrajectoryDeparture | None:
    """A trajectory that came to its end or left the trained region; None of one that was stopped."""
    atoms = setup.atoms(trajectory)
    guard = Guard(setup.region, setup.committee, trajectory, atoms, plan.every)
    run = sampled(
        SegmentStore(root / trajectory.name),
        setup.start(trajectory),
        setup.fresh,
        atoms,
        setup.conditions(trajectory),
        plan,
        lambda snapshot: goes_on(snapshot) and guard.inside(snapshot),
        guard.forget,
    )
    parts: list[Samples] = []
    try:
        parts += run
    except RanAway as error:
        guard.ran_away(error)
    if guard.departure is not None:
        return guard.departure
    if sum(len(part.time) for part in parts) < plan.production // plan.every:
        return None
    samples = Samples.joined(parts)
    motion = motion_of(samples, atoms) if trajectory.followed else None
    votes = votes_of(samples, atoms, setup.committee)
    if not _kept(setup.settings, trajectory):
        samples = replace(samples, positions=samples.positions[:0], velocities=samples.velocities[:0])
    return Outcome(trajectory, samples, motion, votes, len(atoms))


def _kept(settings: Mapping[str, Any], trajectory: Trajectory) -> bool:
    if settings["trajectories"] == "all":
        return True
    return bool(settings["trajectories"] == "first" and trajectory.followed and trajectory.seed == 0)
