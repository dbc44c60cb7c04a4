"""Trajectories kept segment by segment, so that a job that was killed goes on from the last one that was whole.

A segment appears under its name when it is complete, with the state that the next begins with. What a killed job had
not finished is computed again, from the same state and to the same bits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.workers.dynamics.driver import Conditions, Snapshot, State, segment
from hashigo.calculators.workers.potential import Model
from hashigo.errors import WorkerError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StepSchedule:
    """How long a trajectory is and what is kept of it; all are numbers of steps.

    Attributes:
        equilibration: number of steps before the first sample.
        production: number of steps that are sampled.
        every: number of steps between samples of energies and stress.
        frames_every: number of steps between frames, a multiple of `every`.
        segment: number of steps of a segment, a multiple of `frames_every`.
    """

    equilibration: int
    production: int
    every: int
    frames_every: int
    segment: int


@dataclass(frozen=True)
class Samples:
    """What is kept of a trajectory, or of a part of it.

    Attributes:
        time: of each sample, shape (n_samples,), fs.
        temperature: shape (n_samples,), K.
        potential_energy: shape (n_samples,), eV.
        conserved_energy: shape (n_samples,), eV.
        stress: with its kinetic part, shape (n_samples, 6), GPa.
        volume: shape (n_samples,), Å^3.
        frame_time: of each frame, shape (n_frames,), fs.
        positions: not wrapped, shape (n_frames, n_atoms, 3), Å.
        velocities: shape (n_frames, n_atoms, 3), Å/fs.
        cells: shape (n_frames, 3, 3), Å.
        frame_energy: potential energy of each frame, shape (n_frames,), eV.
        frame_pressure: with its kinetic part, shape (n_frames,), GPa.
    """

    time: Floats
    temperature: Floats
    potential_energy: Floats
    conserved_energy: Floats
    stress: Floats
    volume: Floats
    frame_time: Floats
    positions: Floats
    velocities: Floats
    cells: Floats
    frame_energy: Floats
    frame_pressure: Floats

    @property
    def pressure(self) -> Floats:
        """Minus a third of the stress's trace, shape (n_samples,), GPa."""
        return np.asarray(-self.stress[:, :3].sum(axis=1) / 3)

    @classmethod
    def of(cls, taken: list[Snapshot], schedule: StepSchedule) -> Samples:
        """Gather snapshots.

        Args:
            taken: in their order.
            schedule: says which of them are frames.
        """
        frames = [s for s in taken if s.step % schedule.frames_every == 0]

        def column(name: str, of: list[Snapshot]) -> Floats:
            return np.array([getattr(s, name) for s in of])

        return cls(
            column("time", taken),
            column("temperature", taken),
            column("potential_energy", taken),
            column("conserved_energy", taken),
            column("stress", taken),
            column("volume", taken),
            column("time", frames),
            column("positions", frames),
            column("velocities", frames),
            column("cell", frames),
            column("potential_energy", frames),
            column("pressure", frames),
        )

    @classmethod
    def joined(cls, parts: list[Samples]) -> Samples:
        """Parts of a trajectory one after the other.

        Args:
            parts: in their order.
        """
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


class SegmentStore:
    """The segments of one trajectory.

    Args:
        folder: of the trajectory; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, index: int, samples: Samples | None, state: State) -> None:
        """Keep a segment; it survives a kill when this returns.

        Args:
            index: of the segment.
            samples: of the segment; None during the equilibration.
            state: after it.

        Raises:
            WorkerError: when it cannot be written.
        """
        content = {f"state/{f.name}": getattr(state, f.name) for f in fields(state) if f.name != "random"}
        content["state/random"] = np.array(json.dumps(state.random))
        if samples is not None:
            content |= {f"samples/{f.name}": getattr(samples, f.name) for f in fields(samples)}
        path = self._path(index)
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                np.savez(file, **content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise WorkerError(
                f"segment {index} of a trajectory cannot be written: {error.strerror}",
                fix="make room on the job's disk, and run the study again: earlier segments are kept",
            ) from error

    def load(self) -> tuple[list[Samples], State, int] | None:
        """Samples and last state of all segments that are there, and their number; None when there are none."""
        parts: list[Samples] = []
        state, index = None, 0
        while self._path(index).is_file():
            with np.load(self._path(index), allow_pickle=False) as content:
                state = _state(content)
                if f"samples/{fields(Samples)[0].name}" in content:
                    parts.append(Samples(*(content[f"samples/{f.name}"] for f in fields(Samples))))
            index += 1
        return None if state is None else (parts, state, index)

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:06d}.npz"


def _state(content: dict[str, NDArray]) -> State:
    return State(
        step=int(content["state/step"]),
        positions=content["state/positions"],
        momenta=content["state/momenta"],
        cell=content["state/cell"],
        random=json.loads(str(content["state/random"])),
        exchanged=float(content["state/exchanged"]),
    )


def sampled(
    store: SegmentStore,
    start: State,
    model: Callable[[], Model],
    atoms: Atoms,
    conditions: Conditions,
    schedule: StepSchedule,
    goes_on: Callable[[Snapshot], bool],
    begun: Callable[[], None] = lambda: None,
) -> Iterator[Samples]:
    """Run a trajectory, or the rest of it, segment by segment.

    Args:
        store: where its segments are kept.
        start: the first state, before the equilibration.
        model: makes the potential anew for each segment, so that nothing it remembers is in the result.
        atoms: gives elements and masses in their order; lengths in Å.
        conditions: of the ensemble.
        schedule: of the trajectory.
        goes_on: told of every snapshot; False ends the run, and the segment begun is given up.
        begun: called before each segment that is computed: what `goes_on` remembers must not reach further back.

    Yields:
        Samples of each segment in its order, those found first.
    """
    parts, state, index = store.load() or ([], replace(start, step=-schedule.equilibration), 0)
    yield from parts
    warming = replace(conditions, thermostat="langevin")
    while state.step < schedule.production:
        end = schedule.production if state.step >= 0 else 0
        steps = min(schedule.segment, end - state.step)
        of_now = warming if state.step < 0 else conditions
        begun()
        run = segment(model(), atoms, state, of_now, steps, schedule.every)
        taken = _taken(run, goes_on)
        if taken is None:
            return
        samples = Samples.of(taken[0], schedule) if state.step >= 0 else None
        state = taken[1]
        store.save(index, samples, state)
        index += 1
        if samples is not None:
            yield samples


def _taken(
    run: Generator[Snapshot, None, State], goes_on: Callable[[Snapshot], bool]
) -> tuple[list[Snapshot], State] | None:
    """All snapshots of a segment and its last state; None when it was given up."""
    taken: list[Snapshot] = []
    while True:
        try:
            taken.append(next(run))
        except StopIteration as end:
            return taken, end.value
        if not goes_on(taken[-1]):
            return None
