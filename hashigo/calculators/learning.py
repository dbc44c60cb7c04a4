"""Active learning's bookkeeping: how well a property is known after a round, whether to go on, what to label next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.results import QuantityRecord, ResultReader, ResultWriter

Floats = NDArray[np.float64]

#: Property of the goal -> its quantity, and the stage that computes it.
PROPERTIES = {
    "thermal_conductivity": ("lattice_thermal_conductivity", "conductivity"),
    "stiffness": ("stiffness", "elasticity"),
}
#: Frames of the first round, by kind of the sampling; the study's own numbers where they are smaller.
FIRST = {"displaced": 3, "strained": 4, "volumes": 3}
#: Components of a tensor below this share of its largest do not count: they have no relative uncertainty.
_SHARE = 0.1


@dataclass(frozen=True)
class Round:
    """What is known after one round.

    Attributes:
        frames: count of frames labelled so far, free atoms not counted.
        core_hours: number of core·h that the reference has spent on them; None where its jobs do not tell.
        force_error: root mean square on the frames held out, eV/Å; None where the round has no potential.
        values: representative value of each property, W/(m K) or GPa.
        uncertainties: relative standard uncertainty of each property by the committee, dimensionless.
        calibrated: whether the committee's spread is.
        failed: why the round has no potential or no property; empty where it has.
    """

    frames: int
    core_hours: float | None = None
    force_error: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    uncertainties: Mapping[str, float] = field(default_factory=dict)
    calibrated: bool = False
    failed: str = ""

    def reached(self, goal: Mapping[str, float]) -> bool:
        """Whether every property is known as well as asked for, by a spread that is calibrated.

        Args:
            goal: relative uncertainty by property, dimensionless.
        """
        return self.calibrated and all(self.uncertainties.get(name, np.inf) <= goal[name] for name in goal)


def relative_uncertainty(record: QuantityRecord) -> tuple[float, float]:
    """A quantity's representative value and its committee's relative spread.

    Args:
        record: with members.

    Returns:
        Largest component of the first condition in the quantity's unit, and the largest relative standard deviation
        of the members over all conditions and all components that are not small; infinite without members.
    """
    value = np.asarray(record.value, dtype=float)
    largest = np.abs(value).reshape(len(value), -1).max(axis=1)
    top = float(value[0].flat[int(np.argmax(np.abs(value[0])))])
    if record.members is None or len(record.members) < 2:
        return top, float("inf")
    counted = np.abs(value) >= _SHARE * largest.reshape(-1, *[1] * (value.ndim - 1))
    spread = record.members.std(axis=0, ddof=1)
    return top, float(np.max(spread[counted] / np.abs(value[counted])))


def read_round(
    frames: int, core_hours: float | None, training: ResultReader, results: Mapping[str, ResultReader]
) -> Round:
    """What a round's results say.

    Args:
        frames: count of frames labelled so far.
        core_hours: number of core·h spent on them; None where it is not known.
        training: result of the training.
        results: result of the stage of each property of the goal, by property.
    """
    found = {
        name: relative_uncertainty(reader.quantity(PROPERTIES[name][0])) for name, reader in results.items()
    }
    known = "force_error" in training.quantities()
    return Round(
        frames=frames,
        core_hours=core_hours,
        force_error=float(training.quantity("force_error").value[0]) if known else None,
        values={name: value for name, (value, _) in found.items()},
        uncertainties={name: share for name, (_, share) in found.items()},
        calibrated=bool((training.note("calibration") or {}).get("calibrated")),
    )


def why_stop(rounds: Sequence[Round], goal: Mapping[str, float], budget: Mapping[str, Any]) -> str:
    """Why no further round is run: "goal", "frames" or "core_hours"; "" to go on.

    Args:
        rounds: so far.
        goal: relative uncertainty by property, dimensionless.
        budget: frames, count; core_hours, number of core·h or None.
    """
    if not rounds:
        return ""
    last = rounds[-1]
    if last.reached(goal):
        return "goal"
    if last.frames >= budget["frames"]:
        return "frames"
    limit = budget.get("core_hours")
    return "core_hours" if limit is not None and (last.core_hours or 0.0) >= limit else ""


def shares(last: Round, goal: Mapping[str, float], batch: int) -> tuple[int, int]:
    """How many supercells and strained cells to label next: more for the property that is farther from its goal.

    Args:
        last: the round before.
        goal: relative uncertainty by property, dimensionless.
        batch: count of frames.
    """
    need = {name: min(last.uncertainties.get(name, np.inf) / goal[name], 10.0) for name in goal}
    # What is known well enough asks for no more; a spread that is not calibrated asks for both.
    open_needs = {name: value for name, value in need.items() if value > 1} or dict.fromkeys(need, 1.0)
    supercells, strained = open_needs.get("thermal_conductivity", 0.0), open_needs.get("stiffness", 0.0)
    count = round(batch * supercells / (supercells + strained))
    if supercells and strained:
        count = min(max(count, 1), max(batch - 1, 1))
    return count, batch - count


def sentence(reason: str, rounds: Sequence[Round], goal: Mapping[str, float]) -> str:
    """What happened, for people.

    Args:
        reason: of `why_stop`.
        rounds: all of them.
        goal: relative uncertainty by property, dimensionless.
    """
    last = rounds[-1]
    known = ", ".join(
        f"{name.replace('_', ' ')} to {100 * last.uncertainties[name]:.2g} % (goal {100 * goal[name]:.2g} %)"
        for name in goal
        if np.isfinite(last.uncertainties.get(name, np.inf))
    )
    state = "" if last.calibrated else ", by a spread that is not calibrated"
    what = known + state if known else f"no property ({last.failed or 'no potential'})"
    ends = {
        "goal": f"the goal is reached with {last.frames} frames",
        "frames": f"the budget of frames is spent with {last.frames}, before the goal",
        "core_hours": f"the budget of core-hours is spent with {last.frames} frames, before the goal",
    }
    return f"{ends[reason]}: {what}"


def write_rounds(
    writer: ResultWriter, rounds: Sequence[Round], goal: Mapping[str, float], budget: Mapping[str, Any]
) -> None:
    """Write the rounds, with the goal and why they ended.

    Args:
        writer: of the result.
        rounds: all of them.
        goal: relative uncertainty by property, dimensionless.
        budget: frames, count; core_hours, number of core·h or None.
    """
    writer.array("rounds/frames", [one.frames for one in rounds], units="dimensionless")
    nan = float("nan")
    errors = [nan if one.force_error is None else one.force_error for one in rounds]
    writer.array("rounds/force_error", errors, units="eV/Å")
    hours = [nan if one.core_hours is None else one.core_hours for one in rounds]
    writer.array("rounds/core_hours", hours, units="core·h")
    for name in goal:
        share = [one.uncertainties.get(name, nan) for one in rounds]
        writer.array(f"rounds/{name}/uncertainty", share, units="dimensionless")
        writer.array(
            f"rounds/{name}/value",
            [one.values.get(name, nan) for one in rounds],
            units="GPa" if name == "stiffness" else "W/(m K)",
        )
    reason = why_stop(rounds, goal, budget)
    writer.note("rounds", [asdict(one) for one in rounds])
    writer.note("goal", dict(goal))
    writer.note("budget", dict(budget))
    writer.note("stopped", {"reason": reason, "sentence": sentence(reason, rounds, goal)})
