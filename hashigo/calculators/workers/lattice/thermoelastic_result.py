"""What the task "thermoelasticity" computes, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.extrapolation import Departure
from hashigo.calculators.workers.lattice.elastic import born_stability
from hashigo.calculators.workers.lattice.elastic_properties import elastic_quantities
from hashigo.calculators.workers.lattice.expanded import ExpandedCells
from hashigo.calculators.workers.lattice.polar import Polar, marks, polar_note
from hashigo.calculators.workers.lattice.thermal_path import Node, State, state

Floats = NDArray[np.float64]

METHOD = (
    "quasi-harmonic: second derivatives of static and vibrational free energy by Lagrangian strain, at the cell free "
    "of total stress; atoms where the static energy is least; intrinsic anharmonicity is left out"
)
DERIVED = "moduli, anisotropy, velocities of sound and Debye temperature are those of the adiabatic stiffness"
#: Mark on numbers that some members of the committee do not have.
ABSENT_MEMBER = "no spread: a member of the committee is unstable"


@dataclass(frozen=True)
class Result:
    """What the task computes.

    Attributes:
        atoms: relaxed conventional cell of the mean potential; lengths in Å.
        expanded: cells at temperature of all models.
        mean: derivatives along the mean's path.
        others: the same as it comes out otherwise, by the part of the uncertainty that the difference tells.
        members: along the members' paths, in their order; None of one whose crystal has imaginary modes.
        calibrated: whether the committee's spread is.
        polar: Born charges; None where they are not known.
        reshaped: largest strain by which the expansion's cells were freed of stress before, dimensionless.
    """

    atoms: Atoms
    expanded: ExpandedCells
    mean: list[Node]
    others: dict[str, list[Node]] = field(default_factory=dict)
    members: list[list[Node] | None] = field(default_factory=list)
    calibrated: bool = False
    polar: Polar | None = None
    reshaped: float = 0.0

    def states(self, nodes: Sequence[Node], model: int) -> list[State]:
        """The crystal at each temperature.

        Args:
            nodes: of a path.
            model: index of the one whose path it is, 0 for the mean.
        """
        return path_states(nodes, self.expanded, model)


def path_states(nodes: Sequence[Node], expanded: ExpandedCells, model: int) -> list[State]:
    """The crystal at each temperature.

    Args:
        nodes: of a path.
        expanded: cells at temperature, where those without stress are looked for.
        model: index of the one whose path it is, 0 for the mean.
    """
    return [
        state(nodes, row, float(temperature), expanded.lattice[model, row], expanded.pressure)
        for row, temperature in enumerate(expanded.temperatures)
    ]


def quantities(states: Sequence[State], atoms: Atoms) -> dict[str, Floats]:
    """Quantities of the vocabulary, in its units, of shape (n_temperatures, \\*tensor); NaN where there is none.

    Args:
        states: at each temperature.
        atoms: the conventional cell at any temperature.
    """
    rows: list[dict[str, Any]] = []
    for one in states:
        hot = atoms.copy()
        hot.set_cell(one.lattice, scale_atoms=True)
        rows.append(
            {
                "isothermal_stiffness": one.isothermal,
                "adiabatic_stiffness": one.adiabatic,
                **elastic_quantities(one.adiabatic, hot),
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


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
        settings: complete; strain and tolerance dimensionless, displacement in Å.
        task_version: number of the task's version.
        outside: cells that the potential was not trained for.
    """
    states = result.states(result.mean, 0)
    values = quantities(states, result.atoms)
    parts = {part: quantities(result.states(nodes, 0), result.atoms) for part, nodes in result.others.items()}
    members = [
        {name: np.full_like(value, np.nan) for name, value in values.items()}
        if nodes is None
        else quantities(result.states(nodes, index + 1), result.atoms)
        for index, nodes in enumerate(result.members)
    ]
    with ResultWriter(path, task="thermoelasticity", task_version=task_version) as writer:
        converged = True
        for name in values:
            converged &= _write_quantity(writer, name, values, parts, members, result, settings)
        writer.array("temperatures", result.expanded.temperatures, units="K")
        writer.array("thermal/lattice", [one.lattice for one in states], units="Å")
        writer.array("thermal/expansion", [one.expansion for one in states], units="1/K")
        writer.array("thermal/bulk_modulus", [one.bulk_modulus for one in states], units="GPa")
        writer.array("nodes/lattice", [node.lattice for node in result.mean], units="Å")
        writer.note("thermoelasticity", _note(result, states, settings, converged))
        writer.note("polar", polar_note(result.polar, result.atoms.get_chemical_symbols()))
        _write_gate(writer, result, states)
        if outside is not None:
            outside.write(writer)


