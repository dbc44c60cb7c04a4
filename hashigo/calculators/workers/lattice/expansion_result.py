"""What the task "expansion" computes, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import kg, m
from numpy.typing import NDArray
from scipy.constants import Avogadro, elementary_charge

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.extrapolation import Departure
from hashigo.calculators.workers.lattice.cell_grid import MARKS
from hashigo.calculators.workers.lattice.crystal import primitive
from hashigo.calculators.workers.lattice.free_energy import Vibrations
from hashigo.calculators.workers.lattice.polar import Polar, marks, polar_note
from hashigo.calculators.workers.lattice.quasiharmonic import Equilibrium, Grid, equilibrium, fewest, groups
from hashigo.calculators.workers.lattice.reference_volumes import SpotCheck

Floats = NDArray[np.float64]

SOURCE = "quasi-harmonic: phonons depend on the cell alone; intrinsic anharmonicity is left out"


@dataclass(frozen=True)
class Computed:
    """One cell of the grid.

    Attributes:
        lattice: vectors as rows, shape (3, 3), Å.
        energy: without vibrations, eV a conventional cell.
        vibrations: thermal functions on the two meshes.
    """

    lattice: Floats
    energy: float
    vibrations: Vibrations


@dataclass
class Result:
    """What the task computes.

    Attributes:
        formula: of the conventional cell.
        atoms: relaxed conventional cell; lengths in Å.
        kind: how the cell is varied, of `cell_grid.family`.
        mean: grid of the mean potential, or of the reference's frames.
        coarse: the same on the coarser mesh.
        larger: the same with a larger supercell; None where it is not known.
        members: grids of the members in their order.
        left_out: volumes with imaginary modes, Å^3.
        source: of force constants and energies, "potential" or "reference".
        calibrated: whether the committee's spread is.
        spot_check: the potential's static energies against the reference's, or why they were not compared.
        reference: grid of the reference's frames beside the potential's, or why there is none.
        polar: Born charges; None where they are not known.
    """

    formula: str
    atoms: Atoms
    kind: str
    mean: Grid
    coarse: Grid
    larger: Grid | None = None
    members: list[Grid] = field(default_factory=list)
    left_out: list[float] = field(default_factory=list)
    source: str = "potential"
    calibrated: bool = False
    spot_check: SpotCheck | str = "no reference frames were given"
    reference: Grid | str = "no reference frames were given"
    polar: Polar | None = None


def quantities(found: Equilibrium, atoms: Atoms, static: float) -> dict[str, Floats]:
    """Quantities of the vocabulary, in its units and shapes after a first index of the temperature.

    Args:
        found: the equilibrium of the conventional cell.
        atoms: that cell, for its masses.
        static: energy that Gibbs energies are counted from, eV a conventional cell.

    Returns:
        By name, each of shape (n_temperatures, \\*tensor), in the vocabulary's unit.
    """
    cells = len(atoms) / len(primitive(atoms))
    molar = elementary_charge * Avogadro / cells
    mass = atoms.get_masses().sum() / kg
    return {
        "thermal_lattice_parameters": np.linalg.norm(found.lattice, axis=2),
        "thermal_expansion": found.expansion,
        "thermal_density": mass / (found.volume / m**3),
        "quasiharmonic_bulk_modulus": found.bulk_modulus,
        "isobaric_heat_capacity": found.heat_capacity_pressure * molar,
        "specific_heat": found.heat_capacity_pressure * elementary_charge / mass,
        "gibbs_energy": (found.gibbs - static) * molar / 1000,
    }


def static_minimum(grid: Grid) -> float:
    """Energy of the cell of least static energy, eV a conventional cell; NaN where it lies outside the grid."""
    nothing = np.zeros((len(grid.points), 1))
    still = replace(grid, temperatures=np.zeros(1), helmholtz=nothing, entropy=nothing, heat_capacity=nothing)
    return float(equilibrium(still).helmholtz[0])


def solved(
    grid: Grid, atoms: Atoms, pressure: float, *, lower: bool = False
) -> tuple[Equilibrium, dict[str, Floats]]:
    """Equilibrium of a grid and its quantities, of shape (n_temperatures, \\*tensor) in the vocabulary's units.

    Args:
        grid: of cells.
        atoms: conventional cell, for its masses.
        pressure: GPa.
        lower: whether static energies are fitted by one degree less.
    """
    found = equilibrium(grid, pressure, lower=lower)
    return found, quantities(found, atoms, static_minimum(grid))


def fit_error(grid: Grid, atoms: Atoms, pressure: float) -> dict[str, Floats]:
    """What the fits over the grid add to the uncertainty: cells left out in turn, and another form of the fit.

    The first is the jackknife's standard error (Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982),
    the second the change by a polynomial of one degree less through the static energies; they are added in squares.

    Args:
        grid: of cells.
        atoms: conventional cell, for its masses.
        pressure: GPa.

    Returns:
        By name, each of shape (n_temperatures, \\*tensor), in the vocabulary's unit; NaN where the cell of least Gibbs
        energy is not known.
    """
    _, values = solved(grid, atoms, pressure)
    _, lower = solved(grid, atoms, pressure, lower=True)
    sets = [
        one for one in groups(grid.points) if len(grid.points) - len(one) >= fewest(grid.points.shape[1]) - 1
    ]
    without = [solved(grid.without(one), atoms, pressure)[1] for one in sets]
    out = {}
    for name, value in values.items():
        left = np.array([one[name] for one in without])
        known = np.isfinite(left)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, left, 0).sum(axis=0) / count
        square = (count - 1) / count * np.where(known, (left - mean) ** 2, 0).sum(axis=0)
        out[name] = np.sqrt(square + (lower[name] - value) ** 2)
    return out


def write(
    path: Path,
    result: Result,
    settings: Mapping[str, Any],
    task_version: int,
    outside: Departure | None = None,
) -> None:
    """Write the result file of the task.

    Args:
        path: file to write.
        result: of the task.
        settings: complete; temperatures in K, pressure in GPa, tolerance dimensionless.
        task_version: number of the task's version.
        outside: cells that the potential was not trained for.
    """
    pressure = float(settings["pressure"])
    found, values = solved(result.mean, result.atoms, pressure)
    others = {"mesh": result.coarse}
    if result.larger is not None:
        others["supercell"] = result.larger
    errors = {"fit": fit_error(result.mean, result.atoms, pressure)}
    for part, grid in others.items():
        other = solved(grid, result.atoms, pressure)[1]
        errors[part] = {name: np.abs(other[name] - value) for name, value in values.items()}
    members = [solved(grid, result.atoms, pressure)[1] for grid in result.members]
    every = [values, *errors.values(), *members]
    inside = np.all([np.isfinite(one["thermal_density"]) for one in every], axis=0)
    with ResultWriter(path, task="expansion", task_version=task_version) as writer:
        converged = True
        for name in values if inside.any() else ():
            converged &= _write_quantity(writer, name, values, errors, members, inside, result, settings)
        _write_arrays(writer, found, result)
        absent = [float(t) for t, known in zip(found.temperatures, inside, strict=True) if not known]
        writer.note("expansion", _note(result, found, absent, settings, converged))
        writer.note("polar", polar_note(result.polar, result.atoms.get_chemical_symbols()))
        message = (
            "" if inside.any() else f"no cell of {result.formula} on the grid has the least Gibbs energy"
        )
        writer.gate("thermal_minimum", message, fix="widen expansion.volume_range", absent=absent)
        if outside is not None:
            outside.write(writer)


def _write_quantity(
    writer: ResultWriter,
    name: str,
    values: dict[str, Floats],
    errors: Mapping[str, dict[str, Floats]],
    members: list[dict[str, Floats]],
    inside: NDArray[np.bool_],
    result: Result,
    settings: Mapping[str, Any],
) -> bool:
    """Write one quantity at the temperatures whose cells are known; tell whether it is converged."""
    value = values[name][inside]
    components = {part: of_quantity[name][inside] for part, of_quantity in errors.items()}
    error = np.sqrt(np.sum([one**2 for one in components.values()], axis=0))
    converged = bool(np.max(error) <= float(settings["tolerance"]) * np.max(np.abs(value)))
    votes = np.array([one[name][inside] for one in members]) if members else None
    if votes is not None and len(votes) > 1:
        components["model"] = votes.std(axis=0, ddof=1)
    own = (*marks(result.polar, result.atoms.get_chemical_symbols()), *_marks(result))
    writer.quantity(
        name,
        value,
        conditions=[{"temperature": float(t)} for t in result.mean.temperatures[inside]],
        components=components,
        members=votes,
        calibrated=result.calibrated,
        converged=converged,
        marks=own,
    )
    return converged


def _marks(result: Result) -> tuple[str, ...]:
    shape = (MARKS[result.kind],) if result.kind in MARKS else ()
    return (*shape, *(("from the reference's frames",) if result.source == "reference" else ()))


def _write_arrays(writer: ResultWriter, found: Equilibrium, result: Result) -> None:
    grid = result.mean
    writer.array("temperatures", found.temperatures, units="K")
    writer.array("grid/strain", grid.points, units="dimensionless")
    writer.array("grid/volume", np.linalg.det(grid.lattice), units="Å^3")
    writer.array("grid/static_energy", grid.static, units="eV")
    writer.array("grid/helmholtz", grid.helmholtz, units="eV")
    writer.array("thermal/lattice", found.lattice, units="Å")
    writer.array("thermal/volume", found.volume, units="Å^3")
    writer.array("thermal/helmholtz", found.helmholtz, units="eV")
    writer.array("thermal/entropy", found.entropy, units="eV/K")
    writer.array("thermal/heat_capacity_volume", found.heat_capacity_volume, units="eV/K")
    for index, member in enumerate(result.members):
        writer.array(f"members/{index}/lattice", equilibrium(member).lattice, units="Å")


def _note(
    result: Result, found: Equilibrium, absent: list[float], settings: Mapping[str, Any], converged: bool
) -> dict[str, Any]:
    check = result.spot_check
    spot = {"skipped": check} if isinstance(check, str) else check.values()
    return {
        "source": result.source,
        "cell": result.kind,
        "volumes": len(result.mean.points),
        "volumes_with_imaginary_modes": result.left_out,
        "fit_residual": 1000 * found.residual / len(result.atoms),
        "fit_residual_unit": "meV/atom",
        "pressure": float(settings["pressure"]),
        "pressure_unit": "GPa",
        "absent": absent,
        "absent_why": "the cell of least Gibbs energy lies outside the grid" if absent else "",
        "mesh": int(settings["mesh"]),
        "tolerance": float(settings["tolerance"]),
        "converged": converged and not absent,
        "spot_check": spot,
        "cross_check": _cross_check(result, found, float(settings["pressure"])),
        "method": SOURCE,
    }


def _cross_check(result: Result, found: Equilibrium, pressure: float) -> dict[str, Any]:
    if isinstance(result.reference, str):
        return {"skipped": result.reference}
    other = equilibrium(result.reference, pressure)
    known = found.inside & other.inside
    third = [np.trace(one.expansion[known], axis1=1, axis2=2) / 3 for one in (found, other)]
    return {
        "what": "linear thermal expansion, mean over directions, by the potential and by force constants of the "
        "reference's frames",
        "temperatures": found.temperatures[known].tolist(),
        "expansion_potential": third[0].tolist(),
        "expansion_reference": third[1].tolist(),
        "unit": "1/K",
        "volumes": len(result.reference.points),
    }
