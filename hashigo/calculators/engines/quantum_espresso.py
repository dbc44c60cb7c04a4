"""Quantum ESPRESSO's pw.x: one job a frame through aiida-quantumespresso and its handlers, or packed in a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from ase.units import GPa

from hashigo.calculators.engines import Engine, Program, Setting, Workspace
from hashigo.calculators.engines.espresso_packed import make_calculator
from hashigo.calculators.engines.frame_calculator import FrameCalculator, converged, version
from hashigo.calculators.engines.kpoints import kpoint_mesh
from hashigo.calculators.engines.pseudopotentials import (
    check_pseudopotentials,
    find_pseudopotential,
    resolve,
)
from hashigo.errors import InputError, MissingComponent


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    if settings["ranks"] < 1:
        raise InputError(f"reference.settings.ranks is {settings['ranks']}", fix="give 1 or more")
    check_pseudopotentials(settings["pseudopotentials"], elements)
    if find_spec("aiida_quantumespresso") is None:
        raise MissingComponent(
            "engine 'quantum_espresso' needs the AiiDA plugin aiida-quantumespresso",
            fix="pip install 'aiida-hashigo[qe]'",
        )


def _parameters(settings: Mapping[str, Any], kind: str) -> dict[str, Any]:
    control = {"calculation": "scf", "tprnfor": True, "tstress": True, "disk_io": "low"}
    system: dict[str, Any] = {"ecutwfc": settings["cutoff"], "occupations": "fixed"}
    if settings["density_cutoff"]:
        system["ecutrho"] = settings["density_cutoff"]
    electrons = {"conv_thr": settings["scf_threshold"], "mixing_beta": 0.7}
    if kind == "atom":
        # Smearing shares the electrons of an open shell evenly among its degenerate orbitals.
        system.update({"occupations": "smearing", "smearing": "gaussian", "degauss": 0.002, "nspin": 2,
                       "nosym": True})  # fmt: skip
        electrons["mixing_beta"] = 0.3
    elif settings["smearing"]:
        system.update({"occupations": "smearing", "smearing": "cold", "degauss": settings["smearing"]})
    return {"CONTROL": control, "SYSTEM": system, "ELECTRONS": electrons}


def _job(
    structure: Any,
    kind: str,
    settings: Mapping[str, Any],
    code: Any,
    options: Mapping[str, Any] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Process class and inputs of one frame; `structure` is a StructureData, `code` runs pw.x with `options`."""
    from aiida import orm
    from aiida.plugins import WorkflowFactory
    from aiida_pseudo.data.pseudo import UpfData

    process = WorkflowFactory("quantumespresso.pw.base")
    parameters = _parameters(settings, kind)
    kpoints = orm.KpointsData()
    if kind == "atom":
        kpoints.set_kpoints_mesh([1, 1, 1])
        parameters["SYSTEM"]["starting_magnetization"] = dict.fromkeys(structure.get_kind_names(), 0.5)
    else:
        offset = [0.5] * 3 if settings["shifted_mesh"] else [0.0] * 3
        kpoints.set_kpoints_mesh(kpoint_mesh(structure.cell, settings["kpoint_spacing"]), offset=offset)
    pseudos = {}
    for name in structure.get_kind_names():
        pseudos[name] = UpfData.get_or_create(find_pseudopotential(name, settings["pseudopotentials"]))
    inputs = {
        "kpoints": kpoints,
        "max_iterations": orm.Int(3),
        "clean_workdir": orm.Bool(True),
        "pw": {
            "code": code,
            "structure": structure,
            "parameters": orm.Dict(parameters),
            "pseudos": pseudos,
            "metadata": {
                "options": {
                    "resources": {"num_machines": 1, "num_mpiprocs_per_machine": 1},
                    "withmpi": False,
                    "max_wallclock_seconds": int(settings["walltime"]),
                    **(options or {}),
                }
            },
        },
    }
    return process, inputs


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> FrameCalculator:
    return make_calculator(
        settings,
        workspace,
        _parameters,
        lambda symbol: find_pseudopotential(symbol, settings["pseudopotentials"]),
    )


def _read(outputs: Any) -> dict[str, Any]:
    """Energy [eV], forces [eV/Å] and stress [eV/Å^3, Voigt, positive under tension] of a finished frame."""
    trajectory = outputs.output_trajectory
    stress = np.asarray(trajectory.get_array("stress"))[-1] * GPa
    return {
        "energy": float(outputs.output_parameters["energy"]),
        "forces": np.asarray(trajectory.get_array("forces"))[-1],
        # pw.x's sign is ASE's with the opposite meaning of pressure: positive is compression.
        "stress": -np.array(
            [stress[0, 0], stress[1, 1], stress[2, 2], stress[1, 2], stress[0, 2], stress[0, 1]]
        ),
        "origin": f"Quantum ESPRESSO {outputs.output_parameters['creator_version']}",
    }


ENGINE = Engine(
    name="quantum_espresso",
    title="Quantum ESPRESSO (pw.x)",
    first_principles=True,
    settings={
        "pseudopotentials": Setting(
            {},
            "File name of each element's pseudopotential; or folder: PATH, archive: FILE, family: LABEL to find them.",
        ),
        "cutoff": Setting(40.0, "Plane-wave cut-off of the wavefunctions.", "Ry"),
        "density_cutoff": Setting(
            0.0, "Cut-off of the density; 0: four times that of the wavefunctions.", "Ry"
        ),
        "kpoint_spacing": Setting(0.3, "Distance of k-points, with the factor 2π.", "1/Å"),
        "shifted_mesh": Setting(True, "Shift the k-mesh by half a step in each direction."),
        "smearing": Setting(
            0.0, "Width of the cold smearing of a metal; 0: an insulator's occupations.", "Ry"
        ),
        "scf_threshold": Setting(1e-9, "Energy error at which self-consistency is reached.", "Ry"),
        "walltime": Setting(7200.0, "Longest time of one frame in a job of its own.", "s", physics=False),
        "ranks": Setting(1, "MPI ranks of one frame; at most one for each core of the site.", physics=False),
    },
    calculator=_calculator,
    version=version,
    converged=converged,
    cost=lambda n_atoms: float(n_atoms) ** 2,
    job=_job,
    program=Program("pw.x", "Debian package quantum-espresso", "quantumespresso.pw"),
    outputs=("output_trajectory", "output_parameters"),
    read=_read,
    resolve=resolve,
    check=_check,
)
