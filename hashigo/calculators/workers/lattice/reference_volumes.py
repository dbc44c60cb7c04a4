"""The reference's frames at several cells: static energies, and force constants by displaced supercells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy.qha.core import BulkModulus

from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.lattice.free_energy import Vibrations, vibrations_of
from hashigo.calculators.workers.lattice.polar import Polar
from hashigo.calculators.workers.lattice.quasiharmonic import GPA
from hashigo.calculators.workers.lattice.reference_frames import reference_fit
from hashigo.calculators.workers.potential import Model
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Fewest volumes from which an expansion is computed, count.
FEWEST = 5
#: Two cells whose volumes an atom differ by less are one, relative.
SAME_VOLUME = 1e-5
#: A cell is a scaled one when its shape differs by less, dimensionless.
SAME_SHAPE = 1e-4
#: Below this largest displacement a frame is an undisplaced cell, Å.
UNDISPLACED = 1e-4


@dataclass(frozen=True)
class VolumeFrames:
    """Frames of one cell: the structure's, scaled.

    Attributes:
        atoms: conventional cell without displacements; lengths in Å.
        energy: without displacements, eV a conventional cell; None where no frame tells.
        displaced: displaced supercells of this cell.
    """

    atoms: Atoms
    energy: float | None
    displaced: tuple[Frame, ...]


def by_volume(structure: Atoms, frames: Sequence[Frame]) -> list[VolumeFrames]:
    """Sort frames whose cell is the structure's, scaled as a whole and repeated, by their volume.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        frames: of the reference, of any kind; those of other shapes are left out.

    Returns:
        By rising volume.
    """
    groups: dict[int, list[Frame]] = {}
    volumes: list[float] = []
    for frame in frames:
        ratio = _scale(structure, frame)
        if ratio is None:
            continue
        near = [index for index, volume in enumerate(volumes) if abs(ratio / volume - 1) < SAME_VOLUME]
        if not near:
            volumes.append(ratio)
        groups.setdefault(near[0] if near else len(volumes) - 1, []).append(frame)
    found = []
    for index in np.argsort(volumes):
        scaled = _scaled(structure, volumes[index])
        at_rest = [_undisplaced(scaled, frame) for frame in groups[index]]
        still = [frame for frame, rests in zip(groups[index], at_rest, strict=True) if rests]
        energies = [frame.energy / len(frame.symbols) for frame in still if frame.energy is not None]
        displaced = tuple(
            frame
            for frame, rests in zip(groups[index], at_rest, strict=True)
            if frame.kind == "displaced" and not rests
        )
        energy = float(np.mean(energies)) * len(structure) if energies else None
        found.append(VolumeFrames(scaled, energy, displaced))
    return found


def _scale(structure: Atoms, frame: Frame) -> float | None:
    """Volume of an atom over the structure's, where the frame is that cell, scaled and repeated."""
    if frame.kind == "atom" or len(frame.symbols) % len(structure):
        return None
    volume = abs(np.linalg.det(frame.cell)) / len(frame.symbols)
    ratio = float(volume / (structure.get_volume() / len(structure)))
    matrix = frame.cell @ np.linalg.inv(structure.cell.array * ratio ** (1 / 3))
    return ratio if np.abs(matrix - np.rint(matrix)).max() < SAME_SHAPE else None


def _undisplaced(cell: Atoms, frame: Frame) -> bool:
    """Whether all atoms of a frame stand on sites of the cell."""
    inverse = np.linalg.inv(cell.cell.array)
    gaps = (frame.positions[:, None] - cell.positions[None]) @ inverse
    vectors = (gaps - np.rint(gaps)) @ cell.cell.array
    return bool(np.linalg.norm(vectors, axis=2).min(axis=1).max() < UNDISPLACED)


