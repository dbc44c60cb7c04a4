"""A mixture that separates: Cahn and Hilliard's equation by py-pde, with a free energy of the literature.

    python examples/phase_field/spinodal.py [--time 1000] [--cells 100]

Free energy, mobility and start are those of the first benchmark of PFHub, a community's test of phase-field programs
(Jokisaari, Voorhees, Guyer, Warren & Heinonen, Comput. Mater. Sci. 126, 139 (2017)): they are a model's, in its own
units, and those of no material. README.md tells what of it the ladder could give for one.

    F[c] = ∫ (f(c) + κ/2 |∇c|²) dA,  f(c) = ρ (c - α)² (β - c)²,  ∂c/∂t = M ∇²(f'(c) - κ ∇²c)
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class FreeEnergy:
    """A double well with a penalty on gradients, in the benchmark's units (dimensionless here).

    Attributes:
        height: ρ.
        low: α, composition of one phase.
        high: β, of the other.
        gradient: κ.
        mobility: M.
    """

    height: float = 5.0
    low: float = 0.3
    high: float = 0.7
    gradient: float = 2.0
    mobility: float = 5.0

    @property
    def width(self) -> float:
        """Of an interface: w in (α + β)/2 + (β - α)/2 tanh(x/w); Cahn & Hilliard, J. Chem. Phys. 28, 258 (1958)."""
        return float(np.sqrt(2 * self.gradient / self.height) / (self.high - self.low))

    @property
    def interface(self) -> float:
        """Energy of an interface by its area, ∫ κ (dc/dx)² dx."""
        return float(np.sqrt(2 * self.gradient * self.height) * (self.high - self.low) ** 3 / 6)

    def profile(self, place: np.ndarray) -> np.ndarray:
        """Composition across an interface at 0.

        Args:
            place: shape (n,).
        """
        return (self.low + self.high) / 2 + (self.high - self.low) / 2 * np.tanh(place / self.width)

    def equation(self) -> Any:
        """The equation for py-pde, with periodic borders."""
        from pde import PDEBase

        class CahnHilliard(PDEBase):
            def evolution_rate(rate, state: Any, t: float = 0) -> Any:
                return self.rate(state)

        return CahnHilliard()

    def rate(self, state: Any) -> Any:
        """How a composition changes, ∂c/∂t.

        Args:
            state: py-pde's field of the composition.
        """
        slope = (
            2 * self.height * (state - self.low) * (self.high - state) * (self.low + self.high - 2 * state)
        )
        # SciPy's Laplacian begins at once; py-pde's own compiles for some 20 s first.
        potential = slope - self.gradient * state.laplace("periodic", backend="scipy")
        return self.mobility * potential.laplace("periodic", backend="scipy")

    def of(self, state: Any) -> float:
        """Free energy of a field.

        Args:
            state: py-pde's field of the composition.
        """
        c = state.data
        bulk = self.height * (c - self.low) ** 2 * (self.high - c) ** 2
        # Differences to the next cell: what the equation's Laplacian is the derivative of.
        steps = [(np.roll(c, -1, axis) - c) / width for axis, width in enumerate(state.grid.discretization)]
        squares = np.sum([step**2 for step in steps], axis=0)
        return float(np.sum(bulk + self.gradient / 2 * squares) * np.prod(state.grid.discretization))


@dataclass
class History:
    """What was watched: times, energies, and mean compositions, one of each."""

    times: list[float] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    means: list[float] = field(default_factory=list)


def benchmark_start(cells: int, edge: float = 200.0) -> Any:
    """The benchmark's first state on a periodic square.

    Args:
        cells: along each edge.
        edge: of the square.
    """
    from pde import CartesianGrid, ScalarField

    grid = CartesianGrid([(0, edge), (0, edge)], cells, periodic=True)
    x, y = np.moveaxis(grid.cell_coords, -1, 0)
    waves = np.cos(0.105 * x) * np.cos(0.11 * y) + (np.cos(0.13 * x) * np.cos(0.087 * y)) ** 2
    waves += np.cos(0.025 * x - 0.15 * y) * np.cos(0.07 * x - 0.02 * y)
    return ScalarField(grid, 0.5 + 0.01 * waves)


def follow(free_energy: FreeEnergy, start: Any, times: list[float]) -> tuple[Any, History]:
    """Follow a field.

    Args:
        free_energy: of the mixture.
        start: py-pde's field.
        times: at which it is watched, rising from 0.

    Returns:
        The last field, and what was watched.
    """
    from pde import CallbackTracker

    history = History()

    def watch(state: Any, time: float) -> None:
        history.times.append(time)
        history.energies.append(free_energy.of(state))
        history.means.append(float(state.data.mean()))

    tracker = CallbackTracker(watch, interrupts=times)
    last = free_energy.equation().solve(
        start, t_range=times[-1], dt=1e-3, adaptive=True, tolerance=1e-5, solver="runge-kutta",
        backend="numpy", tracker=tracker,
    )  # fmt: skip
    return last, history


def main() -> None:
    """Run the benchmark, say what is kept and what falls, and draw the end."""
    from matplotlib.figure import Figure

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time", type=float, default=1000.0)
    parser.add_argument("--cells", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path("spinodal.png"))
    given = parser.parse_args()
    free_energy = FreeEnergy()
    times = [0.0, *np.geomspace(min(1.0, given.time / 2), given.time, 12).tolist()]
    last, history = follow(free_energy, benchmark_start(given.cells), times)
    print("Free energy of the literature (PFHub 1a), in its own units; no property of a material.")
    print(f"interface: width {free_energy.width:.4f}, energy {free_energy.interface:.5f}")
    for time, energy, mean in zip(history.times, history.energies, history.means, strict=True):
        print(f"t = {time:8.2f}  F = {energy:10.4f}  mean composition = {mean:.15f}")
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.loglog(history.times[1:], history.energies[1:], "o-")
    left.set_xlabel("time")
    left.set_ylabel("free energy")
    picture = right.imshow(last.data.T, origin="lower", extent=(0, 200, 0, 200), vmin=0.3, vmax=0.7)
    figure.colorbar(picture, ax=right, label="composition")
    figure.savefig(given.output, dpi=150)
    print(f"picture: {given.output}")


if __name__ == "__main__":
    main()
