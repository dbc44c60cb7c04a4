"""Section `learning` of the study: which properties are to be known, and what labelling may cost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hashigo.study.fields import Count, Ratio, Section, Temperature, Time


class Goal(Section):
    """How well properties are to be known: relative standard uncertainty by the calibrated committee."""

    thermal_conductivity: Ratio | None = Field(
        None,
        gt=0,
        le=1,
        description="Of the lattice thermal conductivity, a share such as 5 %, dimensionless.",
    )
    stiffness: Ratio | None = Field(
        None, gt=0, le=1, description="Of the elastic stiffness, a share such as 2 %, dimensionless."
    )

    @model_validator(mode="after")
    def _some(self) -> Goal:
        if self.thermal_conductivity is None and self.stiffness is None:
            raise ValueError("give 'thermal_conductivity' or 'stiffness', e.g. 5 %")
        return self


class Budget(Section):
    """What learning may cost at most."""

    frames: Count = Field(60, description="Number of frames labelled by the engine, free atoms not counted.")
    core_hours: float | None = Field(
        None,
        gt=0,
        description="Core·h that the engine has spent on all frames, as its jobs tell; none by default.",
    )

    @model_validator(mode="after")
    def _first_round(self) -> Budget:
        if self.frames < 10:
            raise ValueError(
                f"the first round alone labels up to 10 frames, more than {self.frames}; give 10 or more"
            )
        return self


Source = Literal["thermal", "vibrations", "dynamics", "dynamics_npt", "strained"]


class Learning(Section):
    """Active learning: the engine labels frames in rounds until the properties are known well enough."""

    until: Goal = Field(description="Uncertainties at which learning stops.")
    budget: Budget = Field(default_factory=Budget, description="Where it stops in any case.")
    batch: Count = Field(4, description="Number of frames labelled in each round after the first.")
    sources: tuple[Source, ...] = Field(
        ("thermal", "vibrations", "dynamics", "dynamics_npt", "strained"),
        min_length=1,
        description="Where candidates come from: thermal displacements, single vibrations, molecular dynamics with "
        "the committee's mean at constant volume and at zero pressure, strained cells.",
    )
    temperatures: tuple[Temperature, ...] = Field(
        (300.0,), min_length=1, description="Temperatures of candidates, K."
    )
    dynamics_steps: Count = Field(1000, description="Steps of each trajectory of candidates.")
    timestep: Time = Field(2.0, gt=0, le=10, description="Time step of those trajectories, fs.")

    @model_validator(mode="after")
    def _positive(self) -> Learning:
        if min(self.temperatures) <= 0:
            raise ValueError("temperatures must be above 0 K")
        if self.until.stiffness is not None and "strained" not in self.sources:
            raise ValueError("a goal for the stiffness needs 'strained' among the sources")
        if self.until.thermal_conductivity is not None and set(self.sources) == {"strained"}:
            raise ValueError("a goal for the thermal conductivity needs a source beside 'strained'")
        return self
