"""Molecular dynamics with any model: trajectories, their files, and what is averaged over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashigo.calculators.workers.job import Job

TASK_VERSION = 2

#: Parameters and their defaults: temperatures in K, pressure in GPa, time step and intervals in fs, equilibration and
#: production in ps, volumes over the relaxed one.
DEFAULTS: dict[str, Any] = {
    "potential": None,
    "temperatures": [300.0],
    "ensemble": "nvt",
    "supercell": [2, 2, 2],
    "volumes": [0.97, 0.985, 1.0, 1.015, 1.03],
    "pressure": 0.0,
    "timestep": None,
    "interval": None,
    "equilibration": 0.5,
    "production": 3.0,
    "seeds": 2,
    "trajectories": "first",
    "trajectory_interval": 100.0,
    "seed": 0,
}


def run(job: Job) -> None:
    """Run the trajectories of the task "dynamics" and average over them.

    Raises:
        InputError: when parameters or inputs do not fit.
        WorkerError: when a trajectory runs away.
    """
    from hashigo.calculators.workers.dynamics.task import perform  # the driver alone needs none of it

    perform(job)
