"""What the task "phonons" computes, and how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.extrapolation import Departure
from hashigo.calculators.workers.lattice.harmonic import THERMAL, BandPath, Difference, Phonons
from hashigo.calculators.workers.lattice.mode_result import ModeResult, write_modes
from hashigo.calculators.workers.lattice.polar import Polar, marks, polar_note
from hashigo.calculators.workers.lattice.unstable import STABLE, ImaginaryMode, Stable, write_mode

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReferenceRoutes:
    """Phonons at the reference's cell: from its frames, and from the potential on the same displacements.

    Attributes:
        symfc: from the reference's frames.
        potential: from the mean potential.
        apart: their difference at the commensurate wave vectors.
        frames: count of frames used.
        left_out: indices of frames of another cell.
        order: highest order fitted; 3 keeps the anharmonic part of the forces out of the second, number.
        residual: largest component of the undisplaced supercell's forces, eV/Å; None when the reference has no such
            frame and nothing was subtracted.
        atoms: count of atoms of the frames' supercell.
        untold: share of the frames' forces that the force constants do not tell, dimensionless.
    """

    symfc: Phonons
    potential: Phonons
    apart: Difference
    frames: int
    left_out: tuple[int, ...]
    order: int
    residual: float | None
    atoms: int = 0
    untold: float = 0.0


@dataclass(frozen=True)
class Result:
    """What the task computes.

    Attributes:
        structure: the crystal at the reference's cell; lengths in Å.
        path: wave vectors of the bands.
        mean: of the mean potential at its own cell.
        members: of the committee's members, in their order, each at its own cell.
        reference: at the reference's cell, or a sentence why the frames do not give it; None without frames.
        polar: Born charges that every route has its non-analytic term from; None where they are not known.
        calibrated: whether the committee's spread is.
        modes: properties of single modes, and averages over them.
        imaginary: the mode that the gate found; None of a stable crystal.
        stable: the structure that it leads to, or why there is none; None where it was not asked for.
    """

    structure: Atoms
    path: BandPath
    mean: Phonons
    members: list[Phonons] = field(default_factory=list)
    reference: ReferenceRoutes | str | None = None
    polar: Polar | None = None
    calibrated: bool = False
    modes: ModeResult | None = None
    imaginary: ImaginaryMode | None = None
    stable: Stable | str | None = None

    @property
    def marks(self) -> tuple[str, ...]:
        """What the reader must know of every number."""
        return marks(self.polar, self.structure.get_chemical_symbols())


def write(path: Path, result: Result, task_version: int, outside: Departure | None = None) -> None:
    """Write the result file of the task.

    Args:
        path: file to write.
        result: of the task.
        task_version: number of the task's version.
        outside: supercells that the potential was not trained for.
    """
    with ResultWriter(path, task="phonons", task_version=task_version) as writer:
        _write_quantities(writer, result)
        _write_route(writer, "", result.mean)
        writer.array("bands/qpoints", result.path.qpoints, units="dimensionless")
        if len(result.members) > 1:
            spread = np.std([member.frequency for member in result.members], axis=0, ddof=1)
            writer.array("bands/spread", spread, units="THz")
        positions, labels = result.path.ticks(result.mean.distance)
        writer.note("bands", {"labels": labels, "positions": positions, "segments": result.path.ranges})
        writer.note("polar", polar_note(result.polar, result.structure.get_chemical_symbols()))
        if result.modes is not None:
            write_modes(writer, result.modes, result.calibrated, result.mean.gate.passed)
        if result.imaginary is not None:
            write_mode(writer, result.imaginary, result.stable)
        _write_gate(writer, result)
        if outside is not None:
            outside.write(writer)
        if isinstance(result.reference, str):
            writer.note("comparison", {"skipped": result.reference})
        elif result.reference is not None:
            _write_route(writer, "symfc/", result.reference.symfc)
            _write_route(writer, "reference_cell/", result.reference.potential)
            writer.note("comparison", _comparison_note(result.reference))


def _write_route(writer: ResultWriter, group: str, route: Phonons) -> None:
    writer.array(f"{group}bands/distance", route.distance, units="1/Å")
    writer.array(f"{group}bands/frequency", route.frequency, units="THz")
    writer.array(f"{group}dos/frequency", route.spectrum.frequency, units="THz")
    writer.array(f"{group}dos/density", route.spectrum.density, units="1/THz")


def _write_quantities(writer: ResultWriter, result: Result) -> None:
    conditions = [{"temperature": float(t)} for t in result.mean.thermal.temperatures]
    for row, name in enumerate(THERMAL):
        _write_quantity(
            writer,
            name,
            result.mean.thermal.rows[row],
            [m.thermal.rows[row] for m in result.members],
            conditions,
            result.calibrated,
            result.marks,
        )
    if result.mean.gamma is not None:
        members = [[m.gamma] for m in result.members if m.gamma is not None]
        _write_quantity(
            writer,
            "optical_frequency_gamma",
            np.array([result.mean.gamma]),
            members,
            [{}],
            result.calibrated,
            result.marks,
        )
    if result.mean.longitudinal is not None:
        value = np.array([result.mean.longitudinal])
        members = [[m.longitudinal] for m in result.members if m.longitudinal is not None]
        _write_quantity(
            writer, "longitudinal_optical_frequency_gamma", value, members, [{}], result.calibrated
        )


def _write_quantity(
    writer: ResultWriter,
    name: str,
    value: Floats,
    members: Sequence[Any],
    conditions: list[dict[str, float]],
    calibrated: bool,
    marks: tuple[str, ...] = (),
) -> None:
    stack = np.array(members, dtype=float) if members else None
    # One member has no spread.
    parts = {"model": stack.std(axis=0, ddof=1)} if stack is not None and len(stack) > 1 else None
    writer.quantity(
        name,
        value,
        conditions=conditions,
        members=stack,
        components=parts,
        calibrated=calibrated,
        marks=marks,
    )


def _write_gate(writer: ResultWriter, result: Result) -> None:
    gate = result.mean.gate
    values = gate.values()
    # Between commensurate points a wave is interpolated: reported, not judged.
    values["minimum_on_path"] = float(result.mean.frequency.min())
    values["failed_members"] = [i for i, member in enumerate(result.members) if not member.gate.passed]
    if isinstance(result.reference, ReferenceRoutes):
        values["symfc_minimum"] = result.reference.symfc.gate.minimum
        values["reference_cell_minimum"] = result.reference.potential.gate.minimum
    formula = result.structure.get_chemical_formula()
    message, fix = gate.sentence(formula), _remedy(result)
    if message and result.imaginary is not None and result.imaginary.acoustic:
        message += "; it is acoustic and among the longest waves of the supercell"
    writer.gate("imaginary_mode", message, fix=fix, **values)


def _remedy(result: Result) -> str:
    if isinstance(result.stable, Stable):
        return f"start from {STABLE} beside the report, {result.stable.space_group}, which is stable along this mode"
    if result.imaginary is not None and result.imaginary.acoustic:
        return (
            "take a larger phonons.supercell, look at the relaxed cell and at the potential's errors near it; if it "
            "stays, the crystal is unstable against this shear or wave"
        )
    return (
        "check the structure's phase, let phonons.follow_imaginary: true look for the stable one, or set "
        "phonons.imaginary_tolerance or stop_at_gates"
    )


def _comparison_note(reference: ReferenceRoutes) -> dict[str, Any]:
    return {
        "what": "potential against symfc on the reference's frames, same cell and displacements, commensurate q-points",
        "maximum": reference.apart.maximum,
        "rms": reference.apart.rms,
        "unit": "THz",
        "qpoints": len(reference.symfc.commensurate),
        "frames": reference.frames,
        "supercell_atoms": reference.atoms,
        "frames_left_out": len(reference.left_out),
        "order": reference.order,
        "untold_share": reference.untold,
        "residual_force": reference.residual,
        "residual_force_unit": "eV/Å",
        "residual_subtracted": reference.residual is not None,
        "optical_frequency_gamma": {
            "symfc": reference.symfc.gamma,
            "reference_cell": reference.potential.gamma,
        },
        "longitudinal_optical_frequency_gamma": {
            "symfc": reference.symfc.longitudinal,
            "reference_cell": reference.potential.longitudinal,
        },
    }
