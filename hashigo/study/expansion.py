"""The study's section on thermal expansion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hashigo.study.fields import (
    IMAGE_DISTANCE,
    SUPERCELL,
    Frequency,
    Length,
    Pressure,
    Ratio,
    Section,
    Supercell,
    Temperature,
)


class Expansion(Section):
    """Quasi-harmonic thermal expansion; the stage runs when the study has this section."""

    force_constants: Literal["potential", "reference"] = Field(
        "potential",
        description="Where force constants and static energies are from: the potential, or the reference's frames, "
        "which then need displaced supercells and undisplaced cells at five volumes or more.",
    )
    temperatures: tuple[Temperature, ...] = Field(
        tuple(float(t) for t in range(0, 1001, 50)), min_length=1, description="Temperatures, K."
    )
    pressure: Pressure = Field(0.0, description="Pressure, GPa.")
    volumes: Annotated[int, Field(ge=5, le=50)] = Field(
        9, description="Number of volumes; of a uniaxial crystal, of each edge."
    )
    volume_range: tuple[Ratio, Ratio] = Field(
        (0.95, 1.06), description="Smallest and largest volume over the relaxed one, dimensionless."
    )
    supercell: Supercell = Field(IMAGE_DISTANCE, description=SUPERCELL)
    displacement: Length = Field(0.03, gt=0, le=0.5, description="Displacement of an atom, Å.")
    mesh: Annotated[int, Field(ge=3, le=200)] = Field(
        19, description="q-points along each reciprocal vector; a mesh of two thirds tells the error."
    )
    tolerance: Ratio = Field(
        0.05, gt=0, description="Converged when the error of mesh, supercell and fit is below, relative."
    )
    imaginary_tolerance: Frequency = Field(
        -0.1, le=0, description="A volume with a lower frequency at a commensurate q-point is left out, THz."
    )

    @model_validator(mode="after")
    def _sensible(self) -> Expansion:
        if list(self.temperatures) != sorted(set(self.temperatures)) or self.temperatures[0] < 0:
            raise ValueError("temperatures must rise, from 0 K up")
        low, high = self.volume_range
        if not 0.7 <= low < 1 < high <= 1.3:
            raise ValueError("volume_range must hold 1, and lie between 0.7 and 1.3")
        return self
