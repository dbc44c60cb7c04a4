"""Harmonic lattice dynamics by phonopy: bands, density of states, thermal properties, and the gate on stability."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import seekpath
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.dynmat_to_fc import get_commensurate_points
from phonopy.phonon.band_structure import get_band_qpoints

from hashigo.calculators.workers.lattice.force_constants import ForceConstants

Floats = NDArray[np.float64]

#: Names of thermal properties, in the order of `ThermalProperties.rows`.
THERMAL = ("helmholtz_energy", "entropy", "heat_capacity")


@dataclass(frozen=True)
class BandPath:
    """Wave vectors along the lines of high symmetry, in fractions of the reciprocal primitive vectors.

    Attributes:
        segments: one array for each straight line, shape (n_q, 3), dimensionless.
        ends: names of start and end of each line.
    """

    segments: tuple[Floats, ...]
    ends: tuple[tuple[str, str], ...]

    @property
    def qpoints(self) -> Floats:
        """All wave vectors one after the other, shape (n_q, 3), dimensionless."""
        return np.concatenate(self.segments)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """First row of each line and the row after its last."""
        stops = np.cumsum([len(segment) for segment in self.segments])
        return [
            (int(stop) - len(segment), int(stop)) for stop, segment in zip(stops, self.segments, strict=True)
        ]

    def distances(self, primitive_cell: Floats) -> Floats:
        """Length along the path, without jumps between lines that do not meet.

        Args:
            primitive_cell: lattice vectors as rows, shape (3, 3), Å.

        Returns:
            Shape (n_q,), 1/Å (without the factor 2π).
        """
        reciprocal = np.linalg.inv(primitive_cell).T
        parts = []
        start = 0.0
        for segment in self.segments:
            along = start + np.linalg.norm((segment - segment[0]) @ reciprocal, axis=1)
            parts.append(along)
            start = along[-1]
        return np.concatenate(parts)

    def ticks(self, distances: Floats) -> tuple[list[float], list[str]]:
        """Where to write which name; "X|K" where the path jumps.

        Args:
            distances: of `distances`, shape (n_q,), 1/Å.

        Returns:
            Positions in 1/Å, and labels.
        """
        positions, labels = [0.0], [self.ends[0][0]]
        for index, (_, stop) in enumerate(self.ranges):
            label = self.ends[index][1]
            if index + 1 < len(self.ends) and self.ends[index + 1][0] != label:
                label = f"{label}|{self.ends[index + 1][0]}"
            positions.append(float(distances[stop - 1]))
            labels.append(label)
        return positions, labels


def band_path(lattice: Phonopy, points: int) -> BandPath:
    """The path of Hinuma et al. for the crystal's Bravais lattice.

    Args:
        lattice: gives the primitive cell.
        points: count of wave vectors on the longest line; shorter ones have a similar interval.

    Source: Hinuma, Pizzi, Kumagai, Oba & Tanaka, Comput. Mater. Sci. 128, 140 (2017).
    """
    primitive = lattice.primitive
    with warnings.catch_warnings():
        # seekpath reads spglib's dataset in a way that spglib is going to drop.
        warnings.simplefilter("ignore", DeprecationWarning)
        found = seekpath.get_path(primitive.totuple())
    lines = [[found["point_coords"][start], found["point_coords"][end]] for start, end in found["path"]]
    segments = get_band_qpoints(lines, npoints=points, rec_lattice=np.linalg.inv(primitive.cell))
    ends = tuple((_plain_label(start), _plain_label(end)) for start, end in found["path"])
    return BandPath(tuple(np.asarray(segment) for segment in segments), ends)


def _plain_label(name: str) -> str:
    greek = {"GAMMA": "Γ", "SIGMA": "Σ", "LAMBDA": "Λ", "DELTA": "Δ"}
    return re.sub("|".join(greek), lambda match: greek[match.group()], name)


def frequencies(lattice: Phonopy, constants: ForceConstants, qpoints: Floats) -> Floats:
    """Phonon frequencies; imaginary ones are given as negative numbers.

    Args:
        lattice: supercell and primitive cell; its force constants are set.
        constants: of this supercell.
        qpoints: fractions of the reciprocal primitive vectors, shape (n_q, 3), dimensionless.

    Returns:
        Ascending at each wave vector, shape (n_q, n_bands), THz.
    """
    lattice.force_constants = constants.second
    lattice.run_qpoints(qpoints)
    return np.sort(np.asarray(lattice.qpoints.frequencies), axis=1)


def band_frequencies(lattice: Phonopy, constants: ForceConstants, path: BandPath) -> Floats:
    """Frequencies along a path; at its ends at Γ those seen from the line, where a polar crystal's depend on it.

    Args:
        lattice: supercell and primitive cell; its force constants are set.
        constants: of this supercell.
        path: of the bands.

    Returns:
        Ascending at each wave vector, shape (n_q, n_bands), THz; imaginary ones negative.
    """
    lattice.force_constants = constants.second
    parts = []
    for segment in path.segments:
        lattice.run_qpoints(segment, nac_q_direction=segment[-1] - segment[0])
        parts.append(np.sort(np.asarray(lattice.qpoints.frequencies), axis=1))
    return np.concatenate(parts)


def longitudinal_frequency_gamma(lattice: Phonopy, constants: ForceConstants) -> float | None:
    """Highest frequency at Γ seen from the Cartesian axes, with the non-analytic term.

    Args:
        lattice: supercell and primitive cell; its force constants are set.
        constants: of this supercell.

    Returns:
        In THz, the largest of the three directions, which a cubic crystal has all the same; None without Born charges
        or optical branch.
    """
    if lattice.nac_params is None or len(lattice.primitive) < 2:
        return None
    lattice.force_constants = constants.second
    highest = []
    # Columns are the reciprocal vectors that run along x, y and z, in fractions of the primitive ones.
    for direction in np.asarray(lattice.primitive.cell).T:
        lattice.run_qpoints(np.zeros((1, 3)), nac_q_direction=direction)
        highest.append(float(np.max(lattice.qpoints.frequencies)))
    return max(highest)


def commensurate_qpoints(lattice: Phonopy) -> Floats:
    """Wave vectors whose waves fit into the supercell: there the force constants are used without interpolation.

    Args:
        lattice: supercell and primitive cell.

    Returns:
        Fractions of the reciprocal primitive vectors, shape (n_cells, 3), dimensionless.
    """
    matrix = np.rint(np.linalg.inv(lattice.primitive.primitive_matrix)).astype(np.int64)
    return np.asarray(get_commensurate_points(matrix), dtype=float)


@dataclass(frozen=True)
class ThermalProperties:
    """Of one primitive cell, harmonic, at constant volume.

    Attributes:
        temperatures: shape (n_temperatures,), K.
        rows: vibrational Helmholtz energy in kJ/mol, entropy and heat capacity in J/(K mol), shape
            (3, n_temperatures), per mole of primitive cells.
    """

    temperatures: Floats
    rows: Floats


@dataclass(frozen=True)
class Spectrum:
    """Density of states.

    Attributes:
        frequency: shape (n,), THz.
        density: states of one primitive cell, shape (n,), 1/THz; its integral is three times the number of atoms.
    """

    frequency: Floats
    density: Floats


def mesh_properties(
    lattice: Phonopy, constants: ForceConstants, mesh: int, temperatures: Sequence[float]
) -> tuple[Spectrum, ThermalProperties]:
    """Density of states (tetrahedron method) and thermal properties on a mesh of wave vectors.

    The three acoustic modes at Γ, whose frequency is zero, are left out of the thermal properties.

    Args:
        lattice: supercell and primitive cell; its force constants are set.
        constants: of this supercell.
        mesh: count of wave vectors along each reciprocal vector.
        temperatures: K.
    """
    thermal = thermal_properties(lattice, constants, mesh, temperatures)
    lattice.run_total_dos()
    spectrum = Spectrum(np.asarray(lattice.total_dos.frequency_points), np.asarray(lattice.total_dos.dos))
    return spectrum, thermal


def thermal_properties(
    lattice: Phonopy, constants: ForceConstants, mesh: int, temperatures: Sequence[float]
) -> ThermalProperties:
    """Thermal properties on a mesh of wave vectors, without the three acoustic modes at Γ.

    Args:
        lattice: supercell and primitive cell; its force constants and mesh are set.
        constants: of this supercell.
        mesh: count of wave vectors along each reciprocal vector.
        temperatures: K.
    """
    lattice.force_constants = constants.second
    lattice.run_mesh([mesh] * 3, is_gamma_center=True)
    lattice.run_thermal_properties(temperatures=list(temperatures), exclude_gamma_acoustic=True)
    found = lattice.thermal_properties
    rows = np.array([found.free_energy, found.entropy, found.heat_capacity])
    return ThermalProperties(np.asarray(temperatures, dtype=float), rows)


@dataclass(frozen=True)
class StabilityGate:
    """Whether a crystal has an imaginary mode where the force constants are not interpolated.

    Attributes:
        minimum: lowest frequency at a commensurate wave vector, THz; imaginary ones are negative.
        qpoint: where, in fractions of the reciprocal primitive vectors.
        tolerance: the lowest frequency that passes, THz.
    """

    minimum: float
    qpoint: tuple[float, ...]
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether no commensurate mode lies below the tolerance."""
        return self.minimum >= self.tolerance

    def sentence(self, formula: str) -> str:
        """What does not hold, or "" when the gate is passed.

        Args:
            formula: of the crystal.
        """
        if self.passed:
            return ""
        where = ", ".join(f"{x:g}" for x in self.qpoint)
        return (
            f"{formula} has an imaginary phonon of {self.minimum:.2f} THz at the commensurate wave vector ({where}), "
            f"below the tolerance of {self.tolerance} THz"
        )

    def values(self) -> dict[str, Any]:
        """Its numbers as they are kept with the results; frequencies in THz."""
        return {
            "minimum_frequency": self.minimum,
            "qpoint": list(self.qpoint),
            "tolerance": self.tolerance,
            "unit": "THz",
        }


