"""Section "mesoscale" of the study: the polycrystal, and the heat that a metal's electrons carry."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from hashigo.study.fields import (
    Count,
    GrainSize,
    Ratio,
    Resistivity,
    Section,
    Temperature,
    WattsPerMetreKelvin,
)
from hashigo.study.microstructure import (
    Materials,
    Microstructure,
    Texture,
    Voxels,
    check_names,
    fewest_voxels,
    number_of,
)

#: A number, or one along each Cartesian axis of the standardised cell.
_Conduction = WattsPerMetreKelvin | tuple[WattsPerMetreKelvin, WattsPerMetreKelvin, WattsPerMetreKelvin]
_Resistance = Resistivity | tuple[Resistivity, Resistivity, Resistivity]


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


class Mesoscale(Section):
    """A periodic polycrystal and its effective properties."""

    grains: Count = Field(50, description="Number of grains.")
    voxels: Voxels = Field(32, description="Voxels along each edge, or along x, y, z: [64, 64, 1].")
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
    tolerance: float = Field(1e-6, gt=0, le=1e-2, description="Solver's relative residual.")
    electronic: Electronic | None = Field(
        None,
        description="Heat carried by the electrons of a metal: {conductivity: {300: 390}}, or {resistivity: "
        "{300: 1.7e-8}}; a metal's conductivity goes no further without.",
    )

    @model_validator(mode="after")
    def _resolved(self) -> Mesoscale:
        cells = self.microstructure.kind != "laminate"
        if cells and number_of(self.voxels) < 64 * self.grains:
            shown = f"{self.voxels}^3" if isinstance(self.voxels, int) else number_of(self.voxels)
            raise ValueError(
                f"{shown} voxels are too few for {self.grains} grains; "
                f"give 'voxels' of {fewest_voxels(self.grains)} or more, or fewer grains"
            )
        check_names(self.microstructure, self.materials)
        if min(self.grain_sizes) <= 0:
            raise ValueError("grain_sizes must be positive")
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
