"""What a mesoscale job writes of thermal expansion and of the stress between grains."""

from __future__ import annotations

import numpy as np

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.homogenization.inputs import Cooling, Crystal
from hashigo.calculators.workers.homogenization.output import uncertainty_components
from hashigo.calculators.workers.homogenization.tensors import Floats, mandel_to_matrix, matrix_to_mandel
from hashigo.calculators.workers.homogenization.thermoelastic import (
    PERCENTILES,
    PROBABILITIES,
    ExpansionProbe,
    StressProbe,
)


def write_expansion(writer: ResultWriter, probe: ExpansionProbe, crystal: Crystal) -> None:
    """Write the effective thermal expansion.

    Args:
        writer: open result file.
        probe: Levin's maps of the samples.
        crystal: with its thermal expansion.
    """
    alpha = crystal.expansion
    assert alpha is not None
    columns = crystal.columns
    found = probe.expansions(matrix_to_mandel(alpha.value), columns)
    members = None
    if alpha.members is not None and len(alpha.members) == len(probe.member_maps):
        members = mandel_to_matrix(probe.member_expansions(matrix_to_mandel(alpha.members), columns))
    parts: dict[str, Floats] = {}
    if alpha.components:
        parts = uncertainty_components(mandel_to_matrix(found), members)
        for name, part in alpha.components.items():
            if name != "model" or members is None:
                # The map is linear: what changes the crystal's expansion by this changes the sample's by its image.
                image = probe.expansions(matrix_to_mandel(part), columns) - probe.beside[:, columns]
                to = "supercell" if name == "sampling" else name
                parts[to] = np.hypot(parts.get(to, 0.0), np.abs(mandel_to_matrix(image.mean(axis=0))))
    writer.quantity(
        "effective_thermal_expansion",
        mandel_to_matrix(found.mean(axis=0)),
        conditions=[{"temperature": kelvin} for kelvin in crystal.temperatures],
        components=parts,
        members=members,
        calibrated=alpha.calibrated,
        converged=alpha.converged,
        marks=(*alpha.marks, *(("stiffness of 0 K",) if crystal.fixed else ())),
    )
    writer.array("realisations/expansion", mandel_to_matrix(found), units="1/K")


def write_stress(writer: ResultWriter, probe: StressProbe, cooling: Cooling, crystal: Crystal) -> None:
    """Write percentiles and distributions of the stress that a change of temperature leaves between grains.

    Args:
        writer: open result file.
        probe: stress of the samples.
        cooling: the change of temperature.
        crystal: whose stiffness it was.
    """
    marks = [f"free of stress at {cooling.stress_free:g} K", *(["stiffness of 0 K"] if crystal.fixed else [])]
    marks += crystal.marks
    for name, percentiles in probe.percentiles.items():
        members = probe.member_percentiles[name].mean(axis=1)
        spread = members if len(members) else None
        writer.quantity(
            f"thermal_{name}_stress",
            percentiles.mean(axis=0),
            conditions=[{"temperature": cooling.temperature}],
            components=uncertainty_components(percentiles, spread),
            members=spread,
            calibrated=cooling.calibrated,
            marks=marks,
        )
        writer.array(f"thermal_stress/{name}", probe.quantiles[name], units="GPa")
    writer.array("thermal_stress/probability", PROBABILITIES, units="dimensionless")
    writer.note(
        "thermal_stress",
        {
            "stress_free": cooling.stress_free,
            "temperature": cooling.temperature,
            "percentiles": list(PERCENTILES),
            "mean_stress": 0.0,
            "strain": cooling.eigenstrain.tolist(),
            "principal": "largest, positive in tension",
            "law": "linear elasticity with the stiffness at the final temperature; nothing creeps or cracks",
        },
    )
