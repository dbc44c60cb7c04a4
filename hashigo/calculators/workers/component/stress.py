"""Thermal stress of a body of bricks: σ = C(T):(ε - ∫α dT') from a temperature without stress, at rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.component.grid import ARRAY_AXIS, FACES, Grid, face_axis
from hashigo.calculators.workers.component.hexahedron import (
    CORNERS,
    OUTER,
    PLACES,
    Brick,
    amplitudes,
    condensed,
    strain_matrix,
)
from hashigo.calculators.workers.component.material import Material
from hashigo.errors import InputError, WorkerError

Floats = NDArray[np.float64]

#: Residual at which the equations count as solved, relative to the forces of the temperatures.
TOLERANCE = 1e-9
_MOST_ITERATIONS = 50_000
#: Elements treated at once.
_CHUNK = 4096
#: Forces that push a free body are refused above this share of all.
_UNBALANCED = 1e-6
#: Strain whose forces count as none, dimensionless.
_NO_STRAIN = 1e-9
#: Squared motion of what is held, relative to the largest, that counts as none.
_AT_REST = 1e-12


@dataclass(frozen=True)
class Supports:
    """How the body is held and pressed at the faces of its box.

    Attributes:
        held: by name of a face: "roller" keeps its displacement across the face zero, "fixed" all of it.
        pressure: by name of a face, GPa; positive pushes inwards.
    """

    held: Mapping[str, str]
    pressure: Mapping[str, float]


@dataclass(frozen=True)
class Stress:
    """What temperatures do to a body.

    Attributes:
        displacement: of the corners of cells, shape (nz + 1, ny + 1, nx + 1, 3), m.
        stress: at the centre of each cell, Voigt xx, yy, zz, yz, xz, xy, shape (n_cells, 6), GPa.
        at_places: at the centre and in the middle of each face, shape (n_cells, 7, 6), GPa.
        iterations: number of them.
    """

    displacement: Floats
    stress: Floats
    at_places: Floats
    iterations: int


class ElasticBody:
    """A body that deforms.

    Args:
        grid: its cells.
        materials: by number of region, with stiffness and expansion.
        free_temperature: at which it has no stress, K.
        supports: how it is held.
    """

    def __init__(
        self, grid: Grid, materials: Mapping[int, Material], free_temperature: float, supports: Supports
    ) -> None:
        self._grid = grid
        self._materials = materials
        self._free = free_temperature
        self._supports = supports
        self._brick = Brick.of(grid.spacing)
        self._nodes = tuple(count + 1 for count in grid.region.shape)
        self._moving = self._free_components()
        self._modes = self._rigid_modes()

    def _free_components(self) -> NDArray[np.bool_]:
        """Which components of displacements are unknown, shape (nodes, 3)."""
        active = np.zeros((*self._nodes, 1), dtype=bool)
        self._scatter(active, np.ones((self._grid.n_cells, 8, 1), dtype=bool))
        out = np.repeat(active, 3, axis=-1)
        self._active = out.copy()
        for face, how in self._supports.held.items():
            axis, high = face_axis(face)
            plane = np.moveaxis(out, ARRAY_AXIS[axis], 0)[-1 if high else 0]
            plane[..., slice(None) if how == "fixed" else axis] = False
        return out

    def _rigid_modes(self) -> Floats:
        """Rigid motions that the supports leave, orthonormal, shape (n_modes, n_unknown)."""
        places = np.stack(np.meshgrid(*(np.arange(n) for n in self._nodes), indexing="ij"), axis=-1)
        place = places[..., ::-1] * self._grid.spacing
        place = place - place[self._active[..., 0]].mean(axis=0)
        place = place / np.abs(place).max()
        modes = [np.broadcast_to(axis, place.shape) for axis in np.eye(3)]
        modes += [np.cross(axis, place) for axis in np.eye(3)]
        held = self._active & ~self._moving
        found = np.array(modes)
        if held.any():
            # Those that leave what is held where it is.
            moved = found[:, held]
            sizes, mixtures = np.linalg.eigh(moved @ moved.T)
            found = np.einsum("ji,j...->i...", mixtures[:, sizes < _AT_REST * sizes.max()], found)
        free = found[:, self._moving] if len(found) else np.zeros((0, int(self._moving.sum())))
        return np.asarray(np.linalg.qr(free.T)[0].T) if len(free) else free

    def _scatter(self, field: NDArray[Any], values: NDArray[Any]) -> None:
        """Add values at each cell's corners, shape (n_cells, 8, k), to a field of nodes."""
        nz, ny, nx = self._grid.region.shape
        whole = np.zeros((nz, ny, nx, values.shape[-1]), dtype=values.dtype)
        for index, (x, y, z) in enumerate(CORNERS):
            whole[self._grid.inside] = values[:, index]
            field[z : z + nz, y : y + ny, x : x + nx] += whole

    def _gather(self, field: Floats) -> Floats:
        """Displacements of each cell's corners, shape (n_cells, 24)."""
        nz, ny, nx = self._grid.region.shape
        out = np.empty((self._grid.n_cells, 8, 3))
        for index, (x, y, z) in enumerate(CORNERS):
            out[:, index] = field[z : z + nz, y : y + ny, x : x + nx][self._grid.inside]
        return out.reshape(-1, OUTER)

    def solve(self, temperature: Floats, gradient: Floats, guess: Floats | None = None) -> Stress:
        """Displacements and stress at rest.

        Args:
            temperature: of the cells, shape (n_cells,), K.
            gradient: in the cells, shape (n_cells, 3), K/m.
            guess: displacements to start from, shape (nz + 1, ny + 1, nx + 1, 3), m.

        Raises:
            InputError: when the pressure moves a body that is not held.
            WorkerError: when the equations are not solved.
        """
        stiffness, stress, slope = self._stress_without_strain(temperature, gradient)
        small, forces = self._condensed(stiffness, stress, slope)
        force = np.zeros((*self._nodes, 3))
        self._scatter(force, forces.reshape(-1, 8, 3))
        scale = float(np.abs(forces).max(initial=0.0))
        self._press(force)
        right = force[self._moving]
        scale = max(scale, float(np.abs(right).max(initial=0.0)))
        # A body at its stress-free temperature has rounding alone for forces.
        least = _NO_STRAIN * float(np.abs(stiffness).max()) * max(self._grid.area(axis) for axis in range(3))
        scale = max(scale, least)
        push = self._modes @ right
        if (
            np.abs(push).max(initial=0.0) > _UNBALANCED * max(float(np.linalg.norm(right)), 1e-300)
            and self._supports.pressure
        ):
            raise InputError(
                "the pressure on the component moves it, for nothing holds it there",
                fix="support it, or press on the opposite face too",
            )
        start = np.zeros(len(right)) if guess is None else guess[self._moving]
        unknown, iterations = self._iterate(small, right - self._modes.T @ push, start, scale)
        displacement = np.zeros((*self._nodes, 3))
        displacement[self._moving] = unknown - self._modes.T @ (self._modes @ unknown)
        at_places = self._recover(stiffness, stress, slope, displacement)
        return Stress(displacement, at_places[:, 0], at_places, iterations)

    def _stress_without_strain(self, temperature: Floats, gradient: Floats) -> tuple[Floats, Floats, Floats]:
        """Stiffness of each cell (or one for all), and C:∫α dT' with its slope."""
        count, regions = self._grid.n_cells, self._grid.regions
        stress, slope = np.empty((count, 6)), np.empty((count, 3, 6))
        present = [(region, np.flatnonzero(regions == region)) for region in sorted(self._materials)]
        present = [(region, cells) for region, cells in present if len(cells)]
        single = len(present) == 1 and len(self._stiffness(present[0][0]).temperatures) == 1
        stiffness = np.empty((1 if single else count, 6, 6))
        for region, cells in present:
            material = self._materials[region]
            assert material.expansion is not None
            kelvin = temperature[cells]
            own = self._stiffness(region)(kelvin[:1] if single else kelvin)
            stiffness[slice(None) if single else cells] = own
            strain = material.expansion.integral(kelvin, self._free)
            rate = material.expansion(kelvin)
            own = np.broadcast_to(own, (len(cells), 6, 6))
            stress[cells] = np.einsum("nab,nb->na", own, strain)
            slope[cells] = np.einsum("nab,nb,nk->nka", own, rate, gradient[cells], optimize=True)
        return stiffness, stress, slope

    def _stiffness(self, region: int) -> Any:
        return self._materials[region].stiffness

    def _chunks(self, stiffness: Floats) -> list[tuple[slice, Floats]]:
        count = self._grid.n_cells
        slices = [slice(at, min(at + _CHUNK, count)) for at in range(0, count, _CHUNK)]
        return [(part, stiffness if len(stiffness) == 1 else stiffness[part]) for part in slices]

    def _condensed(self, stiffness: Floats, stress: Floats, slope: Floats) -> tuple[Floats, Floats]:
        matrices = np.empty((len(stiffness), OUTER, OUTER))
        forces = np.empty((self._grid.n_cells, OUTER))
        for part, own in self._chunks(stiffness):
            loads = self._brick.loads(stress[part], slope[part])
            large = self._brick.matrices(own)
            if len(own) < len(loads):
                large = np.broadcast_to(large, (len(loads), *large.shape[1:]))
            small, forces[part] = condensed(large, loads)
            matrices[slice(0, 1) if len(stiffness) == 1 else part] = small[: len(own)]
        return matrices, forces

    def _press(self, force: Floats) -> None:
        """Add the pressures: a quarter of a cell's force for each corner of its face."""
        for face in FACES:
            pressure = self._supports.pressure.get(face)
            if not pressure:
                continue
            axis, high = face_axis(face)
            share = np.zeros((self._grid.n_cells, 8, 3))
            size = pressure * self._grid.area(axis) / 4 * (-1 if high else 1)
            corners = [index for index, corner in enumerate(CORNERS) if corner[axis] == int(high)]
            cells = self._grid.at_face(face)
            for corner in corners:
                share[cells, corner, axis] = size
            self._scatter(force, share)

    def _iterate(self, small: Floats, right: Floats, start: Floats, scale: float) -> tuple[Floats, int]:
        """Conjugate gradients, preconditioned by the diagonal, without the rigid motions that are left."""
        field = np.zeros((*self._nodes, 3))

        def product(vector: Floats) -> Floats:
            field[self._moving] = vector
            corners = self._gather(field)
            pulled = corners @ small[0] if len(small) == 1 else np.einsum("nij,nj->ni", small, corners)
            out = np.zeros_like(field)
            self._scatter(out, pulled.reshape(-1, 8, 3))
            return np.asarray(out[self._moving])

        weights = np.zeros_like(field)
        diagonals = np.broadcast_to(np.einsum("nii->ni", small), (self._grid.n_cells, OUTER))
        self._scatter(weights, diagonals.reshape(-1, 8, 3))
        inverse = 1 / weights[self._moving]
        limit = TOLERANCE * scale * np.sqrt(len(right))
        unknown = start.copy()
        residual = right - product(unknown)
        if np.linalg.norm(residual) > np.linalg.norm(right):  # far from a guess that was for other forces
            unknown, residual = np.zeros_like(right), right.copy()
        direction, before = np.zeros_like(right), 0.0
        for iteration in range(_MOST_ITERATIONS):
            if np.linalg.norm(residual) <= limit:
                return unknown, iteration
            scaled = inverse * residual
            now = float(residual @ scaled)
            direction = scaled + (now / before if before else 0.0) * direction
            pulled = product(direction)
            length = now / float(direction @ pulled)
            unknown += length * direction
            residual -= length * pulled
            before = now
        raise WorkerError(
            "the equations of the component's stress were not solved",
            fix="make cells more alike along all edges",
        )

    def _recover(self, stiffness: Floats, stress: Floats, slope: Floats, displacement: Floats) -> Floats:
        """Stress at the centre and in the middle of each face, shape (n_cells, 7, 6)."""
        corners = self._gather(displacement)
        out = np.empty((self._grid.n_cells, len(PLACES), 6))
        strains = np.array([strain_matrix(place, self._grid.spacing) for place in PLACES])
        reach = PLACES * self._grid.spacing / 2
        for part, own in self._chunks(stiffness):
            loads = self._brick.loads(stress[part], slope[part])
            large = np.broadcast_to(
                self._brick.matrices(own), (len(loads), *self._brick.matrices(own).shape[1:])
            )
            inner = amplitudes(large, loads, corners[part])
            strain = np.einsum("pai,ni->npa", strains, np.hstack([corners[part], inner]))
            own = np.broadcast_to(own, (len(loads), 6, 6))
            free = stress[part][:, None] + np.einsum("pk,nka->npa", reach, slope[part])
            out[part] = np.einsum("nab,npb->npa", own, strain) - free
        return out

    def at_centres(self, displacement: Floats) -> Floats:
        """Displacement of each cell's centre.

        Args:
            displacement: of the corners, shape (nz + 1, ny + 1, nx + 1, 3), m.

        Returns:
            Shape (n_cells, 3), m.
        """
        return np.asarray(self._gather(displacement).reshape(-1, 8, 3).mean(axis=1))

    def exposed(self) -> NDArray[np.bool_]:
        """Which of the places of each cell to look at: its centre, and faces without a neighbour.

        Returns:
            Shape (n_cells, 7), dimensionless.
        """
        out = np.ones((self._grid.n_cells, len(PLACES)), dtype=bool)
        for index in range(1, len(PLACES)):
            axis, high = divmod(index - 1, 2)
            out[:, index] = self._grid.exposed(axis, bool(high))
        return out
