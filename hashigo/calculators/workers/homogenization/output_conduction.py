"""What a mesoscale job writes of heat: effective conductivity with its uncertainty, boundaries, Knudsen numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.handover_table import Column
from hashigo.calculators.workers.homogenization.boundary import METRES_PER_NM, BoundaryModel
from hashigo.calculators.workers.homogenization.ensemble import Ensemble
from hashigo.calculators.workers.homogenization.grain_boundaries import Interfaces, series_estimate
from hashigo.calculators.workers.homogenization.inputs import Conduction
from hashigo.calculators.workers.homogenization.microstructure import Microstructure
from hashigo.calculators.workers.homogenization.output import (
    ESTIMATES,
    uncertainty_components,
    write_members,
)
from hashigo.calculators.workers.homogenization.tensors import Floats

#: Knudsen number above which Fourier's law does not hold in a grain, dimensionless.
KNUDSEN_LIMIT = 0.1


@dataclass(frozen=True)
class Heat:
    """What was found of the conduction of heat.

    Attributes:
        samples: realisations of the polycrystal.
        interfaces: boundaries of each.
        sizes: mean grain diameters, nm; conditions are temperatures times sizes, which change first.
        conduction: of the crystal.
        boundary: what grain boundaries do.
        isotropic: whether grains have all orientations and no arrangement.
        total: effective conductivity, W/(m K).
        lattice: carried by phonons alone, W/(m K), where electrons carry heat too and phonons are scattered mode by
            mode; else None.
    """

    samples: Sequence[Microstructure]
    interfaces: Sequence[Interfaces]
    sizes: tuple[float, ...]
    conduction: Conduction
    boundary: BoundaryModel
    isotropic: bool
    total: Ensemble
    lattice: Ensemble | None = None

    @property
    def conditions(self) -> list[dict[str, float]]:
        """Temperature (K) and mean grain diameter (nm) of each condition."""
        return [
            {"temperature": float(kelvin), "grain_size": size}
            for kelvin in self.conduction.temperatures
            for size in self.sizes
        ]

    def repeated(self, values: Floats) -> Floats:
        """Values by temperature as values by condition.

        Args:
            values: shape (n_temperatures, ...), any unit.
        """
        return np.repeat(values, len(self.sizes), axis=0)

    def knudsen(self) -> Floats:
        """Mean free path over diameter of all realisations' grains, shape (n_conditions, n_grains), dimensionless."""
        inverse = np.concatenate([1.0 / sample.diameters[sample.crystals] for sample in self.samples])
        paths = self.repeated(self.conduction.median_path)
        sizes = np.tile(self.sizes, len(self.conduction.temperatures))
        return np.asarray((paths / sizes)[:, None] * inverse)

    def densities(self) -> Floats:
        """Boundary area in the volume, shape (n_realisations, n_sizes), 1/m."""
        rows = []
        for sample, found in zip(self.samples, self.interfaces, strict=True):
            rows.append(found.density / (np.array(self.sizes) * METRES_PER_NM * sample.spacing))
        return np.array(rows)


def write_heat(writer: ResultWriter, heat: Heat) -> None:
    """Write effective conductivity, its bounds, boundaries and Knudsen numbers.

    Args:
        writer: open result file.
        heat: what was found.
    """
    found, conduction = heat.total, heat.conduction
    share: Any = 1.0
    if conduction.electronic is not None:
        electronic = heat.repeated(np.trace(conduction.electronic.value, axis1=-2, axis2=-1))
        phonons = found if heat.lattice is None else heat.lattice
        lattices = np.trace(phonons.realisations.mean(axis=0), axis1=-2, axis2=-1)
        share = lattices / (lattices + electronic)
    if heat.lattice is not None:
        _write_modes(writer, "effective_lattice_conductivity", heat.lattice, heat, 1.0)
    if heat.boundary.kapitza is None:
        _write_modes(writer, "effective_thermal_conductivity", found, heat, share)
    else:
        _write_resistive(writer, heat)
    writer.array("bounds/conductivity/voigt", found.voigt, units="W/(m K)")
    writer.array("bounds/conductivity/reuss", found.reuss, units="W/(m K)")
    if heat.isotropic and found.estimates is not None:
        for key, values in zip(ESTIMATES, found.estimates.T, strict=True):
            writer.array(f"bounds/conductivity/{key}", values, units="W/(m K)")
    writer.array("realisations/conductivity", found.realisations, units="W/(m K)")
    write_members(writer, "conductivity", found.members, "W/(m K)")
    writer.array("homogenization/conductivity/iterations", found.iterations, units="dimensionless")
    writer.array("homogenization/conductivity/residuals", found.residuals, units="dimensionless")
    _write_electrons(writer, heat)
    _write_area(writer, heat)
    _write_knudsen(writer, heat)


def _write_modes(writer: ResultWriter, name: str, found: Ensemble, heat: Heat, share: Any) -> None:
    """Write one effective conductivity; `share` is that of phonons in it, whose mesh error is known."""
    conduction = heat.conduction
    value = found.realisations.mean(axis=0)
    converged = conduction.converged
    mesh = None if conduction.mesh is None else share * heat.repeated(conduction.mesh)
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
            parts["electronic"] = heat.repeated(error)[:, None, None] * np.eye(3)
    writer.quantity(
        name,
        value,
        conditions=heat.conditions,
        components=parts,
        members=found.member_means,
        calibrated=conduction.calibrated,
        converged=converged,
        marks=conduction.marks if name == "effective_thermal_conductivity" else conduction.lattice_marks,
    )


