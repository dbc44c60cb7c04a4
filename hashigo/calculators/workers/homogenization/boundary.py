"""Phonon scattering at grain boundaries, mode by mode, and the mean free paths it competes with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.homogenization.tensors import Floats, symmetric_matrix
from hashigo.calculators.workers.interpolation import interpolated
from hashigo.errors import InputError

METRES_PER_NM = 1e-9
#: Mode contributions handled at once, number; bounds the memory of a large mesh with many grains.
CHUNK = 4_000_000
BOTH = (
    "a grain boundary scatters phonons mode by mode (with its specularity) or has a Kapitza resistance, never both: "
    "its scattering would be counted twice"
)


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


@dataclass(frozen=True)
class BoundaryModel:
    """What a grain boundary does: scatters phonons mode by mode, or has a thermal resistance.

    Attributes:
        specularity: share of phonons that it reflects like a mirror, dimensionless.
        kapitza: its thermal resistance by temperature (K), m^2 K/W, with one entry for 0 K where it holds at all; None
            where phonons are scattered mode by mode.
        uncertainty: relative standard uncertainty of the resistance, dimensionless; None where it is not known.
    """

    specularity: float = 0.0
    kapitza: Mapping[float, float] | None = None
    uncertainty: float | None = None

    @classmethod
    def read(cls, value: Any) -> BoundaryModel:
        """From a job's parameter.

        Args:
            value: "modes"; or a mapping with `specularity`, or with `kapitza` (a number, or numbers by temperature in
                K, m^2 K/W) and `uncertainty`.

        Raises:
            InputError: when it is neither, or both.
        """
        given = {} if value == "modes" else value
        if not isinstance(given, Mapping) or set(given) - {"specularity", "kapitza", "uncertainty"}:
            raise InputError(
                f"'boundary' is {value!r}", fix="give modes, {specularity: 0.3} or {kapitza: 1.2e-9}"
            )
        given = {key: one for key, one in given.items() if one is not None}
        if "kapitza" in given and "specularity" in given:
            raise InputError(BOTH, fix="leave out 'specularity' or 'kapitza'")
        if "uncertainty" in given and "kapitza" not in given:
            raise InputError("'uncertainty' of 'boundary' goes with 'kapitza'", fix="leave it out")
        specularity = float(given.get("specularity", 0.0))
        if not 0.0 <= specularity <= 1.0:
            raise InputError(f"'specularity' is {specularity:g}", fix="give a number from 0 to 1")
        resistance = given.get("kapitza")
        if resistance is not None:
            table = resistance if isinstance(resistance, Mapping) else {0.0: resistance}
            resistance = {float(kelvin): float(one) for kelvin, one in table.items()}
            if (
                not resistance
                or min(resistance.values()) < 0
                or not np.isfinite(list(resistance.values())).all()
            ):
                raise InputError("'kapitza' must be zero or positive", fix="give m^2 K/W, such as 1.2e-9")
        return cls(specularity, resistance, given.get("uncertainty"))

    def resistance(self, temperatures: Floats) -> Floats:
        """Thermal resistance at some temperatures.

        Args:
            temperatures: shape (n,), K.

        Returns:
            Shape (n,), m^2 K/W.

        Raises:
            InputError: when a temperature lies outside those given.
        """
        assert self.kapitza is not None
        known = np.array(sorted(self.kapitza))
        values = np.array([self.kapitza[kelvin] for kelvin in known])
        if len(known) == 1 and known[0] == 0.0:
            return np.full(len(temperatures), values[0])
        wanted = np.asarray(temperatures, dtype=float)
        return interpolated(known, values, wanted, "mesoscale.boundary.kapitza", "add it there")[0]


def scattering_lengths(diameters: Floats, specularity: float) -> Floats:
    """Lengths L of 1/τ = 1/τ_bulk + |v|/L for boundaries that reflect a share p of the phonons like a mirror.

    Args:
        diameters: of the grains, shape (n,), nm.
        specularity: p, dimensionless.

    Returns:
        Diameters times (1+p)/(1-p), shape (n,), nm; infinite for mirrors.

    Source: Ziman, Electrons and Phonons (1960).
    """
    diameters = np.asarray(diameters, dtype=float)
    if specularity >= 1.0:
        return np.full(diameters.shape, np.inf)
    return np.asarray(diameters * (1.0 + specularity) / (1.0 - specularity))


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
