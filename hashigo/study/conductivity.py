"""The study's section on the lattice thermal conductivity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hashigo.study.fields import (
    IMAGE_DISTANCE,
    SUPERCELL,
    Count,
    GrainSize,
    Length,
    Ratio,
    Section,
    Supercell,
    Temperature,
)

Auto = Literal["auto"]
Meshes = Annotated[tuple[Count, ...], Field(min_length=1)]


class MeshBudget(Section):
    """What the meshes of the conductivity may cost at most; the result then says that it is not converged."""

    core_hours: float = Field(2.0, gt=0, description="Core·h of all meshes.")
    largest_mesh: Count = Field(25, description="Largest q-mesh.")


class Conductivity(Section):
    """Lattice thermal conductivity by the relaxation-time approximation; what is auto is found to the tolerance."""

    force_constants: Literal["potential", "reference", "sscha"] = Field(
        "potential",
        description="Where the value's force constants are from: the mean potential at its own relaxed cell, the "
        "reference's frames at their cell, or of second order the stage sscha at its (one) temperature.",
    )
    supercell: Supercell = Field(IMAGE_DISTANCE, description=SUPERCELL)
    snapshots: Auto | Count = Field(
        "auto",
        description="Number of displaced supercells that the potential computes; auto doubles it until κ changes less "
        "than a third of the tolerance.",
    )
    cutoff: Auto | Length | None = Field(
        "auto",
        description="Distance of atoms up to which the third order of the potential's force constants reaches, Å; auto "
        "raises it by shells until κ changes less than half of the tolerance; null takes all of the supercell.",
    )
    displacement: Length = Field(0.03, gt=0, le=0.5, description="Displacement of each atom in them, Å.")
    meshes: Auto | Meshes = Field(
        "auto",
        description="q-meshes, rising; auto raises them until κ extrapolated to an infinite mesh is known to the "
        "tolerance, or the budget ends.",
    )
    budget: MeshBudget = Field(
        default_factory=MeshBudget, description="Where automatic meshes end in any case."
    )
    coarse_mesh: Count = Field(7, description="q-mesh on which the committee's spread is taken.")
    temperatures: tuple[Temperature, ...] = Field(
        (200.0, 300.0, 400.0, 500.0, 700.0, 1000.0), min_length=1, description="Temperatures, K."
    )
    isotopes: bool = Field(True, description="Scatter phonons at natural isotopes.")
    boundary: GrainSize | None = Field(
        None,
        gt=0,
        description="Size of a specimen at whose surface phonons are scattered, nm; none: infinite.",
    )
    beyond_relaxation: bool = Field(
        True,
        description="Whether the direct solution of Boltzmann's equation and Wigner transport are computed on the "
        "coarse mesh, beside the relaxation-time approximation.",
    )
    tolerance: Ratio = Field(0.05, gt=0, description="Converged when the relative mesh error is below.")

    @model_validator(mode="after")
    def _rising(self) -> Conductivity:
        if self.meshes != "auto" and list(self.meshes) != sorted(set(self.meshes)):
            raise ValueError("meshes must rise")
        if min(self.temperatures) <= 0:
            raise ValueError("temperatures must be above 0 K")
        if isinstance(self.cutoff, float) and self.cutoff <= 0:
            raise ValueError("'cutoff' must be positive; null takes all of the supercell")
        return self
