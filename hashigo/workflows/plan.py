"""What a study will run, before anything is started."""

from __future__ import annotations

from typing import Any

from aiida.plugins import WorkflowFactory

from hashigo.calculators.engines import get_engine
from hashigo.scheduler_profiles.computers import mpi_works
from hashigo.scheduler_profiles.model import load_site
from hashigo.workflows.batches import runs_in_batch
from hashigo.workflows.inputs import Prepared
from hashigo.workflows.learning import first_sampling
from hashigo.workflows.stage import Stage, stages_of


def plan_rows(prepared: Prepared) -> list[dict[str, Any]]:
    """One row for each stage: name, title, count of jobs, count of MPI ranks of each, what it needs in words."""
    return [
        {
            "stage": stage.name,
            "title": stage.title,
            "jobs": _jobs(stage, prepared),
            "ranks": _ranks(stage, prepared) if _jobs(stage, prepared) else 0,
            "needs": stage.needs(prepared.content),
        }
        for stage in stages_of(prepared.content)
    ]


def _jobs(stage: Stage, prepared: Prepared) -> int:
    if stage.name == "learning":  # at least one round
        return _reference_jobs(prepared) + 3
    if stage.name == "reference":
        return 0 if prepared.content["learning"] else _reference_jobs(prepared)
    return stage.jobs(prepared.content) if stage.task else 0


def _reference_jobs(prepared: Prepared) -> int:
    reference = prepared.content["reference"]
    if reference["data"]:
        return 0
    if _in_batch(prepared):
        return 1
    sampling = reference["sampling"]
    if prepared.content["learning"]:
        sampling = first_sampling(sampling, 0, prepared.content["learning"]["budget"]["frames"])
    elements = set(prepared.structure.get_chemical_symbols())
    return int(sampling["displaced"] + sampling["strained"] + sampling["volumes"] + len(elements))


def _in_batch(prepared: Prepared) -> bool:
    reference = prepared.content["reference"]
    site = load_site(prepared.study.site)
    return runs_in_batch(get_engine(reference["engine"]), reference.get("packed"), site)


def _ranks(stage: Stage, prepared: Prepared) -> int:
    site = load_site(prepared.study.site)
    cores = site.n_cores() if mpi_works(site) else 1
    if stage.name in ("reference", "learning"):
        each = int((prepared.content["reference"]["settings"] or {}).get("ranks", 1))
        return cores if _in_batch(prepared) else min(each, cores)
    process = WorkflowFactory(stage.process)
    return min(process.most_ranks(stage.parameters(prepared.content)) or cores, cores)