def stability_gate(qpoints: Floats, frequency: Floats, tolerance: float) -> StabilityGate:
    """Judge the frequencies at the commensurate wave vectors.

    Args:
        qpoints: shape (n_q, 3), dimensionless.
        frequency: shape (n_q, n_bands), THz; imaginary ones negative.
        tolerance: the lowest frequency that passes, THz; 0 or a small negative number.
    """
    lowest = frequency.min(axis=1)
    row = int(np.argmin(lowest))
    return StabilityGate(float(lowest[row]), tuple(float(x) for x in qpoints[row]), tolerance)


def optical_frequency_gamma(frequency: Floats) -> float | None:
    """Highest frequency at Γ.

    Args:
        frequency: at Γ, shape (n_bands,), THz.

    Returns:
        In THz, without the non-analytic term of polar crystals; None where the primitive cell has one atom and hence
        no optical branch.
    """
    return None if len(frequency) <= 3 else float(frequency.max())


@dataclass(frozen=True)
class Difference:
    """How far two sets of frequencies are apart, THz."""

    maximum: float
    rms: float


def difference(first: Floats, second: Floats) -> Difference:
    """Compare frequencies, sorted at each wave vector.

    Args:
        first: shape (n_q, n_bands), THz.
        second: shape (n_q, n_bands), THz.
    """
    gap = first - second
    return Difference(float(np.abs(gap).max()), float(np.sqrt(np.mean(gap**2))))


