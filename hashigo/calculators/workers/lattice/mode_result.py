"""What the task "phonons" writes of single modes: Grüneisen parameters, velocities, projected states, displacements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.lattice.displacement_cif import displacement_cif
from hashigo.calculators.workers.lattice.displacements import (
    Displacements,
    by_conventional_atom,
    displacements,
    meshes_of,
)
from hashigo.calculators.workers.lattice.force_constants import ForceConstants
from hashigo.calculators.workers.lattice.harmonic import BandPath
from hashigo.calculators.workers.lattice.modes import (
    VOLUME_STEP,
    GruneisenMesh,
    Modes,
    Projected,
    Volumes,
    gruneisen_bands,
    gruneisen_mesh,
    modes_at,
    projected_states,
)

Floats = NDArray[np.float64]

#: File of thermal displacements beside the report.
CIF = "displacements.cif"


@dataclass(frozen=True)
class Detail:
    """Of single modes of the mean potential alone.

    Attributes:
        bands: along the path of the bands.
        mesh: on the mesh of the Grüneisen parameters.
        gruneisen: on the same mesh.
        followed: frequencies along the path, followed through crossings, shape (n_q, n_bands), THz.
        parameter: mode Grüneisen parameters of those, shape (n_q, n_bands), dimensionless.
        projected: density of states by atom.
        atoms: the relaxed conventional cell; lengths in Å.
        symbols: chemical symbols of the primitive cell's atoms.
        images: for each atom of the conventional cell the primitive one's index, shape (n_atoms,), dimensionless.
    """

    bands: Modes
    mesh: Modes
    gruneisen: GruneisenMesh
    followed: Floats
    parameter: Floats
    projected: Projected
    atoms: Atoms
    symbols: tuple[str, ...]
    images: NDArray[np.int64]


@dataclass(frozen=True)
class Thermal:
    """Of every model of the committee.

    Attributes:
        gruneisen: thermal Grüneisen parameter, shape (n_temperatures,), dimensionless; not a number at 0 K.
        coarser: the same on the next coarser mesh, shape (n_temperatures,), dimensionless.
        displacements: of the atoms.
    """

    gruneisen: Floats
    coarser: Floats
    displacements: Displacements


@dataclass(frozen=True)
class ModeResult:
    """Mean potential and members.

    Attributes:
        temperatures: shape (n_temperatures,), K.
        cutoff: modes up to this frequency are left out of averages, THz.
        detail: of the mean potential.
        mean: of the mean potential.
        members: of each member, in their order.
        marks: what the reader must know of numbers that a change of volume enters.
        polar_marks: what the reader must know of every number, of Born charges.
    """

    temperatures: Floats
    cutoff: float
    detail: Detail
    mean: Thermal
    members: list[Thermal] = field(default_factory=list)
    marks: tuple[str, ...] = ()
    polar_marks: tuple[str, ...] = ()


def thermal(
    volumes: Volumes, constants: ForceConstants, mesh: int, temperatures: Sequence[float], cutoff: float
) -> Thermal:
    """Averages over modes.

    Args:
        volumes: with force constants.
        constants: of the crystal at its own volume.
        mesh: count of wave vectors along each reciprocal vector.
        temperatures: K.
        cutoff: modes up to this frequency are left out, THz.
    """
    coarser = meshes_of(mesh)[min(1, len(meshes_of(mesh)) - 1)]
    volumes.middle.force_constants = constants.second
    return Thermal(
        gruneisen_mesh(volumes, mesh).thermal(temperatures, cutoff),
        gruneisen_mesh(volumes, coarser).thermal(temperatures, cutoff),
        displacements(volumes.middle, constants, mesh, temperatures, cutoff),
    )


def detail(volumes: Volumes, constants: ForceConstants, atoms: Atoms, path: BandPath, mesh: int) -> Detail:
    """Properties of single modes.

    Args:
        volumes: with force constants.
        constants: of the crystal at its own volume.
        atoms: its conventional cell; lengths in Å.
        path: of the bands.
        mesh: count of wave vectors along each reciprocal vector.
    """
    lattice: Phonopy = volumes.middle
    lattice.force_constants = constants.second
    gruneisen = gruneisen_mesh(volumes, mesh)
    followed, parameter = gruneisen_bands(volumes, path)
    return Detail(
        bands=modes_at(lattice, constants, path.qpoints),
        mesh=modes_at(lattice, constants, gruneisen.qpoints, gruneisen.weight),
        gruneisen=gruneisen,
        followed=followed,
        parameter=parameter,
        projected=projected_states(lattice, constants, mesh),
        atoms=atoms,
        symbols=tuple(lattice.primitive.symbols),
        images=by_conventional_atom(lattice),
    )


def write_modes(writer: ResultWriter, result: ModeResult, calibrated: bool, stable: bool) -> None:
    """Write all of it; averages over modes only of a crystal that is stable.

    Args:
        writer: of the result file.
        result: of the task.
        calibrated: whether the committee's spread is.
        stable: whether no commensurate mode is imaginary.
    """
    _write_detail(writer, result.detail)
    note = {
        "mode_cutoff": result.cutoff,
        "unit": "THz",
        "volume_step": VOLUME_STEP,
        "sites": list(result.detail.symbols),
        "projected_mesh": result.detail.projected.mesh,
        "left_out": result.mean.displacements.left_out,
    }
    if not stable:
        why = "an imaginary mode has no thermal displacement: the averages over modes are left out"
        writer.note("modes", {**note, "skipped": why})
        return
    writer.note("modes", note)
    _write_gruneisen(writer, result, calibrated)
    _write_displacements(writer, result, calibrated)


def _write_detail(writer: ResultWriter, found: Detail) -> None:
    writer.array("bands/velocity", found.bands.velocity, units="m/s")
    writer.array("bands/participation", found.bands.participation, units="dimensionless")
    writer.array("gruneisen/bands/frequency", found.followed, units="THz")
    writer.array("gruneisen/bands/parameter", found.parameter, units="dimensionless")
    writer.array("modes/qpoints", found.mesh.qpoints, units="dimensionless")
    writer.array("modes/weight", found.mesh.weight, units="dimensionless")
    writer.array("modes/frequency", found.mesh.frequency, units="THz")
    writer.array("modes/velocity", found.mesh.velocity, units="m/s")
    writer.array("modes/participation", found.mesh.participation, units="dimensionless")
    writer.array("modes/gruneisen", found.gruneisen.parameter, units="dimensionless")
    writer.array("projected_dos/frequency", found.projected.frequency, units="THz")
    writer.array("projected_dos/density", found.projected.density, units="1/THz")


def _write_gruneisen(writer: ResultWriter, result: ModeResult, calibrated: bool) -> None:
    warm = np.isfinite(result.mean.gruneisen)
    if not warm.any():
        return
    members = np.array([member.gruneisen[warm] for member in result.members])
    parts = {"mesh": np.abs(result.mean.gruneisen - result.mean.coarser)[warm]}
    if len(members) > 1:
        parts["model"] = members.std(axis=0, ddof=1)
    writer.quantity(
        "gruneisen_parameter",
        result.mean.gruneisen[warm],
        conditions=[{"temperature": float(t)} for t in result.temperatures[warm]],
        members=members if len(members) else None,
        components=parts,
        calibrated=calibrated,
        marks=(*result.marks, *result.polar_marks),
    )


def _write_displacements(writer: ResultWriter, result: ModeResult, calibrated: bool) -> None:
    found = result.mean.displacements
    members = np.array([member.displacements.tensors for member in result.members])
    parts = {} if found.mesh_error is None else {"mesh": found.mesh_error}
    if len(members) > 1:
        parts["model"] = members.std(axis=0, ddof=1)
    error = np.sqrt(np.sum([part**2 for part in parts.values()], axis=0)) if parts else None
    writer.array("displacements/temperatures", result.temperatures, units="K")
    writer.array("displacements/tensors", found.tensors, units="Å^2")
    if error is not None:
        writer.array("displacements/standard_uncertainty", error, units="Å^2")
    if len(members):
        writer.array("displacements/members", members, units="Å^2")
    _write_mean_squares(writer, result, calibrated)
    content = displacement_cif(
        result.detail.atoms,
        result.temperatures,
        found.tensors[:, result.detail.images],
        None if error is None else error[:, result.detail.images],
    )
    writer.text(CIF, content)


def _write_mean_squares(writer: ResultWriter, result: ModeResult, calibrated: bool) -> None:
    """U_iso of each element: a third of the trace, mean over its atoms."""
    numbers = result.detail.atoms.numbers
    first = [
        int(np.flatnonzero(result.detail.images == site)[0]) for site in range(len(result.detail.symbols))
    ]
    sites = numbers[first]
    kinds = sorted(set(sites.tolist()))

    def by_element(tensors: Floats) -> Floats:
        isotropic = np.trace(tensors, axis1=-2, axis2=-1) / 3
        return np.stack([isotropic[..., sites == kind].mean(axis=-1) for kind in kinds], axis=-1).reshape(
            *isotropic.shape[:-2], -1
        )

    found = result.mean.displacements
    parts = {} if found.mesh_error is None else {"mesh": by_element(found.mesh_error)}
    members = np.array([by_element(member.displacements.tensors) for member in result.members])
    if len(members) > 1:
        parts["model"] = members.std(axis=0, ddof=1)
    left = found.left_out
    writer.quantity(
        "mean_square_displacement",
        by_element(found.tensors),
        conditions=[
            {"temperature": float(t), "atomic_number": float(kind)}
            for t in result.temperatures
            for kind in kinds
        ],
        members=members if len(members) else None,
        components=parts,
        calibrated=calibrated,
        marks=(*result.polar_marks, *((f"{left:.2%} of the modes left out",) if left > 0 else ())),
    )
