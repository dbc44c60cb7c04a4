"""How long frames took to compute, from the jobs they came from."""

from __future__ import annotations

import gzip
import json
from typing import Any

from hashigo.calculators.data import FramesData


def seconds_per_frame(frames: FramesData) -> float | None:
    """Mean time of a frame of the reference stage's result, s; None when its jobs do not tell.

    Args:
        frames: node; frames that were known before count with the time of the job that computed them.
    """
    wanted = set(frames.base.attributes.get("identities"))
    merged = frames.creator.inputs.frames.creator  # split_atoms took what merge_frames gave
    times: dict[str, float] = {}
    for link in merged.base.links.get_incoming().all():
        if link.link_label.startswith("part_"):
            times.update(_times(link.node))
    known = [seconds for identity, seconds in times.items() if identity in wanted]
    return round(sum(known) / len(known), 3) if known else None


def _times(part: FramesData) -> dict[str, float]:
    """Time of each frame by identity, s."""
    source = part.creator
    if source.process_label == "gather_frames":
        return _of_jobs(source)
    if "log" not in source.outputs:
        return {}
    lines = gzip.decompress(source.outputs.log.get_content(mode="rb")).decode("utf-8").splitlines()
    told = (json.loads(line) for line in lines)
    return {each["identity"]: float(each["seconds"]) for each in told if not each["error"]}


def _of_jobs(gathering: Any) -> dict[str, float]:
    names = gathering.inputs.sampled.base.attributes.get("identities")
    out = {}
    for link in gathering.base.links.get_incoming().all():
        index, _, port = link.link_label.removeprefix("frame_").partition("__")
        if port == "output_parameters" and "wall_time_seconds" in link.node.keys():  # noqa: SIM118
            out[names[int(index)]] = float(link.node["wall_time_seconds"])
    return out
