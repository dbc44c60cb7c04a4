"""The parameters of the task as a body, what holds at its faces, and when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.component.grid import FACES, INNER, Grid, check_connected
from hashigo.calculators.workers.component.heat import Condition
from hashigo.calculators.workers.component.stress import Supports
from hashigo.errors import InputError
from hashigo.study.component import MOST_CELLS

Floats = NDArray[np.float64]

_MM = 1e-3
#: Most cells of the box around it: fields are kept of the whole box.
MOST_OF_BOX = 20 * MOST_CELLS
#: Error of a time step, relative to the study's tolerance.
STEP = 0.01
#: How much coarser the time steps of the run are that tells their error: its steps are about twice as long.
COARSER = 8.0

#: Parameters and their defaults: lengths in mm, times in s, temperatures in K, source in W/m^3, grain size in nm.
DEFAULTS: dict[str, Any] = {
    "size": None,
    "cells": [16, 16, 16],
    "mask": None,
    "voxel": None,
    "refine": 2,
    "initial_temperature": 300.0,
    "faces": {},
    "source": 0.0,
    "pulses": [],
    "regions": {},
    "duration": 1.0,
    "outputs": [],
    "probes": [],
    "steady": "auto",
    "stress_free_temperature": None,
    "supports": {},
    "pressure": {},
    "grain_size": None,
    "material": {},
    "tolerance": 0.02,
}


@dataclass(frozen=True)
class Case:
    """What is to be computed.

    Attributes:
        grid: the body in the cells wanted.
        coarse: the body in half as many along each edge.
        initial: temperature at the start, K.
        faces: what holds at them, by name.
        source: power by volume of each region, W/m^3.
        pulses: times from and to which sources are on, s; empty for always.
        duration: s.
        outputs: times at which fields are kept, s, rising.
        probes: places, shape (n, 3), m.
        steady: whether the steady state is wanted; None where it is wanted if there is one.
        free_temperature: without stress, K; None where no stress is asked for.
        supports: how the body is held and pressed.
        grain_size: nm; None for the crystal.
        material: properties given by hand.
        regions: properties given by hand of regions, by number.
        tolerance: relative, dimensionless.
    """

    grid: Grid
    coarse: Grid
    initial: float
    faces: Mapping[str, Condition]
    source: Mapping[int, float]
    pulses: tuple[tuple[float, float], ...]
    duration: float
    outputs: tuple[float, ...]
    probes: Floats
    steady: bool | None
    free_temperature: float | None
    supports: Supports
    grain_size: float | None
    material: Mapping[str, Any]
    regions: Mapping[int, Mapping[str, Any]]
    tolerance: float

    @property
    def reference(self) -> float:
        """Temperature at which the body has the size given, K."""
        return self.initial if self.free_temperature is None else self.free_temperature

    @property
    def breaks(self) -> tuple[float, ...]:
        """Times at which a step ends, s, rising: outputs, and where a source goes on or off."""
        edges = [edge for pulse in self.pulses for edge in pulse if 0 < edge < self.duration]
        return tuple(sorted({*self.outputs, *edges, self.duration}))

    def on(self, start: float, end: float) -> bool:
        """Whether the sources are on between two times.

        Args:
            start: s.
            end: s.
        """
        middle = (start + end) / 2
        return not self.pulses or any(first <= middle < last for first, last in self.pulses)

    @classmethod
    def read(cls, parameters: Mapping[str, Any], voxels: NDArray[Any] | None = None) -> Case:
        """Take a case from the parameters of a job.

        Args:
            parameters: any of `DEFAULTS`.
            voxels: region of each voxel of a mask, 0 outside, shape (nz, ny, nx), dimensionless; None for a box.

        Raises:
            InputError: names the parameter and what to do.
        """
        unknown = sorted(set(parameters) - set(DEFAULTS))
        if unknown:
            raise InputError(f"component.{unknown[0]} is not a parameter of the stage")
        given = {**DEFAULTS, **parameters}
        if given["duration"] <= 0:
            raise InputError(f"component.duration is {given['duration']} s; it must be positive")
        grid, coarse = _grids(given, voxels)
        check_connected(coarse)
        regions = {int(number): region for number, region in given["regions"].items()}
        present = set(np.unique(grid.regions).tolist())
        absent = sorted(set(regions) - present)
        if absent:
            raise InputError(f"component.regions has {absent[0]}, and the mask has no such voxel")
        outputs = tuple(float(time) for time in given["outputs"])
        steady = given["steady"]
        case = cls(
            grid,
            coarse,
            float(given["initial_temperature"]),
            _conditions(given["faces"]),
            {number: _source(given, regions.get(number, {})) for number in present},
            tuple((float(start), float(end)) for start, end in given["pulses"]),
            float(given["duration"]),
            outputs or _fifths(float(given["duration"])),
            _probes(given["probes"], grid),
            None if steady == "auto" else bool(steady),
            given["stress_free_temperature"],
            Supports(given["supports"], given["pressure"]),
            given["grain_size"],
            given["material"],
            {number: region["material"] for number, region in regions.items() if region.get("material")},
            float(given["tolerance"]),
        )
        case._check()
        return case

    def _check(self) -> None:
        inner = [name for name in self.faces if name in INNER]
        if inner and not any(len(self.grid.at_face(name)) for name in inner):
            raise InputError(
                "component.faces has 'inner', and the body has no surface inside its box",
                fix="leave it out, or give a mask that is smaller than its box",
            )
        for name in {*self.faces, *self.supports.held, *self.supports.pressure}:
            if name not in INNER and not len(self.grid.at_face(name)):
                raise InputError(
                    f"the component has no cell at its face {name}", fix="choose a face that the mask reaches"
                )


def _fifths(duration: float) -> tuple[float, ...]:
    """Five times, the last of which is the end itself and not its rounding."""
    return (*(duration * part / 5 for part in range(1, 5)), duration)


def _conditions(faces: Mapping[str, Any]) -> dict[str, Condition]:
    """By face of the box, and for inner surfaces by the side that they look to."""
    found = {name: _condition(faces[name]) for name in FACES if name in faces}
    return found | {name: _condition(faces["inner"]) for name in INNER if "inner" in faces}


def _condition(face: Mapping[str, Any]) -> Condition:
    convection = face.get("convection")
    if convection:
        return Condition(coefficient=float(convection["coefficient"]), ambient=float(convection["ambient"]))
    if face.get("temperature") is not None:
        return Condition(temperature=float(face["temperature"]))
    return Condition(flux=float(face["flux"]))


def _source(given: Mapping[str, Any], region: Mapping[str, Any]) -> float:
    own = region.get("source")
    return float(given["source"] if own is None else own)


def _grids(given: Mapping[str, Any], region: NDArray[Any] | None) -> tuple[Grid, Grid]:
    """The body in the cells wanted, and in half as many along each edge."""
    if given["size"] is not None:
        size = np.array(given["size"], dtype=float) * _MM
        cells = tuple(int(count) for count in given["cells"])
        if any(count > 1 and count % 2 for count in cells) or min(cells) < 1:
            raise InputError(f"component.cells are {list(cells)}; each must be even or 1")
        _check_number(math.prod(cells))
        half = tuple(max(1, count // 2) for count in cells)
        return Grid.box(size, cells), Grid.box(size, half)  # type: ignore[arg-type]
    if region is None:
        raise InputError("the component has no size", fix="give component.size, or component.mask")
    factor = int(given["refine"])
    _check_number(int(np.count_nonzero(region)) * factor**3)
    if region.size * factor**3 > MOST_OF_BOX:
        raise InputError(
            f"the component's mask has {region.size * factor**3} cells, nearly all outside the body",
            fix="cut the mask to the body",
        )
    voxels = Grid(region.astype(np.int64), np.full(3, float(given["voxel"]) * _MM))
    return voxels.refined(factor), voxels.refined(factor // 2)


def _check_number(cells: int) -> None:
    """Before there are arrays of so many."""
    if cells > MOST_CELLS:
        raise InputError(
            f"the component has {cells} cells, more than {MOST_CELLS}",
            fix="give fewer cells, a coarser mask, or a smaller component.refine",
        )


def _probes(given: Any, grid: Grid) -> Floats:
    """Places inside the body, shape (n, 3), m; by default the cell nearest to the middle."""
    if not len(given):
        middle = np.array(grid.region.shape[::-1]) * grid.spacing / 2
        nearest = np.linalg.norm(grid.centres - middle, axis=1).argmin()
        return grid.centres[[nearest]] if grid.n_cells < grid.region.size else middle[None]
    places = np.array(given, dtype=float) * _MM
    for place in places:
        cell = np.floor(np.minimum(place / grid.spacing, np.array(grid.region.shape[::-1]) - 0.5)).astype(int)
        at = tuple(cell[::-1])
        if (
            (place < 0).any()
            or (place > grid.spacing * grid.region.shape[::-1] + 1e-12).any()
            or not grid.inside[at]
        ):
            words = ", ".join(f"{value / _MM:g}" for value in place)
            raise InputError(f"the probe at {words} mm lies outside the component", fix="move it inside")
    return places
