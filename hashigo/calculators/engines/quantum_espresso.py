"""Quantum ESPRESSO's pw.x: one job a frame through aiida-quantumespresso and its handlers, or packed in a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase.units import GPa

from hashigo.calculators.engines import Engine, Program, Setting, Workspace
from hashigo.calculators.engines.espresso_magnetism import card, fill, system, version_for
from hashigo.calculators.engines.espresso_magnetism import check as check_magnetism
from hashigo.calculators.engines.espresso_packed import make_calculator
from hashigo.calculators.engines.frame_calculator import (
    SPIN,
    FrameCalculator,
    check_positive,
    converged,
    version,
)
from hashigo.calculators.engines.kpoints import KPOINT_SPACING, SHIFTED_MESH, kpoint_mesh
from hashigo.calculators.engines.pseudopotentials import (
    check_pseudopotentials,
    find_pseudopotential,
    resolve,
)
from hashigo.errors import InputError


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    if settings["ranks"] < 1:
        raise InputError(f"reference.settings.ranks is {settings['ranks']}", fix="give 1 or more")
    check_positive("quantum_espresso", settings, "cutoff", "kpoint_spacing", "scf_threshold", "walltime")
    check_pseudopotentials(settings["pseudopotentials"], elements)
    check_magnetism(settings, elements)


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
    options: Mapping[str, Any],
    longest: float | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Process class and inputs of one frame; `structure` is a StructureData, `code` runs pw.x with `options`."""
    from aiida import orm
    from aiida.plugins import WorkflowFactory
    from aiida_pseudo.data.pseudo import UpfData

    from hashigo.calculators.engines.espresso_hubbard import hubbard_structure  # needs AiiDA, as all of this

    process = WorkflowFactory("hashigo.pw_frame")
    parameters = _parameters(settings, kind)
    elements = structure.get_kind_names()
    release = version_for(settings, [str(code.filepath_executable)])
    parameters["SYSTEM"].update(system(settings, kind, elements, release))
    if card(settings, elements, release):
        structure = hubbard_structure(structure, settings["hubbard"])
    kpoints = orm.KpointsData()
    if kind == "atom":
        kpoints.set_kpoints_mesh([1, 1, 1])
    else:
        offset = [0.5] * 3 if settings["shifted_mesh"] else [0.0] * 3
        kpoints.set_kpoints_mesh(kpoint_mesh(structure.cell, settings["kpoint_spacing"]), offset=offset)
    pseudos = {}
    for name in elements:
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
                "options": dict(options),
            },
        },
    }
    if longest is not None:
        inputs["longest"] = orm.Int(int(longest))
    return process, inputs


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> FrameCalculator:
    return make_calculator(
        settings,
        workspace,
        _parameters,
        lambda symbol: find_pseudopotential(symbol, settings["pseudopotentials"]),
    )


def _read(outputs: Any) -> dict[str, Any]:
    """Energy [eV], forces [eV/Å], stress [eV/Å^3, Voigt, positive under tension] and moments [μB] of a frame."""
    trajectory = outputs.output_trajectory
    has_moments = "atomic_magnetic_moments" in trajectory.get_arraynames()
    stress = np.asarray(trajectory.get_array("stress"))[-1] * GPa
    return {
        "energy": float(outputs.output_parameters["energy"]),
        "forces": np.asarray(trajectory.get_array("forces"))[-1],
        # pw.x's sign is ASE's with the opposite meaning of pressure: positive is compression.
        "stress": -np.array(
            [stress[0, 0], stress[1, 1], stress[2, 2], stress[1, 2], stress[0, 2], stress[0, 1]]
        ),
        "magnetic_moments": np.asarray(trajectory.get_array("atomic_magnetic_moments"), dtype=float)[-1]
        if has_moments
        else None,
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
        "kpoint_spacing": KPOINT_SPACING,
        "shifted_mesh": SHIFTED_MESH,
        "smearing": Setting(
            0.0, "Width of the cold smearing of a metal; 0: an insulator's occupations.", "Ry"
        ),
        "scf_threshold": Setting(1e-9, "Energy error at which self-consistency is reached.", "Ry"),
        "spin": replace(SPIN, added=True),
        "hubbard": Setting(
            {},
            "U of Dudarev's form for shells of elements, eV, as in Ni-3d: 6.2, on atomic projectors; empty: none.",
            added=True,
        ),
        "walltime": Setting(
            7200.0,
            "Time of one frame in a job of its own; doubled for the next try where it was not enough.",
            "s",
            physics=False,
        ),
        "ranks": Setting(1, "MPI ranks of one frame; at most one for each core of the site.", physics=False),
    },
    calculator=_calculator,
    version=version,
    converged=converged,
    cost=lambda n_atoms: float(n_atoms) ** 2,
    job=_job,
    module="aiida_quantumespresso",
    extra="qe",
    program=Program("pw.x", "Debian package quantum-espresso", "quantumespresso.pw"),
    outputs=("output_trajectory", "output_parameters"),
    read=_read,
    resolve=resolve,
    fill=fill,
    check=_check,
)
