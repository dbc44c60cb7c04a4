"""How frames become batches: which are known, which are worth a job of their own, and what a batch is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiida.common.exceptions import NotExistent
from aiida.orm import CalcJobNode, Int, QueryBuilder, load_node

from hashigo.calculators.calculation import PROGRESS_FILE, task_version
from hashigo.calculators.data import FramesData
from hashigo.calculators.engines import Engine
from hashigo.scheduler_profiles.computers import job_options, program_command
from hashigo.scheduler_profiles.model import Site
from hashigo.workflows.frame_nodes import identities

#: Exit statuses of a batch whose result holds frames: all of them, those until it was stopped, all but some.
PARTIAL, FRAMES = 440, 441
_WITH_FRAMES = (0, PARTIAL, FRAMES)

#: Statuses of a batch that was ended from outside: no memory, no walltime left, a node or a rank that died.
DIED = (110, 120, 140, 300)


def known_frames(sampled: FramesData) -> list[FramesData]:
    """Nodes of earlier batches that hold some of the sampled frames: the same work has the same identity."""
    wanted = set(identities(sampled))
    query = QueryBuilder().append(
        CalcJobNode,
        filters={
            "attributes.process_label": "WorkerCalculation",
            "attributes.exit_status": {"in": list(_WITH_FRAMES)},
        },
        tag="job",
    )
    # A corrected worker serves no old frames.
    query.append(
        Int, with_outgoing="job", edge_filters={"label": "task_version"},
        filters={"attributes.value": task_version("forces")},
    )  # fmt: skip
    # Only what is needed of each: there may be thousands of jobs.
    query.append(
        FramesData, with_incoming="job", edge_filters={"label": "result"}, tag="frames",
        filters={"attributes.engine": sampled.base.attributes.get("engine")},
        project=["id", "attributes.identities"],
    )  # fmt: skip
    found = []
    for pk, names in query.order_by({"frames": {"id": "asc"}}).iterall():
        have = wanted & set(names)
        if have:
            found.append(pk)
            wanted -= have
        if not wanted:
            break
    return [load_node(pk) for pk in found]


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
