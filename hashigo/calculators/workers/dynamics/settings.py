"""Settings of the task "dynamics", and the trajectories that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashigo.calculators.workers.dynamics import DEFAULTS
from hashigo.calculators.workers.dynamics.segments import StepSchedule
from hashigo.errors import InputError

#: Steps of a period of the fastest mode by default, samples of it by default, and the fewest of both, numbers.
STEPS, SAMPLES, FEWEST_STEPS, FEWEST_SAMPLES = 30, 8, 10, 2.5
#: The time step found from the phonons is a multiple of this, fs.
ROUND = 0.25
#: Segments of a trajectory, and fewest steps of one, numbers.
SEGMENTS, SEGMENT = 50, 200
#: Fewest samples that errors can be told from, number.
FEWEST = 50


@dataclass(frozen=True)
class Trajectory:
    """One trajectory to be run.

    Attributes:
        temperature: K.
        volume: over the relaxed one, dimensionless.
        seed: which of the independent ones, index.
        followed: whether the motion of its atoms is analysed, and all its samples are frames.
    """

    temperature: float
    volume: float
    seed: int
    followed: bool

    @property
    def name(self) -> str:
        """Short name for files and groups."""
        return f"{self.temperature:g}K-{self.volume:g}V-{self.seed}"


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check them.

    Args:
        parameters: any of `DEFAULTS`; temperatures in K, pressure in GPa, time step and intervals in fs, equilibration
            and production in ps.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"dynamics.{unknown[0]} is not a parameter of the stage", fix=f"known are {', '.join(DEFAULTS)}"
        )
    settings = {**DEFAULTS, **parameters}
    if not settings["temperatures"] or min(settings["temperatures"]) <= 0:
        raise InputError(f"dynamics.temperatures is {settings['temperatures']}; give temperatures above 0 K")
    if not settings["volumes"] or not 0.7 <= min(settings["volumes"]) <= max(settings["volumes"]) <= 1.3:
        raise InputError(
            f"dynamics.volumes is {settings['volumes']}; give volumes over the relaxed one, near 1"
        )
    for name, least in (
        ("equilibration", 0.0),
        ("production", 1e-3),
        ("seeds", 1),
        ("trajectory_interval", 1e-3),
    ):
        if settings[name] < least:
            raise InputError(
                f"dynamics.{name} is {settings[name]}, too small", fix=f"set it to {DEFAULTS[name]}"
            )
    return settings


def time_step(settings: Mapping[str, Any], highest: float) -> float:
    """The time step, fs.

    Args:
        settings: complete, of `check_settings`.
        highest: frequency of the phonons, THz.

    Raises:
        InputError: when the time step given cannot follow the fastest mode.
    """
    period = 1000.0 / highest
    if settings["timestep"] is None:
        return max(ROUND, np.floor(period / STEPS / ROUND) * ROUND)
    step = float(settings["timestep"])
    if step > period / FEWEST_STEPS:
        raise InputError(
            f"dynamics.timestep is {step:g} fs, and the fastest phonon takes {period:.1f} fs",
            fix=f"set it to {period / STEPS:.1g} fs or leave it out",
        )
    return step


def schedule(settings: Mapping[str, Any], step: float, highest: float, *, followed: bool) -> StepSchedule:
    """Times as numbers of steps.

    Args:
        settings: complete, of `check_settings`.
        step: time step, fs.
        highest: frequency of the phonons, THz.
        followed: whether every sample is a frame.

    Raises:
        InputError: when samples are too far apart or too few.
    """
    period = 1000.0 / highest
    wanted = period / SAMPLES if settings["interval"] is None else float(settings["interval"])
    every = max(1, round(wanted / step))
    if every * step > period / FEWEST_SAMPLES:
        raise InputError(
            f"dynamics.interval is {wanted:g} fs, too long to see the fastest phonon, which takes {period:.1f} fs",
            fix=f"set it to {period / SAMPLES:.2g} fs or leave it out",
        )
    frames = every if followed else every * max(1, round(settings["trajectory_interval"] / (every * step)))
    steps = round(1000 * settings["production"] / step)
    if steps // every < FEWEST:
        raise InputError(
            f"dynamics.production is {settings['production']:g} ps, which gives {steps // every} samples, too few to "
            "tell an error from",
            fix=f"set it to {FEWEST * every * step / 1000 * 4:.2g} ps or more",
        )
    length = max(SEGMENT, steps // SEGMENTS)
    return StepSchedule(
        equilibration=round(1000 * settings["equilibration"] / step),
        production=steps // frames * frames,
        every=every,
        frames_every=frames,
        segment=-(-length // frames) * frames,
    )


def planned(settings: Mapping[str, Any]) -> list[Trajectory]:
    """All trajectories, those that are followed first in each temperature.

    Args:
        settings: complete, of `check_settings`.
    """
    volumes = [1.0] if settings["ensemble"] == "npt" else [float(v) for v in settings["volumes"]]
    middle = followed_volume(volumes)
    return [
        Trajectory(float(temperature), volume, seed, volume == middle)
        for temperature in settings["temperatures"]
        for volume in sorted(volumes, key=lambda v: (v != middle, v))
        for seed in range(int(settings["seeds"]))
    ]


def followed_volume(volumes: list[float]) -> float:
    """The volume nearest to the relaxed one.

    Args:
        volumes: over the relaxed one, dimensionless.
    """
    return min(volumes, key=lambda volume: abs(volume - 1))
