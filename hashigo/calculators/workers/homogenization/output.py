"""What a mesoscale job writes: quantities with their uncertainty, bounds, fields and slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.homogenization.bounds import cubic_constants, cubic_estimates
from hashigo.calculators.workers.homogenization.ensemble import Ensemble
from hashigo.calculators.workers.homogenization.inputs import Conduction, Crystal
from hashigo.calculators.workers.homogenization.microstructure import Polycrystal
from hashigo.calculators.workers.homogenization.solver import ElasticMedium, ThermalMedium
from hashigo.calculators.workers.homogenization.tensors import (
    Floats,
    isotropic_moduli,
    isotropic_moduli_of_compliance,
    mandel_stress_to_voigt,
    mandel_to_voigt,
    von_mises,
)

#: Mean strain xx of the stress field, dimensionless.
FIELD_STRAIN = 1e-3
#: Mean temperature gradient along x of the heat flux field, K/m (1 K/µm).
FIELD_GRADIENT = 1e6


def uncertainty_components(realisations: Floats, members: Floats | None) -> dict[str, Floats]:
    """Parts of the standard uncertainty of a mean over realisations.

    Args:
        realisations: shape (n_realisations, ...), any unit.
        members: of each committee member its mean over the same realisations, shape (n_members, ...), same unit; or
            None.

    Returns:
        "sampling", the standard error of the mean (left out with one realisation, which does not tell), and
        "model", the standard deviation of the members (left out without two). Each member sees every realisation, so
        that neither part has anything of the other.
    """
    parts = {}
    count = len(realisations)
    if count > 1:
        parts["sampling"] = np.asarray(realisations.std(axis=0, ddof=1) / np.sqrt(count))
    if members is not None and len(members) > 1:
        parts["model"] = np.asarray(members.std(axis=0, ddof=1))
    return parts


def _quantity(
    writer: ResultWriter, name: str, realisations: Floats, members: Floats | None, crystal: Crystal
) -> None:
    writer.quantity(
        name,
        realisations.mean(axis=0),
        conditions=crystal.conditions,
        components=uncertainty_components(realisations, members),
        members=members,
        calibrated=crystal.calibrated,
        converged=None,
        marks=crystal.marks,
    )


def _write_members(writer: ResultWriter, what: str, members: Floats | None, unit: str) -> None:
    """Write what each member gave on each realisation, shape (n_members, n_realisations, n_conditions, m, m)."""
    if members is not None:
        writer.array(f"members/{what}", members, units=unit)


def write_elastic(writer: ResultWriter, found: Ensemble, crystal: Crystal) -> None:
    """Write effective stiffness, moduli and bounds; bounds of Hashin and Shtrikman where the crystal is cubic.

    Args:
        writer: open result file.
        found: effective Mandel stiffness under each of the crystal's conditions, GPa.
        crystal: stiffness of the crystal.
    """
    members = found.member_means
    _quantity(
        writer,
        "effective_stiffness",
        mandel_to_voigt(found.realisations),
        None if members is None else mandel_to_voigt(members),
        crystal,
    )
    moduli = isotropic_moduli(found.realisations)
    of_members = (None, None) if members is None else isotropic_moduli(members)
    _write_members(
        writer, "stiffness", None if found.members is None else mandel_to_voigt(found.members), "GPa"
    )
    for name, value, spread in zip(("bulk", "shear"), moduli, of_members, strict=True):
        _quantity(writer, f"effective_{name}_modulus", value, spread, crystal)
    upper, lower = isotropic_moduli(found.voigt), isotropic_moduli_of_compliance(found.reuss)
    for place, name in enumerate(("bulk", "shear")):
        writer.array(f"bounds/{name}/voigt", upper[place].mean(axis=0), units="GPa")
        writer.array(f"bounds/{name}/reuss", lower[place].mean(axis=0), units="GPa")
    writer.array("bounds/stiffness/voigt", mandel_to_voigt(found.voigt), units="GPa")
    writer.array("bounds/stiffness/reuss", mandel_to_voigt(found.reuss), units="GPa")
    writer.array("realisations/stiffness", mandel_to_voigt(found.realisations), units="GPa")
    writer.array("homogenization/stiffness/iterations", found.iterations, units="dimensionless")
    writer.array("homogenization/stiffness/residuals", found.residuals, units="dimensionless")
    constants = [cubic_constants(stiffness) for stiffness in crystal.stiffness]
    known = [cubic_estimates(found) for found in constants if found is not None]
    if len(known) < len(constants):
        return
    values = {
        "bulk/hashin_shtrikman_lower": [one.bulk for one in known],
        "bulk/hashin_shtrikman_upper": [one.bulk for one in known],
        "bulk/self_consistent": [one.bulk for one in known],
        "shear/hashin_shtrikman_lower": [one.shear_lower for one in known],
        "shear/hashin_shtrikman_upper": [one.shear_upper for one in known],
        "shear/self_consistent": [one.shear_self_consistent for one in known],
    }
    for name, estimate in values.items():
        writer.array(f"bounds/{name}", estimate, units="GPa")


def write_thermal(
    writer: ResultWriter,
    found: Ensemble,
    conditions: Sequence[Mapping[str, float]],
    conduction: Conduction,
    lattice: Ensemble | None = None,
) -> None:
    """Write effective conductivity and its bounds.

    Args:
        writer: open result file.
        found: effective conductivity, W/(m K), with the mesh's part of its error where a series of meshes tells it.
        conditions: temperature (K) and mean grain diameter (nm) of each; diameters change first.
        conduction: of the crystal; its mesh error is taken where `found` has none of its own.
        lattice: carried by phonons alone, where electrons carry heat too, W/(m K).
    """
    sizes = len(conditions) // len(conduction.temperatures)
    electronic, share = None, 1.0
    if conduction.electronic is not None:
        electronic = np.repeat(conduction.electronic.value, sizes, axis=0)
        assert lattice is not None
        _write_conductivity(writer, "effective_lattice_conductivity", lattice, conditions, conduction, 1.0)
        lattices = np.trace(lattice.realisations.mean(axis=0), axis1=-2, axis2=-1)
        share = lattices / (lattices + np.trace(electronic, axis1=-2, axis2=-1))
    _write_conductivity(writer, "effective_thermal_conductivity", found, conditions, conduction, share)
    writer.array("bounds/conductivity/voigt", found.voigt, units="W/(m K)")
    writer.array("bounds/conductivity/reuss", found.reuss, units="W/(m K)")
    writer.array("realisations/conductivity", found.realisations, units="W/(m K)")
    _write_members(writer, "conductivity", found.members, "W/(m K)")
    writer.array("homogenization/conductivity/iterations", found.iterations, units="dimensionless")
    writer.array("homogenization/conductivity/residuals", found.residuals, units="dimensionless")


def _write_conductivity(
    writer: ResultWriter,
    name: str,
    found: Ensemble,
    conditions: Sequence[Mapping[str, float]],
    conduction: Conduction,
    share: Any,
) -> None:
    """Write one effective conductivity; `share` is that of phonons in it, whose mesh error is known."""
    value = found.realisations.mean(axis=0)
    sizes = len(conditions) // len(conduction.temperatures)
    converged = conduction.converged
    mesh = None if conduction.mesh is None else share * np.repeat(conduction.mesh, sizes)
    if found.mesh is not None:
        mesh, converged = found.mesh.relative, found.mesh.converged
    electrons = conduction.electronic if name == "effective_thermal_conductivity" else None
    # Without the mesh's or the electrons' part the others would be taken for the whole.
    parts = {}
    if mesh is not None and (electrons is None or electrons.components):
        parts = uncertainty_components(found.realisations, found.member_means)
        parts["mesh"] = np.abs(value) * mesh[:, None, None]
        if electrons is not None:
            # To first order: fields in an untextured polycrystal hardly change with a part that all grains share.
            error = np.trace(electrons.components["electronic"], axis1=1, axis2=2) / 3
            parts["electronic"] = np.repeat(error, sizes)[:, None, None] * np.eye(3)
    writer.quantity(
        name,
        value,
        conditions=conditions,
        components=parts,
        members=found.member_means,
        calibrated=conduction.calibrated,
        converged=converged,
        marks=conduction.marks if name == "effective_thermal_conductivity" else conduction.lattice_marks,
    )


def write_grains(writer: ResultWriter, sample: Polycrystal) -> None:
    """Write the grains of a sample.

    Args:
        writer: open result file.
        sample: the polycrystal.
    """
    writer.array("grains/diameter", sample.diameters, units="dimensionless")
    writer.array("grains/volume_fraction", sample.fractions, units="dimensionless")
    writer.array("grains/orientation", sample.quaternions, units="dimensionless")


def local_fields(
    sample: Polycrystal,
    elastic: ElasticMedium,
    elastic_potential: Floats,
    thermal: tuple[ThermalMedium, Floats] | None,
) -> dict[str, NDArray[Any]]:
    """Fields on this rank's planes.

    Args:
        sample: the polycrystal.
        elastic: its elastic medium.
        elastic_potential: displacement under unit strain xx, shape (3, planes, ny, nx), voxels.
        thermal: thermal medium and its temperature under unit gradient x, shape (1, planes, ny, nx), K; or
            None.

    Returns:
        By name, each of shape (planes, ny, nx) or (planes, ny, nx, components): grain_id (index), orientation
        (quaternion, scalar last, dimensionless), stress (Voigt, GPa), von_mises (GPa), heat_flux (W/m^2).
    """
    flux = elastic.flux(elastic_potential, np.eye(6)[0])
    stress = FIELD_STRAIN * np.moveaxis(mandel_stress_to_voigt(flux, axis=0), 0, -1)
    fields: dict[str, NDArray[Any]] = {
        "grain_id": sample.grain_id,
        "orientation": sample.quaternions[sample.grain_id].astype(np.float32),
        "stress": stress.astype(np.float32),
        "von_mises": von_mises(stress).astype(np.float32),
    }
    if thermal is not None:
        medium, potential = thermal
        heat = -FIELD_GRADIENT * np.moveaxis(medium.flux(potential, np.eye(3)[0]), 0, -1)
        fields["heat_flux"] = heat.astype(np.float32)
    return fields


def write_slices(writer: ResultWriter, fields: Mapping[str, NDArray[Any]]) -> None:
    """Write the middle plane normal to z of the fields that the report shows.

    Args:
        writer: open result file.
        fields: as of `local_fields`, on the whole grid, shape (nz, ny, nx) or (nz, ny, nx, components), in
            the units given there.
    """
    middle = len(fields["grain_id"]) // 2
    units = {"grain_id": "dimensionless", "von_mises": "GPa", "heat_flux": "W/m^2"}
    for name, unit in units.items():
        if name in fields:
            plane = fields[name][middle]
            shown = np.linalg.norm(plane, axis=-1) if plane.ndim == 3 else plane
            writer.array(f"slice/{name}", shown, units=unit)
