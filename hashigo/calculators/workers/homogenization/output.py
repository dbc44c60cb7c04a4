"""What a mesoscale job writes: quantities with their uncertainty, bounds, fields and slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.homogenization.ensemble import Ensemble
from hashigo.calculators.workers.homogenization.estimates import elastic_estimates
from hashigo.calculators.workers.homogenization.inputs import Crystal
from hashigo.calculators.workers.homogenization.microstructure import Microstructure
from hashigo.calculators.workers.homogenization.solver import ElasticMedium, ThermalMedium
from hashigo.calculators.workers.homogenization.tensors import (
    Floats,
    isotropic_moduli,
    isotropic_moduli_of_compliance,
    largest_principal,
    mandel_stress_to_voigt,
    mandel_to_voigt,
    voigt_to_mandel,
    von_mises,
)

#: Mean strain xx of the stress field, dimensionless.
FIELD_STRAIN = 1e-3
#: Mean temperature gradient along x of the heat flux field, K/m (1 K/µm).
FIELD_GRADIENT = 1e6

#: Names of estimates in a result, and in `Estimates`.
ESTIMATES = {
    "hashin_shtrikman_lower": "lower",
    "hashin_shtrikman_upper": "upper",
    "self_consistent": "self_consistent",
}


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


def write_members(writer: ResultWriter, what: str, members: Floats | None, unit: str) -> None:
    """Write what each member gave on each realisation.

    Args:
        writer: open result file.
        what: name of the property.
        members: shape (n_members, n_realisations, n_conditions, m, m), in `unit`; None without a committee.
        unit: of the property.
    """
    if members is not None:
        writer.array(f"members/{what}", members, units=unit)


def write_elastic(writer: ResultWriter, found: Ensemble, crystal: Crystal) -> None:
    """Write effective stiffness, moduli and bounds of Voigt and Reuss.

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
    write_members(
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


def write_elastic_estimates(
    writer: ResultWriter, crystal: Crystal, others: Floats, samples: Sequence[Microstructure]
) -> None:
    """Write bounds of Hashin and Shtrikman and self-consistent estimates of the moduli, for isotropic aggregates.

    Args:
        writer: open result file.
        crystal: stiffness of the crystal.
        others: Mandel stiffness of the materials beside it, shape (n_others, 6, 6), GPa.
        samples: realisations, for the fractions of the materials.
    """
    shares = [np.bincount(s.material, weights=s.fractions, minlength=1 + len(others)) for s in samples]
    rows = [
        elastic_estimates(np.concatenate([stiffness[None], others]), np.mean(shares, axis=0))
        for stiffness in voigt_to_mandel(crystal.stiffness)
    ]
    for place, name in enumerate(("bulk", "shear")):
        for key, attribute in ESTIMATES.items():
            values = [getattr(row[place], attribute) for row in rows]
            writer.array(f"bounds/{name}/{key}", values, units="GPa")


def local_fields(
    sample: Microstructure,
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
        (quaternion, scalar last, dimensionless), stress (Voigt, GPa), von_mises (GPa), heat_flux (W/m^2); and on the
        corners of voxels displacement_fluctuation (voxels) and temperature_fluctuation (K times voxels per m).
    """
    flux = elastic.flux(elastic_potential, np.eye(6)[0])
    stress = FIELD_STRAIN * np.moveaxis(mandel_stress_to_voigt(flux, axis=0), 0, -1)
    fields: dict[str, NDArray[Any]] = {
        "grain_id": sample.grain_id,
        "orientation": sample.quaternions[sample.grain_id].astype(np.float32),
        "stress": stress.astype(np.float32),
        "von_mises": von_mises(stress).astype(np.float32),
        "displacement_fluctuation": (FIELD_STRAIN * np.moveaxis(elastic_potential, 0, -1)).astype(np.float32),
    }
    if thermal is not None:
        medium, potential = thermal
        heat = -FIELD_GRADIENT * np.moveaxis(medium.flux(potential, np.eye(3)[0]), 0, -1)
        fields["heat_flux"] = heat.astype(np.float32)
        fields["temperature_fluctuation"] = (FIELD_GRADIENT * potential[0]).astype(np.float32)
    return fields


def stress_fields(stress: Floats) -> dict[str, NDArray[Any]]:
    """The stress that a change of temperature leaves, on this rank's planes.

    Args:
        stress: Voigt, shape (planes, ny, nx, 6), GPa.

    Returns:
        By name: thermal_stress (Voigt, GPa), thermal_von_mises (GPa) and thermal_principal (largest principal stress,
        GPa), each of shape (planes, ny, nx) or (planes, ny, nx, 6).
    """
    return {
        "thermal_stress": stress.astype(np.float32),
        "thermal_von_mises": von_mises(stress).astype(np.float32),
        "thermal_principal": largest_principal(stress).astype(np.float32),
    }


def write_slices(writer: ResultWriter, fields: Mapping[str, NDArray[Any]]) -> None:
    """Write a middle plane of the fields that the report shows: that normal to z, where it cuts several grains.

    Args:
        writer: open result file.
        fields: as of `local_fields`, on the whole grid, shape (nz, ny, nx) or (nz, ny, nx, components), in
            the units given there.
    """
    grains = fields["grain_id"]
    planes = {normal: np.take(grains, grains.shape[axis] // 2, axis) for axis, normal in enumerate("zyx")}
    normal = next((one for one, plane in planes.items() if plane.min() < plane.max()), "z")
    axis = "zyx".index(normal)
    writer.note("slice", {"normal": normal})
    units = {
        "grain_id": "dimensionless",
        "von_mises": "GPa",
        "heat_flux": "W/m^2",
        "thermal_von_mises": "GPa",
        "thermal_principal": "GPa",
    }
    for name, unit in units.items():
        if name in fields:
            plane = np.take(fields[name], grains.shape[axis] // 2, axis)
            shown = np.linalg.norm(plane, axis=-1) if plane.ndim == 3 else plane
            writer.array(f"slice/{name}", shown, units=unit)
