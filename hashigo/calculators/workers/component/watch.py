"""What is watched of a component: peaks, probes, when it is settled, whether its material is known there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.component.grid import Grid, face_axis
from hashigo.calculators.workers.component.heat import HeatProblem
from hashigo.calculators.workers.component.hexahedron import PLACES
from hashigo.calculators.workers.component.material import Material
from hashigo.calculators.workers.component.properties import check_range

Floats = NDArray[np.float64]

#: Columns of the history: time (s), stored heat (J), lowest and highest temperature (K), largest distance from the
#: steady state (K), and then the probes (K).
TIME, STORED, LOWEST, HIGHEST, DISTANCE, PROBES = range(6)
#: A component is settled when no temperature is farther from its steady state than this share of the farthest at first.
SETTLED = 0.05


@dataclass(frozen=True)
class Peak:
    """A largest value.

    Attributes:
        value: in the unit of what it is of.
        time: s; infinite for the steady state.
        place: x, y, z, shape (3,), m.
    """

    value: float
    time: float
    place: Floats


def probe_weights(grid: Grid, places: Floats) -> list[tuple[NDArray[np.int64], Floats]]:
    """Cells around each place and their weights, linear between their centres; the nearest ones at the border.

    Args:
        grid: cells of the body.
        places: shape (n, 3), m.

    Returns:
        For each place indices and weights, shapes (k,), dimensionless.
    """
    found = []
    count = np.array(grid.region.shape[::-1])
    for place in places:
        at = np.clip(place / grid.spacing - 0.5, 0, count - 1)
        low = np.minimum(np.floor(at).astype(int), np.maximum(count - 2, 0))
        part = at - low
        cells, weights = [], []
        for corner in np.ndindex(2, 2, 2):
            where = np.minimum(low + corner, count - 1)
            weight = float(np.prod(np.where(corner, part, 1 - part)))
            cell = int(grid.number[tuple(where[::-1])])
            if weight > 0 and cell >= 0:
                cells.append(cell)
                weights.append(weight)
        if not cells:
            cells, weights = [int(np.linalg.norm(grid.centres - place, axis=1).argmin())], [1.0]
        found.append((np.array(cells), np.array(weights) / sum(weights)))
    return found


def highest(grid: Grid, problem: HeatProblem, temperature: Floats, time: float) -> Peak:
    """The highest temperature of cells and of faces that have a condition.

    Args:
        grid: cells of the body.
        problem: heat in it.
        temperature: of the cells, shape (n_cells,), K.
        time: s.
    """
    cell = int(temperature.argmax())
    found = Peak(float(temperature[cell]), time, grid.centres[cell])
    for name, surface in problem.surfaces(temperature).items():
        if len(surface) and float(surface.max()) > found.value:
            axis, high = face_axis(name)
            place = grid.centres[grid.at_face(name)[int(surface.argmax())]].copy()
            place[axis] += (0.5 if high else -0.5) * grid.spacing[axis]
            found = Peak(float(surface.max()), time, place)
    return found


def check_materials(materials: Mapping[int, Material], grid: Grid, temperature: Floats, when: str) -> None:
    """Refuse temperatures at which a material is not known.

    Args:
        materials: by number of region.
        grid: cells of the body.
        temperature: of the cells, shape (n_cells,), K.
        when: for the message.

    Raises:
        InputError: names property and temperature.
    """
    for region, material in materials.items():
        kelvin = temperature[grid.regions == region]
        if len(kelvin):
            for name, curve in material.curves.items():
                check_range(curve, float(kelvin.min()), float(kelvin.max()), name, when)


def settling(history: Floats) -> float:
    """Time from which no temperature is farther from its steady state than `SETTLED` of the farthest at first.

    Args:
        history: shape (n_steps + 1, 5 + n_probes), s, J and K.

    Returns:
        Time, s; NaN where it is not reached, or nothing moves.
    """
    share = history[:, DISTANCE] / max(float(history[0, DISTANCE]), 1e-6)
    far = np.flatnonzero(share > SETTLED)
    if not len(far) or far[-1] == len(share) - 1:
        return np.nan
    last = far[-1]
    # Temperatures settle exponentially.
    first, second = np.log(share[last]), np.log(max(float(share[last + 1]), 1e-12))
    part = (first - np.log(SETTLED)) / (first - second)
    return float(history[last, TIME] + part * (history[last + 1, TIME] - history[last, TIME]))


def largest_principal(stress: Floats) -> Floats:
    """Largest principal stress; positive is tension.

    Args:
        stress: Voigt, shape (..., 6), GPa.

    Returns:
        Shape (...), GPa.
    """
    order = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    return np.asarray(np.linalg.eigvalsh(stress[..., order])[..., -1])


def peak_of(grid: Grid, values: Floats, time: float) -> Peak:
    """The largest value.

    Args:
        grid: cells of the body.
        values: at the `PLACES` of each cell, shape (n_cells, 7), any unit.
        time: s.
    """
    cell, place = np.unravel_index(int(values.argmax()), values.shape)
    return Peak(float(values[cell, place]), time, grid.centres[cell] + PLACES[place] * grid.spacing / 2)
