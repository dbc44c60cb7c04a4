"""The first realisation as a mesoscale job writes it: its grains, and its fields on the whole grid for ParaView."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.homogenization import output
from hashigo.calculators.workers.homogenization.ensemble import Ensemble
from hashigo.calculators.workers.homogenization.microstructure import Microstructure
from hashigo.calculators.workers.homogenization.problem_file import MOST_PHASES
from hashigo.calculators.workers.homogenization.recipe import Recipe
from hashigo.calculators.workers.homogenization.settings import Settings
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import ElasticMedium, ThermalMedium
from hashigo.calculators.workers.homogenization.thermoelastic import StressProbe
from hashigo.calculators.workers.homogenization.vtkhdf import write_image

#: Units of the fields; those that are not here have none.
UNITS = {
    "stress": "GPa",
    "von_mises": "GPa",
    "heat_flux": "W/m^2",
    "thermal_stress": "GPa",
    "thermal_von_mises": "GPa",
    "thermal_principal": "GPa",
    "temperature_fluctuation": "K",
    "displacement_fluctuation": "length_unit",
}
#: Histograms in a result have as many bins.
BINS = 60


def gathered_fields(
    slabs: Slabs,
    sample: Microstructure,
    elastic: Ensemble,
    thermal: Ensemble | None,
    stress: StressProbe | None,
) -> dict[str, NDArray[Any]]:
    """Fields of the first realisation on the whole grid, each of shape (nz, ny, nx, ...) in `UNITS`; on the first rank.

    On the other ranks there are none. Lengths are in voxels so far.

    Args:
        slabs: the grid and its ranks.
        sample: the first realisation.
        elastic: stiffness.
        thermal: conductivity, or None.
        stress: stress that a change of temperature leaves, or None.
    """
    medium = ElasticMedium(slabs, sample.grain_id, elastic.table, [])
    heat = None
    if thermal is not None:
        heat = ThermalMedium(slabs, thermal.phase, thermal.table, []), thermal.potential
    local = output.local_fields(sample, medium, elastic.potential, heat)
    if stress is not None and stress.field is not None:
        local.update(output.stress_fields(stress.field))
    whole = {name: gathered(slabs, values) for name, values in local.items()}
    found = {name: values for name, values in whole.items() if values is not None}
    # Fluctuations live on the corners of voxels.
    return {name: centred(one) if name.endswith("fluctuation") else one for name, one in found.items()}


def gathered(slabs: Slabs, values: NDArray[Any]) -> NDArray[Any] | None:
    """The planes of all ranks on the first; None on the others.

    Args:
        slabs: the grid and its ranks.
        values: of this rank's planes, shape (planes, ...), any unit.
    """
    parts = slabs.comm.gather(values, root=0)
    return np.concatenate(parts, axis=0) if slabs.comm.rank == 0 else None


def centred(corners: NDArray[Any]) -> NDArray[Any]:
    """Mean over the corners of each voxel of a periodic grid.

    Args:
        corners: at the corner of lowest coordinates of each voxel, shape (nz, ny, nx, ...), any unit.

    Returns:
        Shape and unit of `corners`.
    """
    for axis in range(3):
        corners = 0.5 * (corners + np.roll(corners, -1, axis))
    return corners.astype(np.float32)


def gathered_phases(slabs: Slabs, sample: Microstructure, found: Ensemble) -> NDArray[np.int32] | None:
    """Phases of the first realisation, shape (nz, ny, nx), indices; None where they are its grains, or are not kept.

    Args:
        slabs: the grid and its ranks.
        sample: the first realisation.
        found: what was homogenised.
    """
    if len(found.table) == len(sample.fractions) or len(found.table) > MOST_PHASES:
        return None
    return gathered(slabs, found.phase)


def write_sample(
    writer: ResultWriter,
    settings: Settings,
    recipe: Recipe,
    sample: Microstructure,
    fields: Mapping[str, NDArray[Any]],
) -> None:
    """Write the sample: slices, histograms, and fields as VTKHDF.

    Args:
        writer: open result file.
        settings: of the job.
        recipe: how it was made.
        sample: the first realisation.
        fields: on the whole grid, each of shape (nz, ny, nx) or (nz, ny, nx, components), units as of
            `gathered_fields`: GPa, W/m^2, voxels.
    """
    size = settings.grain_sizes[0] if settings.grain_sizes else None
    spacing = (size or 1.0) * sample.spacing
    scaled = dict(fields)
    # A voxel's edge is the unit so far; of the temperature, under a gradient per metre.
    scaled["displacement_fluctuation"] = fields["displacement_fluctuation"] * np.float32(spacing)
    if size is None:
        scaled.pop("temperature_fluctuation", None)
    elif "temperature_fluctuation" in fields:
        scaled["temperature_fluctuation"] = fields["temperature_fluctuation"] * np.float32(spacing * 1e-9)
    output.write_slices(writer, scaled)
    _write_histograms(writer, scaled)
    write_image(writer.file, scaled, spacing)
    writer.note(
        "microstructure",
        {
            **recipe.note(),
            "grains": len(sample.fractions),
            "voxels": settings.voxels,
            "voxels_per_grain": math.prod(sample.shape) / len(sample.fractions),
            "realisations": settings.realisations,
            "seed": settings.seed,
            "grain_size": "arithmetic mean of the sphere-equivalent diameters",
            "members": "every committee member was homogenised on every realisation",
        },
    )
    writer.note(
        "fields",
        {
            "realisation": 1,
            "length_unit": "nm" if size else "mean grain diameter",
            "grain_size": size,
            "edge": spacing * sample.shape[2],
            "mean_strain_xx": output.FIELD_STRAIN,
            "mean_gradient_x": f"{output.FIELD_GRADIENT:g} K/m",
            "units": {name: unit for name, unit in UNITS.items() if name in scaled},
            "orientation": "quaternion x, y, z, w from crystal to sample axes",
            "stress": "Voigt xx, yy, zz, yz, xz, xy",
            "fluctuation": "what the grains add to the mean strain or gradient, at the centres of voxels",
        },
    )


def _write_histograms(writer: ResultWriter, fields: Mapping[str, NDArray[Any]]) -> None:
    """Distributions over the volume of what the report shows."""
    for name in ("von_mises", "heat_flux", "thermal_von_mises", "thermal_principal"):
        if name in fields:
            values = fields[name] if fields[name].ndim == 3 else np.linalg.norm(fields[name], axis=-1)
            low, high = float(values.min()), float(values.max())
            # A field that is the same everywhere has a bin of its own.
            pad = (
                1e-3 * max(abs(low), abs(high), 1e-30)
                if high - low < 1e-4 * max(abs(low), abs(high))
                else 0.0
            )
            density, edges = np.histogram(
                values.astype(float), BINS, range=(low - pad, high + pad + 1e-30), density=True
            )
            writer.array(f"histogram/{name}/edges", edges, units=UNITS[name])
            writer.array(f"histogram/{name}/density", density, units=f"1/({UNITS[name]})")
