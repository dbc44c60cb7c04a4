"""Quasi-harmonic equilibrium: the cell of least Gibbs energy at each temperature, from fits over a grid of cells.

With strain parameters s of the cell and G = E(s) + F_vib(s, T) + p V(s), every derivative is that of the fitted
polynomials: ds/dT = H⁻¹ ∂S/∂s with the Hessian H of G, so that no difference in temperature is taken; then
C_p = C_V + T ∂S/∂s · ds/dT, and with ds/dp = -H⁻¹ ∂V/∂s, B_T = V / (∂V/∂s · H⁻¹ · ∂V/∂s).

Source: Wallace, Thermodynamics of Crystals (1972), chapters 1 and 4; for several parameters of the cell, Carrier,
Wentzcovitch & Tsuchiya, Phys. Rev. B 76, 064116 (2007).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: 1 GPa in eV/Å^3.
GPA = 1 / 160.21766339999996
_NEWTON_STEPS = 60
#: Largest change of a strain parameter at which the minimum is found, dimensionless.
_SETTLED = 1e-11


@dataclass(frozen=True)
class Surface:
    """Polynomials in the strain parameters, several columns at once.

    Attributes:
        powers: exponents of each monomial, shape (n_monomials, n_parameters), count.
        coefficients: shape (n_monomials, n_columns), unit of the columns.
    """

    powers: NDArray[np.int64]
    coefficients: Floats

    @classmethod
    def fit(cls, points: Floats, values: Floats, degree: int) -> Surface:
        """Least squares.

        Args:
            points: strain parameters, shape (n_points, n_parameters), dimensionless.
            values: shape (n_points, n_columns), any unit.
            degree: largest sum of exponents, count.
        """
        powers = monomials(points.shape[1], degree)
        matrix = np.prod(points[:, None, :] ** powers[None], axis=2)
        return cls(powers, np.linalg.lstsq(matrix, values, rcond=None)[0])

    def __call__(self, point: Floats, *orders: int) -> Floats:
        """Value or derivative at a point.

        Args:
            point: shape (n_parameters,), dimensionless.
            orders: parameters by which it is derived, one after the other.

        Returns:
            Shape (n_columns,), unit of the columns.
        """
        powers, factor = self.powers.copy(), np.ones(len(self.powers))
        for parameter in orders:
            factor = factor * powers[:, parameter]
            powers[:, parameter] = np.maximum(powers[:, parameter] - 1, 0)
        return np.asarray((factor * np.prod(point**powers, axis=1)) @ self.coefficients)


def monomials(n_parameters: int, degree: int) -> NDArray[np.int64]:
    """Exponents of all monomials up to a degree.

    Args:
        n_parameters: count.
        degree: largest sum of exponents, count.

    Returns:
        Shape (n_monomials, n_parameters), count.
    """
    return np.array(
        [
            np.bincount(chosen, minlength=n_parameters) if chosen else np.zeros(n_parameters, dtype=int)
            for order in range(degree + 1)
            for chosen in combinations_with_replacement(range(n_parameters), order)
        ],
        dtype=np.int64,
    )


@dataclass(frozen=True)
class Grid:
    """A crystal computed on a grid of cells.

    Attributes:
        points: strain parameters, shape (n_points, n_parameters), dimensionless.
        lattice: vectors as rows of each cell, shape (n_points, 3, 3), Å.
        static: energy of a cell without vibrations, shape (n_points,), eV.
        temperatures: shape (n_temperatures,), K.
        helmholtz: of the vibrations of a cell, shape (n_points, n_temperatures), eV.
        entropy: shape (n_points, n_temperatures), eV/K.
        heat_capacity: at constant cell, shape (n_points, n_temperatures), eV/K.
    """

    points: Floats
    lattice: Floats
    static: Floats
    temperatures: Floats
    helmholtz: Floats
    entropy: Floats
    heat_capacity: Floats

    def without(self, left_out: Sequence[int]) -> Grid:
        """The grid without some points.

        Args:
            left_out: their indices.
        """
        keep = [index for index in range(len(self.points)) if index not in set(left_out)]
        return Grid(
            self.points[keep], self.lattice[keep], self.static[keep], self.temperatures,
            self.helmholtz[keep], self.entropy[keep], self.heat_capacity[keep],
        )  # fmt: skip


@dataclass(frozen=True)
class Equilibrium:
    """What a crystal is at each temperature and one pressure; NaN where its cell leaves the grid.

    Attributes:
        temperatures: shape (n_temperatures,), K.
        lattice: vectors as rows, shape (n_temperatures, 3, 3), Å.
        volume: shape (n_temperatures,), Å^3.
        expansion: linear thermal expansion, Cartesian, shape (n_temperatures, 3, 3), 1/K.
        bulk_modulus: isothermal, shape (n_temperatures,), GPa.
        helmholtz: with the static energy, shape (n_temperatures,), eV a cell.
        gibbs: shape (n_temperatures,), eV a cell.
        entropy: shape (n_temperatures,), eV/K a cell.
        heat_capacity_volume: at constant cell, shape (n_temperatures,), eV/K a cell.
        heat_capacity_pressure: shape (n_temperatures,), eV/K a cell.
        residual: root-mean-square residual of the static energies' fit, eV a cell.
    """

    temperatures: Floats
    lattice: Floats
    volume: Floats
    expansion: Floats
    bulk_modulus: Floats
    helmholtz: Floats
    gibbs: Floats
    entropy: Floats
    heat_capacity_volume: Floats
    heat_capacity_pressure: Floats
    residual: float

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Where the minimum lies among the cells of the grid, shape (n_temperatures,), dimensionless."""
        return np.isfinite(self.volume)


