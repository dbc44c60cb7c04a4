"""What one trajectory tells, small enough to be sent between ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.units import GPa
from numpy.typing import NDArray

from hashigo.calculators.workers.dynamics.motion import (
    diffusion,
    farthest,
    square_displacement,
    velocity_correlation,
)
from hashigo.calculators.workers.dynamics.radial import Radial, radial_distribution
from hashigo.calculators.workers.dynamics.segments import Samples
from hashigo.calculators.workers.dynamics.settings import Trajectory
from hashigo.calculators.workers.potential import Committee

Floats = NDArray[np.float64]

#: Parts of a trajectory whose diffusion coefficients are compared, number.
PARTS = 4
#: Most frames of a trajectory that members are asked about, number.
ASKED = 20


@dataclass(frozen=True)
class Motion:
    """How the atoms of a followed trajectory moved.

    Attributes:
        interval: between frames, fs.
        radial: its radial distribution functions.
        displacement: mean-square displacement of each element, shape (n_times,), Å^2.
        farthest: largest distance from its mean place of any atom of each element, Å.
        diffusion: coefficient of each element in each part of the trajectory, shape (n_parts,), Å^2/ps.
        correlation: velocity autocorrelation, shape (n_times,), dimensionless.
    """

    interval: float
    radial: Radial
    displacement: dict[str, Floats]
    farthest: dict[str, float]
    diffusion: dict[str, Floats]
    correlation: Floats


@dataclass(frozen=True)
class Votes:
    """What members of a committee say of frames of a trajectory.

    Attributes:
        energy: less the mean model's, shape (n_members, n_frames), eV.
        pressure: without kinetic part, less the mean model's, shape (n_members, n_frames), GPa.
        own: pressure of the mean model without kinetic part, shape (n_frames,), GPa.
        volume: of the frames, shape (n_frames,), Å^3.
    """

    energy: Floats
    pressure: Floats
    own: Floats
    volume: Floats


@dataclass(frozen=True)
class Outcome:
    """What is known of one trajectory.

    Attributes:
        trajectory: which one.
        samples: its series; without frames, unless they are kept.
        motion: None where it was not followed.
        votes: None without members.
        n_atoms: count.
    """

    trajectory: Trajectory
    samples: Samples
    motion: Motion | None
    votes: Votes | None
    n_atoms: int


def motion_of(samples: Samples, atoms: Atoms) -> Motion:
    """Analyse a followed trajectory.

    Args:
        samples: with a frame for each sample.
        atoms: gives elements and masses in their order; lengths in Å.
    """
    symbols = np.array(atoms.get_chemical_symbols())
    interval = float(samples.frame_time[1] - samples.frame_time[0])
    displacement, far, coefficients = {}, {}, {}
    for element in sorted(set(symbols)):
        places = samples.positions[:, symbols == element]
        displacement[element] = square_displacement(places)
        far[element] = farthest(places)
        parts = np.array_split(places, PARTS)
        coefficients[element] = np.array([diffusion(square_displacement(part), interval) for part in parts])
    return Motion(
        interval,
        radial_distribution(samples.positions, samples.cells, list(symbols)),
        displacement,
        far,
        coefficients,
        velocity_correlation(samples.velocities, atoms.get_masses()),
    )


def votes_of(samples: Samples, atoms: Atoms, committee: Committee) -> Votes | None:
    """Ask the members about a few frames, evenly spread; None without members.

    Args:
        samples: of the trajectory.
        atoms: gives the elements in their order; lengths in Å.
        committee: whose mean model ran the trajectory.
    """
    if len(committee.members) < 2:
        return None
    count = len(samples.frame_time)
    chosen = np.unique(np.linspace(0, count - 1, min(count, ASKED)).astype(int))
    frames = [
        Atoms(atoms.get_chemical_symbols(), cell=samples.cells[i], positions=samples.positions[i], pbc=True)
        for i in chosen
    ]
    told = committee.evaluate_all(frames)
    energy = np.array([one.energies for one in told]).T
    pressure = np.array([-one.stresses[:, :3].sum(axis=1) / 3 / GPa for one in told]).T
    return Votes(
        energy[1:] - energy[0],
        pressure[1:] - pressure[0],
        pressure[0],
        np.array([frame.get_volume() for frame in frames]),
    )


def shifted(
    observable: Floats, votes: Sequence[Votes], inverse_temperature: float, *, changes: bool
) -> Floats:
    """How much each member's own average would differ from the mean model's, to first order in the potentials.

    Args:
        observable: by the mean model, of all frames of all trajectories, shape (n_frames,), any unit.
        votes: of these trajectories in their order.
        inverse_temperature: 1/kT, 1/eV.
        changes: whether the observable is the pressure, which each member sees otherwise, or depends on the frames
            alone.

    Returns:
        Shape (n_members,), unit of `observable`.

    Source: Imbalzano et al., J. Chem. Phys. 154, 074102 (2021), the cumulant expansion: <a_i> - beta cov(a_i, V_i - V).
    """
    energy = np.concatenate([v.energy for v in votes], axis=1)
    change = np.concatenate([v.pressure for v in votes], axis=1) if changes else np.zeros_like(energy)
    seen = observable + change
    centred = seen - seen.mean(axis=1, keepdims=True)
    covariance = (centred * (energy - energy.mean(axis=1, keepdims=True))).mean(axis=1)
    return np.asarray(change.mean(axis=1) - inverse_temperature * covariance)
