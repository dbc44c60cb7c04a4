"""Force constants renormalised by temperature: phonopy's stochastic self-consistent harmonic approximation (SSCHA).

Each iteration draws supercells from the harmonic ensemble of the present force constants at a temperature, and fits
new ones to the potential's forces; the next ensemble is that of half old, half new ones, since of a double well the new
ones alone overshoot for ever. Iterations after a transient scatter about the self-consistent constants; the mean of
their fits is the value, and its standard error the sampling's part of the uncertainty.

Source: Errea, Calandra & Mauri, Phys. Rev. B 89, 064302 (2014); as implemented by phonopy, van Roekeghem, Carrete &
Mingo, Comput. Phys. Commun. 263, 107945 (2021).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.sscha.core import MLPSSCHA
from phonopy.structure.atoms import PhonopyAtoms

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.lattice.force_constants import ForceConstants
from hashigo.calculators.workers.lattice.harmonic import commensurate_qpoints, frequencies
from hashigo.calculators.workers.potential import Model
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Share of the new force constants in those of the next ensemble, dimensionless.
MIXING = 0.5
#: Fewest iterations after the transient whose scatter is a standard error, count.
LEAST = 4


class AsMachineLearning:
    """A potential as phonopy asks one of its own for energies and forces.

    Args:
        model: the potential.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def evaluate(self, supercells: Sequence[PhonopyAtoms]) -> tuple[Floats, Floats, Floats]:
        """Energies [eV], forces [eV/Å] and stresses [eV/Å^3] of supercells.

        Returns:
            Shapes (n,), (n, n_atoms, 3) and (n, 6); eV, eV/Å and eV/Å^3.
        """
        atoms = [Atoms(c.symbols, cell=c.cell, positions=c.positions, pbc=True) for c in supercells]
        found = self._model.evaluate(atoms)
        return (
            np.array([one.energy for one in found]),
            np.array([one.forces for one in found]),
            np.array([one.stress for one in found]),
        )


@dataclass(frozen=True)
class Renormalised:
    """Self-consistent force constants at one temperature.

    Attributes:
        temperature: K.
        constants: mean over the iterations after the transient, compact, shape (n_primitive, n_supercell, 3, 3),
            eV/Å^2.
        frequency: of `constants` at the commensurate wave vectors, shape (n_q, n_bands), THz; imaginary ones negative.
        error: standard error of the frequencies over the iterations, shape (n_q, n_bands), THz.
        drift: largest difference between the frequencies of the two halves of these iterations, in units of its
            standard error; above 3 or so the iterations have not settled, dimensionless.
        free_energy: with the anharmonic part, shape (n_iterations,), eV a primitive cell.
        free_energy_error: statistical, of each iteration, shape (n_iterations,), eV a primitive cell.
        members: frequencies by the committee's members from one fit to their forces on the last ensemble, shape
            (n_members, n_q, n_bands), THz; the mean model's fit to the same is `again`.
        again: see `members`, shape (n_q, n_bands), THz.
    """

    temperature: float
    constants: ForceConstants
    frequency: Floats
    error: Floats
    drift: float
    free_energy: Floats
    free_energy_error: Floats
    members: Floats
    again: Floats

    @property
    def minimum(self) -> float:
        """Lowest frequency at a commensurate wave vector, THz; imaginary ones negative."""
        return float(self.frequency.min())

    def converged(self, tolerance: float) -> bool:
        """Whether the iterations have settled and the frequencies' standard error is within a tolerance.

        Args:
            tolerance: of the root mean square of the frequencies, relative, dimensionless.
        """
        scale = float(np.sqrt(np.mean(self.frequency**2)))
        return self.drift <= 4.0 and float(np.sqrt(np.mean(self.error**2))) <= tolerance * scale


