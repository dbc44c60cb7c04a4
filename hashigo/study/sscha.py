"""The study's section on force constants renormalised by temperature."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from hashigo.study.fields import (
    IMAGE_DISTANCE,
    SUPERCELL,
    Count,
    Frequency,
    Length,
    Ratio,
    Section,
    Supercell,
    Temperature,
)


class Sscha(Section):
    """Self-consistent harmonic force constants (SSCHA); the stage runs when the study has this section."""

    temperatures: tuple[Temperature, ...] = Field((300.0,), min_length=1, description="Temperatures, K.")
    supercell: Supercell = Field(IMAGE_DISTANCE, description=SUPERCELL)
    snapshots: Annotated[int, Field(ge=2, le=100_000)] = Field(
        100, description="Number of supercells drawn in each iteration."
    )
    iterations: Count = Field(14, description="Number of iterations.")
    transient: Annotated[int, Field(ge=1)] = Field(
        4, description="Number of first iterations that are left out of averages."
    )
    displacement: Length = Field(
        0.01, gt=0, le=0.5, description="Displacement of an atom for the constants to start from, Å."
    )
    mesh: Count = Field(19, description="q-points along each reciprocal vector for the free energy.")
    tolerance: Ratio = Field(
        0.01,
        gt=0,
        description="Converged when the standard error of the frequencies is below, relative to their size.",
    )
    imaginary_tolerance: Frequency = Field(
        -0.1, le=0, description="Gate: no renormalised frequency at a commensurate q-point below this, THz."
    )

    @model_validator(mode="after")
    def _sensible(self) -> Sscha:
        if list(self.temperatures) != sorted(set(self.temperatures)) or self.temperatures[0] < 0:
            raise ValueError("temperatures must rise, from 0 K up")
        if self.iterations < self.transient + 4:
            raise ValueError("iterations must be at least 4 more than 'transient'")
        return self
