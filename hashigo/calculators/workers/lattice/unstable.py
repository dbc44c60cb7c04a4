"""An imaginary mode: its pattern in the smallest supercell that it fits into, and the stable structure behind it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import spglib
from ase import Atoms
from ase.io import write
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.phonon.degeneracy import degenerate_sets

from hashigo.calculators.results import CREATOR, ResultWriter
from hashigo.calculators.workers.lattice.displacement_cif import crystal_cif
from hashigo.calculators.workers.lattice.elastic import relax
from hashigo.calculators.workers.lattice.force_constants import ForceConstants, Integers
from hashigo.calculators.workers.lattice.harmonic import StabilityGate, commensurate_qpoints
from hashigo.calculators.workers.potential import Model
from hashigo.errors import WorkerError
from hashigo.study.structures import standardise

Floats = NDArray[np.float64]

#: Files beside the report.
PATTERN, STABLE = "imaginary-mode.xyz", "stable.cif"
#: Largest displacements tried along the mode, Å; the relaxation starts from that of least energy.
AMPLITUDES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
#: A mode is acoustic when more than this share of it moves the primitive cell as a whole, dimensionless.
_ACOUSTIC = 0.5
#: Distance within which the symmetry of a relaxed structure is looked for, Å.
_TOLERANCE = 1e-2


@dataclass(frozen=True)
class ImaginaryMode:
    """The lowest mode at a commensurate wave vector.

    Attributes:
        qpoint: fractions of the reciprocal primitive vectors, shape (3,), dimensionless.
        frequency: THz; negative, as imaginary.
        eigenvector: mass-weighted, of the primitive cell's atoms, complex, shape (n_primitive, 3), dimensionless.
        supercell: repeats of the primitive cell that the wave fits into, shape (3,), count.
        undisplaced: that supercell; lengths in Å.
        patterns: displacements of its atoms, one for each mode of this frequency and one of all together, the largest
            of each 1, shape (n_patterns, n_atoms, 3), dimensionless.
        acoustic: whether it is one of the longest waves and moves the primitive cell as a whole.
    """

    qpoint: Floats
    frequency: float
    eigenvector: NDArray[np.complex128]
    supercell: Integers
    undisplaced: Atoms
    patterns: Floats
    acoustic: bool


def imaginary_mode(lattice: Phonopy, constants: ForceConstants, gate: StabilityGate) -> ImaginaryMode:
    """The mode that a gate found.

    Args:
        lattice: supercell and primitive cell; its force constants are set.
        constants: of this supercell.
        gate: that did not hold.
    """
    lattice.force_constants = constants.second
    qpoint = np.array(gate.qpoint)
    found = lattice.run_qpoints([qpoint], with_eigenvectors=True)
    frequency, vectors = found.frequencies[0], found.eigenvectors[0]
    equal = next(bands for bands in degenerate_sets(frequency, cutoff=1e-3) if 0 in bands)
    supercell = np.array([Fraction(float(x)).limit_denominator(1000).denominator for x in qpoint])
    patterns = [_pattern(lattice, qpoint, supercell, [band]) for band in equal]
    if len(equal) > 1:
        patterns.append(_pattern(lattice, qpoint, supercell, list(equal)))
    lattice.run_modulations(supercell, [[qpoint, 0, 1.0, 0.0]])
    ideal = lattice.modulation.supercell
    masses = np.asarray(lattice.primitive.masses)
    eigenvector = vectors[:, 0].reshape(-1, 3)
    whole = np.linalg.norm(np.sqrt(masses / masses.sum()) @ eigenvector) ** 2
    return ImaginaryMode(
        qpoint=qpoint,
        frequency=float(frequency[0]),
        eigenvector=eigenvector,
        supercell=supercell,
        undisplaced=Atoms(ideal.symbols, cell=ideal.cell, scaled_positions=ideal.scaled_positions, pbc=True),
        patterns=np.array(patterns),
        acoustic=bool(whole > _ACOUSTIC) and _is_longest(lattice, qpoint),
    )


def _pattern(lattice: Phonopy, qpoint: Floats, supercell: Integers, bands: list[int]) -> Floats:
    lattice.run_modulations(supercell, [[qpoint, band, 1.0, 0.0] for band in bands])
    shifts = np.sum(np.asarray(lattice.modulation.modulations), axis=0).real
    return np.asarray(shifts / np.linalg.norm(shifts, axis=1).max())


def _is_longest(lattice: Phonopy, qpoint: Floats) -> bool:
    """Whether no commensurate wave but the translations is longer."""
    reciprocal = np.linalg.inv(lattice.primitive.cell).T
    corners = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T

    def length(wave: Floats) -> float:
        return float(np.linalg.norm((wave - np.rint(wave) + corners) @ reciprocal, axis=1).min())

    others = [length(wave) for wave in commensurate_qpoints(lattice)]
    own = length(qpoint)
    return own > 1e-6 and own <= min(other for other in others if other > 1e-6) * (1 + 1e-6)


@dataclass(frozen=True)
class Stable:
    """A structure that an imaginary mode leads to.

    Attributes:
        atoms: conventional standardised cell; lengths in Å.
        gain: energy by which it is lower than the crystal, eV for each atom.
        space_group: international symbol and number.
        before: of the crystal.
        amplitude: largest displacement of the start of the relaxation, Å.
    """

    atoms: Atoms
    gain: float
    space_group: str
    before: str
    amplitude: float


def follow(model: Model, mode: ImaginaryMode, *, cell: bool = True) -> Stable | str:
    """Displace the crystal along a mode, and relax it from where its energy is least.

    The relaxation keeps the symmetry that the pattern leaves. Of patterns of equal frequency the one that gains most is
    taken.

    Args:
        model: the potential.
        mode: of `imaginary_mode`.
        cell: whether the cell is relaxed too, or the positions alone.

    Returns:
        The structure, or a sentence why there is none.
    """
    start = model.evaluate([mode.undisplaced])[0].energy
    reasons, found = [], []
    for pattern in mode.patterns:
        trials = []
        for amplitude in AMPLITUDES:
            trials.append(mode.undisplaced.copy())
            trials[-1].positions += amplitude * pattern
        energies = np.array([one.energy for one in model.evaluate(trials)])
        energies[~np.isfinite(energies)] = np.inf
        best = int(energies.argmin())
        if energies[best] >= start:
            reasons.append("the energy does not fall along the mode")
            continue
        try:
            relaxed = relax(model, trials[best], cell=cell)
            gain = float(start - model.evaluate([relaxed])[0].energy) / len(relaxed)
        except WorkerError as error:
            reasons.append(error.message)
            continue
        except np.linalg.LinAlgError:  # of the optimiser, when forces are no numbers
            reasons.append("the relaxation along the mode ran away")
            continue
        found.append((gain, AMPLITUDES[best], relaxed))
    if not found:
        return "; ".join(dict.fromkeys(reasons))
    gain, amplitude, relaxed = max(found, key=lambda one: one[0])
    return Stable(
        atoms=standardise(relaxed, _TOLERANCE),
        gain=gain,
        space_group=_space_group(relaxed),
        before=_space_group(mode.undisplaced),
        amplitude=amplitude,
    )


def _space_group(atoms: Atoms) -> str:
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    return str(spglib.get_spacegroup(cell, symprec=_TOLERANCE))


def write_mode(writer: ResultWriter, mode: ImaginaryMode, stable: Stable | str | None) -> None:
    """Write mode and structure, each also as a file for the user.

    Args:
        writer: of the result file.
        mode: of `imaginary_mode`.
        stable: of `follow`; None where it was not asked for.
    """
    writer.array("imaginary_mode/qpoint", mode.qpoint, units="dimensionless")
    writer.array("imaginary_mode/frequency", mode.frequency, units="THz")
    writer.array("imaginary_mode/eigenvector_real", mode.eigenvector.real, units="dimensionless")
    writer.array("imaginary_mode/eigenvector_imaginary", mode.eigenvector.imag, units="dimensionless")
    writer.array("imaginary_mode/patterns", mode.patterns, units="dimensionless")
    writer.array("imaginary_mode/cell", mode.undisplaced.cell.array, units="Å")
    writer.array("imaginary_mode/positions", mode.undisplaced.positions, units="Å")
    writer.array("imaginary_mode/numbers", mode.undisplaced.numbers, units="dimensionless")
    note = {
        "qpoint": mode.qpoint.tolist(),
        "frequency": mode.frequency,
        "unit": "THz",
        "supercell_of_primitive": mode.supercell.tolist(),
        "acoustic": mode.acoustic,
        "file": PATTERN,
    }
    writer.text(PATTERN, _extended_xyz(mode))
    if isinstance(stable, Stable):
        note["stable"] = {
            "space_group": stable.space_group,
            "space_group_before": stable.before,
            "energy_gain": stable.gain,
            "energy_gain_unit": "eV/atom",
            "start_amplitude": stable.amplitude,
            "file": STABLE,
        }
        writer.text(STABLE, crystal_cif(stable.atoms))
        writer.array("stable/cell", stable.atoms.cell.array, units="Å")
        writer.array("stable/positions", stable.atoms.get_scaled_positions(), units="dimensionless")
        writer.array("stable/numbers", stable.atoms.numbers, units="dimensionless")
    elif stable is not None:
        note["not_followed"] = stable
    writer.note("imaginary_mode", note)


def _extended_xyz(mode: ImaginaryMode) -> str:
    """The undisplaced supercell with the pattern as a column of its atoms."""
    atoms = mode.undisplaced.copy()
    atoms.set_array("displacement", mode.patterns[0])
    atoms.info = {
        "creator": CREATOR,
        "qpoint": " ".join(f"{x:g}" for x in mode.qpoint),
        "frequency_THz": mode.frequency,
    }
    stream = io.StringIO()
    write(stream, atoms, format="extxyz")
    return stream.getvalue()
