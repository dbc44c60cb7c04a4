"""Phonon scattering at grain boundaries, mode by mode, and the mean free paths it competes with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.homogenization.tensors import Floats, symmetric_matrix
from hashigo.errors import InputError

METRES_PER_NM = 1e-9
#: Mode contributions handled at once, number; bounds the memory of a large mesh with many grains.
CHUNK = 4_000_000


@dataclass(frozen=True)
class ModeSet:
    """The phonon modes of one mesh, over the irreducible wave vectors.

    Attributes:
        volume: number of wave vectors of the mesh times the primitive cell's volume, m^3.
        weight: number of wave vectors in the star, shape (n_modes,), count.
        speed: magnitude of the group velocity, shape (n_modes,), m/s.
        velocity_outer: v⊗v averaged over the star, xx yy zz yz xz xy, shape (n_modes, 6), m^2/s^2.
        heat_capacity: of one mode, shape (n_temperatures, n_modes), J/K.
        lifetime: in the single crystal, shape (n_temperatures, n_modes), s; 0 takes a mode out.
    """

    volume: float
    weight: Floats
    speed: Floats
    velocity_outer: Floats
    heat_capacity: Floats
    lifetime: Floats

    def __post_init__(self) -> None:
        modes = (len(self.weight),)
        per_temperature = np.shape(self.heat_capacity)
        expected = {
            "speed": modes,
            "velocity_outer": (*modes, 6),
            "heat_capacity": (per_temperature[0], *modes),
            "lifetime": per_temperature,
        }
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise InputError(f"'{name}' of the phonon modes has shape {array.shape}, expected {shape}")
            if not np.isfinite(array).all():
                raise InputError(
                    f"'{name}' of the phonon modes has entries that are no numbers (NaN or infinite)"
                )
        if not self.volume > 0:
            raise InputError("'volume' of the phonon modes is not positive")
        if min(self.speed.min(), self.lifetime.min(), self.heat_capacity.min()) < 0:
            raise InputError("a phonon mode has a negative speed, lifetime or heat capacity")


def read_modes(reader: ResultReader, group: str) -> ModeSet:
    """Read a set of modes from a conductivity result.

    Args:
        reader: open result file of the conductivity task.
        group: path below /data, e.g. "modes/fine".

    Raises:
        InputError: when an array is missing, or has a wrong shape.
    """

    def read(name: str) -> Floats:
        return np.asarray(reader.array(f"{group}/{name}"), dtype=float)

    return ModeSet(
        volume=float(read("volume")),
        weight=read("weight"),
        speed=read("speed"),
        velocity_outer=read("velocity_outer"),
        heat_capacity=np.atleast_2d(read("heat_capacity")),
        lifetime=np.atleast_2d(read("lifetime")),
    )


def limited_conductivity(modes: ModeSet, index: int, diameters: Floats) -> Floats:
    """Thermal conductivity of grains, 1/τ_L = 1/τ + |v|/L for each mode.

    Args:
        modes: phonon modes of the crystal.
        index: index of the temperature.
        diameters: grain diameters L, shape (n,), nm; infinity gives the single crystal.

    Returns:
        In crystal axes, shape (n, 3, 3), W/(m K).

    Source: Casimir, Physica 5, 495 (1938); Ziman, Electrons and Phonons (1960), diffuse boundaries.
    """
    diameters = np.asarray(diameters, dtype=float)
    if not (diameters > 0).all():
        raise InputError("a grain diameter is not positive")
    lifetime = modes.lifetime[index]
    carrier = (modes.weight * modes.heat_capacity[index] * lifetime)[:, None] * modes.velocity_outer
    path = modes.speed * lifetime
    step = max(1, CHUNK // len(path))
    parts = []
    for start in range(0, len(diameters), step):
        length = diameters[start : start + step, None] * METRES_PER_NM
        parts.append((1.0 / (1.0 + path / length)) @ carrier)
    return symmetric_matrix(np.concatenate(parts) / modes.volume)


def median_mean_free_path(modes: ModeSet, index: int) -> float:
    """Mean free path in the single crystal below which half of its conductivity is carried.

    Args:
        modes: phonon modes of the crystal.
        index: index of the temperature.

    Returns:
        Median, weighted with the trace of each mode's conductivity, nm.
    """
    path = modes.speed * modes.lifetime[index]
    trace = modes.velocity_outer[:, :3].sum(axis=1)
    share = modes.weight * modes.heat_capacity[index] * modes.lifetime[index] * trace
    order = np.argsort(path, kind="stable")
    total = np.cumsum(share[order])
    if total[-1] <= 0:
        raise InputError("no phonon mode carries heat")
    return float(path[order][np.searchsorted(total, 0.5 * total[-1])] / METRES_PER_NM)


def _root(tensor: Floats) -> Floats:
    """Square roots of symmetric positive definite matrices, shape (..., 3, 3)."""
    values, vectors = np.linalg.eigh(tensor)
    return np.asarray((vectors * np.sqrt(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2))


def scale_by_ratio(fine: Floats, coarse: Floats, coarse_member: Floats) -> Floats:
    """Carry a committee member's change of conductivity from a coarse mesh over to a fine one.

    The ratio of tensors is taken symmetrically, so that the result is symmetric and positive definite; for a
    cubic crystal it is the ratio of numbers.

    Args:
        fine: of the mean model on the fine mesh, shape (n, 3, 3), W/(m K).
        coarse: of the mean model on the coarse mesh, shape (n, 3, 3), W/(m K).
        coarse_member: of the member on the coarse mesh, shape (n, 3, 3), W/(m K).

    Returns:
        Of the member on the fine mesh, shape (n, 3, 3), W/(m K).
    """
    inverse_root = np.linalg.inv(_root(coarse))
    ratio = inverse_root @ coarse_member @ inverse_root
    fine_root = _root(fine)
    scaled = fine_root @ ratio @ fine_root
    return np.asarray(0.5 * (scaled + np.swapaxes(scaled, -1, -2)))
