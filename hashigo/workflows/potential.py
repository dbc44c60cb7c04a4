"""Stage 3: a learned potential with errors on held-out frames; before it, if asked, the choice of a polynomial one."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from aiida.engine import ExitCode, ProcessSpec, ToContext, calcfunction, if_
from aiida.orm import Dict

from hashigo.calculators.calculation import WorkerCalculation
from hashigo.calculators.data import QuantitiesData
from hashigo.calculators.workers.models import DEFAULT, get_kind
from hashigo.scheduler_profiles.model import load_site
from hashigo.study.search import search_grid
from hashigo.workflows.stage import Stage, WorkerStage, job_failure, worker_inputs

SEARCH_TASK = "hyperparameters"
#: What of the training's parameters the search depends on, beside the grid.
SEARCHED_WITH = ("invariant_order", "held_out", "seed")


@calcfunction
def chosen_parameters(parameters: Dict, search: QuantitiesData) -> Dict:
    """Parameters of the training, with the model that a search has chosen."""
    with search.reader() as reader:
        chosen = reader.note("search")["parameters"]
    return Dict({**{key: value for key, value in parameters.get_dict().items() if key != "grid"}, **chosen})


class PotentialWorkChain(WorkerStage):
    """Train a committee of potentials on the reference frames, or compare a universal potential with them."""

    TASK = "training"

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.output("search", valid_type=QuantitiesData, required=False, help="Models that were tried.")
        spec.outline(
            if_(cls.is_searched)(cls.submit_search, cls.take_search), cls.submit_job, cls.take_result
        )

    @classmethod
    def most_ranks(cls, parameters: Mapping[str, Any]) -> int:
        """Count of MPI ranks that the larger of its jobs can use, 0 for all cores; one for each model of a search.

        Args:
            parameters: of the stage, or of the training.
        """
        if "grid" in parameters:
            return _candidates(parameters["grid"])
        return get_kind(parameters.get("model", DEFAULT)).ranks(parameters.get("settings") or {})

    def is_searched(self) -> bool:
        """Whether the model is chosen from a grid."""
        return "grid" in self.inputs.parameters.get_dict()

    def submit_search(self) -> ToContext:
        """Start the job that cross-validates the models."""
        given = self.inputs.parameters.get_dict()
        parameters = {key: given[key] for key in ("grid", *SEARCHED_WITH) if key in given}
        site = self.inputs.site.value
        ranks = min(self.most_ranks(given), load_site(site).n_cores())
        files = {"frames": self.inputs.files["frames"]}
        inputs = worker_inputs(site, SEARCH_TASK, Dict(parameters), files, ranks)
        return ToContext(search=self.submit(WorkerCalculation, **inputs))

    def take_search(self) -> ExitCode | None:
        """Hand on what the search found, and train what it has chosen."""
        job = self.ctx.search
        if not job.is_finished_ok:
            return self.exit_codes.ERROR_JOB.format(message=job_failure(job))
        self.out("search", job.outputs.result)
        self.ctx.parameters = chosen_parameters(self.inputs.parameters, job.outputs.result)
        return None

    def job_parameters(self) -> Dict:
        """Parameters of the training."""
        return self.ctx.parameters if "parameters" in self.ctx else self.inputs.parameters


def _candidates(grid: Mapping[str, Any]) -> int:
    return prod(len(values) for values in grid.values())


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    section = study["potential"]
    name = section.get("model", DEFAULT)
    if name != DEFAULT:
        kept = ("model", "settings", *get_kind(name).keys)
        return {**{key: section[key] for key in kept}, "seed": study["seed"]}
    potential = {key: value for key, value in section.items() if key not in ("model", "settings", "search")}
    grid = search_grid(section)
    if grid is None:
        return {**potential, "seed": study["seed"]}
    # What is searched for is not given: another value of it changes nothing.
    fixed = {key: value for key, value in potential.items() if key not in grid}
    return {**fixed, "seed": study["seed"], "grid": grid}


def _needs(study: Mapping[str, Any]) -> str:
    section = study["potential"]
    grid = search_grid(section)
    if grid is None:
        return get_kind(section.get("model", DEFAULT)).needs(section)
    return f"cross-validation of {_candidates(grid)} models, then {section['members']} members of one"


STAGE = Stage(
    name="potential",
    title="Potential",
    process="hashigo.potential",
    # The cell that the frames belong to: the same for every file that a user gives of the crystal.
    files={"frames": "reference", "structure": "reference.structure"},
    parameters=_parameters,
    task="training",
    needs=_needs,
    jobs=lambda study: 1 if search_grid(study["potential"]) is None else 2,
    further=("search",),
)
