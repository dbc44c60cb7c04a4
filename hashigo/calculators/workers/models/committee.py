"""A committee of neural networks: trained by all ranks, judged on held-out frames, written by the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hashigo.calculators.frames import Frame, read_frames, read_header
from hashigo.calculators.workers.calibration import NO_FORCE
from hashigo.calculators.workers.fitting import FORCE, atomic_energies
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.models.optimise import diverged
from hashigo.calculators.workers.models.rows import Rows, rows_of
from hashigo.calculators.workers.models.writing import Trained, write
from hashigo.calculators.workers.resampling import Indices, resample, split
from hashigo.calculators.workers.training_inputs import COMMON, complete_section, usable_frames

if TYPE_CHECKING:
    from hashigo.calculators.workers.models.neural import NeuralKind

#: What the section may hold; errors in eV/Å, energies in eV.
DEFAULTS: dict[str, Any] = {**COMMON, "settings": {}, "model": ""}


def draws(
    kinds: Sequence[str], train_frames: Indices, members: int, generator: np.random.Generator
) -> list[tuple[int, Indices]]:
    """Seed and training frames of the mean model and of each member.

    Args:
        kinds: kind of each frame of the whole set.
        train_frames: indices of the training frames, shape (n_train,), dimensionless.
        members: number of members.
        generator: source of random numbers.
    """
    out = [(int(generator.integers(2**31)), train_frames)]
    for _ in range(members):
        seed = int(generator.integers(2**31))
        out.append((seed, resample(kinds, train_frames, generator)))
    return out


def train_members(
    neural: NeuralKind,
    settings: Mapping[str, Any],
    frames: Sequence[Frame],
    drawn: Sequence[tuple[int, Indices]],
    job: Job,
) -> list[bytes] | None:
    """Train the mean model and the members; ranks share them.

    Args:
        neural: kind of network.
        settings: complete, of the kind.
        frames: all frames.
        drawn: seed and indices of the training frames of each, shape (n_train,), dimensionless; of `draws`.
        job: gives communicator and progress.

    Returns:
        The networks as bytes on rank 0, None on the others.
    """
    own = {}
    mine = range(job.comm.rank, len(drawn), job.comm.size)
    for place, index in enumerate(mine):
        name = f"member {index}" if index else "the mean model"

        def tell(epoch: int, place: int = place, name: str = name) -> None:
            done = place * settings["epochs"] + epoch
            job.progress(done, len(mine) * settings["epochs"] + 1, f"epochs of {name}")

        seed, chosen = drawn[index]
        own[index] = neural.trained(settings, frames, chosen, seed, name, tell).pack()
    parts = job.comm.gather(own, root=0)
    if job.comm.rank != 0:
        return None
    found = {index: blob for part in parts for index, blob in part.items()}
    return [found[index] for index in range(len(drawn))]


def refuse_diverged(rows: Rows, test: Indices) -> None:
    """Make sure that every network is better than none, whose forces are zero.

    Args:
        rows: of all frames.
        test: indices of the held-out frames, shape (n_test,), dimensionless.

    Raises:
        WorkerError: names the first network that is not.
    """
    where = rows.of(test, FORCE)
    scale = float(np.sqrt(np.mean(rows.targets[where] ** 2))) if len(where) else 0.0
    # Forces that vanish by symmetry have no scale.
    if scale < NO_FORCE:
        return
    for index, said in enumerate([rows.mean, *rows.votes]):
        error = float(np.sqrt(np.mean((said[where] - rows.targets[where]) ** 2)))
        if not error < scale:
            raise diverged(
                f"member {index}" if index else "the mean model",
                f"its force error on held-out frames is {1e3 * error:.3g} meV/Å, "
                f"and the forces' own root mean square is {1e3 * scale:.3g} meV/Å",
            )


def run(job: Job, neural: NeuralKind) -> None:
    """Train a committee on the input "frames" and write it with its held-out errors.

    Raises:
        InputError: when settings or frames cannot make a committee.
        MissingComponent: when the package of the networks is not installed.
        WorkerError: when a training diverges.
    """
    kind = neural.kind()
    kind.require()
    section = check_section(job.parameters)
    settings = kind.complete(section["settings"])
    path = Path(job.inputs["frames"])
    frames, atoms = usable_frames(read_frames(path), path.name)
    kind.check(settings, sorted({symbol for frame in frames for symbol in frame.symbols}))
    energies, source = atomic_energies(frames, atoms, section["atomic_energies"], read_header(path))
    generator = np.random.default_rng(section["seed"])
    kinds = [frame.kind for frame in frames]
    if settings["epochs"]:
        train, test = split(kinds, section["held_out"], generator)
        drawn = draws(kinds, train, section["members"], generator)
    else:
        # Nothing is fitted but the zero of the energy: all frames judge.
        train, test = np.arange(0), np.arange(len(frames))
        drawn = [(section["seed"], test)]
    blobs = train_members(neural, settings, frames, drawn, job)
    if blobs is None:
        return
    rows = rows_of(frames, [kind.load(blob) for blob in blobs], energies)
    if settings["epochs"]:
        refuse_diverged(rows, test)
    write(job, kind, Trained(frames, train, test, rows, blobs, energies, source), section, settings)
    job.progress(1, 1, "trained")


def check_section(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults of the section, and check them.

    Args:
        parameters: any of `DEFAULTS`; errors in eV/Å, energies in eV.

    Raises:
        InputError: names the parameter and what to do.
    """
    whose = f"model '{parameters.get('model')}', whose own are in potential.settings"
    return complete_section(parameters, DEFAULTS, whose)
