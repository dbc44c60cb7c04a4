"""How frames become batches: which are known, which are worth a job of their own, and what a batch is given."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

from aiida.common.exceptions import NotExistent
from aiida.orm import CalcFunctionNode, CalcJobNode, Int, ProcessNode, QueryBuilder, RemoteData, load_node

from hashigo.calculators.calculation import PROGRESS_FILE, task_version
from hashigo.calculators.data import FramesData
from hashigo.calculators.engines import Engine
from hashigo.scheduler_profiles.computers import job_options, program_command
from hashigo.scheduler_profiles.model import Site
from hashigo.workflows.frame_nodes import GATHERING, identities
from hashigo.workflows.stage import job_failure

#: Exit statuses of a batch whose result holds frames: all of them, those until it was stopped, all but some.
PARTIAL, FRAMES = 440, 441
_WITH_FRAMES = (0, PARTIAL, FRAMES)

#: Statuses by which the process of a frame says itself why it is given up; of others, the deepest failure says it.
OWN_SENTENCES = range(430, 440)

#: Statuses of a batch that was ended from outside: no memory, no walltime left, a node or a rank that died.
DIED = (110, 120, 140, 300)


def known_frames(sampled: FramesData) -> list[FramesData]:
    """Nodes that hold some of the sampled frames, of batches and of jobs a frame: equal work has equal identity."""
    wanted = set(identities(sampled))
    engine = sampled.base.attributes.get("engine")
    found = []
    for query in (_of_batches(engine), _of_jobs(engine)):
        for pk, names in query.order_by({"frames": {"id": "asc"}}).iterall():
            if not wanted:
                break
            if wanted & set(names):
                found.append(pk)
                wanted -= set(names)
    return [load_node(pk) for pk in found]


def _of_batches(engine: str) -> QueryBuilder:
    query = QueryBuilder().append(
        CalcJobNode,
        filters={
            "attributes.process_label": "WorkerCalculation",
            "attributes.exit_status": {"in": list(_WITH_FRAMES)},
        },
        tag="source",
    )
    return _with_frames(query, "task_version", task_version("forces"), engine)


def _of_jobs(engine: str) -> QueryBuilder:
    query = QueryBuilder().append(
        CalcFunctionNode, filters={"attributes.process_label": "gather_frames"}, tag="source"
    )
    return _with_frames(query, "version", GATHERING, engine)


def _with_frames(query: QueryBuilder, label: str, version: int, engine: str) -> QueryBuilder:
    # A corrected worker, or reading, serves no old frames.
    query.append(
        Int, with_outgoing="source", edge_filters={"label": label}, filters={"attributes.value": version}
    )
    # Only what is needed of each: there may be thousands of jobs.
    query.append(
        FramesData, with_incoming="source", edge_filters={"label": "result"}, tag="frames",
        filters={"attributes.engine": engine}, project=["id", "attributes.identities"],
    )  # fmt: skip
    return query


def runs_in_batch(engine: Engine, packed: bool | None, site: Site) -> bool:
    """Whether frames are computed by the batch worker, many in one job, and not one job a frame.

    Args:
        engine: that computes.
        packed: what the study says; None leaves it to the site.
        site: where it runs.
    """
    if engine.calculator is None or engine.job is None:
        return engine.calculator is not None
    return site.few_jobs if packed is None else packed


def batch_options(site: Site, engine: Engine, settings: Mapping[str, Any], n_frames: int) -> dict[str, Any]:
    """Options of a batch: each computing rank has the cores that one frame uses.

    Args:
        site: where it runs.
        engine: that computes; its setting `ranks`, where it has one, says how many cores a frame uses.
        settings: of the engine, complete.
        n_frames: count of frames to be computed.
    """
    each = min(int(settings.get("ranks", 1)), site.n_cores()) if engine.program else 1
    options = job_options(site, min(site.n_cores() // each, n_frames), managed=True)
    if engine.program is not None:
        options["program"] = program_command(site, engine.program, each)
    return options


def frame_options(site: Site, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Options of one frame's own job: its ranks and walltime within what the site gives, and the site's memory.

    Args:
        site: where it runs.
        settings: of the engine, complete; `ranks` and `walltime` [s] where it has them.
    """
    options = job_options(site, int(settings.get("ranks", 1)), settings.get("walltime"))
    # An empty entry is left out: a job's options belong to its hash, by which finished jobs are found again.
    return {name: value for name, value in options.items() if value != {}}


def frames_reached(batch: CalcJobNode) -> int:
    """Number of frames that a batch which left no result had behind it, with those of its earlier tries."""
    try:
        return int(
            json.loads(batch.outputs.retrieved.base.repository.get_object_content(PROGRESS_FILE))["done"]
        )
    except (NotExistent, OSError, KeyError, ValueError):
        return 0


def frame_errors(batch: CalcJobNode) -> dict[str, str]:
    """Why frames of a batch could not be computed, by identity, as its log tells."""
    if "log" not in batch.outputs:
        return {}
    lines = gzip.decompress(batch.outputs.log.get_content(mode="rb")).decode("utf-8").splitlines()
    told = (json.loads(line) for line in lines)
    return {record["identity"]: record["error"] for record in told if record["error"]}


def frame_failure(job: ProcessNode) -> str:
    """One sentence on why a frame's own job ended without success.

    Args:
        job: of the engine.
    """
    own = job.exit_status is not None and job.exit_status in OWN_SENTENCES
    return str(job.exit_message) if own else job_failure(job)


def is_cached(process: Any) -> bool:
    """Whether a process, or a job that it has called, was taken from the cache."""
    return any(node.base.caching.is_created_from_cache for node in (process, *process.called_descendants))


def clean_folder(folder: RemoteData) -> None:
    """Remove what a job left in its scratch folder."""
    if folder.is_cleaned:
        return
    try:
        folder._clean()
    except OSError:
        return  # the site is out of reach, or has removed it itself