def renormalise(
    model: Model,
    members: Sequence[Model],
    lattice: Phonopy,
    temperature: float,
    settings: Mapping[str, Any],
    progress: Callable[[float], None] | None = None,
) -> Renormalised:
    """Iterate to self-consistency at one temperature.

    Args:
        model: the mean potential.
        members: of its committee.
        lattice: supercell and primitive cell.
        temperature: K.
        settings: snapshots of each iteration, iterations, transient (how many of them are left out), displacement [Å]
            of the harmonic ones to start from (their imaginary modes are taken by magnitude), mesh, seed.
        progress: told the fraction done, dimensionless.
    """
    total = int(settings["iterations"])
    run = MLPSSCHA(
        lattice,
        AsMachineLearning(model),
        temperature=temperature,
        number_of_snapshots=int(settings["snapshots"]),
        max_iterations=total,
        distance=float(settings["displacement"]),
        mesh=[int(settings["mesh"])] * 3,
        random_seed=int(settings["seed"]),
    )
    fitted = []
    before: Floats | None = None
    for iteration in run:
        new = np.array(run.force_constants)
        if before is not None:
            fitted.append(_compact(run))
        before = new if before is None else MIXING * new + (1 - MIXING) * before
        run.phonopy.force_constants = before
        if progress is not None:
            progress(iteration / total)
    kept = fitted[int(settings["transient"]) :]
    qpoints = commensurate_qpoints(lattice)
    constants = ForceConstants(np.mean(kept, axis=0))
    each = np.array([frequencies(lattice, ForceConstants(one), qpoints) for one in kept])
    error = each.std(axis=0, ddof=1) / np.sqrt(len(kept))
    run.phonopy.force_constants = new
    again, votes = _members(run, members, lattice, qpoints)
    return Renormalised(
        temperature,
        constants,
        frequencies(lattice, constants, qpoints),
        error,
        _drift(each),
        np.array([one.free_energy for one in run.history]),
        np.array([one.free_energy_error for one in run.history]),
        votes,
        again,
    )


def _compact(run: MLPSSCHA) -> Floats:
    full = np.asarray(run.force_constants)
    return np.array(full[run.phonopy.primitive.p2s_map])


def _drift(each: Floats) -> float:
    """Difference of the mean squared frequency between the two halves, over its standard error."""
    trace = np.sign(each) * each**2
    trace = trace.mean(axis=(1, 2))
    half = len(trace) // 2
    first, second = trace[:half], trace[-half:]
    spread = trace.std(ddof=1) * np.sqrt(2 / half)
    return float(abs(second.mean() - first.mean()) / spread) if spread > 0 else 0.0


def _members(
    run: MLPSSCHA, members: Sequence[Model], lattice: Phonopy, qpoints: Floats
) -> tuple[Floats, Floats]:
    """Frequencies of the mean model and of each member, by one fit each to the forces on the last ensemble."""
    phonopy = run.phonopy
    again = frequencies(lattice, ForceConstants(_compact(run)), qpoints)
    supercells = phonopy.supercells_with_displacements
    votes = []
    for member in members:
        _, forces, _ = AsMachineLearning(member).evaluate(supercells)
        phonopy.forces = forces
        phonopy.produce_force_constants(
            fc_calculator="symfc", calculate_full_force_constants=True, show_drift=False
        )
        votes.append(frequencies(lattice, ForceConstants(_compact(run)), qpoints))
    return again, np.array(votes).reshape((len(votes), *again.shape))


def read_renormalised(path: Path, temperature: float, supercell: Sequence[int]) -> Floats:
    """Force constants that a result of the task "sscha" holds for a temperature.

    Args:
        path: the result file.
        temperature: K.
        supercell: repeats they must belong to, shape (3,), count.

    Returns:
        Compact, shape (n_primitive, n_supercell, 3, 3), eV/Å^2.

    Raises:
        InputError: when it has none at this temperature or of this supercell.
    """
    with ResultReader(path) as reader:
        own = list(reader.note("sscha")["supercell"])
        if own != [int(n) for n in supercell]:
            raise InputError(
                f"the renormalised force constants are those of a supercell {own}, the conductivity's is "
                f"{list(supercell)}",
                fix="give sscha.supercell and conductivity.supercell the same value",
            )
        name = f"{temperature:g}K/force_constants"
        if not reader.has(name):
            raise InputError(
                f"there are no renormalised force constants at {temperature:g} K",
                fix="add the temperature to sscha.temperatures",
            )
        return np.asarray(reader.array(name), dtype=np.float64)
