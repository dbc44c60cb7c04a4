"""The study's section on molecular dynamics."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hashigo.study.fields import (
    IMAGE_DISTANCE,
    SUPERCELL,
    Count,
    LongTime,
    Pressure,
    Ratio,
    Section,
    Supercell,
    Temperature,
    Time,
)


class Dynamics(Section):
    """Molecular dynamics with the potential; the stage runs when the study has this section."""

    temperatures: tuple[Temperature, ...] = Field((300.0,), min_length=1, description="Temperatures, K.")
    ensemble: Literal["nvt", "npt"] = Field(
        "nvt",
        description="nvt: fixed cells, whose pressures give the equation of state; npt: the cell breathes at "
        "`pressure`.",
    )
    supercell: Supercell = Field(IMAGE_DISTANCE, description=SUPERCELL)
    volumes: tuple[Ratio, ...] = Field(
        (0.97, 0.985, 1.0, 1.015, 1.03),
        min_length=1,
        description="With nvt: volumes over the relaxed one at 0 K, rising, dimensionless; three or more give an "
        "equation of state.",
    )
    pressure: Pressure = Field(
        0.0, description="Pressure of npt, and at which the equation of state is read, GPa."
    )
    timestep: Time | None = Field(
        None,
        gt=0,
        le=20,
        description="Time step, fs; by default a thirtieth of the shortest period of the phonons.",
    )
    interval: Time | None = Field(
        None,
        gt=0,
        description="Time between samples, fs; by default an eighth of the shortest period of the phonons.",
    )
    equilibration: LongTime = Field(0.5, ge=0, description="Time before the first sample, ps.")
    production: LongTime = Field(3.0, gt=0, description="Time that is sampled, ps.")
    seeds: Count = Field(2, description="Number of independent trajectories of each temperature and volume.")
    trajectories: Literal["first", "all", "none"] = Field(
        "first",
        description="Which trajectories the result keeps, as H5MD: of the first seed at the volume nearest to 1 at "
        "each temperature, all, or none.",
    )
    trajectory_interval: Time = Field(
        100.0,
        gt=0,
        description="Time between the frames that are kept, fs; rounded to a multiple of the interval.",
    )

    @model_validator(mode="after")
    def _sensible(self) -> Dynamics:
        if min(self.temperatures) <= 0:
            raise ValueError("temperatures must be above 0 K")
        if list(self.temperatures) != sorted(set(self.temperatures)):
            raise ValueError("temperatures must rise")
        if list(self.volumes) != sorted(set(self.volumes)):
            raise ValueError("volumes must rise")
        if not 0.7 <= min(self.volumes) <= max(self.volumes) <= 1.3:
            raise ValueError("volumes are over the relaxed one, and must be between 0.7 and 1.3")
        return self
