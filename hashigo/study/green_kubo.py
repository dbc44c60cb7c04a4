"""The study's section on the conductivity from the heat flux at equilibrium."""

from __future__ import annotations

from pydantic import Field, model_validator

from hashigo.study.fields import Count, LongTime, Section, Supercell, Temperature, Time


class GreenKubo(Section):
    """Green-Kubo thermal conductivity by LAMMPS, with the reference engine's own potential; hours of computing.

    The stage runs when the study has this section.
    """

    temperatures: tuple[Temperature, ...] = Field((1000.0,), min_length=1, description="Temperatures, K.")
    supercell: Supercell = Field(
        (4, 4, 4),
        description="Repeats of the conventional cell, or the least distance of an atom to its own image, Å; the edges "
        "must be orthogonal.",
    )
    seeds: Count = Field(8, ge=3, description="Number of independent trajectories of each temperature.")
    duration: LongTime = Field(500.0, gt=0, description="Time of each trajectory at constant energy, ps.")
    equilibration: LongTime = Field(20.0, gt=0, description="Time with a thermostat before, ps.")
    timestep: Time = Field(1.0, gt=0, le=20, description="Time step, fs.")
    interval: Time = Field(
        10.0, gt=0, description="Time between heat fluxes, fs; a multiple of the time step."
    )

    @model_validator(mode="after")
    def _sensible(self) -> GreenKubo:
        if min(self.temperatures) <= 0:
            raise ValueError("temperatures must be above 0 K")
        if list(self.temperatures) != sorted(set(self.temperatures)):
            raise ValueError("temperatures must rise")
        steps = self.interval / self.timestep
        if steps < 1 or abs(steps - round(steps)) > 1e-9:
            raise ValueError(
                f"interval is {self.interval:g} fs, and must be a multiple of the time step of {self.timestep:g} fs"
            )
        return self