def fewest(n_parameters: int) -> int:
    """Least count of cells: those of a cubic polynomial, and one more.

    Args:
        n_parameters: count of strain parameters.
    """
    return len(monomials(n_parameters, 3)) + 1


def degrees(n_points: int, n_parameters: int, *, lower: bool = False) -> tuple[int, int]:
    """Degrees of the fits of static energies and of vibrations.

    A polynomial is taken only where there are more points than monomials.

    Args:
        n_points: count of cells, at least `fewest`.
        n_parameters: count of strain parameters.
        lower: whether static energies are fitted by one degree less, which tells how much the form matters.
    """
    static = 4 if len(monomials(n_parameters, 4)) < n_points else 3
    return (static - 1 if lower else static, 3)


def groups(points: Floats) -> list[list[int]]:
    """Cells to be left out together: each one alone, or along the diagonals of a grid of two parameters.

    Args:
        points: strain parameters, shape (n_points, n_parameters), dimensionless.

    Returns:
        Indices of cells; every cell is in one group.
    """
    lines = [np.unique(axis.round(9), return_inverse=True)[1] for axis in points.T]
    count = max(int(line.max()) for line in lines) + 1
    number = np.sum(lines, axis=0) % count
    return [np.flatnonzero(number == one).tolist() for one in range(count)]


def equilibrium(grid: Grid, pressure: float = 0.0, *, lower: bool = False) -> Equilibrium:
    """Minimise the Gibbs energy over the cell at each temperature.

    Args:
        grid: of cells.
        pressure: GPa.
        lower: whether static energies are fitted by one degree less, which tells how much the form matters.
    """
    n_points, n_parameters = grid.points.shape
    static_degree, vibration_degree = degrees(n_points, n_parameters, lower=lower)
    static = Surface.fit(grid.points, grid.static[:, None], static_degree)
    # A cell and its volume are smooth functions of its strain: interpolated to far better than 1e-8.
    smooth = min(5, min(len(np.unique(axis.round(9))) for axis in grid.points.T) - 1)
    lattice = Surface.fit(grid.points, grid.lattice.reshape(n_points, 9), smooth)
    volume = Surface.fit(grid.points, np.linalg.det(grid.lattice)[:, None], smooth)
    functions = [
        Surface.fit(grid.points, values, vibration_degree)
        for values in (grid.helmholtz, grid.entropy, grid.heat_capacity)
    ]
    fitted = np.array([static(point)[0] for point in grid.points])
    rows = [
        _at(index, temperature, grid, static, lattice, volume, functions, pressure * GPA)
        for index, temperature in enumerate(grid.temperatures)
    ]
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    residual = float(np.sqrt(np.mean((fitted - grid.static) ** 2)))
    values: list[Any] = [grid.temperatures, *columns, residual]
    return Equilibrium(*values)


def _at(
    index: int,
    temperature: float,
    grid: Grid,
    static: Surface,
    lattice: Surface,
    volume: Surface,
    functions: Sequence[Surface],
    pressure: float,
) -> tuple[Floats | float, ...]:
    """Everything at one temperature, in the order of `Equilibrium`'s attributes."""
    helmholtz, entropy, capacity = functions
    parameters = range(grid.points.shape[1])

    def derivative(*orders: int) -> float:
        """Of the Gibbs energy at the present cell."""
        return float(
            static(cell, *orders)[0] + helmholtz(cell, *orders)[index] + pressure * volume(cell, *orders)[0]
        )

    cell = grid.points[np.argmin(grid.static + grid.helmholtz[:, index])].astype(float)
    low, high = grid.points.min(axis=0), grid.points.max(axis=0)
    found = False
    for _ in range(_NEWTON_STEPS):
        gradient = np.array([derivative(i) for i in parameters])
        hessian = np.array([[derivative(i, j) for j in parameters] for i in parameters])
        if np.linalg.eigvalsh(hessian)[0] <= 0:
            break
        step = -np.linalg.solve(hessian, gradient)
        # The polynomials mean nothing outside; a minimum on the edge is none.
        cell = np.clip(cell + step, low - 1e-9, high + 1e-9)
        if np.abs(step).max() < _SETTLED:
            found = bool(np.all((cell > low) & (cell < high)))
            break
    if not found:
        nothing = np.full((3, 3), np.nan)
        return (nothing, np.nan, nothing, *[np.nan] * 6)
    slope = np.array([entropy(cell, i)[index] for i in parameters])
    rate = np.linalg.solve(hessian, slope)
    widening = np.array([volume(cell, i)[0] for i in parameters])
    vectors = lattice(cell).reshape(3, 3)
    change = sum(lattice(cell, i).reshape(3, 3) * rate[i] for i in parameters)
    gradient_rate = np.linalg.solve(vectors, change)
    size = float(np.linalg.det(vectors))
    constant = float(capacity(cell)[index])
    free = float(static(cell)[0] + helmholtz(cell)[index])
    return (
        vectors,
        size,
        (gradient_rate + gradient_rate.T) / 2,
        size / float(widening @ np.linalg.solve(hessian, widening)) / GPA,
        free,
        free + pressure * size,
        float(entropy(cell)[index]),
        constant,
        constant + temperature * float(slope @ rate),
    )
