"""How a trajectory by LAMMPS is run, and the heat flux that comes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FluxSchedule:
    """How a trajectory is run.

    Attributes:
        temperature: of the thermostat, K.
        timestep: fs.
        equilibration: time with the thermostat, ps.
        duration: time at constant energy, ps.
        interval: time between two heat fluxes, fs; a multiple of the time step.
        segment: time between two restart files, ps.
        relaxation: time constant of the thermostat, ps.
    """

    temperature: float
    timestep: float = 1.0
    equilibration: float = 20.0
    duration: float = 500.0
    interval: float = 10.0
    segment: float = 20.0
    relaxation: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"dynamics by LAMMPS with {name} {value}: it must be positive")
        if abs(self.interval / self.timestep - self.every) > 1e-9 or self.every < 1:
            raise InputError(
                f"the heat flux every {self.interval:g} fs is no multiple of the time step of {self.timestep:g} fs",
                fix=f"give {max(self.every, 1) * self.timestep:g} fs",
            )

    @property
    def every(self) -> int:
        """Count of steps between two heat fluxes."""
        return round(self.interval / self.timestep)

    @property
    def segment_steps(self) -> int:
        """Count of steps of a segment, a multiple of `every`."""
        wanted = min(self.segment, self.duration) * 1000 / self.interval
        return max(1, round(wanted)) * self.every

    @property
    def equilibration_steps(self) -> int:
        """Count of steps with the thermostat, a multiple of `every`."""
        return max(1, round(self.equilibration * 1000 / self.interval)) * self.every

    @property
    def segments(self) -> int:
        """Count of segments at constant energy; the last may go past the duration."""
        steps = self.duration * 1000 / self.timestep
        return max(1, int(np.ceil(steps / self.segment_steps - 1e-9)))


@dataclass(frozen=True)
class FluxSeries:
    """Heat flux along one trajectory at constant energy.

    Attributes:
        flux: of the whole cell, shape (n_samples, 3), eV Å/ps.
        spacing: time between two samples, ps.
        temperature: mean over the trajectory, K.
        volume: of the cell, Å^3.
        drift: change of the total energy over the trajectory by a straight line through it, in units of the mean
            kinetic energy, dimensionless; its fluctuation, of the order of the time step squared, is not in it.
        seed: of the first velocities and the thermostat.
    """

    flux: Floats
    spacing: float
    temperature: float
    volume: float
    drift: float
    seed: int
