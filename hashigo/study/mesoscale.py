"""Section "mesoscale" of the study: the polycrystal, and the heat that a metal's electrons carry."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from hashigo.study.fields import (
    NUMBER,
    SECTION,
    TABLE,
    WORD,
    Count,
    GrainSize,
    Ratio,
    Resistivity,
    Section,
    Temperature,
    ThermalResistance,
    WattsPerMetreKelvin,
)
from hashigo.study.materials import Materials
from hashigo.study.microstructure import (
    Microstructure,
    Representative,
    Texture,
    Voxels,
    check_materials,
    fewest_voxels,
    number_of,
)

#: A number, or one along each Cartesian axis of the standardised cell.
_Conduction = WattsPerMetreKelvin | tuple[WattsPerMetreKelvin, WattsPerMetreKelvin, WattsPerMetreKelvin]
_Resistance = Resistivity | tuple[Resistivity, Resistivity, Resistivity]

_Kapitza = Annotated[
    Annotated[ThermalResistance, Tag(NUMBER)] | Annotated[dict[Temperature, ThermalResistance], Tag(TABLE)],
    Discriminator(lambda value: TABLE if isinstance(value, dict) else NUMBER),
]


class Electronic(Section):
    """The electronic part of a metal's thermal conductivity: given, or from its resistivity."""

    conductivity: dict[Temperature, _Conduction] | None = Field(
        None, description="Electronic thermal conductivity by temperature in K, W/(m K)."
    )
    resistivity: dict[Temperature, _Resistance] | None = Field(
        None,
        description="Electrical resistivity by temperature in K, ohm m; the conductivity follows by the law of "
        "Wiedemann and Franz. Excludes conductivity.",
    )
    lorenz: float | None = Field(
        None,
        gt=0,
        description="Lorenz number, W ohm/K^2; by default Sommerfeld's, (π²/3)(k_B/e)² = 2.44e-8.",
    )
    uncertainty: Ratio | None = Field(
        None,
        ge=0,
        description="Relative standard uncertainty of these numbers; without it that of the sum is not known.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Electronic:
        if (self.conductivity is None) == (self.resistivity is None):
            raise ValueError("give either 'conductivity' or 'resistivity', and not both")
        if self.lorenz is not None and self.resistivity is None:
            raise ValueError("'lorenz' goes with 'resistivity'")
        if not self.table:
            raise ValueError("give at least one temperature and its value")
        if min(self.table) <= 0:
            raise ValueError("temperatures must be above 0 K")
        smallest = min(min(v) if isinstance(v, tuple) else v for v in self.table.values())
        if smallest < 0 or (self.resistivity is not None and smallest == 0):
            raise ValueError("values must be positive")
        return self

    @property
    def table(self) -> dict[float, Any]:
        """What is given, by temperature in K: W/(m K), or ohm m where resistivities are given."""
        return dict(self.conductivity if self.conductivity is not None else self.resistivity or {})

    def lacking(self, temperatures: tuple[float, ...]) -> float | None:
        """The first of some temperatures, K, that lies outside those given; None when all lie inside."""
        low, high = min(self.table), max(self.table)
        return next((t for t in temperatures if not low - 1e-6 <= t <= high + 1e-6), None)


class Boundary(Section):
    """What a grain boundary does, where it does not scatter all phonons diffusely."""

    specularity: Ratio | None = Field(
        None,
        ge=0,
        le=1,
        description="Share p of phonons that a boundary reflects like a mirror: it scatters mode by mode at a rate of "
        "(1-p)/(1+p) |v|/L.",
    )
    kapitza: _Kapitza | None = Field(
        None,
        description="Thermal resistance of a boundary, m^2 K/W, or resistances by temperature in K; grains then have "
        "the single crystal's conductivity. Excludes specularity.",
    )
    uncertainty: Ratio | None = Field(
        None,
        ge=0,
        description="Relative standard uncertainty of the resistance; without it that of the conductivity is not "
        "known.",
    )

    @model_validator(mode="after")
    def _one_model(self) -> Boundary:
        if self.specularity is not None and self.kapitza is not None:
            raise ValueError(
                "a grain boundary scatters phonons mode by mode ('specularity') or has a Kapitza resistance "
                "('kapitza'), never both: its scattering would be counted twice; leave one out"
            )
        if self.specularity is None and self.kapitza is None:
            raise ValueError("give 'specularity' or 'kapitza', or 'modes' instead of a section")
        if self.uncertainty is not None and self.kapitza is None:
            raise ValueError("'uncertainty' goes with 'kapitza'")
        if min(self.table.values(), default=0.0) < 0:
            raise ValueError("'kapitza' must not be negative")
        return self

    @property
    def table(self) -> dict[float, float]:
        """Resistances by temperature (K), m^2 K/W; empty where there is one for all, or none."""
        if isinstance(self.kapitza, dict):
            return dict(self.kapitza)
        return {} if self.kapitza is None else {0.0: self.kapitza}

    def lacking(self, temperatures: tuple[float, ...]) -> float | None:
        """The first temperature, K, that lies outside those given; None when all lie inside.

        Args:
            temperatures: K.
        """
        if not isinstance(self.kapitza, dict):
            return None
        low, high = min(self.kapitza, default=1.0), max(self.kapitza, default=0.0)
        return next((t for t in temperatures if not low - 1e-6 <= t <= high + 1e-6), None)


class ThermalStress(Section):
    """A change of temperature, and the stress between grains that it leaves."""

    stress_free: Temperature = Field(description="Temperature at which the polycrystal is free of stress, K.")
    temperature: Temperature = Field(
        300.0, description="Temperature to which it is brought, K; among those of the section."
    )


class Mesoscale(Section):
    """A periodic polycrystal and its effective properties."""

    grains: Count = Field(50, description="Number of grains.")
    voxels: Voxels = Field(33, description="Voxels along each edge, or along x, y, z: [64, 64, 1].")
    microstructure: Microstructure = Field(
        default_factory=Microstructure, description="How grains, pores, inclusions and layers are arranged."
    )
    materials: Materials = Field(
        default_factory=dict,
        description="Materials beside the crystal, by name: {pore: void, glass: {young: 70, poisson: 0.2, "
        "conductivity: 1.1}}.",
    )
    texture: Texture = Field(default_factory=Texture, description="Orientations of the crystal's grains.")
    grain_sizes: tuple[GrainSize, ...] = Field(
        (50.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0),
        min_length=1,
        description="Mean sphere-equivalent grain diameters, nm.",
    )
    temperatures: tuple[Temperature, ...] = Field(
        (300.0,), min_length=1, description="Temperatures, K; each among those of the conductivity."
    )
    realisations: Count = Field(3, description="Number of random polycrystals.")
    representative: Representative | None = Field(
        None,
        description="Search for the number of grains and realisations that a property needs: {tolerance: 1 %, "
        "property: conductivity}; left out by default.",
    )
    tolerance: float = Field(1e-6, gt=0, le=1e-2, description="Solver's relative residual.")
    precision: Literal["double", "single"] = Field(
        "double",
        description="Precision of the solver's fields; single takes three quarters of the memory, and its residual is "
        "checked in double precision (a tolerance of 1e-4 suits it).",
    )
    boundary: Annotated[
        Annotated[Literal["modes"], Tag(WORD)] | Annotated[Boundary, Tag(SECTION)],
        Discriminator(lambda value: WORD if isinstance(value, str) else SECTION),
    ] = Field(
        "modes",
        description="What a grain boundary does: modes scatters phonons diffusely, mode by mode; {specularity: 0.3} "
        "some of them like a mirror; {kapitza: 1.2e-9} has a thermal resistance (m^2 K/W) instead.",
    )
    thermal_stress: ThermalStress | None = Field(
        None,
        description="Stress between grains after a change of temperature: {stress_free: 1000, temperature: 300}; needs "
        "the section expansion.",
    )
    electronic: Electronic | None = Field(
        None,
        description="Heat carried by the electrons of a metal: {conductivity: {300: 390}}, or {resistivity: "
        "{300: 1.7e-8}}; a metal's conductivity goes no further without.",
    )

    @model_validator(mode="after")
    def _resolved(self) -> Mesoscale:
        cells = self.microstructure.kind not in ("laminate", "file")
        if cells and number_of(self.voxels) < 64 * self.grains:
            shown = f"{self.voxels}^3" if isinstance(self.voxels, int) else number_of(self.voxels)
            raise ValueError(
                f"{shown} voxels are too few for {self.grains} grains; "
                f"give 'voxels' of {fewest_voxels(self.grains)} or more, or fewer grains"
            )
        check_materials(self.microstructure, self.materials, self.thermal_stress is not None)
        if self.representative and self.microstructure.kind in ("laminate", "file"):
            raise ValueError(
                f"representative is for random microstructures, not for kind {self.microstructure.kind}; leave it out"
            )
        if min(self.grain_sizes) <= 0:
            raise ValueError("grain_sizes must be positive")
        for name in ("grain_sizes", "temperatures"):
            values = getattr(self, name)
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise ValueError(f"{name} has {twice:g} twice; leave one out")
        return self

    @model_validator(mode="after")
    def _resistance_known(self) -> Mesoscale:
        missing = None if self.boundary == "modes" else self.boundary.lacking(self.temperatures)
        if missing is not None:
            raise ValueError(
                f"boundary.kapitza does not reach {missing:g} K, which temperatures has; add it there: nothing is "
                "extrapolated"
            )
        return self

    @model_validator(mode="after")
    def _cooled_to_a_temperature(self) -> Mesoscale:
        if self.thermal_stress is not None and self.thermal_stress.temperature not in self.temperatures:
            raise ValueError(
                f"thermal_stress.temperature is {self.thermal_stress.temperature:g} K, which temperatures lacks; "
                "add it there"
            )
        return self

    @model_validator(mode="after")
    def _electrons_known(self) -> Mesoscale:
        missing = None if self.electronic is None else self.electronic.lacking(self.temperatures)
        if missing is not None:
            raise ValueError(
                f"electronic does not reach {missing:g} K, which temperatures has; add it there: nothing is "
                "extrapolated"
            )
        return self
