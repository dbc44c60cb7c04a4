"""The study's section on elastic constants at temperature."""

from __future__ import annotations

from pydantic import Field

from hashigo.study.fields import Length, Ratio, Section


class Thermoelasticity(Section):
    """Elastic constants at the temperatures of the thermal expansion; the stage runs when the study has this section.

    Supercell, mesh, pressure and temperatures are those of `expansion`.
    """

    strain: Ratio = Field(
        0.01,
        gt=0,
        le=0.03,
        description="Size of the strains by which free energies are derived, dimensionless; twice that tells the "
        "error.",
    )
    displacement: Length = Field(
        0.003,
        gt=0,
        le=0.1,
        description="Displacement of an atom, Å; small, as strained cells are displaced in other directions.",
    )
    tolerance: Ratio = Field(
        0.05,
        gt=0,
        description="Converged when the error of mesh, supercell, strain and fit is below, relative.",
    )
