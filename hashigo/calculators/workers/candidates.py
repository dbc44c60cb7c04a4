"""Task "candidates": configurations worth labelling, chosen by the committee's uncertainty and by diversity.

Supercells come from thermal displacements, single vibrations and molecular dynamics with the mean potential, cells
from random strains; of each source the most uncertain are taken in turn, and none that is nearly another one's equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray
from phonopy.harmonic.force_constants import compact_fc_to_full_fc

from hashigo.calculators.frames import Frame, read_frames, read_header, write_frames
from hashigo.calculators.sampling import scaled_cells, strained_cells
from hashigo.calculators.workers.dynamics.driver import trajectory
from hashigo.calculators.workers.evaluation import overlap
from hashigo.calculators.workers.extrapolation import FORCE_TOLERANCE, TrainedRegion
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import read_structure
from hashigo.calculators.workers.lattice.force_constants import (
    Fit,
    build_lattice,
    ideal_supercell,
    random_dataset,
)
from hashigo.calculators.workers.polynomial import load_committee
from hashigo.calculators.workers.potential import Committee, CommitteeEvaluation
from hashigo.errors import InputError, WorkerError

TASK_VERSION = 1

Floats = NDArray[np.float64]

#: Parameters and their defaults: temperatures in K, steps and counts, timestep in fs, displacement in Å.
DEFAULTS: dict[str, Any] = {
    "supercells": 2,
    "strained": 2,
    "sources": ["thermal", "vibrations", "dynamics", "dynamics_npt", "strained"],
    "supercell": [2, 2, 2],
    "temperatures": [300.0],
    "dynamics_steps": 1000,
    "timestep": 2.0,
    "displacement": 0.03,
    "strain": 0.015,
    "volume_range": 0.06,
    "seed": 0,
}
#: Candidates of each source.
POOL = 12
#: Two configurations are nearly equal when they are nearer to each other than this share of their distance from the
#: ideal crystal.
ALIKE = 0.5
#: An amplitude of a single vibration is cut so that no atom moves farther, Å.
FARTHEST = 0.3


@dataclass(frozen=True)
class Candidate:
    """A configuration that could be labelled.

    Attributes:
        source: how it was made.
        atoms: lengths in Å.
        ideal: the crystal that it is a deformation of, atoms in the same order; lengths in Å.
        uncertainty: committee spread of forces (of stress, for a strained cell), relative, dimensionless.
    """

    source: str
    atoms: Atoms
    ideal: Atoms
    uncertainty: float = 0.0


def run(job: Job) -> None:
    """Choose configurations by the input "potential", for the crystal of the input "structure".

    The input "frames" holds the configurations that are known.

    Raises:
        InputError: when parameters or inputs do not fit.
    """
    if not job.is_root:
        return
    settings = check_settings(job.parameters)
    structure = read_structure(job.inputs["structure"])
    committee = load_committee(job.inputs["potential"])
    region = TrainedRegion.read(job.inputs["potential"])
    known = [frame.atoms() for frame in read_frames(job.inputs["frames"])]
    if region is None or len(committee.members) < 2:
        raise InputError(
            "candidates are chosen by a committee's uncertainty, and the potential has no committee"
        )
    chosen = choose(committee, region, structure, known, settings, job)
    if not chosen:
        raise InputError(
            "no candidate differs from the configurations that are known",
            fix="give learning.sources or learning.temperatures that reach farther",
        )
    frames = [
        Frame(
            one.atoms.cell.array.copy(),
            one.atoms.positions,
            tuple(one.atoms.get_chemical_symbols()),
            # Not "displaced": only small displacements of the ideal crystal are, from which force constants follow.
            kind=one.source,
            origin=f"{one.source}, uncertainty {100 * one.uncertainty:.2g} %",
        )
        for one in chosen
    ]
    write_frames(job.output, frames, read_header(job.inputs["frames"]))
    job.progress(1, 1, "chosen")


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check them.

    Args:
        parameters: any of `DEFAULTS`; temperatures in K, timestep in fs, displacement in Å.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"learning.{unknown[0]} is not a parameter of the choice", fix=f"known are {', '.join(DEFAULTS)}"
        )
    settings = {**DEFAULTS, **parameters}
    strange = sorted(set(settings["sources"]) - set(_SOURCES))
    if strange or not settings["sources"]:
        raise InputError(
            f"learning.sources names '{strange[0]}'" if strange else "learning.sources is empty",
            fix=f"choose of {', '.join(_SOURCES)}",
        )
    if settings["supercells"] + settings["strained"] < 1:
        raise InputError("no configuration is asked for", fix="set learning.batch to 4 or so")
    return settings


def choose(
    committee: Committee,
    region: TrainedRegion,
    structure: Atoms,
    known: Sequence[Atoms],
    settings: Mapping[str, Any],
    job: Job | None = None,
) -> list[Candidate]:
    """Make candidates of all sources and choose among them.

    Args:
        committee: mean model and members.
        region: in which it was trained.
        structure: conventional cell; lengths in Å.
        known: configurations that are labelled; lengths in Å.
        settings: complete, of `check_settings`.
        job: told of the progress.

    Returns:
        As many supercells and strained cells as asked for, or fewer where there are no more that differ.
    """
    pool: dict[str, list[Candidate]] = {}
    for place, name in enumerate(settings["sources"]):
        if job is not None:
            job.progress(place, len(settings["sources"]), f"candidates: {name}")
        made = [
            one for one in _SOURCES[name](committee, region, structure, settings) if not _overlaps(one.atoms)
        ]
        pool[name] = _scored(made, committee, region)
    supercells = {name: found for name, found in pool.items() if name != "strained"}
    wanted = (
        (supercells, settings["supercells"]),
        ({"strained": pool.get("strained", [])}, settings["strained"]),
    )
    chosen: list[Candidate] = []
    for sources, count in wanted:
        chosen += _in_turn(sources, count, [*known, *(one.atoms for one in chosen)])
    return chosen


def _in_turn(sources: Mapping[str, list[Candidate]], count: int, known: Sequence[Atoms]) -> list[Candidate]:
    """The most uncertain of each source in turn, without those that are alike."""
    queues = {name: iter(sorted(found, key=lambda one: -one.uncertainty)) for name, found in sources.items()}
    chosen: list[Candidate] = []
    while queues and len(chosen) < count:
        for name in list(queues):
            fresh = (
                one
                for one in queues[name]
                if not any(alike(one, other) for other in (*known, *(c.atoms for c in chosen)))
            )
            found = next(fresh, None)
            if found is None:
                del queues[name]
            elif len(chosen) < count:
                chosen.append(found)
    return chosen


def alike(one: Candidate, other: Atoms) -> bool:
    """Whether a candidate is nearly another configuration's equal.

    Args:
        one: the candidate.
        other: of the same crystal; lengths in Å.
    """
    if len(one.atoms) != len(other) or one.atoms.get_chemical_symbols() != other.get_chemical_symbols():
        return False
    return distance(one.atoms, other) < ALIKE * distance(one.atoms, one.ideal)


def distance(first: Atoms, second: Atoms) -> float:
    """Distance of two configurations of the same atoms: of their places in the cell, and of the cells, a translation
    left out.

    Args:
        first: lengths in Å.
        second: as many atoms in the same order; lengths in Å.

    Returns:
        Root mean square over the atoms, Å.
    """
    apart = first.get_scaled_positions(wrap=False) - second.get_scaled_positions(wrap=False)
    apart -= np.rint(apart)
    apart -= apart.mean(axis=0)
    cells = first.cell.array - second.cell.array
    moved = apart @ (first.cell.array + second.cell.array) / 2
    return float(np.sqrt(np.mean(np.sum(moved**2, axis=1)) + np.sum(cells**2)))


def _scored(made: list[Candidate], committee: Committee, region: TrainedRegion) -> list[Candidate]:
    if not made:
        return []
    told = committee.evaluate_all([one.atoms for one in made])
    return [
        Candidate(one.source, one.atoms, one.ideal, _uncertainty(one, evaluation, region))
        for one, evaluation in zip(made, told, strict=True)
    ]


def _uncertainty(one: Candidate, told: CommitteeEvaluation, region: TrainedRegion) -> float:
    if one.source == "strained":
        return told.stress_spread / max(float(np.sqrt(np.mean(told.mean.stress**2))), np.finfo(float).tiny)
    return told.force_spread / max(float(np.sqrt(np.mean(told.mean.forces**2))), region.force)


def _overlaps(atoms: Atoms) -> bool:
    return bool(overlap(Frame(atoms.cell.array, atoms.positions, tuple(atoms.get_chemical_symbols()))))


# Sources


def _vibrations(
    committee: Committee, structure: Atoms, settings: Mapping[str, Any]
) -> tuple[Atoms, Floats, Floats]:
    """The supercell, and angular frequencies and displacements of its vibrations.

    Returns:
        Atoms; shape (n_modes,), in ASE's units; shape (n_modes, n_atoms, 3), 1/sqrt(u).
    """
    lattice = build_lattice(structure, settings["supercell"])
    fit = Fit(lattice, 2)
    dataset = random_dataset(
        committee.mean,
        lattice,
        fit.pairs_needed(),
        float(settings["displacement"]),
        int(settings["seed"]),
        paired=True,
    )
    constants = compact_fc_to_full_fc(lattice.primitive, fit.solve(dataset).second)
    supercell = ideal_supercell(lattice)
    masses = np.repeat(supercell.get_masses(), 3)
    dynamical = constants.transpose(0, 2, 1, 3).reshape(len(masses), len(masses)) / np.sqrt(
        np.outer(masses, masses)
    )
    squares, vectors = np.linalg.eigh((dynamical + dynamical.T) / 2)
    # Three translations; imaginary ones count with their size.
    order = np.argsort(np.abs(squares))[3:]
    shapes = (vectors[:, order].T / np.sqrt(masses)).reshape(len(order), -1, 3)
    return supercell, np.sqrt(np.abs(squares[order])), shapes


def _amplitudes(frequencies: Floats, temperature: float) -> Floats:
    """Root-mean-square normal coordinates of quantum oscillators, sqrt(u) Å.

    Source: Born & Huang, Dynamical Theory of Crystal Lattices (1954), ħ/(2ω) coth(ħω/2kT).
    """
    quantum = units._hbar * units.J * units.second
    return np.sqrt(
        quantum / (2 * frequencies) / np.tanh(quantum * frequencies / (2 * units.kB * temperature))
    )


def _displaced(supercell: Atoms, displacement: Floats) -> Atoms:
    atoms = supercell.copy()
    atoms.positions += displacement
    return atoms


def _thermal(
    committee: Committee, region: TrainedRegion, structure: Atoms, settings: Mapping[str, Any]
) -> Iterator[Candidate]:
    supercell, frequencies, shapes = _vibrations(committee, structure, settings)
    generator = np.random.default_rng([int(settings["seed"]), 11])
    for temperature in settings["temperatures"]:
        sizes = _amplitudes(frequencies, float(temperature))
        for _ in range(POOL):
            coordinates = generator.standard_normal(len(sizes)) * sizes
            yield Candidate("thermal", _displaced(supercell, np.tensordot(coordinates, shapes, 1)), supercell)


def _single(
    committee: Committee, region: TrainedRegion, structure: Atoms, settings: Mapping[str, Any]
) -> Iterator[Candidate]:
    supercell, frequencies, shapes = _vibrations(committee, structure, settings)
    generator = np.random.default_rng([int(settings["seed"]), 12])
    temperature = float(max(settings["temperatures"]))
    sizes = _amplitudes(frequencies, temperature)
    for mode in generator.permutation(len(sizes))[:POOL]:
        # All other vibrations at rest, this one at twice its thermal amplitude.
        moved = 2 * sizes[mode] * shapes[mode]
        moved *= min(1.0, FARTHEST / np.linalg.norm(moved, axis=1).max())
        yield Candidate("vibrations", _displaced(supercell, moved), supercell)


def _dynamics(pressure: float | None, name: str, stream: int) -> Callable[..., Iterator[Candidate]]:
    def make(
        committee: Committee, region: TrainedRegion, structure: Atoms, settings: Mapping[str, Any]
    ) -> Iterator[Candidate]:
        supercell = ideal_supercell(build_lattice(structure, settings["supercell"]))
        steps, place = int(settings["dynamics_steps"]), 0
        for place, temperature in enumerate(settings["temperatures"]):
            snapshots = trajectory(
                committee.mean, supercell, temperature=float(temperature), steps=steps, pressure=pressure,
                every=max(1, steps // POOL), seed=int(settings["seed"]) + 1000 * stream + place,
                timestep=float(settings["timestep"]),
            )  # fmt: skip
            try:
                for snapshot in snapshots:
                    atoms = snapshot.atoms(supercell)
                    yield Candidate(name, atoms, supercell)
                    # What lies outside is worth labelling, but what follows from it is not.
                    if region.force_uncertainty(committee, [atoms])[0] > FORCE_TOLERANCE:
                        break
            except WorkerError:  # it ran away: the snapshots before say where
                continue

    return make


def _strained(
    committee: Committee, region: TrainedRegion, structure: Atoms, settings: Mapping[str, Any]
) -> Iterator[Candidate]:
    distance, seed = float(settings["displacement"]), int(settings["seed"])
    cells = strained_cells(structure, 2 * POOL, float(settings["strain"]), distance, seed)
    cells += scaled_cells(structure, POOL, float(settings["volume_range"]), distance, seed)
    for atoms in cells:
        yield Candidate("strained", atoms, structure)


_SOURCES: dict[str, Callable[..., Iterator[Candidate]]] = {
    "thermal": _thermal,
    "vibrations": _single,
    "dynamics": _dynamics(None, "dynamics", 1),
    "dynamics_npt": _dynamics(0.0, "dynamics_npt", 2),
    "strained": _strained,
}
