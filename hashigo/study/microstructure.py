"""How the mesoscale is arranged: its microstructure, orientations of grains, and the search for enough of them."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from hashigo.study.fields import Angle, Count, Ratio, Section
from hashigo.study.materials import CRYSTAL, Materials


class Microstructure(Section):
    """How grains, pores, inclusions and layers are arranged."""

    kind: Literal["voronoi", "laguerre", "inclusions", "laminate", "file"] = Field(
        "voronoi",
        description="voronoi; laguerre (grains of log-normal sizes); inclusions (ellipsoids in a polycrystal); "
        "laminate (layers of single crystals or other materials); file.",
    )
    size_spread: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Laguerre, or around inclusions: standard deviation of the logarithm of grain diameters, "
        "dimensionless; by default 0.35 for laguerre, and cells of Voronoi around inclusions.",
    )
    material: str | None = Field(None, description="Inclusions: theirs; by default the first of materials.")
    fraction: Ratio = Field(0.1, gt=0, le=0.6, description="Inclusions: share of the volume, dimensionless.")
    inclusions: Count = Field(20, description="Inclusions: number of them.")
    semi_axes: tuple[float, float, float] = Field(
        (1.0, 1.0, 1.0), description="Inclusions: ratio of their axes along x, y, z, dimensionless."
    )
    layers: tuple[tuple[str, Ratio], ...] = Field(
        (),
        description="Laminate: material and share of the volume of each layer, [[crystal, 0.6], [glass, 0.4]].",
    )
    axis: Literal["x", "y", "z"] = Field("z", description="Laminate: normal of the layers.")

    file: str | None = Field(
        None,
        description="File: NumPy (.npy, .npz), DREAM3D (.dream3d, .h5), DAMASK (.vti) or an image (.png, .tif), "
        "relative to the study; its grid and grains take the place of voxels and grains.",
    )
    orientations: str | None = Field(
        None,
        description="File: orientations by number of the grain where it has none itself, a list or DAMASK's "
        "material.yaml, relative to the study.",
    )
    phases: dict[str, str] = Field(
        default_factory=dict,
        description="File: material of each of its phases or grey levels, {0: pore, 255: crystal}.",
    )
    periodic: Literal["check", "assume", "mirror"] = Field(
        "check",
        description="File: check that it is periodic, assume it, or mirror it along the axes along which it is not.",
    )

    pieces: Literal["check", "keep", "separate"] = Field(
        "check",
        description="File: check that each grain of the crystal hangs together, keep those that do not, or separate "
        "their pieces into grains.",
    )

    @model_validator(mode="before")
    @classmethod
    def _names_of_phases(cls, data: Any) -> Any:
        """Grey levels and numbers are names too."""
        if isinstance(data, dict) and isinstance(data.get("phases"), dict):
            return {**data, "phases": {str(key): value for key, value in data["phases"].items()}}
        return data

    @model_validator(mode="after")
    def _complete(self) -> Microstructure:
        if self.kind == "file" and self.file is None:
            raise ValueError("kind file needs the name of a 'file'")
        if min(self.semi_axes) <= 0:
            raise ValueError("semi_axes must be positive")
        if self.kind == "laminate":
            if not self.layers:
                raise ValueError("a laminate needs 'layers': [[crystal, 0.6], [glass, 0.4]]")
            total = sum(share for _, share in self.layers)
            if min(share for _, share in self.layers) <= 0 or abs(total - 1) > 1e-6:
                raise ValueError(f"the shares of the layers must be positive and add up to 1, not {total:g}")
        if self.kind == "laguerre" and self.size_spread == 0:
            raise ValueError("size_spread 0 asks for equal grains; give more than 0, or kind voronoi")
        foreign = self._foreign()
        if foreign:
            raise ValueError(f"'{foreign}' says nothing about kind {self.kind}")
        return self

    def _foreign(self) -> str:
        """The first key that is set and belongs to another kind."""
        own = {
            "laguerre": ("size_spread",),
            "inclusions": ("size_spread", "material", "fraction", "inclusions", "semi_axes"),
            "laminate": ("layers", "axis"),
            "file": ("file", "orientations", "phases", "periodic", "pieces"),
        }.get(self.kind, ())
        fields = type(self).model_fields
        changed = [
            key
            for key, field in fields.items()
            if key != "kind" and getattr(self, key) != field.get_default(call_default_factory=True)
        ]
        return next((key for key in changed if key not in own), "")

    @property
    def named(self) -> tuple[str, ...]:
        """Materials that it names."""
        return tuple(filter(None, (self.material, *(name for name, _ in self.layers), *self.phases.values())))


class Representative(Section):
    """Search for the representative volume: grains and realisations that an effective property needs."""

    tolerance: Ratio = Field(
        0.01,
        gt=0,
        le=0.2,
        description="Relative standard error of the mean over realisations, and drift of the mean with the number of "
        "grains, dimensionless.",
    )
    property: Literal["conductivity", "stiffness"] = Field(
        "conductivity",
        description="conductivity (a third of its trace, at the first temperature and grain size) or stiffness (bulk "
        "and shear modulus).",
    )
    fewest_grains: Count = Field(8, description="Number of grains to begin with; it is doubled.")
    most_grains: Count = Field(400, description="Most grains of a sample.")
    most_realisations: Annotated[int, Field(ge=2, le=1000)] = Field(
        30, description="Most realisations of one number of grains."
    )

    @model_validator(mode="after")
    def _two_sizes(self) -> Representative:
        if self.most_grains < 2 * self.fewest_grains:
            raise ValueError(
                f"most_grains {self.most_grains} leaves one size; give {2 * self.fewest_grains} or more, so that a "
                "drift can be told"
            )
        return self


class Texture(Section):
    """Orientations of the crystal's grains."""

    kind: Literal["random", "fibre", "list", "odf"] = Field(
        "random",
        description="random (uniform); fibre (a crystal direction along one of the sample); list (those of a file, "
        "one a grain, in order); odf (drawn from a file, so that volumes go by its weights).",
    )
    file: str | None = Field(
        None,
        description="List and odf: text with columns qx qy qz qw (crystal to sample axes) or phi1 Phi phi2 (Bunge, "
        "°), and perhaps weight, relative to the study; DAMASK's material.yaml will do.",
    )
    crystal_direction: tuple[float, float, float] = Field(
        (0.0, 0.0, 1.0), description="Fibre: in the Cartesian axes of the standardised cell, dimensionless."
    )
    sample_direction: tuple[float, float, float] = Field(
        (0.0, 0.0, 1.0), description="Fibre: where that points in the sample, x, y, z, dimensionless."
    )
    spread: Angle = Field(
        0.0, ge=0, le=90, description="Fibre: standard deviation of the tilt along each of two directions, °."
    )

    @model_validator(mode="after")
    def _directions(self) -> Texture:
        if (self.file is None) == (self.kind in ("list", "odf")):
            raise ValueError(
                f"texture '{self.kind}' needs a 'file'" if self.file is None else "'file' is for list and odf"
            )
        for name in ("crystal_direction", "sample_direction"):
            if not any(getattr(self, name)):
                raise ValueError(f"{name} is zero; give a direction")
        for name in ("crystal_direction", "sample_direction", "spread"):
            if self.kind != "fibre" and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"'{name}' is for kind fibre, and says nothing about kind {self.kind}")
        return self


