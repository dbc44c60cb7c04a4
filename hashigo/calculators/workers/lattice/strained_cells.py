"""What has to be computed for elastic constants at temperature, one piece a cell, so that ranks can share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from hashigo.calculators.workers.lattice.crystal import PrimitiveCell
from hashigo.calculators.workers.lattice.force_constants import finite_displacements, strained_lattice
from hashigo.calculators.workers.lattice.free_energy import Vibrations, vibrations_of
from hashigo.calculators.workers.lattice.thermal_path import Node
from hashigo.calculators.workers.lattice.thermoelastic import (
    StaticDerivatives,
    Symmetry,
    deformation,
    static_derivatives,
    strained_crystal,
    thermal_derivatives,
)
from hashigo.calculators.workers.potential import Model

Floats = NDArray[np.float64]

#: Largest force left on an atom of a strained cell, eV/Å.
FORCE_TOLERANCE = 1e-6
#: Strain of the static part over that of the vibrations, whose second differences need a larger one; dimensionless.
_STATIC_SHARE = 0.5
#: Index of the direction of a cell that is not strained.
UNSTRAINED = -1


@dataclass(frozen=True)
class Piece:
    """One thing to compute.

    Attributes:
        model: index, 0 for the mean.
        node: index of the cell of its path.
        what: "static" for the derivatives of the static energy, "vibrations" for one strained cell's.
        direction: index of the strain, or `UNSTRAINED`.
        sign: of the strain, dimensionless.
        scale: strain over that of the settings, number.
        larger: whether in the larger supercell.
    """

    model: int
    node: int
    what: str
    direction: int = UNSTRAINED
    sign: int = 1
    scale: int = 1
    larger: bool = False


def pieces(symmetry: Symmetry, n_nodes: Sequence[int]) -> list[Piece]:
    """Everything to compute, what takes longest first.

    Strains of twice the size and a larger supercell, which tell errors, are for the mean's middle node only.

    Args:
        symmetry: of the crystal.
        n_nodes: count of cells along each model's path, the mean's first.
    """
    cells = [(UNSTRAINED, 1), *symmetry.strains]
    middle = n_nodes[0] // 2
    out = [Piece(0, middle, "vibrations", *cell, larger=True) for cell in cells]
    out += [Piece(0, middle, "vibrations", *cell, scale=2) for cell in symmetry.strains]
    out.append(Piece(0, middle, "static", scale=2))
    for model, count in enumerate(n_nodes):
        for node in range(count):
            out += [Piece(model, node, "vibrations", *cell) for cell in cells]
            out.append(Piece(model, node, "static"))
    return out


@dataclass(frozen=True)
class Workbench:
    """What all pieces need.

    Attributes:
        models: mean first.
        crystals: relaxed by each of them.
        nodes: cells of each model's path, vectors as rows, each of shape (n_nodes, 3, 3), Å.
        symmetry: of the crystal.
        lattices: of the unstrained crystal, in the supercell and in the larger one.
        temperatures: shape (n_temperatures,), K.
        settings: strain, dimensionless; displacement in Å.
        meshes: counts of wave vectors along each reciprocal vector.
    """

    models: Sequence[Model]
    crystals: Sequence[PrimitiveCell]
    nodes: Sequence[Floats]
    symmetry: Symmetry
    lattices: tuple[Phonopy, Phonopy]
    temperatures: Floats
    settings: Mapping[str, Any]
    meshes: Sequence[int]

    def compute(self, piece: Piece) -> StaticDerivatives | Vibrations:
        """Compute one piece.

        Raises:
            WorkerError: when atoms of a strained cell do not relax.
        """
        model, crystal = self.models[piece.model], self.crystals[piece.model]
        cell = self.nodes[piece.model][piece.node]
        strain = float(self.settings["strain"]) * piece.scale
        if piece.what == "static":
            return static_derivatives(
                model, crystal, cell, self.symmetry, strain * _STATIC_SHARE, FORCE_TOLERANCE
            )
        if piece.direction != UNSTRAINED:
            voigt = self.symmetry.directions[piece.direction].voigt
            cell = cell @ deformation(piece.sign * strain * voigt)
        return self._vibrations(model, strained_crystal(model, crystal, cell, FORCE_TOLERANCE), piece.larger)

    def _vibrations(self, model: Model, atoms: Atoms, larger: bool) -> Vibrations:
        lattice = strained_lattice(atoms, self.lattices[larger])
        constants = finite_displacements(model, lattice, float(self.settings["displacement"]))
        return vibrations_of(lattice, constants, len(atoms), self.meshes, self.temperatures.tolist())

    def node(
        self, found: Mapping[Piece, Any], model: int, node: int, *, scale: int = 1, larger: bool = False,
        row: int = 0,
    ) -> Node:  # fmt: skip
        """A cell of a path with its derivatives.

        Args:
            found: everything that was computed.
            model: index, 0 for the mean.
            node: index of the cell.
            scale: strain over that of the settings, number.
            larger: whether in the larger supercell.
            row: index of the mesh.
        """
        cell = self.nodes[model][node]
        strained = {
            (index, sign): found[Piece(model, node, "vibrations", index, sign, scale, larger)]
            for index, sign in self.symmetry.strains
        }
        unstrained = found[Piece(model, node, "vibrations", larger=larger)]
        strain = float(self.settings["strain"]) * scale
        thermal = thermal_derivatives(
            unstrained, strained, self.symmetry, strain, float(np.linalg.det(cell)), row
        )
        return Node(cell, found[Piece(model, node, "static", scale=scale)], thermal)

    def path(self, found: Mapping[Piece, Any], model: int, row: int = 0) -> list[Node]:
        """All cells of a model's path.

        Args:
            found: everything that was computed.
            model: index, 0 for the mean.
            row: index of the mesh.
        """
        return [self.node(found, model, index, row=row) for index in range(len(self.nodes[model]))]
