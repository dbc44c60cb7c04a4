"""Conductivity straight from the reference's frames, without a potential between; the frames are resampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phono3py import Phono3py

from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.lattice.conductivity_result import CrossCheck, Result
from hashigo.calculators.workers.lattice.force_constants import Dataset, ForceConstants
from hashigo.calculators.workers.lattice.mesh_run import (
    coarse_modes,
    expected_meshes,
    isotropic,
    mesh_series,
    other_methods,
)
from hashigo.calculators.workers.lattice.polar import Polar
from hashigo.calculators.workers.lattice.reference_frames import Part, ReferenceFit, reference_fit
from hashigo.calculators.workers.lattice.transport import Modes, build_anharmonic
from hashigo.calculators.workers.lattice.wave_vectors import Work
from hashigo.calculators.workers.potential import Model
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Most groups that frames are left out by.
GROUPS = 8
#: Fewer groups than this tell no spread.
LEAST_GROUPS = 4


def reference_crystal(
    structure: Atoms, found: ReferenceFit, constants: ForceConstants, polar: Polar | None
) -> Phono3py:
    """The crystal at the reference's cell, each order of force constants on its own supercell.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        found: the supercells, with third order.
        constants: of both orders.
        polar: Born charges, where known.
    """
    assert found.third is not None
    apart = found.third is not found.second
    return build_anharmonic(
        structure,
        found.third.matrix,
        constants,
        second_supercell=found.second.matrix if apart else None,
        polar=polar,
    )


def from_reference(
    structure: Atoms,
    model: Model | None,
    frames: Sequence[Frame],
    settings: Mapping[str, Any],
    work: Work | None = None,
    polar: Polar | None = None,
    tell: Callable[[float, str], None] = lambda done, text: None,
) -> Result | None:
    """Conductivity at the reference's cell from its frames; ranks share the wave vectors and the resampled fits.

    Args:
        structure: conventional cell at the reference's lattice constant; lengths in Å.
        model: the mean potential, for the comparison; None without one.
        frames: of the reference.
        settings: complete, of the task "conductivity".
        work: how it is shared and kept; by default serial and nowhere.
        polar: Born charges, where known.
        tell: told the fraction that is done, dimensionless, and what is being done.

    Returns:
        The result on rank 0, None on the others.

    Raises:
        InputError: when the frames do not fit the structure or do not determine the third order.
    """
    work = work or Work()
    comm = work.comm
    found = reference_fit(structure, frames, polar)
    if found.third is None:
        raise InputError(
            f"{found.lacking}, for conductivity.force_constants: reference",
            fix="give more displaced frames, or set conductivity.force_constants to 'potential'",
        )

    tell(0.0, "force constants of the reference's frames")
    own = found.solve()
    crystal = reference_crystal(structure, found, own, polar)
    coarse = coarse_modes(crystal, settings)
    fits, scale, sentence = _resampled(found)
    spread = []
    for number in range(comm.rank, len(fits), comm.size):
        spread.append(isotropic(_coarse_with(crystal, found.solve(*fits[number]), settings)))
        tell(0.1 * number / len(fits), "frames resampled")
    check: CrossCheck | str = "no potential was given"
    if model is not None and comm.rank == comm.size - 1:
        potential = isotropic(_coarse_with(crystal, found.model(model), settings))
        check = CrossCheck(isotropic(coarse), potential, found.frames)
    crystal.fc2, crystal.fc3 = own.second, own.third
    expected = expected_meshes(settings)
    total = sum(float(mesh) ** 6 for mesh in expected)

    def mesh_progress(mesh: int, part: float) -> None:
        done = sum(float(one) ** 6 for one in expected if one < mesh) + part * float(mesh) ** 6
        tell(0.1 + 0.89 * min(1.0, done / total), f"conductivity, mesh {mesh}")

    series, kept, stopped = mesh_series(crystal, coarse, settings, replace(work, progress=mesh_progress))
    beyond = other_methods(crystal, settings) if comm.rank == 0 else ""
    parts = comm.gather((spread, check), root=0)
    if comm.rank != 0:
        return None
    tell(1.0, "conductivity")
    values = np.array([kappa for part, _ in parts for kappa in part])
    return Result(
        series,
        kept.pop(int(series.meshes[-1])),
        kept,
        coarse,
        cross_check=parts[-1][1],
        polar=polar,
        symbols=tuple(structure.get_chemical_symbols()),
        source="reference",
        stopped=stopped,
        beyond=beyond,
        sampling=_relative_error(values, scale, coarse) if len(values) else None,
        resampling=f"{found.supercells}; {sentence}",
    )


def _coarse_with(crystal: Phono3py, constants: ForceConstants, settings: Mapping[str, Any]) -> Modes:
    """Modes on the coarse mesh with other force constants, which stay; a new crystal would cost as much as they."""
    crystal.fc2, crystal.fc3 = constants.second, constants.third
    return coarse_modes(crystal, settings)


def _relative_error(values: Floats, scale: float, coarse: Modes) -> Floats:
    """Jackknife error of the isotropic conductivity, shape (n_temperatures,), dimensionless."""
    apart = values - values.mean(axis=0)
    return np.asarray(np.sqrt(scale * np.sum(apart**2, axis=0)) / isotropic(coarse))


def _resampled(found: ReferenceFit) -> tuple[list[tuple[Dataset | None, Dataset | None]], float, str]:
    """Frames with one group after another left out, the factor of the sum of squares, and what was done.

    The frames of third order are left out, which are also those of second order where one supercell serves both. Of a
    larger supercell there are rarely enough: its part of the error is not known, and that is said.
    """
    part = found.third
    assert part is not None
    frames = len(part.dataset.displacements)
    groups = min(GROUPS, frames)
    most_left_out = -(-frames // groups)
    if groups < LEAST_GROUPS or frames - most_left_out < part.fit.snapshots_needed(part.dataset):
        return [], 0.0, "the frames are too few to tell the error of sampling them: not included"
    fits: list[tuple[Dataset | None, Dataset | None]] = []
    for group in range(groups):
        less = _without(part, group, groups)
        fits.append((less, None) if part is found.second else (None, less))
    sentence = f"error of sampling by leaving out each of {groups} groups of frames, coarse mesh"
    if part is not found.second:
        sentence += "; those of second order are too few to be left out: their part is not included"
    return fits, (groups - 1) / groups, sentence


def _without(part: Part, group: int, groups: int) -> Dataset:
    keep = np.arange(len(part.dataset.displacements)) % groups != group
    data = part.dataset
    return replace(data, displacements=data.displacements[keep], forces=data.forces[keep])
