"""The one place where the microstructure of each realisation is made, from the job's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hashigo.calculators.workers.homogenization.composites import laminate_geometry, with_inclusions
from hashigo.calculators.workers.homogenization.given import Given, GivenGrid, read_given
from hashigo.calculators.workers.homogenization.laguerre import laguerre_geometry
from hashigo.calculators.workers.homogenization.materials import CRYSTAL
from hashigo.calculators.workers.homogenization.microstructure import (
    Geometry,
    Microstructure,
    Shape,
    random_orientations,
    voronoi_geometry,
    with_orientations,
)
from hashigo.calculators.workers.homogenization.texture import Texture
from hashigo.errors import InputError

KINDS = ("voronoi", "laguerre", "inclusions", "laminate", "file")
#: Standard deviation of the logarithm of grain diameters, where the study does not say, dimensionless.
SIZE_SPREAD = 0.35


@dataclass(frozen=True)
class Recipe:
    """How to make a microstructure.

    Attributes:
        kind: one of `KINDS`.
        grains: number of grains; of those around the inclusions, where there are some.
        shape: number of voxels along z, y, x.
        size_spread: standard deviation of the logarithm of grain diameters, dimensionless; 0 for cells of Voronoi.
        fraction: of the volume that inclusions fill, dimensionless.
        inclusions: number of them.
        semi_axes: ratio of their axes along x, y, z, shape (3,), dimensionless.
        inclusion_material: index of theirs.
        layers: of a laminate, index of the material and fraction (dimensionless) of each.
        axis: normal of the layers.
        texture: orientations of the crystal's grains; those of a file come first.
        grid: grains of a file; None of those that are made.
        materials: names, the crystal's first.
    """

    kind: str = "voronoi"
    grains: int = 50
    shape: Shape = (32, 32, 32)
    size_spread: float = 0.0
    fraction: float = 0.1
    inclusions: int = 20
    semi_axes: tuple[float, ...] = (1.0, 1.0, 1.0)
    inclusion_material: int = 1
    layers: tuple[tuple[int, float], ...] = ()
    axis: str = "z"
    texture: Texture = field(default_factory=Texture)
    grid: GivenGrid | None = None
    materials: tuple[str, ...] = (CRYSTAL,)

    @classmethod
    def read(cls, parameters: Mapping[str, Any], file: Path | None = None) -> Recipe:
        """Take the recipe from the parameters of a job.

        Args:
            parameters: with some of grains, voxels, materials, microstructure and texture, as in the study.
            file: what was read from the files that the study names; None without any.

        Raises:
            InputError: names the parameter that does not do.
        """
        section = {key: v for key, v in dict(parameters.get("microstructure") or {}).items() if v is not None}
        names = (CRYSTAL, *(parameters.get("materials") or {}))
        kind = str(section.get("kind", "voronoi"))
        if kind not in KINDS:
            raise InputError(f"there is no microstructure of kind '{kind}'", fix=f"one of {', '.join(KINDS)}")
        given = Given() if file is None else read_given(file)
        if kind == "file" and given.grid is None:
            raise InputError("there is no file with the microstructure", fix="name it as microstructure.file")
        spread = section.get("size_spread", SIZE_SPREAD if kind == "laguerre" else 0.0)
        found = cls(
            kind=kind,
            grains=int(parameters.get("grains", 50)),
            shape=grid_shape(parameters.get("voxels", 33)),
            size_spread=float(spread),
            materials=names,
            texture=Texture(**_texture(parameters), quaternions=given.quaternions, weights=given.weights),
        )
        if kind == "file":
            assert given.grid is not None
            return replace(found, grid=given.grid, shape=given.grid.shape, grains=len(given.grid.material))
        if kind == "inclusions":
            material = section.get("material") or (names[1] if len(names) > 1 else "")
            found = replace(
                found,
                fraction=float(section.get("fraction", 0.1)),
                inclusions=int(section.get("inclusions", 20)),
                semi_axes=tuple(float(axis) for axis in section.get("semi_axes", (1, 1, 1))),
                inclusion_material=_index(names, material),
            )
        if kind == "laminate":
            layers = tuple((_index(names, name), float(share)) for name, share in section.get("layers", ()))
            found = replace(found, layers=layers, axis=str(section.get("axis", "z")))
        return found

    @property
    def varies(self) -> bool:
        """Whether realisations differ: not where files give cells and orientations, or layers take a list's."""
        listed = self.texture.kind == "list"
        if self.grid is not None:
            return self.grid.quaternions is None and not listed
        return not (self.kind == "laminate" and listed)

    @property
    def isotropic(self) -> bool:
        """Whether grains have all orientations and no arrangement: what estimates for aggregates ask for."""
        arranged = self.kind == "laminate" or (self.kind == "inclusions" and len(set(self.semi_axes)) > 1)
        return self.grid is None and self.texture.kind == "random" and not arranged

    @property
    def asked(self) -> dict[str, float]:
        """What a realisation should have, dimensionless: the spread of sizes, fractions by material."""
        asked = {"size_spread": self.size_spread} if self.size_spread > 0 else {}
        if self.kind == "inclusions":
            asked[f"fraction of {self.materials[self.inclusion_material]}"] = self.fraction
        for index, name in enumerate(self.materials if self.kind == "laminate" else ()):
            asked[f"fraction of {name}"] = sum(share for material, share in self.layers if material == index)
        return asked

    def note(self) -> dict[str, Any]:
        """How it was made, in plain values."""
        note: dict[str, Any] = {"kind": self.kind}
        if self.grid is not None:
            note.update(self.grid.origin)
        if self.kind == "inclusions":
            note.update(inclusions=self.inclusions, semi_axes=list(self.semi_axes))
        given = self.grid is not None and self.grid.quaternions is not None
        return {**note, "texture": "given with the grains" if given else self.texture.sentence}

    def geometry(self, generator: np.random.Generator, planes: slice, comm: Any) -> Geometry:
        """The cells.

        Args:
            generator: of the random numbers; in the same state on all ranks.
            planes: indices of the z planes to fill here.
            comm: communicator over which the planes of all ranks make up the grid.
        """
        if self.grid is not None:
            return self.grid.geometry(planes, comm)
        if self.kind == "laminate":
            return laminate_geometry(self.layers, self.axis, self.shape, planes, comm)
        if self.size_spread > 0:
            cells = laguerre_geometry(self.grains, self.shape, self.size_spread, generator, planes, comm)
        else:
            cells = voronoi_geometry(self.grains, self.shape, generator, planes, comm)
        if self.kind != "inclusions":
            return cells
        number, material = self.inclusions, self.inclusion_material
        inside = self.fraction, number, self.semi_axes, material, self.shape
        return with_inclusions(cells, *inside, generator, planes, comm)

    def make(self, seed: int | tuple[int, ...], planes: slice, comm: Any) -> Microstructure:
        """One realisation; the same for any number of ranks, of which each makes its planes only.

        Args:
            seed: seed of the random numbers.
            planes: indices of the z planes to fill here.
            comm: communicator over which the planes of all ranks make up the grid.

        Raises:
            InputError: when it cannot be made so.
        """
        generator = np.random.default_rng(seed)
        geometry = self.geometry(generator, planes, comm)
        if self.grid is not None and self.grid.quaternions is not None:
            return with_orientations(geometry, self.grid.quaternions, self.shape)
        crystal = geometry.material == 0
        quaternions = np.empty((len(crystal), 4))
        quaternions[crystal] = self.texture.draw(geometry.counts[crystal].astype(float), generator)
        quaternions[~crystal] = random_orientations(int((~crystal).sum()), generator)
        return with_orientations(geometry, quaternions, self.shape)


def grid_shape(voxels: Any) -> Shape:
    """Number of voxels along z, y, x.

    Args:
        voxels: number along each edge, or along x, y, z.
    """
    if isinstance(voxels, int):
        return (voxels,) * 3
    x, y, z = (int(number) for number in voxels)
    return (z, y, x)


def _index(names: tuple[str, ...], name: str) -> int:
    if name not in names:
        raise InputError(
            f"microstructure names material '{name}', and there is none of that name",
            fix=f"add it to mesoscale.materials; there are {', '.join(names)}",
        )
    return names.index(name)


def _texture(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `Texture`, as far as the study gives them."""
    section = dict(parameters.get("texture") or {})
    section.pop("file", None)  # its content comes with the job's files
    return {key: tuple(v) if isinstance(v, list) else v for key, v in section.items() if v is not None}
