"""The runs of a component: the wanted one, coarser ones that tell its errors, and those of other materials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.component import TASK_VERSION
from hashigo.calculators.workers.component.case import COARSER, STEP, Case
from hashigo.calculators.workers.component.given import given_properties
from hashigo.calculators.workers.component.grid import Grid
from hashigo.calculators.workers.component.ladder import read_properties
from hashigo.calculators.workers.component.material import Material
from hashigo.calculators.workers.component.properties import (
    MEAN,
    Property,
    Variant,
    check_range,
    chosen,
    material,
    variants,
)
from hashigo.calculators.workers.component.result import NAMES, Found, values_of, write
from hashigo.calculators.workers.component.simulate import Outcome, Run, simulate
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.saved import Saved, inputs_hash
from hashigo.calculators.workers.stopping import Stop
from hashigo.errors import InputError

#: Cost of the wanted run, in the unit of one in half as many cells along each edge.
_FINE = 8.0
#: What is being done, for those who wait.
_TEXTS = {"fine": "in the cells asked for", "coarse": "in fewer cells", "long-steps": "in longer time steps"}


@dataclass(frozen=True)
class Runner:
    """Does one run after another, and finds those of an earlier try.

    Attributes:
        case: what is to be computed.
        properties: of the material, by name.
        saved: where runs are kept.
        tell: called with the cost that is done, dimensionless, and what is being done.
        reason: why the job is to end, "" while it is not.
    """

    case: Case
    properties: Mapping[str, Property]
    saved: Saved
    tell: Callable[[float, str], None]
    reason: Callable[[], str]

    def materials(self, variant: Variant) -> dict[int, Material]:
        """Of each region.

        Args:
            variant: which values.
        """
        curves = chosen(self.properties, variant)
        found = {}
        for region in self.case.source:
            own = given_properties(self.case.regions.get(region, {}), f"component.regions.{region}.material")
            mixed = {**curves, **{name: one.curve for name, one in own.items() if name in curves}}
            found[region] = material(mixed, self.case.reference)
        return found

    def outcome(
        self, name: str, grid: Grid, variant: Variant, coarser: float, done: float, cost: float
    ) -> Outcome:
        """One run.

        Args:
            name: for what is kept of it.
            grid: cells.
            variant: of the material.
            coarser: factor on the error of a time step, dimensionless.
            done: cost of the runs before, dimensionless.
            cost: of this one, dimensionless.
        """
        run = Run(
            name,
            grid,
            self.materials(variant),
            STEP * self.case.tolerance * coarser,
            self.saved,
            lambda share: self.tell(done + cost * share, _TEXTS.get(name, variant.words)),
            self.reason,
        )
        return simulate(self.case, run)

    def numbers(self, name: str, variant: Variant, coarser: float, done: float) -> dict[str, float]:
        """The quantities of a run in half as many cells, for which that of an earlier try will do.

        Args:
            name: for what is kept of it.
            variant: of the material.
            coarser: factor on the error of a time step, dimensionless.
            done: cost of the runs before, dimensionless.
        """
        kept = self.saved.load(f"{name}-numbers")
        if kept is None:
            try:
                outcome = self.outcome(name, self.case.coarse, variant, coarser, done, 1.0)
            except InputError as error:
                if variant == MEAN:
                    raise
                # The mean stays where its material is known, and this one does not.
                raise InputError(f"{error.message} (material: {variant.words})", fix=error.fix) from None
            kept = {key: np.array(value) for key, value in values_of(outcome).items()}
            self.saved.save(f"{name}-numbers", kept)
        return {key: float(kept[key]) for key in NAMES if key in kept}


def perform(job: Job) -> None:
    """Do all runs of a job and write what follows from them.

    Raises:
        InputError: when parameters, inputs or the temperatures that it gets to do not fit.
        WorkerError: when equations are not solved.
        PartialResult: when a signal or the walltime ended the job; the next one goes on from there.
    """
    if not job.is_root:
        return
    case = Case.read(job.parameters, _voxels(job))
    properties = read_properties(
        job.inputs, case.material, case.grain_size, case.free_temperature is not None
    )
    others = variants(properties)
    total = _FINE + 2 + len(others)
    saved = Saved(job.partial_results / inputs_hash(job, TASK_VERSION))  # other ranks do not come here
    with Stop(job.walltime, job.begun) as stop, saved:
        runner = Runner(
            case, properties, saved, lambda done, text: job.progress(done, total, text), lambda: stop.reason
        )
        _check_known(case, runner.materials(MEAN))
        fine = runner.outcome("fine", case.grid, MEAN, 1.0, 0.0, _FINE)
        coarse = runner.numbers("coarse", MEAN, 1.0, _FINE)
        coarser = runner.numbers("long-steps", MEAN, COARSER, _FINE + 1)
        found = {
            other: runner.numbers(other.name, other, 1.0, _FINE + 2 + index)
            for index, other in enumerate(others)
        }
        write(job.output, case, properties, Found(fine, coarse, coarser, found))
        job.progress(total, total, "component")


def _voxels(job: Job) -> NDArray[Any] | None:
    return np.load(job.inputs["body"], allow_pickle=False) if "body" in job.inputs else None


def _check_known(case: Case, materials: Mapping[int, Material]) -> None:
    """Whether materials are known where the component certainly gets to."""
    held = [face.temperature for face in case.faces.values() if face.temperature is not None]
    for one in materials.values():
        for name, curve in one.curves.items():
            kelvin = [case.initial, *([case.reference] if name == "expansion" else [])]
            kelvin += held if name == "conductivity" else []
            check_range(curve, min(kelvin), max(kelvin), name, " at the start, or at a face")
