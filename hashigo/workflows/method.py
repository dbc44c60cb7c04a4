"""What the numbers of a run are relative to: the engine of its reference frames, and whether it is first-principles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.calculators.data import FramesData

#: Mark of every number that rests on an engine which is not first-principles, and on one that nobody named.
NOT_FIRST_PRINCIPLES = "not first-principles"
NOT_STATED = "reference method not stated"
#: How the mark of a potential that was not trained on the reference ends.
UNTRAINED = "as it is, not calibrated"


def reference_frames(run: Any) -> FramesData | None:
    """The reference frames of a run; None when there are none yet."""
    # AiiDA's managers of links have no `get`.
    frames = run.inputs.frames if "frames" in run.inputs else None
    if "stages" in run.outputs and "reference" in run.outputs.stages:
        frames = run.outputs.stages["reference"]
    return frames if isinstance(frames, FramesData) else None


def first_principles(frames: FramesData | None) -> bool | None:
    """Whether frames are of a first-principles engine; None where they do not say."""
    truth = None if frames is None else frames.header().get("first_principles")
    return None if truth is None else bool(truth)


def label(truth: bool | None) -> str:
    """Mark of the numbers that rest on such frames; empty for first principles."""
    if truth is None:
        return NOT_STATED
    return "" if truth else NOT_FIRST_PRINCIPLES


def method_content(run: Any) -> dict[str, Any]:
    """Engine and truth as plain values for results.json."""
    frames = reference_frames(run)
    header = {} if frames is None else frames.header()
    return {"engine": header.get("engine"), "first_principles": first_principles(frames)}


def untrained(note: Mapping[str, Any] | None) -> str:
    """Mark of the numbers of a potential that was not trained on the reference; empty where it was.

    Args:
        note: "training" of the potential's file.
    """
    model = (note or {}).get("model")
    return f"potential {model} {UNTRAINED}" if model and not (note or {}).get("members") else ""
