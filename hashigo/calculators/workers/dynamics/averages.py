"""Averages over the trajectories of one temperature, with errors, and as the committee's members have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import GPa, kB
from numpy.typing import NDArray

from hashigo.calculators.workers.dynamics.analysis import Outcome, shifted
from hashigo.calculators.workers.dynamics.equation_of_state import FEWEST, fit, read, state_with_error
from hashigo.calculators.workers.dynamics.motion import diffusion_limit
from hashigo.calculators.workers.dynamics.statistics import Mean, block_mean, blocks, jackknife
from hashigo.errors import WorkerError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its parts.

    Attributes:
        value: in the unit of the quantity.
        sampling: standard error of finite trajectories, same unit.
        members: by each member of the committee, shape (n_members,), same unit; None without them.
    """

    value: float
    sampling: float
    members: Floats | None


@dataclass(frozen=True)
class Pressure:
    """Average pressure in one cell.

    Attributes:
        volume: of the supercell, Å^3.
        mean: GPa, with its error.
        members: by each member of the committee, shape (n_members,), GPa; None without them.
        deviation: largest difference of a diagonal stress from their mean, GPa.
    """

    volume: float
    mean: Mean
    members: Floats | None
    deviation: float


def pressure_of(outcomes: Sequence[Outcome]) -> Pressure:
    """Average over the trajectories of one cell.

    Args:
        outcomes: at one temperature and volume.
    """
    temperature = outcomes[0].trajectory.temperature
    mean = block_mean([o.samples.pressure for o in outcomes])
    stress = np.mean([o.samples.stress.mean(axis=0) for o in outcomes], axis=0)[:3]
    votes = [o.votes for o in outcomes if o.votes is not None]
    members = None
    if votes:
        own = np.concatenate([v.own for v in votes])
        members = float(mean.value) + shifted(own, votes, 1 / (kB * temperature), changes=True)
    volume = float(np.mean([o.samples.volume.mean() for o in outcomes]))
    return Pressure(volume, mean, members, float(np.ptp(stress)))


def equation_of_state(
    pressures: Sequence[Pressure], pressure: float
) -> tuple[Estimate, Estimate, tuple[str, ...]]:
    """Volume and isothermal bulk modulus at a pressure.

    Args:
        pressures: of cells of rising volume.
        pressure: GPa.

    Returns:
        The volume of the supercell in Å^3, the bulk modulus in GPa, and what the reader must know of them.

    Raises:
        WorkerError: says why there is no equation of state.
    """
    if len(pressures) < FEWEST:
        raise WorkerError(f"{len(pressures)} volumes, and an equation of state needs {FEWEST}")
    volumes = np.array([p.volume for p in pressures])
    errors = np.array([float(p.mean.error) for p in pressures])
    found = state_with_error(volumes, np.array([float(p.mean.value) for p in pressures]), errors, pressure)
    if found is None:
        raise WorkerError(f"{pressure:g} GPa are not reached near the volumes")
    state, volume, modulus = found
    marks: tuple[str, ...] = () if state.inside else ("beyond the volumes sampled",)
    members: list[Floats | None] = [None, None]
    votes = [p.members for p in pressures if p.members is not None]
    if len(votes) == len(pressures):
        told = _of_members(np.array(votes).T, volumes, errors, pressure)
        members = [None, None] if told is None else list(told)
        marks += ("model part not known",) * (told is None)
    return (
        Estimate(state.volume, volume, members[0]),
        Estimate(state.bulk_modulus, modulus, members[1]),
        marks,
    )


def _of_members(pressures: Floats, volumes: Floats, errors: Floats, pressure: float) -> Floats | None:
    """Volume and bulk modulus of each member, shape (2, n_members); None where one of them has none."""
    try:
        found = [read(fit(volumes, row, errors), volumes, pressure) for row in pressures]
    except WorkerError:
        return None
    if any(one is None for one in found):
        return None
    return np.array([(one.volume, one.bulk_modulus) for one in found if one is not None]).T