def _edges(value: Any) -> Any:
    numbers = value if isinstance(value, (list, tuple)) else [value] * 3
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    if len(numbers) != 3 or not whole or not 1 <= min(numbers) <= max(numbers) <= 1024:
        raise ValueError("give a whole number of voxels from 1 to 1024, or three, along x, y, z")
    if max(numbers) < 2:
        raise ValueError("a single voxel has no microstructure; give 2 or more along an edge")
    return value


#: Along each edge of a cube, or along x, y, z.
Voxels = Annotated[int | tuple[int, int, int], BeforeValidator(_edges)]


def fewest_voxels(grains: int) -> int:
    """Number of voxels along the edge of a cube that gives each of some grains 64.

    Args:
        grains: number of grains.
    """
    return int((64 * grains) ** (1 / 3) - 1e-9) + 1


def number_of(voxels: Any) -> int:
    """Number of voxels of the whole grid.

    Args:
        voxels: number along each edge, or along x, y, z.
    """
    return int(voxels) ** 3 if isinstance(voxels, int) else math.prod(voxels)


def check_materials(microstructure: Microstructure, materials: Materials, expansion: bool) -> None:
    """Make sure that materials and microstructure fit together, and that enough is known of them.

    Args:
        microstructure: how they are arranged.
        materials: those beside the crystal.
        expansion: whether their thermal expansion is needed.

    Raises:
        ValueError: names what does not.
    """
    if CRYSTAL in materials:
        raise ValueError(f"materials has '{CRYSTAL}', which is the study's own; choose another name")
    if microstructure.kind == "inclusions" and not materials:
        raise ValueError("inclusions need a material; add materials: {pore: void}")
    for name in microstructure.named:
        if name != CRYSTAL and name not in materials:
            raise ValueError(f"microstructure names '{name}', which materials lacks; add it there")
    used = {*microstructure.named, *list(materials)[: microstructure.kind == "inclusions"]}
    idle = [name for name in materials if name not in used]
    if idle and microstructure.kind != "file":
        raise ValueError(
            f"materials has '{idle[0]}', of which a microstructure of kind {microstructure.kind} holds nothing as it "
            "is given; choose kind inclusions or laminate and name it there, or leave it out"
        )
    for name, material in materials.items():
        if missing := material.lacks(expansion):
            remedy = "" if ":" in missing else f"; give materials.{name}.{missing}"
            raise ValueError(f"material '{name}' has no {missing}{remedy}")
