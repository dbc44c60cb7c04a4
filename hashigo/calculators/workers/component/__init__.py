"""Task "component": temperatures and thermal stress of a body in time, with the material of the ladder.

One rank computes: a body of a laptop's size needs no more, and the result does not depend on the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashigo.calculators.workers.component.case import DEFAULTS

if TYPE_CHECKING:
    from hashigo.calculators.workers.job import Job

__all__ = ["DEFAULTS", "TASK", "TASK_VERSION", "run"]

TASK = "component"
TASK_VERSION = 1


def run(job: Job) -> None:
    """Follow a component.

    It takes the inputs "handover" and "mesoscale" for what is not given by hand, and "body", voxels as a NumPy file,
    for one that is no box.

    Raises:
        InputError: when parameters, inputs or the temperatures that it gets to do not fit.
        WorkerError: when equations are not solved.
        PartialResult: when a signal or the walltime ended the job; the next one goes on from there.
    """
    # The study's side needs the defaults alone.
    from hashigo.calculators.workers.component.task import perform

    perform(job)
