"""Born charges and dielectric tensor by ph.x: its inputs, and what it prints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.engines import Program
from hashigo.errors import InputError, MissingComponent, WorkerError

Floats = NDArray[np.float64]

PROGRAM = Program("ph.x", "Debian package quantum-espresso", "quantumespresso.ph")

#: The engine whose crystals get them.
ENGINE = "quantum_espresso"

#: Square of the potential's change at which ph.x ends its iterations, Ry^2.
THRESHOLD = 1e-14

_NUMBER = r"\s+(-?\d+\.\d+)" * 3
_DIELECTRIC = re.compile(r"Dielectric constant in cartesian axis\s*" + rf"\({_NUMBER}\s*\)\s*" * 3)
_HEADING = "Effective charges (d Force / dE) in cartesian axis"
_ATOM = re.compile(r"atom\s+(\d+)\s+\w+[^\n]*" + "".join(rf"\s*E{axis}\s*\({_NUMBER}\s*\)" for axis in "xyz"))


def wants_polar(parameters: Mapping[str, Any], elements: set[str]) -> bool:
    """Whether Born charges are computed; where nothing is said, those of an insulating compound are.

    Args:
        parameters: of the reference stage.
        elements: symbols of the crystal's elements.

    Raises:
        InputError: when they are asked for and the occupations are those of a metal.
    """
    wanted = parameters.get("polar", "auto")
    if parameters["engine"] != ENGINE or wanted is False:
        return False
    metal = bool(parameters["settings"]["smearing"])
    if wanted is True and metal:
        raise InputError(
            "reference.polar asks for Born charges, and reference.settings.smearing makes the crystal a metal",
            fix="set smearing to 0, or polar to false",
        )
    return wanted is True or (len(elements) > 1 and not metal)


def require_response(codes: Mapping[str, str], site: str) -> None:
    """Make sure that ph.x is there.

    Args:
        codes: executables of the site by program name.
        site: its id, for the message.

    Raises:
        MissingComponent: says how to get it, and how to go without.
    """
    if not PROGRAM.is_on(codes):
        raise MissingComponent(
            f"Born charges need the program ph.x, which is not on site '{site}'",
            fix=f"install it ({PROGRAM.package}), name its path in the site's codes, or set reference.polar: false",
        )


def scf_inputs(inputs: Mapping[str, Any], afresh: bool = False) -> dict[str, Any]:
    """Inputs of the run that ph.x goes on from: those of a frame, its scratch folder kept.

    Args:
        inputs: of a frame's PwBaseWorkChain, not stored.
        afresh: whether no finished run is to be taken from the cache.
    """
    from aiida import orm

    parameters = inputs["pw"]["parameters"].get_dict()
    # Nobody needs them; and no frame, whose scratch folder is gone, is taken for this run from the cache.
    parameters["CONTROL"].update({"tprnfor": False, "tstress": False})
    metadata = {**inputs["pw"]["metadata"], **({"disable_cache": True} if afresh else {})}
    pw = {**inputs["pw"], "parameters": orm.Dict(parameters), "metadata": metadata}
    return {**inputs, "clean_workdir": orm.Bool(False), "pw": pw}


def response_job(code: Any, parent: Any, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Process class and inputs of the response to a field.

    Args:
        code: that runs ph.x.
        parent: RemoteData of the finished pw.x run.
        options: of the job.
    """
    from aiida import orm
    from aiida.plugins import WorkflowFactory

    gamma = orm.KpointsData()
    gamma.set_cell_from_structure(parent.creator.inputs.structure)
    gamma.set_kpoints([[0.0, 0.0, 0.0]])
    parameters = {"INPUTPH": {"epsil": True, "trans": False, "tr2_ph": THRESHOLD}}
    inputs = {
        "qpoints": gamma,
        "max_iterations": orm.Int(3),
        "clean_workdir": orm.Bool(True),
        "ph": {
            "code": code,
            "parent_folder": parent,
            "parameters": orm.Dict(parameters),
            "metadata": {"options": dict(options)},
        },
    }
    return WorkflowFactory("quantumespresso.ph.base"), inputs


def read_response(text: str, n_atoms: int) -> tuple[Floats, Floats, str]:
    """Born charges, dielectric tensor and version, as ph.x prints them.

    Args:
        text: ph.x's standard output.
        n_atoms: count of atoms in its cell.

    Returns:
        Born charges, first index of the field, second of the force, shape (n_atoms, 3, 3), e; the dielectric
        tensor, shape (3, 3), dimensionless; and the version of the program.

    Raises:
        WorkerError: when they are not there.
    """
    dielectric = _DIELECTRIC.findall(text)
    # From the last heading that is not of charges to which ph.x has applied the sum rule itself.
    blocks = [
        block
        for block in text.split(_HEADING)[1:]
        if not block.partition("\n")[0].strip().startswith("with ")
    ]
    found = {int(row[0]): row[1:] for row in reversed(_ATOM.findall(blocks[-1]))} if blocks else {}
    if not dielectric or sorted(found) != list(range(1, n_atoms + 1)):
        raise WorkerError(
            f"ph.x printed no dielectric tensor, or Born charges of {len(found)} atoms for {n_atoms}",
            fix="look into its output; reference.polar: false goes without them",
        )
    charges = np.array([found[index + 1] for index in range(n_atoms)], dtype=float).reshape(n_atoms, 3, 3)
    head = re.search(r"Program PHONON v\.(\S+)", text)
    return charges, np.array(dielectric[-1], dtype=float).reshape(3, 3), head[1] if head else ""
