"""Task "elasticity": relaxed cell and stiffness at 0 K, by the mean potential and each of its committee."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.extrapolation import Departure, departure
from hashigo.calculators.workers.job import Job, SerialComm
from hashigo.calculators.workers.lattice.crystal import PrimitiveCell, read_structure
from hashigo.calculators.workers.lattice.elastic import (
    Stability,
    born_stability,
    relax,
    stiffness,
)
from hashigo.calculators.workers.lattice.elastic_properties import elastic_quantities, write_velocities
from hashigo.calculators.workers.lattice.fixed_cell import MARK, WHY, kept_cell
from hashigo.calculators.workers.lattice.waves import mass_density
from hashigo.calculators.workers.polynomial import committee_for
from hashigo.calculators.workers.potential import Committee, Model
from hashigo.errors import InputError, WorkerError

TASK_VERSION = 5

Floats = NDArray[np.float64]

#: Parameters and their defaults; the strain is dimensionless, the force tolerance in eV/Å.
DEFAULTS: dict[str, Any] = {
    "potential": None,
    "strain": 0.005,
    "force_tolerance": 1e-5,
    "relax_internal": True,
}

#: Mark on numbers that some members of the committee do not have.
UNSTABLE_MEMBER = "no spread: a member of the committee is unstable"
#: Quantities that the cell alone gives.
_OF_CELL = ("lattice_parameters", "cell_volume", "density")


@dataclass(frozen=True)
class CrystalState:
    """A relaxed crystal and its stiffness, by one potential.

    Attributes:
        atoms: relaxed conventional cell; lengths in Å.
        stiffness: shape (6, 6), GPa, Voigt, in the Cartesian axes of the cell.
    """

    atoms: Atoms
    stiffness: Floats

    def quantities(self) -> dict[str, Floats]:
        """Its quantities by name, each in the vocabulary's unit and shape."""
        values = {
            "lattice_parameters": self.atoms.cell.lengths(),
            "cell_volume": self.atoms.get_volume(),
            "density": mass_density(self.atoms),
            "stiffness": self.stiffness,
            **elastic_quantities(self.stiffness, self.atoms),
        }
        return {name: np.asarray(value, dtype=float) for name, value in values.items()}


@dataclass(frozen=True)
class Elasticity:
    """What the task computes.

    Attributes:
        mean: the mean potential's state.
        members: those of the members in their order.
        cell_relaxed: whether the cell is the potential's own, or that of frames which tell of no other.
        calibrated: whether the committee's spread is.
    """

    mean: CrystalState
    members: list[CrystalState] = field(default_factory=list)
    cell_relaxed: bool = True
    calibrated: bool = False

    @property
    def stability(self) -> Stability:
        """Born's criterion on the mean potential's stiffness."""
        return born_stability(self.mean.stiffness)


def run(job: Job) -> None:
    """Relax the input "structure" and compute its stiffness with the input "potential".

    Where the input "frames" tells nothing of other cells than its own, that cell is kept.

    Raises:
        InputError: when parameters, structure or potential do not fit.
        WorkerError: when a relaxation does not converge.
    """
    settings = check_settings(job.parameters)
    structure = read_structure(job.inputs["structure"])
    elements = sorted(set(structure.get_chemical_symbols()))
    committee = committee_for(job.inputs, settings["potential"], elements)
    kept = kept_cell(structure, job.inputs["frames"]) if "frames" in job.inputs else None
    result = compute(kept or structure, committee, settings, job, relax_cell=kept is None)
    if result is not None:
        # Its strained cells differ from it by less than any potential is trusted with.
        write(job, result, departure(job.inputs, committee, [result.mean.atoms], "the relaxed cell"))


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check them.

    Args:
        parameters: any of `DEFAULTS`; strain dimensionless, force tolerance in eV/Å.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"elasticity.{unknown[0]} is not a parameter of the stage", fix=f"known are {', '.join(DEFAULTS)}"
        )
    settings = {**DEFAULTS, **parameters}
    if not 0 < settings["strain"] <= 0.05:
        raise InputError(
            f"elasticity.strain is {settings['strain']}, not a small positive strain",
            fix="set elasticity.strain to 0.005 or so",
        )
    if not settings["force_tolerance"] > 0:
        raise InputError(
            f"elasticity.force_tolerance is {settings['force_tolerance']} eV/Å, and must be positive",
            fix="set elasticity.force_tolerance to 1e-5 or so",
        )
    return settings