def breathing(outcomes: Sequence[Outcome]) -> tuple[Estimate, Estimate]:
    """Volume and isothermal bulk modulus of a cell that breathes at constant pressure.

    Args:
        outcomes: at one temperature.

    Returns:
        The volume of the supercell in Å^3 and the bulk modulus in GPa, kT <V> / <ΔV^2>.

    Source: Landau & Lifshitz, Statistical Physics (1980), section 112.
    """
    thermal = kB * outcomes[0].trajectory.temperature / GPa
    volumes = [o.samples.volume for o in outcomes]
    mean = block_mean(volumes)
    modulus, error = jackknife(blocks(volumes, 5), lambda v: float(thermal * v.mean() / v.var()))
    votes = [o.votes for o in outcomes if o.votes is not None]
    members = None
    if votes:
        of_frames = np.concatenate([v.volume for v in votes])
        members = float(mean.value) + shifted(of_frames, votes, GPa / thermal, changes=False)
    return Estimate(float(mean.value), float(mean.error), members), Estimate(modulus, error, None)


@dataclass(frozen=True)
class Diffusion:
    """Self-diffusion of one element.

    Attributes:
        element: chemical symbol.
        coefficient: Å^2/ps; None where none was seen.
        error: of the coefficient, Å^2/ps.
        limit: what it is below, with 95 % confidence, Å^2/ps; None where it was seen.
        seen: how it was judged, in words.
    """

    element: str
    coefficient: float | None
    error: float
    limit: float | None
    seen: str


def diffusion_of(outcomes: Sequence[Outcome], atoms: Atoms) -> list[Diffusion]:
    """Judge each element: a coefficient where atoms have moved on, and a limit where they have not.

    Args:
        outcomes: followed trajectories of one temperature.
        atoms: their supercell at rest; lengths in Å.
    """
    out = []
    symbols = np.array(atoms.get_chemical_symbols())
    for element in sorted(set(symbols)):
        hop = _hop(atoms, np.flatnonzero(symbols == element))
        motions = [o.motion for o in outcomes if o.motion is not None]
        far = max(m.farthest[element] for m in motions)
        parts = np.concatenate([m.diffusion[element] for m in motions])
        value, error = float(parts.mean()), float(parts.std(ddof=1) / np.sqrt(len(parts)))
        time = sum(o.samples.frame_time[-1] - o.samples.frame_time[0] for o in outcomes) / 1000
        limit = diffusion_limit(int(np.sum(symbols == element)), time, hop)
        if far < hop / 2:
            words = f"no atom moved farther than {far:.2f} Å, where a hop is {hop:.2f} Å"
            out.append(Diffusion(element, None, error, limit, words))
        elif value < 2 * error:
            words = f"{value:.2g} ± {error:.2g} Å²/ps is not told from none"
            out.append(Diffusion(element, None, error, max(limit, value + 2 * error), words))
        else:
            out.append(
                Diffusion(element, value, error, None, f"{len(parts)} parts of {len(motions)} trajectories")
            )
    return out


def _hop(atoms: Atoms, indices: NDArray[np.intp]) -> float:
    """Shortest distance between places of one kind, or of any where that kind has one alone, Å."""
    apart = atoms.get_all_distances(mic=True)
    kind = apart[np.ix_(indices, indices)] if len(indices) > 1 else apart
    return float(kind[kind > 0].min())


def drift(outcome: Outcome) -> Mapping[str, Any]:
    """How well a trajectory held its temperature and what exact integration would conserve.

    Args:
        outcome: of the trajectory.

    Returns:
        Temperature and its error in K; slope of the conserved energy in meV/ps for each atom, None with a barostat.
    """
    samples = outcome.samples
    mean = block_mean([samples.temperature])
    energy = samples.conserved_energy
    slope = None
    if np.isfinite(energy).all():
        slope = float(np.polyfit(samples.time / 1000, energy, 1)[0] * 1000) / outcome.n_atoms
    return {
        "trajectory": outcome.trajectory.name,
        "wanted": outcome.trajectory.temperature,
        "temperature": float(mean.value),
        "error": float(mean.error),
        "drift": slope,
    }