def reference_points(
    structure: Atoms,
    frames: Sequence[Frame],
    meshes: Sequence[int],
    temperatures: Sequence[float],
    polar: Polar | None = None,
) -> list[tuple[VolumeFrames, Vibrations]]:
    """Vibrations at each volume that has an energy and displaced supercells.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        frames: of the reference.
        meshes: each the count of wave vectors along each reciprocal vector.
        temperatures: K.
        polar: Born charges, where known.

    Raises:
        InputError: when there are fewer than `FEWEST` such volumes, or the frames of one are too few.
    """
    groups = [one for one in by_volume(structure, frames) if one.energy is not None and one.displaced]
    if len(groups) < FEWEST:
        raise InputError(
            f"the reference's frames hold displaced supercells and an undisplaced cell at {len(groups)} volumes; an "
            f"expansion from them needs {FEWEST}",
            fix="add such frames, or set expansion.force_constants to 'potential'",
        )
    found = []
    for group in groups:
        fit = reference_fit(group.atoms, group.displaced, polar, order=2)
        part = fit.second
        found.append(
            (
                group,
                vibrations_of(
                    part.lattice, part.fit.solve(part.dataset), len(structure), meshes, temperatures
                ),
            )
        )
    return found


@dataclass(frozen=True)
class SpotCheck:
    """The potential's static energies against the reference's at the same scaled cells.

    Attributes:
        volumes: over the structure's, shape (n_volumes,), dimensionless.
        rms: of the difference, its mean taken off, eV an atom.
        displaced: count of frames compared that have displaced atoms, number.
        volume: where the energy is least, the potential's over the reference's, dimensionless; None where fewer than
            `FEWEST` cells without displacements were compared.
        modulus: bulk modulus there without vibrations, of the potential and of the reference, GPa; or None.
    """

    volumes: Floats
    rms: float
    displaced: int
    volume: float | None = None
    modulus: tuple[float, float] | None = None

    def values(self) -> dict[str, Any]:
        """What is kept with the results; energies in meV an atom, moduli in GPa."""
        out: dict[str, Any] = {
            "what": "energies of the potential against the reference's at scaled cells, without their mean difference",
            "rms": 1000 * self.rms,
            "unit": "meV/atom",
            "volumes": self.volumes.tolist(),
            "displaced_frames": self.displaced,
        }
        if self.volume is not None and self.modulus is not None:
            out["equilibrium_volume_ratio"] = self.volume
            out["bulk_modulus_potential"], out["bulk_modulus_reference"] = self.modulus
            out["bulk_modulus_unit"] = "GPa"
        return out


def spot_check(structure: Atoms, frames: Sequence[Frame], model: Model) -> SpotCheck | str:
    """Compare energies over the volumes that the reference has; or say why there is nothing to compare.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        frames: of the reference; only cells scaled as a whole are compared.
        model: the potential.
    """
    chosen = [(ratio, frame) for frame in frames if (ratio := _scale(structure, frame)) is not None]
    chosen = [(ratio, frame) for ratio, frame in chosen if frame.energy is not None]
    volumes = np.array([ratio for ratio, _ in chosen])
    if len(chosen) < 3 or np.ptp(volumes) < 0.01:
        return "the reference's frames have no energies at scaled cells of three volumes or more"
    known = np.array([float(frame.energy or 0.0) / len(frame.symbols) for _, frame in chosen])
    modelled = model.evaluate([frame.atoms() for _, frame in chosen])
    found = np.array(
        [one.energy / len(frame.symbols) for one, (_, frame) in zip(modelled, chosen, strict=True)]
    )
    rests = np.array([_undisplaced(_scaled(structure, ratio), frame) for ratio, frame in chosen])
    size = structure.get_volume() / len(structure)
    minima = [_minimum(size * volumes[rests], energies[rests]) for energies in (found, known)]
    check = SpotCheck(np.unique(volumes.round(6)), float(np.std(found - known)), int(np.sum(~rests)))
    if minima[0] is None or minima[1] is None:
        return check
    (own, modulus), (other, other_modulus) = minima[0], minima[1]
    return replace(check, volume=own / other, modulus=(modulus, other_modulus))


def _minimum(volumes: Floats, energies: Floats) -> tuple[float, float] | None:
    """Volume of least energy, Å^3, and bulk modulus, GPa, by Vinet's equation of state; None where it does not fit."""
    if len(np.unique(volumes.round(4))) < FEWEST:
        return None
    order = np.argsort(volumes)
    try:
        fit = BulkModulus(volumes[order], energies[order], eos="vinet")
    except RuntimeError:  # phonopy's own, of a curve without a minimum
        return None
    return float(fit.equilibrium_volume), float(fit.bulk_modulus) / GPA


def _scaled(structure: Atoms, ratio: float) -> Atoms:
    scaled = structure.copy()
    scaled.set_cell(structure.cell.array * ratio ** (1 / 3), scale_atoms=True)
    return scaled