def compute(
    structure: Atoms,
    committee: Committee,
    settings: Mapping[str, Any],
    job: Job | None = None,
    *,
    relax_cell: bool = True,
) -> Elasticity | None:
    """Relax and strain with every model of a committee; ranks share the models.

    Args:
        structure: conventional standardised cell; lengths in Å.
        committee: mean model and members.
        settings: complete, of `check_settings`.
        job: gives communicator and progress; serial without it.
        relax_cell: whether the potential knows other cells than the structure's; otherwise atoms alone move.

    Returns:
        The result on rank 0, None on the others.

    Raises:
        InputError: when the potential does not know an element of the structure.
        WorkerError: names the model whose relaxation did not converge.
    """
    comm = job.comm if job is not None else SerialComm()
    crystal = PrimitiveCell.of(structure)
    models: list[Model] = [committee.mean, *committee.members]
    own: dict[int, CrystalState] = {}
    for index in range(comm.rank, len(models), comm.size):
        if job is not None:
            job.progress(index, len(models), "relaxed cell and stiffness")
        own[index] = _named_state(crystal, models[index], settings, index, relax_cell)
    parts = comm.gather(own, root=0)
    if comm.rank != 0:
        return None
    if job is not None:
        job.progress(len(models), len(models), "relaxed cell and stiffness")
    states = {index: state for part in parts for index, state in part.items()}
    return Elasticity(
        states[0], [states[index] for index in range(1, len(models))], relax_cell, committee.calibrated
    )


def _named_state(
    crystal: PrimitiveCell, model: Model, settings: Mapping[str, Any], index: int, relax_cell: bool
) -> CrystalState:
    try:
        return crystal_state(crystal, model, settings, relax_cell=relax_cell)
    except WorkerError as error:
        who = f"member {index - 1} of the committee" if index else "the mean potential"
        raise WorkerError(f"with {who}, {error.message}", fix=error.fix) from error


def crystal_state(
    crystal: PrimitiveCell, model: Model, settings: Mapping[str, Any], *, relax_cell: bool = True
) -> CrystalState:
    """Relax a crystal and compute its stiffness with one model.

    Args:
        crystal: where to start.
        model: the potential.
        settings: complete, of `check_settings`.
        relax_cell: whether the cell is relaxed too.

    Raises:
        WorkerError: when a relaxation does not converge.
    """
    tolerance = float(settings["force_tolerance"])
    relaxed = relax(model, crystal.atoms, tolerance, cell=relax_cell)
    constants = stiffness(
        model,
        relaxed,
        float(settings["strain"]),
        relax_internal=bool(settings["relax_internal"]),
        force_tolerance=tolerance,
    )
    return CrystalState(crystal.expand(relaxed), constants)


def write(job: Job, result: Elasticity, outside: Departure | None = None) -> None:
    """Write the result file of the job.

    Args:
        job: gives the path.
        result: of `compute`.
        outside: cells that the potential was not trained for.
    """
    votes = [member.quantities() for member in result.members]
    mean = result.mean.atoms
    with ResultWriter(job.output, task="elasticity", task_version=TASK_VERSION) as writer:
        for name, value in result.mean.quantities().items():
            _write_quantity(writer, name, value, [vote[name] for vote in votes], result)
        write_velocities(
            writer, (result.mean.stiffness, mean), [(one.stiffness, one.atoms) for one in result.members]
        )
        writer.array("relaxed/cell", mean.cell.array, units="Å")
        writer.array("relaxed/positions", mean.get_scaled_positions(wrap=False), units="dimensionless")
        if result.members:
            cells = [member.atoms.cell.array for member in result.members]
            positions = [member.atoms.get_scaled_positions(wrap=False) for member in result.members]
            writer.array("members/cell", cells, units="Å")
            writer.array("members/positions", positions, units="dimensionless")
        kept = {} if result.cell_relaxed else {"cell_kept": WHY}
        writer.note("relaxed", {"symbols": mean.get_chemical_symbols(), **kept})
        writer.note("born_stability", _stability_note(result))
        _write_gate(writer, result)
        if outside is not None:
            outside.write(writer)


def _write_quantity(
    writer: ResultWriter, name: str, value: Floats, votes: list[Floats], result: Elasticity
) -> None:
    """Write a quantity with its members and their spread; one that an unstable crystal does not have is left out."""
    if not np.isfinite(value).all():
        return
    given = not result.cell_relaxed and name in _OF_CELL
    members = np.array(votes) if votes and not given else None
    marks = [] if result.cell_relaxed else [MARK]
    # One member has no spread, nor have members some of which have no value.
    spread = None
    if members is not None and not np.isfinite(members).all():
        marks.append(UNSTABLE_MEMBER)
    elif members is not None and len(votes) > 1:
        spread = {"model": members.std(axis=0, ddof=1)}
    writer.quantity(
        name, value, members=members, components=spread, calibrated=result.calibrated, marks=marks
    )


def _write_gate(writer: ResultWriter, result: Elasticity) -> None:
    message = ""
    # Frames of one cell do not fix the answer to a strain: a valid crystal is not stopped for it.
    if result.cell_relaxed and not result.stability.stable:
        message = (
            f"{result.mean.atoms.get_chemical_formula()} is elastically unstable: its stiffness has an eigenvalue of "
            f"{result.stability.eigenvalues[0]:.2f} GPa"
        )
    fix = "check the structure's phase, and that the reference frames hold strained cells"
    writer.gate("born_stability", message, fix=fix)


def _stability_note(result: Elasticity) -> dict[str, Any]:
    unstable = [
        index for index, member in enumerate(result.members) if not born_stability(member.stiffness).stable
    ]
    return {
        "stable": result.stability.stable,
        "eigenvalues": result.stability.eigenvalues.tolist(),
        "unit": "GPa",
        "unstable_members": unstable,
    }