@dataclass(frozen=True)
class Phonons:
    """Everything harmonic that is kept of one set of force constants.

    Attributes:
        distance: along the band path, shape (n_q,), 1/Å.
        frequency: along the band path, shape (n_q, n_bands), THz.
        spectrum: density of states.
        thermal: thermal properties.
        commensurate: at the commensurate wave vectors of its supercell, shape (n_cells, n_bands), THz.
        gate: judged on `commensurate`.
        gamma: highest optical frequency at Γ without the non-analytic term, THz; None without optical branches.
        longitudinal: the same with that term, THz; None without Born charges or optical branches.
    """

    distance: Floats
    frequency: Floats
    spectrum: Spectrum
    thermal: ThermalProperties
    commensurate: Floats
    gate: StabilityGate
    gamma: float | None
    longitudinal: float | None = None


def phonons(
    lattice: Phonopy,
    constants: ForceConstants,
    path: BandPath,
    mesh: int,
    temperatures: Sequence[float],
    tolerance: float,
) -> Phonons:
    """Bands, density of states, thermal properties and the gate.

    Args:
        lattice: supercell and primitive cell; its force constants are set.
        constants: of this supercell.
        path: of the bands.
        mesh: count of wave vectors along each reciprocal vector.
        temperatures: K.
        tolerance: of the gate, THz.
    """
    qpoints = commensurate_qpoints(lattice)
    commensurate = frequencies(lattice, constants, qpoints)
    spectrum, thermal = mesh_properties(lattice, constants, mesh, temperatures)
    return Phonons(
        distance=path.distances(lattice.primitive.cell),
        frequency=band_frequencies(lattice, constants, path),
        spectrum=spectrum,
        thermal=thermal,
        commensurate=commensurate,
        gate=stability_gate(qpoints, commensurate, tolerance),
        gamma=optical_frequency_gamma(frequencies(lattice, constants, np.zeros((1, 3)))[0]),
        longitudinal=longitudinal_frequency_gamma(lattice, constants),
    )
