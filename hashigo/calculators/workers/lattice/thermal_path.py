"""A crystal along its thermal path: the cell without stress at each temperature, and its elastic constants there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.lattice.elastic import strain_tensor
from hashigo.calculators.workers.lattice.strain_directions import strain_voigt
from hashigo.calculators.workers.lattice.thermoelastic import (
    StaticDerivatives,
    ThermalDerivatives,
    interpolation_weights,
)

Floats = NDArray[np.float64]

#: 1 GPa in eV/Å^3.
GPA = 1 / 160.21766339999996
_NORMAL = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
_STEPS = 50
#: Largest strain still to be made where the cell without stress is found, dimensionless.
_SETTLED = 1e-11


@dataclass(frozen=True)
class Node:
    """One cell of the path, with the derivatives of its free energy.

    Attributes:
        lattice: vectors as rows, shape (3, 3), Å.
        static: of the static energy.
        thermal: of the vibrations, at each temperature.
    """

    lattice: Floats
    static: StaticDerivatives
    thermal: ThermalDerivatives


@dataclass(frozen=True)
class State:
    """The crystal at one temperature.

    Attributes:
        lattice: vectors as rows, shape (3, 3), Å.
        isothermal: stiffness, shape (6, 6), GPa.
        adiabatic: stiffness, shape (6, 6), GPa.
        expansion: linear thermal expansion, shape (3, 3), 1/K.
        correction: largest component of the strain from the cell it was looked for at, dimensionless.
    """

    lattice: Floats
    isothermal: Floats
    adiabatic: Floats
    expansion: Floats
    correction: float

    @property
    def bulk_modulus(self) -> float:
        """Isothermal, under hydrostatic pressure, GPa."""
        return float(1 / np.linalg.inv(self.isothermal)[:3, :3].sum())


def state(nodes: Sequence[Node], row: int, temperature: float, start: Floats, pressure: float = 0.0) -> State:
    """Find the cell whose total stress is the pressure's, and its elastic constants.

    Derivatives are interpolated between the nodes in the logarithm of the volume; where the cell's shape is another
    than theirs, the tension follows it linearly.

    Args:
        nodes: cells of the path, of different volumes.
        row: index of the temperature.
        temperature: K.
        start: lattice vectors as rows where to start, shape (3, 3), Å.
        pressure: GPa.

    Source of C^S - C^T: Wallace, Thermodynamics of Crystals (1972), chapter 1; of the stiffness under pressure: Barron
    & Klein, Proc. Phys. Soc. 85, 523 (1965).
    """
    places = [float(np.log(np.linalg.det(node.lattice))) for node in nodes]
    cell = np.array(start, dtype=float)
    for _ in range(_STEPS):
        weights = interpolation_weights(places, float(np.log(np.linalg.det(cell))))
        tension = _mean(weights, [node.static.tension + node.thermal.tension[row] for node in nodes])
        stiffness = _mean(weights, [node.static.stiffness + node.thermal.stiffness[row] for node in nodes])
        change = np.linalg.solve(_mean(weights, [node.lattice for node in nodes]), cell)
        shape = strain_voigt((change @ change.T - np.eye(3)) / 2)
        total = tension + stiffness @ shape + pressure * GPA * _NORMAL
        step = np.asarray(-np.linalg.solve(stiffness, total), dtype=np.float64)
        cell = cell @ (np.eye(3) + strain_tensor(step))
        if np.abs(step).max() < _SETTLED:
            break
    heating = _mean(weights, [node.thermal.heating[row] for node in nodes])
    capacity = float(_mean(weights, [node.thermal.heat_capacity[row] for node in nodes]))
    isothermal = stiffness / GPA - pressure * _pressure_term()
    warmed = temperature / capacity * np.outer(heating, heating) if capacity > 0 else np.zeros((6, 6))
    moved = np.linalg.solve(start, cell)
    return State(
        cell,
        isothermal,
        isothermal + warmed / GPA,
        strain_tensor(np.asarray(np.linalg.solve(isothermal * GPA, heating), dtype=np.float64)),
        float(np.abs(moved - np.eye(3)).max()),
    )


def _mean(weights: Floats, values: Sequence[Floats] | Sequence[float]) -> Floats:
    return np.asarray(np.tensordot(weights, np.asarray(values), axes=1))


def _pressure_term() -> Floats:
    """δ_ik δ_jl + δ_il δ_jk - δ_ij δ_kl, Voigt, shape (6, 6), dimensionless."""
    term = np.diag([2.0, 2.0, 2.0, 1.0, 1.0, 1.0])
    term[:3, :3] -= 1.0
    return term


def shifted(nodes: Sequence[Node], one: Node, other: Node, share: float = 1.0) -> list[Node]:
    """Nodes that differ from those given as one and the same cell by two methods does.

    Args:
        nodes: to be changed.
        one: by the method of the nodes.
        other: by another method.
        share: of the difference that is taken, dimensionless.
    """
    return [
        replace(
            node,
            static=node.static.shifted(one.static, other.static, share),
            thermal=node.thermal.shifted(one.thermal, other.thermal, share),
        )
        for node in nodes
    ]