def _write_resistive(writer: ResultWriter, heat: Heat) -> None:
    """Write the conductivity of grains whose boundaries have a resistance, and this."""
    found, bulk = heat.total, heat.conduction.bulk
    value = found.realisations.mean(axis=0)
    assert found.slope is not None
    slope = found.slope.mean(axis=0)
    parts: dict[str, Floats] = {}
    if bulk.components and heat.boundary.uncertainty is not None:
        parts = uncertainty_components(found.realisations, found.member_means)
        for name, relative in _relative_parts(bulk).items():
            # Of a polycrystal: it is homogeneous of degree one in conductivity and conductance together.
            parts[name] = heat.repeated(relative)[:, None, None] * np.abs(value + slope)
        parts["boundary"] = heat.boundary.uncertainty * np.abs(slope)
    knudsen = float(heat.knudsen().max())
    marks = bulk.marks
    if knudsen > KNUDSEN_LIMIT:
        marks = (*marks, "Fourier's law fails in small grains")
    writer.quantity(
        "effective_thermal_conductivity",
        value,
        conditions=heat.conditions,
        components=parts,
        members=found.member_means,
        calibrated=bulk.calibrated,
        converged=bulk.converged,
        marks=marks,
    )
    temperatures = heat.conduction.temperatures
    resistance = heat.boundary.resistance(temperatures)
    error = heat.boundary.uncertainty
    writer.quantity(
        "kapitza_resistance",
        resistance,
        conditions=[{"temperature": float(kelvin)} for kelvin in temperatures],
        components={} if error is None else {"boundary": error * resistance},
        marks=("given",),
    )
    density = np.tile(heat.densities().mean(axis=0), len(temperatures))
    estimate = series_estimate(
        heat.repeated(np.trace(bulk.value, axis1=1, axis2=2) / 3.0), heat.repeated(resistance), density
    )
    writer.array("bounds/conductivity/grains_in_series", estimate, units="W/(m K)")


def _relative_parts(bulk: Column) -> dict[str, Floats]:
    """Parts of the crystal's uncertainty, relative, shape (n_temperatures,), dimensionless.

    That of the model is left out where its members are followed. Sampling is that of microstructures here; that of
    displaced supercells is their part.
    """
    trace = np.trace(bulk.value, axis1=1, axis2=2)
    parts: dict[str, Floats] = {}
    for name, part in bulk.components.items():
        if name != "model" or bulk.members is None:
            to = "supercell" if name == "sampling" else name
            relative = np.trace(part, axis1=1, axis2=2) / trace
            parts[to] = np.hypot(parts.get(to, 0.0), relative)
    return parts


def _write_electrons(writer: ResultWriter, heat: Heat) -> None:
    electronic = heat.conduction.electronic
    if electronic is None:
        return
    boundaries = (
        "phonons are scattered at grain boundaries mode by mode; the electronic part is that of the bulk"
        if heat.boundary.kapitza is None
        else "the resistance of grain boundaries is that to all heat"
    )
    writer.note("electrons", {"origin": electronic.origin, "boundaries": boundaries})


def _write_area(writer: ResultWriter, heat: Heat) -> None:
    """Area of the boundaries, and what they do."""
    if heat.boundary.kapitza is not None:
        densities = heat.densities()
        writer.quantity(
            "boundary_area_density",
            densities.mean(axis=0),
            conditions=[{"grain_size": size} for size in heat.sizes],
            components=uncertainty_components(densities, None),
        )
    ratios = [found.density / found.intercepts for found in heat.interfaces if found.intercepts > 0]
    model: dict[str, Any] = {
        "area_over_stereology": float(np.mean(ratios)) if ratios else None,
        "stereology": "twice the boundaries that a line along an axis crosses in a unit of its length",
    }
    if heat.boundary.kapitza is None:
        model |= {"model": "modes", "specularity": heat.boundary.specularity}
    else:
        model |= {
            "model": "kapitza",
            "uncertainty": heat.boundary.uncertainty,
            "treatment": "resistance added to the resistivity of the voxels at a boundary, along its normal",
        }
    writer.note("boundaries", model)


def _write_knudsen(writer: ResultWriter, heat: Heat) -> None:
    numbers = heat.knudsen()
    paths = heat.repeated(heat.conduction.median_path)
    rows = [
        {**condition, "mean_free_path": float(path), "mean": float(row.mean()), "max": float(row.max())}
        for condition, path, row in zip(heat.conditions, paths, numbers, strict=True)
    ]
    meaning = (
        "median mean free path of the single crystal (nm), weighted with the conductivity it carries, "
        "over the sphere-equivalent diameter of the grain; mean and maximum over the grains"
    )
    warning = ""
    worst = max(rows, key=lambda row: row["max"])
    if heat.boundary.kapitza is not None and worst["max"] > KNUDSEN_LIMIT:
        warning = (
            f"Fourier's law fails in grains with a Knudsen number above {KNUDSEN_LIMIT:g}: it is up to "
            f"{worst['max']:.2g} at {worst['grain_size']:g} nm and {worst['temperature']:g} K, and a Kapitza "
            "resistance does not see it; let boundaries scatter mode by mode there (mesoscale.boundary: modes)"
        )
    writer.note("knudsen", {"definition": meaning, "values": rows, "warning": warning})
    grains = heat.samples[0].crystals
    of_grains = np.full((len(numbers), len(grains)), np.nan)
    of_grains[:, grains] = numbers[:, : int(grains.sum())]
    writer.array("grains/knudsen", of_grains, units="dimensionless")