def _write_quantity(
    writer: ResultWriter,
    name: str,
    values: Mapping[str, Floats],
    parts: Mapping[str, Mapping[str, Floats]],
    members: Sequence[Mapping[str, Floats]],
    result: Result,
    settings: Mapping[str, Any],
) -> bool:
    """Write one quantity at the temperatures at which the crystal has it; tell whether it is converged."""
    every = np.array([values[name], *(part[name] for part in parts.values())])
    rows = np.isfinite(every).all(axis=(0, *range(2, every.ndim)))
    if not rows.any():
        return True
    value = values[name][rows]
    components = {part: np.abs(other[name][rows] - value) for part, other in parts.items()}
    error = np.sqrt(np.sum([one**2 for one in components.values()], axis=0))
    converged = bool(np.max(error) <= float(settings["tolerance"]) * np.max(np.abs(value)))
    told = list(marks(result.polar, result.atoms.get_chemical_symbols()))
    votes = np.array([one[name][rows] for one in members]) if members else None
    # One member has no spread, nor have members some of which have no value.
    if votes is not None and not np.isfinite(votes).all():
        told.append(ABSENT_MEMBER)
    elif votes is not None and len(votes) > 1:
        components["model"] = votes.std(axis=0, ddof=1)
    writer.quantity(
        name,
        value,
        conditions=[{"temperature": float(t)} for t in result.expanded.temperatures[rows]],
        components=components,
        members=votes,
        calibrated=result.calibrated,
        converged=converged,
        marks=told,
    )
    return converged


def _note(
    result: Result, states: Sequence[State], settings: Mapping[str, Any], converged: bool
) -> dict[str, Any]:
    found = result.expanded
    bulk = np.array([one.bulk_modulus for one in states])
    expansion = np.array([one.expansion for one in states])
    known = np.isfinite(found.bulk_modulus)
    largest = np.abs(found.expansion[known]).max(initial=0.0)
    checks: dict[str, Any] = {
        "correction": max(one.correction for one in states),
        "correction_is": "largest strain from the expansion's cells to those without stress",
    }
    if result.reshaped:
        checks["reshaped"] = result.reshaped
        checks["reshaped_is"] = (
            "largest strain that freed cells, whose shape was relaxed without vibrations, of stress"
        )
    if known.any():
        checks["bulk_modulus"] = float(np.abs(bulk / found.bulk_modulus - 1)[known].max())
        checks["bulk_modulus_is"] = (
            "largest relative difference from the expansion's quasiharmonic_bulk_modulus"
        )
    if largest > 0:
        checks["expansion"] = float(np.abs(expansion - found.expansion)[known].max() / largest)
        checks["expansion_is"] = "largest difference from the expansion's, over its largest"
    return {
        "method": METHOD,
        "derived": DERIVED,
        "cells": len(result.mean),
        "strain": float(settings["strain"]),
        "displacement": float(settings["displacement"]),
        "displacement_unit": "Å",
        "mesh": int(settings["mesh"]),
        "pressure": found.pressure,
        "pressure_unit": "GPa",
        "tolerance": float(settings["tolerance"]),
        "converged": converged,
        "checks": checks,
        "members_with_imaginary_modes": [i for i, nodes in enumerate(result.members) if nodes is None],
    }


def _write_gate(writer: ResultWriter, result: Result, states: Sequence[State]) -> None:
    message = ""
    lowest = [float(born_stability(one.isothermal).eigenvalues[0]) for one in states]
    for temperature, eigenvalue in zip(result.expanded.temperatures, lowest, strict=True):
        if eigenvalue <= 0:
            message = (
                f"{result.atoms.get_chemical_formula()} is elastically unstable at {temperature:g} K: its isothermal "
                f"stiffness has an eigenvalue of {eigenvalue:.2f} GPa"
            )
            break
    fix = "lower the highest of expansion.temperatures, or check the structure's phase"
    writer.gate("born_stability", message, fix=fix, eigenvalues=lowest, unit="GPa")
