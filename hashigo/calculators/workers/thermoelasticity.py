"""Task "thermoelasticity": isothermal and adiabatic elastic constants at temperature, quasi-harmonic.

At the cell of each temperature, which the task "expansion" has found and which is freed here of what stress is left,
the free energy is derived twice by strain. Derivatives are computed at up to three cells along the path of each model
and interpolated between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hashigo.calculators.frames import read_header
from hashigo.calculators.workers.extrapolation import departure
from hashigo.calculators.workers.job import Job, SerialComm
from hashigo.calculators.workers.lattice.crystal import PrimitiveCell, point_group, read_structure
from hashigo.calculators.workers.lattice.expanded import ExpandedCells, read_expanded
from hashigo.calculators.workers.lattice.force_constants import build_lattice
from hashigo.calculators.workers.lattice.free_energy import Vibrations
from hashigo.calculators.workers.lattice.polar import Polar, read_polar
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells, read_relaxed
from hashigo.calculators.workers.lattice.strained_cells import Piece, Workbench, pieces
from hashigo.calculators.workers.lattice.thermal_path import Node, shifted
from hashigo.calculators.workers.lattice.thermoelastic import Symmetry, node_cells
from hashigo.calculators.workers.lattice.thermoelastic_result import Result, path_states, write
from hashigo.calculators.workers.polynomial import committee_for
from hashigo.calculators.workers.potential import Committee
from hashigo.errors import InputError

TASK_VERSION = 1

#: Parameters and their defaults: displacement in Å, imaginary_tolerance in THz.
DEFAULTS: dict[str, Any] = {
    "potential": None,
    "supercell": [2, 2, 2],
    "mesh": 19,
    "strain": 0.01,
    "displacement": 0.003,
    "tolerance": 0.05,
    "imaginary_tolerance": -0.1,
}

#: An error that falls with the square of the strain is a third of what twice the strain makes of it, one that grows
#: with the inverse square four thirds.
_STRAIN_SHARE = 4 / 3


def run(job: Job) -> None:
    """Compute elastic constants at the temperatures and cells of the input "expansion".

    Raises:
        InputError: when parameters or inputs do not fit, or a strained crystal has imaginary modes.
        WorkerError: when atoms of a strained cell do not relax.
    """
    settings = check_settings(job.parameters)
    structure = read_structure(job.inputs["structure"])
    elements = sorted(set(structure.get_chemical_symbols()))
    committee = committee_for(job.inputs, settings["potential"], elements)
    cells = read_relaxed(job.inputs["elasticity"])
    expanded = read_expanded(job.inputs["expansion"], len(committee.members))
    polar = read_polar(read_header(job.inputs["frames"])) if "frames" in job.inputs else None
    result = compute(committee, cells, expanded, settings, job, polar)
    if result is None:
        return
    ends = []
    for lattice in node_cells(expanded.lattice[0])[[0, -1]]:
        ends.append(cells.mean.copy())
        ends[-1].set_cell(lattice, scale_atoms=True)
    outside = departure(job.inputs, committee, ends, "the cell at the lowest or highest temperature")
    write(job.output, result, settings, TASK_VERSION, outside)


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check them.

    Args:
        parameters: any of `DEFAULTS`; strain dimensionless, displacement in Å.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"thermoelasticity.{unknown[0]} is not a parameter of the stage",
            fix=f"known are {', '.join(DEFAULTS)}",
        )
    settings = {**DEFAULTS, **parameters}
    for name, most, unit in (("strain", 0.03, ""), ("displacement", 0.1, " Å")):
        if not 0 < settings[name] <= most:
            raise InputError(
                f"thermoelasticity.{name} is {settings[name]}{unit}, not between 0 and {most}",
                fix=f"set thermoelasticity.{name} to {DEFAULTS[name]}",
            )
    return settings


def compute(
    committee: Committee,
    cells: RelaxedCells,
    expanded: ExpandedCells,
    settings: Mapping[str, Any],
    job: Job | None = None,
    polar: Polar | None = None,
) -> Result | None:
    """Elastic constants by the mean potential and every member, each along its own path; ranks share the cells.

    Args:
        committee: mean model and members.
        cells: relaxed by each of them.
        expanded: their cells at temperature.
        settings: complete, of `check_settings`.
        job: gives communicator and progress; serial without it.
        polar: Born charges of the reference's cell, taken for every cell; None where they are not known.

    Returns:
        The result on rank 0, None on the others.

    Raises:
        InputError: when cells and committee do not belong together, or the mean's crystal has imaginary modes.
    """
    cells.check(committee)
    comm = job.comm if job is not None else SerialComm()
    expanded, reshaped = shaped(committee, cells, expanded, settings, job, polar)
    bench = workbench(committee, cells, expanded, settings, polar)
    todo = pieces(bench.symmetry, [len(nodes) for nodes in bench.nodes])
    found = _computed(bench, todo, job)
    if comm.rank != 0:
        return None
    unstable = imaginary_models(found, float(settings["imaginary_tolerance"]))
    if 0 in unstable:
        raise InputError(
            f"{cells.mean.get_chemical_formula()} has imaginary modes in a strained cell, down to {unstable[0]:.2f} "
            "THz: a quasi-harmonic crystal must be stable",
            fix="lower the highest of expansion.temperatures, or check the structure's phase",
        )
    mean = bench.path(found, 0)
    return Result(
        atoms=cells.mean,
        expanded=expanded,
        mean=mean,
        others=others(bench, found, mean),
        members=[None if index in unstable else bench.path(found, index) for index in range(1, len(bench.models))],
        calibrated=committee.calibrated,
        polar=polar,
        reshaped=reshaped,
    )  # fmt: skip


def _computed(bench: Workbench, todo: Sequence[Piece], job: Job | None) -> dict[Piece, Any]:
    """All pieces on rank 0, nothing on the others; ranks share them."""
    comm = job.comm if job is not None else SerialComm()
    own: dict[Piece, Any] = {}
    for number in range(comm.rank, len(todo), comm.size):
        if job is not None:
            job.progress(number, len(todo), "strained cells at temperature")
        own[todo[number]] = bench.compute(todo[number])
    parts = comm.gather(own, root=0)
    return {piece: value for part in parts or () for piece, value in part.items()}


def shaped(
    committee: Committee,
    cells: RelaxedCells,
    expanded: ExpandedCells,
    settings: Mapping[str, Any],
    job: Job | None = None,
    polar: Polar | None = None,
) -> tuple[ExpandedCells, float]:
    """Cells without stress, where the expansion has found the volume alone with a shape relaxed without vibrations.

    The mean's cells are freed of stress, and those of the members strained alike.

    Args:
        committee: mean model and members.
        cells: relaxed by each of them.
        expanded: their cells at temperature.
        settings: complete, of `check_settings`.
        job: gives communicator and progress; serial without it.
        polar: Born charges; None where they are not known.

    Returns:
        The cells, those given where they have one or two free parameters; and the largest component of the strain
        made, dimensionless.
    """
    alone = replace(expanded, lattice=expanded.lattice[:1])
    bench = workbench(Committee(committee.mean), RelaxedCells(cells.mean), alone, settings, polar)
    if len(bench.symmetry.invariants) <= 2:
        return expanded, 0.0
    todo = [
        piece
        for piece in pieces(bench.symmetry, [len(bench.nodes[0])])
        if piece.scale == 1 and not piece.larger
    ]
    comm = job.comm if job is not None else SerialComm()
    found = _computed(bench, todo, job)
    strains = None
    if comm.rank == 0:
        states = path_states(bench.path(found, 0), alone, 0)
        strains = np.array(
            [np.linalg.solve(old, new.lattice) for old, new in zip(alone.lattice[0], states, strict=True)]
        )
    strains = comm.bcast(strains, root=0)
    return replace(expanded, lattice=expanded.lattice @ strains), float(np.abs(strains - np.eye(3)).max())


def workbench(
    committee: Committee,
    cells: RelaxedCells,
    expanded: ExpandedCells,
    settings: Mapping[str, Any],
    polar: Polar | None = None,
) -> Workbench:
    """What all cells have in common.

    Args:
        committee: mean model and members.
        cells: relaxed by each of them.
        expanded: their cells at temperature.
        settings: complete, of `check_settings`.
        polar: Born charges; None where they are not known.
    """
    supercell = [int(n) for n in settings["supercell"]]
    larger = [n + 1 for n in supercell]
    mesh = int(settings["mesh"])
    return Workbench(
        models=[committee.mean, *committee.members],
        crystals=[PrimitiveCell.of(atoms) for atoms in (cells.mean, *cells.members)],
        nodes=[node_cells(lattice) for lattice in expanded.lattice],
        symmetry=Symmetry.of(point_group(cells.mean)),
        lattices=(build_lattice(cells.mean, supercell, polar), build_lattice(cells.mean, larger, polar)),
        temperatures=expanded.temperatures,
        settings=settings,
        meshes=(mesh, max(2, round(2 * mesh / 3))),
    )


def others(bench: Workbench, found: Mapping[Piece, Any], mean: list[Node]) -> dict[str, list[Node]]:
    """The mean's path as it comes out otherwise, by the part of the uncertainty that the difference tells.

    Args:
        bench: what all cells have in common.
        found: everything that was computed.
        mean: its path.
    """
    middle = len(mean) // 2
    larger = bench.node(found, 0, middle, larger=True)
    twice = bench.node(found, 0, middle, scale=2)
    out = {
        "mesh": bench.path(found, 0, row=1),
        "supercell": shifted(mean, mean[middle], larger),
        "strain": shifted(mean, mean[middle], twice, _STRAIN_SHARE),
    }
    if len(mean) > 2:
        out["fit"] = [mean[0], mean[-1]]
    return out


def imaginary_models(found: Mapping[Piece, Any], tolerance: float) -> dict[int, float]:
    """Models with an imaginary mode in some cell, and their lowest frequency, THz.

    Args:
        found: everything that was computed.
        tolerance: frequencies below count, THz.
    """
    lowest: dict[int, float] = {}
    for piece, value in found.items():
        if isinstance(value, Vibrations):
            lowest[piece.model] = min(lowest.get(piece.model, np.inf), value.minimum)
    return {model: minimum for model, minimum in lowest.items() if minimum < tolerance}
