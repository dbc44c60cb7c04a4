"""Section "component" of the study: a body whose temperatures and thermal stress are followed in time."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hashigo.study.fields import (
    Count,
    Density,
    GrainSize,
    HeatFlux,
    HeatTransfer,
    Millimetres,
    PerKelvin,
    PowerDensity,
    Pressure,
    Ratio,
    Seconds,
    Section,
    SpecificHeat,
    Temperature,
    WattsPerMetreKelvin,
)
from hashigo.study.mesoscale import Mesoscale

FaceName = Literal["x-", "x+", "y-", "y+", "z-", "z+"]
_Along = WattsPerMetreKelvin | tuple[WattsPerMetreKelvin, WattsPerMetreKelvin, WattsPerMetreKelvin]
_Point = tuple[Millimetres, Millimetres, Millimetres]

#: Most cells of the body at the finer of its two resolutions: beyond, an element's matrices alone would take 1 GB.
MOST_CELLS = 250_000


class Convection(Section):
    """Heat given to what flows past a face."""

    coefficient: HeatTransfer = Field(gt=0, description="Heat transfer coefficient, W/(m^2 K).")
    ambient: Temperature = Field(ge=0, description="Temperature of what flows past, K.")


class Face(Section):
    """What holds at a face of the box: one of the three."""

    temperature: Temperature | None = Field(None, gt=0, description="Temperature of the surface, K.")
    flux: HeatFlux | None = Field(None, description="Heat that flows in, W/m^2; negative flows out.")
    convection: Convection | None = Field(None, description="{coefficient: 50, ambient: 300}: W/(m^2 K), K.")

    @model_validator(mode="after")
    def _one(self) -> Face:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                "a face has one of temperature, flux and convection, and "
                + (f"has {' and '.join(given)}" if given else "none is given")
            )
        return self


class Region(Section):
    """A region of a mask that differs from the others."""

    source: PowerDensity | None = Field(None, description="Heat source there, W/m^3.")
    material: GivenMaterial | None = Field(
        None, description="What it is made of; what is left out is that of the component's material."
    )


class GivenMaterial(Section):
    """Properties given by hand: numbers, which then hold at every temperature, or tables {temperature in K: number}."""

    conductivity: _Along | dict[Temperature, _Along] | None = Field(
        None, description="Thermal conductivity, W/(m K); a number, or three along x, y, z."
    )
    density: Density | None = Field(
        None, description="Mass density at the stress-free or else the initial temperature, kg/m^3."
    )
    heat_capacity: SpecificHeat | dict[Temperature, SpecificHeat] | None = Field(
        None, description="Heat capacity at constant pressure, J/(kg K)."
    )
    youngs_modulus: Pressure | dict[Temperature, Pressure] | None = Field(
        None, description="Young's modulus, GPa, of an isotropic body; with poisson_ratio."
    )
    poisson_ratio: Ratio | dict[Temperature, Ratio] | None = Field(
        None, description="Poisson's ratio, dimensionless."
    )
    expansion: PerKelvin | dict[Temperature, PerKelvin] | None = Field(
        None, description="Linear thermal expansion, 1/K; the same along all axes."
    )

    @model_validator(mode="after")
    def _sensible(self) -> GivenMaterial:
        if (self.youngs_modulus is None) != (self.poisson_ratio is None):
            raise ValueError("youngs_modulus and poisson_ratio go together")
        for name in ("conductivity", "density", "heat_capacity", "youngs_modulus"):
            if any(value <= 0 for value in _numbers(getattr(self, name))):
                raise ValueError(f"{name} must be positive")
        if any(not -1 < value < 0.5 for value in _numbers(self.poisson_ratio)):
            raise ValueError("poisson_ratio must lie between -1 and 0.5")
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, dict) and not value:
                raise ValueError(f"{name} is an empty table")
        return self


Region.model_rebuild()


def _numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for each in value.values() for number in _numbers(each)]
    if isinstance(value, tuple):
        return [float(number) for number in value]
    return [] if value is None else [float(value)]  # type: ignore[arg-type]


class Component(Section):
    """A body that is heated and cooled; the stage runs when the study has this section."""

    size: tuple[Millimetres, Millimetres, Millimetres] | None = Field(
        None, description="Edges of the box along x, y, z, mm; excludes mask."
    )
    cells: tuple[Count, Count, Count] = Field(
        (16, 16, 16),
        description="Cells along x, y, z, each even or 1; half as many are computed too, which tells the error. Not "
        "for a mask.",
    )
    mask: str | None = Field(
        None,
        description="NumPy file (.npy, .npz) of the body's voxels, array axes z, y, x: 0 is outside, other numbers "
        "are regions; relative to the study.",
    )
    voxel: Millimetres | None = Field(None, gt=0, description="Edge of the mask's voxels, mm.")
    refine: Literal[2, 4, 6, 8] = Field(
        2, description="Cells along each edge of a voxel of the mask; half as many are computed too."
    )
    initial_temperature: Temperature = Field(300.0, gt=0, description="Temperature at the start, K.")
    faces: dict[FaceName | Literal["inner"], Face] = Field(
        default_factory=dict,
        description="What holds at faces of the box, {x-: {temperature: 300}, x+: {flux: 1e5}, y-: {convection: "
        "{coefficient: 50, ambient: 300}}}; the others let no heat through. inner: all "
        "surfaces of a mask inside its box.",
    )
    source: PowerDensity = Field(0.0, description="Heat source everywhere, W/m^3.")
    pulses: tuple[tuple[Seconds, Seconds], ...] = Field(
        (), description="Times from and to which sources are on, s; always without."
    )
    regions: dict[Annotated[int, Field(ge=1, le=255)], Region] = Field(
        default_factory=dict, description="Source and material of regions of the mask, by number."
    )
    duration: Seconds = Field(gt=0, description="Time that is followed, s.")
    outputs: tuple[Seconds, ...] = Field(
        (), description="Times at which fields and stress are kept, s; by default five, the last at the end."
    )
    probes: tuple[_Point, ...] = Field(
        (), description="Places whose temperature is kept, x, y, z in mm; by default the middle."
    )
    steady: Literal["auto"] | bool = Field(
        "auto",
        description="Whether the steady state is computed too; auto: where a face ties the body to a temperature.",
    )
    stress_free_temperature: Temperature | None = Field(
        None, gt=0, description="Temperature without stress, K; by default no stress is computed."
    )
    supports: dict[FaceName, Literal["roller", "fixed"]] = Field(
        default_factory=dict,
        description="Faces that do not move: roller, across them; fixed, not at all. A free body is held by none.",
    )
    pressure: dict[FaceName, Pressure] = Field(
        default_factory=dict, description="Pressure on faces of the box, GPa."
    )
    grain_size: GrainSize | None = Field(
        None,
        description="Which of mesoscale.grain_sizes it is made of, nm; by default the single crystal, in the axes of "
        "the conventional cell.",
    )
    material: GivenMaterial = Field(
        default_factory=GivenMaterial, description="Properties given by hand, in place of the ladder's."
    )
    tolerance: Ratio = Field(
        0.02,
        gt=0,
        le=0.5,
        description="Converged when the errors of cells and time steps are below, relative.",
    )

    @model_validator(mode="after")
    def _geometry(self) -> Component:
        if (self.size is None) == (self.mask is None):
            raise ValueError("give either 'size' (edges of a box) or 'mask' (a file of voxels), and not both")
        if self.mask is not None and self.voxel is None:
            raise ValueError("a mask needs 'voxel', the edge of its voxels in mm")
        if self.mask is None and self.voxel is not None:
            raise ValueError("'voxel' is for a mask")
        if self.mask is None and "inner" in self.faces:
            raise ValueError("faces.inner are surfaces of a mask inside its box, and no mask is given")
        if self.mask is None and self.regions:
            raise ValueError("regions are those of a mask, and none is given")
        if self.size is not None:
            if min(self.size) <= 0:
                raise ValueError("size must be positive")
            if any(count > 1 and count % 2 for count in self.cells):
                raise ValueError("cells must be even or 1: half as many are computed too")
            if max(self.cells) == 1:
                raise ValueError("cells of 1, 1, 1 show no temperature but one; give more along an axis")
            if prod(self.cells) > MOST_CELLS:
                raise ValueError(f"there are {prod(self.cells)} cells, more than {MOST_CELLS}; give fewer")
        return self

    @model_validator(mode="after")
    def _times(self) -> Component:
        if list(self.outputs) != sorted(set(self.outputs)) or any(
            not 0 < time <= self.duration for time in self.outputs
        ):
            raise ValueError("outputs must rise, and lie between 0 s and the duration")
        before = 0.0
        for start, end in self.pulses:
            if not before <= start < end:
                raise ValueError("pulses must each end after they begin, and follow each other")
            before = end
        if self.pulses and self.pulses[-1][0] >= self.duration:
            raise ValueError("pulses must begin before the duration is over; the last begins after it")
        return self

    @model_validator(mode="after")
    def _heat(self) -> Component:
        given = [self.source, *(one.source or 0.0 for one in self.regions.values())]
        if self.steady is True and all(face.flux is not None for face in self.faces.values()):
            raise ValueError(
                "without a face of temperature or convection there is no steady state of its own: what flows in stays; "
                "give one, or leave 'steady' out"
            )
        if not self.faces and not any(given):
            raise ValueError("nothing heats or cools the component; give faces, or a source")
        if self.pulses and not any(given):
            raise ValueError(
                "pulses say when sources are on, and there is none; give 'source', or leave them out"
            )
        return self

    @model_validator(mode="after")
    def _mechanics(self) -> Component:
        if self.stress_free_temperature is None and (self.supports or self.pressure):
            raise ValueError("supports and pressure are for stress; give stress_free_temperature")
        both = sorted(set(self.supports) & set(self.pressure))
        if both:
            raise ValueError(f"face {both[0]} has a support and a pressure; leave one out")
        return self

    def changes(self, kelvin: float) -> bool:
        """Whether a body certainly does not stay at a temperature.

        Args:
            kelvin: K.
        """
        regions = [one.source or 0.0 for one in self.regions.values()]
        flows = [face.flux or 0.0 for face in self.faces.values()]
        ambient = [face.convection.ambient for face in self.faces.values() if face.convection is not None]
        return any((self.source, *regions, *flows)) or any(one != kelvin for one in ambient)

    def temperatures(self) -> list[float]:
        """Temperatures that the body certainly has, K."""
        held = [face.temperature for face in self.faces.values() if face.temperature is not None]
        free = [] if self.stress_free_temperature is None else [self.stress_free_temperature]
        return [self.initial_temperature, *held, *free]


def check_component(component: Component, mesoscale: Mesoscale, expands: bool) -> None:
    """Whether what a component takes from other stages is there.

    Args:
        component: section of the study.
        mesoscale: likewise.
        expands: whether the study has a section on thermal expansion.

    Raises:
        ValueError: names what is missing.
    """
    given = component.material
    if component.grain_size is not None and component.grain_size not in mesoscale.grain_sizes:
        raise ValueError(
            f"component.grain_size is {component.grain_size:g} nm, which mesoscale.grain_sizes lacks; add it there"
        )
    if component.stress_free_temperature is not None and given.expansion is None and not expands:
        raise ValueError(
            "thermal stress needs the thermal expansion: add 'expansion: {}', or give component.material.expansion"
        )
    low, high = min(mesoscale.temperatures), max(mesoscale.temperatures)
    if low == high and component.changes(low) and (given.conductivity is None or given.heat_capacity is None):
        raise ValueError(
            f"the component does not stay at {low:g} K, and mesoscale.temperatures has no other; add temperatures "
            "there, as far as it gets: nothing is extrapolated"
        )
    outside = [kelvin for kelvin in component.temperatures() if not low <= kelvin <= high]
    if outside and (given.conductivity is None or given.heat_capacity is None):
        raise ValueError(
            f"the component is at {outside[0]:g} K, and mesoscale.temperatures reach from {low:g} to {high:g} K; add "
            "temperatures there: nothing is extrapolated"
        )
