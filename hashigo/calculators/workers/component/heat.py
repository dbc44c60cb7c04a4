"""Finite volumes for heat: enthalpy of each cell, the power that flows into it, and how both change with temperature.

Between cells of one material the flux is the difference of the integral of k dT (Kirchhoff's transform), which is the
exact mean conductivity between their temperatures; between two materials it is the harmonic mean.

Source: Patankar, Numerical Heat Transfer and Fluid Flow (1980), sections 4.2-3 and 4.2-4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.component.grid import FACES, INNER, Grid, face_axis
from hashigo.calculators.workers.component.material import Material

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Condition:
    """What holds at a face of the box; one of the three.

    Attributes:
        temperature: of the surface, K.
        flux: of heat into the body, W/m^2.
        coefficient: of convection, W/(m^2 K).
        ambient: temperature of what flows past, K.
    """

    temperature: float | None = None
    flux: float | None = None
    coefficient: float | None = None
    ambient: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether it ties the body to a temperature."""
        return self.flux is None


@dataclass(frozen=True)
class _Links:
    """Pairs of cells along one axis, of one material or of two."""

    low: Integers
    high: Integers
    axis: int
    factor: float  # area over distance, m
    same: NDArray[np.bool_]


class HeatProblem:
    """Heat in a body.

    Args:
        grid: its cells.
        materials: by number of region.
        faces: what holds at each face of the box and at inner surfaces; those not named let no heat through.
        source: power by volume of each region, W/m^3.
    """

    def __init__(
        self,
        grid: Grid,
        materials: Mapping[int, Material],
        faces: Mapping[str, Condition],
        source: Mapping[int, float],
    ) -> None:
        self.grid = grid
        self.faces = {name: faces[name] for name in FACES + INNER if name in faces}
        self._members = {region: np.flatnonzero(grid.regions == region) for region in materials}
        self._members = {region: cells for region, cells in self._members.items() if len(cells)}
        self.materials = {region: materials[region] for region in self._members}
        self.power = np.zeros(grid.n_cells)
        for region, cells in self._members.items():
            self.power[cells] = source.get(region, 0.0) * grid.volume
        self._links = [self._of_axis(axis) for axis in range(3)]
        self._at = {name: grid.at_face(name) for name in self.faces}
        self._share = {name: grid.face_shares(name) for name in self.faces}

    @property
    def holds(self) -> bool:
        """Whether some face ties the body to a temperature, so that it has a steady state of its own."""
        return any(self.faces[name].holds and len(self._at[name]) for name in self.faces)

    def _of_axis(self, axis: int) -> _Links:
        low, high = self.grid.links(axis)
        regions = self.grid.regions
        factor = self.grid.area(axis) / float(self.grid.spacing[axis])
        return _Links(low, high, axis, factor, regions[low] == regions[high])

    def _each(self, temperature: Floats, evaluate: Any, shape: tuple[int, ...] = ()) -> Floats:
        out = np.empty((self.grid.n_cells, *shape))
        for region, cells in self._members.items():
            out[cells] = evaluate(self.materials[region], temperature[cells])
        return out

    def enthalpy(self, temperature: Floats, zero: float) -> Floats:
        """Heat in each cell.

        Args:
            temperature: shape (n_cells,), K.
            zero: temperature at which it counts as none, K.

        Returns:
            Shape (n_cells,), J.
        """
        volume = self.grid.volume
        return volume * self._each(temperature, lambda one, kelvin: one.heat.integral(kelvin, zero))

    def capacity(self, temperature: Floats) -> Floats:
        """Heat capacity of each cell.

        Args:
            temperature: shape (n_cells,), K.

        Returns:
            Shape (n_cells,), J/K.
        """
        return self.grid.volume * self._each(temperature, lambda one, kelvin: one.heat(kelvin))

    def conductivity(self, temperature: Floats) -> Floats:
        """Conductivity of each cell.

        Args:
            temperature: shape (n_cells,), K.

        Returns:
            Along x, y, z, shape (n_cells, 3), W/(m K).
        """
        return self._each(temperature, lambda one, kelvin: one.conductivity(kelvin), (3,))

    def _transform(self, temperature: Floats, zero: float) -> Floats:
        return self._each(temperature, lambda one, kelvin: one.conductivity.integral(kelvin, zero), (3,))

    def conducted(self, temperature: Floats) -> Floats:
        """Power that other cells and the faces bring into each cell.

        Args:
            temperature: shape (n_cells,), K.

        Returns:
            Shape (n_cells,), W.
        """
        out = np.zeros(self.grid.n_cells)
        kappa = self.conductivity(temperature)
        integral = self._transform(temperature, float(temperature.mean()))
        for link in self._links:
            flow = link.factor * self._between(link, temperature, kappa, integral)
            out[link.low] += flow
            out[link.high] += -flow
        for name, flow in self._entering(temperature, kappa).items():
            out[self._at[name]] += flow
        return out

    @staticmethod
    def _between(link: _Links, temperature: Floats, kappa: Floats, integral: Floats) -> Floats:
        flow = integral[link.high, link.axis] - integral[link.low, link.axis]
        if not link.same.all():
            first, second = kappa[link.low, link.axis], kappa[link.high, link.axis]
            mean = 2 * first * second / (first + second)
            flow = np.where(link.same, flow, mean * (temperature[link.high] - temperature[link.low]))
        return np.asarray(flow)

    def entering(self, temperature: Floats) -> dict[str, Floats]:
        """Power that enters through each face that has a condition.

        Args:
            temperature: shape (n_cells,), K.

        Returns:
            By name, for the cells at that face, each of shape (n,), W.
        """
        return self._entering(temperature, self.conductivity(temperature))

    def _entering(self, temperature: Floats, kappa: Floats) -> dict[str, Floats]:
        found = {}
        for name, condition in self.faces.items():
            cells = self._at[name]
            axis, _ = face_axis(name)
            area, half = self.grid.area(axis), float(self.grid.spacing[axis]) / 2
            if condition.temperature is not None:
                flow = np.empty(len(cells))
                for region, material in self.materials.items():
                    here = self.grid.regions[cells] == region
                    transform = material.conductivity.integral
                    flow[here] = -transform(temperature[cells[here]], condition.temperature)[:, axis] / half
            elif condition.coefficient is not None:
                series = 1 / (condition.coefficient * self._share[name]) + half / kappa[cells, axis]
                flow = (condition.ambient - temperature[cells]) / series
            else:
                flow = float(condition.flux or 0.0) * self._share[name]
            found[name] = area * flow
        return found

    def surfaces(self, temperature: Floats) -> dict[str, Floats]:
        """Temperature of the surface at each face that has a condition.

        Args:
            temperature: of the cells, shape (n_cells,), K.

        Returns:
            By name, for the cells at that face, each of shape (n,), K.
        """
        kappa = self.conductivity(temperature)
        found = {}
        for name, flow in self._entering(temperature, kappa).items():
            axis, _ = face_axis(name)
            cells, condition = self._at[name], self.faces[name]
            half = float(self.grid.spacing[axis]) / 2
            found[name] = temperature[cells] + flow / self.grid.area(axis) * half / kappa[cells, axis]
            if condition.temperature is not None:
                found[name] = np.full(len(cells), condition.temperature)
        return found

    def slope(self, temperature: Floats) -> Any:
        """Derivative of the power into each cell by the temperatures; that of means between materials is left out.

        Args:
            temperature: shape (n_cells,), K.

        Returns:
            Sparse matrix, shape (n_cells, n_cells), W/K.
        """
        from scipy.sparse import coo_array

        kappa = self.conductivity(temperature)
        diagonal = np.zeros(self.grid.n_cells)
        rows, columns, values = [], [], []
        for link in self._links:
            first, second = kappa[link.low, link.axis], kappa[link.high, link.axis]
            mean = 2 * first * second / (first + second)
            first = link.factor * np.where(link.same, first, mean)
            second = link.factor * np.where(link.same, second, mean)
            diagonal[link.low] += -first
            diagonal[link.high] += -second
            rows += [link.low, link.high]
            columns += [link.high, link.low]
            values += [second, first]
        for name, condition in self.faces.items():
            axis, _ = face_axis(name)
            cells = self._at[name]
            area, half = self.grid.area(axis), float(self.grid.spacing[axis]) / 2
            if condition.temperature is not None:
                diagonal[cells] += -area * kappa[cells, axis] / half
            elif condition.coefficient is not None:
                series = 1 / (condition.coefficient * self._share[name]) + half / kappa[cells, axis]
                diagonal[cells] += -area / series
        every = np.arange(self.grid.n_cells)
        triplets = (
            np.concatenate([*values, diagonal]),
            (np.concatenate([*rows, every]), np.concatenate([*columns, every])),
        )
        return coo_array(triplets, shape=(self.grid.n_cells,) * 2).tocsr()

    def gradient(self, temperature: Floats) -> Floats:
        """Temperature gradient at the centre of each cell: the mean of those at its two faces along each axis.

        Args:
            temperature: shape (n_cells,), K.

        Returns:
            Along x, y, z, shape (n_cells, 3), K/m.
        """
        out = np.zeros((self.grid.n_cells, 3))
        for link in self._links:
            step = (temperature[link.high] - temperature[link.low]) / float(self.grid.spacing[link.axis])
            out[link.low, link.axis] += step / 2
            out[link.high, link.axis] += step / 2
        for name, surface in self.surfaces(temperature).items():
            axis, high = face_axis(name)
            cells = self._at[name]
            step = (surface - temperature[cells]) / (float(self.grid.spacing[axis]) / 2)
            out[cells, axis] += (step if high else -step) / 2
        return out
