"""Orientations of grains: random, a fibre, or those of a list, drawn by volume.

A direction of the crystal is in the Cartesian axes of the standardised cell, in which its tensors are; a rotation
takes crystal axes to sample axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.microstructure import random_orientations
from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.errors import InputError

KINDS = ("random", "fibre", "list", "odf")


@dataclass(frozen=True)
class Texture:
    """Where the orientations of grains come from.

    Attributes:
        kind: "random" (uniform), "fibre" (a crystal direction along one of the sample), "list" (those of a list, one
            after the other), or "odf" (drawn from a list, by volume).
        crystal_direction: of a fibre, in crystal axes, shape (3,), dimensionless.
        sample_direction: of a fibre, in sample axes, shape (3,), dimensionless.
        spread: of a fibre: standard deviation of the tilt along each of two directions, °.
        quaternions: of a list, crystal to sample axes, scalar last, shape (n, 4), dimensionless; None without one.
        weights: of the list, shape (n,), share of the volume up to a factor, dimensionless; None for equal ones.
    """

    kind: str = "random"
    crystal_direction: tuple[float, ...] = (0.0, 0.0, 1.0)
    sample_direction: tuple[float, ...] = (0.0, 0.0, 1.0)
    spread: float = 0.0
    quaternions: Floats | None = None
    weights: Floats | None = None

    @property
    def sentence(self) -> str:
        """What it is, in words."""
        if self.kind == "fibre":
            along = [" ".join(f"{x:g}" for x in v) for v in (self.crystal_direction, self.sample_direction)]
            tilted = f", tilted by {self.spread:g}°" if self.spread else ""
            return f"fibre: crystal direction {along[0]} along {along[1]}{tilted}"
        return {
            "random": "uniformly random",
            "list": "a list, one orientation a grain",
            "odf": "drawn from a list by volume",
        }[self.kind]

    def draw(self, fractions: Floats, generator: np.random.Generator) -> Floats:
        """Orientations of grains.

        Args:
            fractions: volume of each grain, up to a factor, shape (n_grains,), dimensionless.
            generator: of the random numbers.

        Returns:
            Quaternions, crystal to sample axes, scalar last, shape (n_grains, 4), dimensionless.

        Raises:
            InputError: when a list is missing or too short.
        """
        grains = len(fractions)
        if self.kind == "random":
            return random_orientations(grains, generator)
        if self.kind == "fibre":
            return self._fibre(grains, generator)
        if self.quaternions is None or not len(self.quaternions):
            raise InputError(
                f"texture '{self.kind}' has no list of orientations", fix="name its file as texture.file"
            )
        if self.kind == "odf":
            return self.quaternions[self._drawn(fractions, generator)]
        if len(self.quaternions) < grains:
            raise InputError(
                f"the list of {len(self.quaternions)} orientations is too short for {grains} grains",
                fix="set texture.kind to odf, which draws from the list, or take fewer grains",
            )
        return self.quaternions[:grains]

    def _fibre(self, grains: int, generator: np.random.Generator) -> Floats:
        """About the sample's direction by any angle, then tilted away from it."""
        sample = _unit(self.sample_direction)
        aligned = _turn(_unit(self.crystal_direction), sample)
        around = Rotation.from_rotvec(generator.uniform(0.0, 2.0 * np.pi, grains)[:, None] * sample)
        if self.spread == 0:
            return np.asarray((around * aligned).as_quat())
        across = np.linalg.svd(sample[None])[2][1:]
        tilt = np.radians(self.spread) * generator.standard_normal((grains, 2)) @ across
        return np.asarray((Rotation.from_rotvec(tilt) * around * aligned).as_quat())

    def _drawn(self, fractions: Floats, generator: np.random.Generator) -> Any:
        """Index into the list of each grain: the middles of the grains, laid end to end in random order, fall into
        the list's entries laid end to end, so that volumes go by weight as nearly as grains allow."""
        assert self.quaternions is not None
        weights = np.ones(len(self.quaternions)) if self.weights is None else self.weights
        order = generator.permutation(len(fractions))
        ends = np.cumsum(fractions[order]) / np.sum(fractions)
        middles = np.mod(ends - 0.5 * fractions[order] / np.sum(fractions) + generator.random(), 1.0)
        entries = generator.permutation(len(weights))
        edges = np.cumsum(weights[entries]) / np.sum(weights)
        index = np.empty(len(fractions), dtype=int)
        index[order] = entries[np.minimum(np.searchsorted(edges, middles, side="right"), len(entries) - 1)]
        return index


def _turn(start: Floats, end: Floats) -> Any:
    """A rotation that takes a unit vector to another: two half turns, about `start` or across it, and half way."""
    middle = start + end
    if np.linalg.norm(middle) < 1e-6:  # opposite: half a turn about what is across
        return Rotation.from_rotvec(np.pi * np.linalg.svd(start[None])[2][1])
    return Rotation.from_rotvec(np.pi * _unit(middle)) * Rotation.from_rotvec(np.pi * start)


def _unit(direction: Any) -> Floats:
    vector = np.asarray(direction, dtype=float)
    return np.asarray(vector / np.linalg.norm(vector))


def mean_square_cosines(quaternions: Floats, fractions: Floats) -> Floats:
    """How crystal axes lie in the sample: the volume's mean of cos² between sample axis i and crystal axis j.

    Args:
        quaternions: crystal to sample axes, scalar last, shape (n_grains, 4), dimensionless.
        fractions: volume of each grain, up to a factor, shape (n_grains,), dimensionless.

    Returns:
        Shape (3, 3), dimensionless; a third everywhere in a sample without texture.
    """
    squares = Rotation.from_quat(quaternions).as_matrix() ** 2
    return np.asarray(np.einsum("n,nij->ij", fractions, squares) / np.sum(fractions))
