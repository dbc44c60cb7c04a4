"""Parameters of the task "conductivity"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.calculators.workers.lattice.force_constants import supercell_matrix
from hashigo.calculators.workers.lattice.mesh_run import AUTO
from hashigo.calculators.workers.lattice.mesh_series import check_meshes
from hashigo.errors import InputError

#: Parameters and their defaults: displacement and cutoff in Å, boundary in nm, temperatures in K, relative
#: tolerance, core_hours in core·h. Snapshots, cutoff and meshes may be "auto".
DEFAULTS: dict[str, Any] = {
    "potential": None,
    "force_constants": "potential",
    "supercell": [2, 2, 2],
    "snapshots": AUTO,
    "displacement": 0.03,
    "cutoff": AUTO,
    "meshes": AUTO,
    "coarse_mesh": 7,
    "temperatures": [300.0],
    "isotopes": True,
    "boundary": None,
    "beyond_relaxation": True,
    "largest_mesh": 25,
    "core_hours": 2.0,
    "tolerance": 0.05,
    "seed": 0,
}


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check them.

    Args:
        parameters: any of `DEFAULTS`; displacement in Å, temperatures in K, tolerance dimensionless.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"conductivity.{unknown[0]} is not a parameter of the stage",
            fix=f"known are {', '.join(DEFAULTS)}",
        )
    settings = {**DEFAULTS, **parameters}
    if settings["force_constants"] not in ("potential", "reference", "sscha"):
        raise InputError(
            f"conductivity.force_constants is '{settings['force_constants']}'",
            fix="set it to 'potential', 'reference' or 'sscha'",
        )
    if settings["force_constants"] == "sscha" and len(settings["temperatures"]) != 1:
        raise InputError(
            f"conductivity.temperatures is {settings['temperatures']}: renormalised force constants are those of one "
            "temperature",
            fix="give one temperature of the section sscha",
        )
    supercell_matrix(settings["supercell"])
    if settings["meshes"] != AUTO:
        check_meshes(settings["meshes"], "conductivity.meshes")
    check_meshes([settings["coarse_mesh"]], "conductivity.coarse_mesh")
    if not 0 < settings["displacement"] <= 0.5:
        raise InputError(
            f"conductivity.displacement is {settings['displacement']} Å, not a small positive length",
            fix="set it to 0.03",
        )
    if settings["snapshots"] != AUTO and settings["snapshots"] < 1:
        raise InputError(
            f"conductivity.snapshots is {settings['snapshots']}, less than 1", fix="set it to 20"
        )
    lengths = (
        ("cutoff", "Å"),
        ("boundary", "nm"),
        ("core_hours", "core·h"),
        ("largest_mesh", "wave vectors"),
    )
    for name, unit in lengths:
        if settings[name] not in (None, AUTO) and not settings[name] > 0:
            raise InputError(
                f"conductivity.{name} is {settings[name]} {unit}, and must be positive", fix="leave it out"
            )
    if not settings["temperatures"] or min(settings["temperatures"]) <= 0:
        raise InputError(
            f"conductivity.temperatures is {settings['temperatures']}", fix="give temperatures above 0 K"
        )
    if not settings["tolerance"] > 0:
        raise InputError(
            f"conductivity.tolerance is {settings['tolerance']}, and must be positive", fix="set it to 0.05"
        )
    return settings
