"""What a component's job writes: quantities with their errors, the history, fields, and where the peaks are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.component import TASK, TASK_VERSION
from hashigo.calculators.workers.component.case import Case
from hashigo.calculators.workers.component.fields import write_steps
from hashigo.calculators.workers.component.properties import GIVEN, Property, Variant
from hashigo.calculators.workers.component.simulate import Outcome
from hashigo.calculators.workers.component.watch import (
    DISTANCE,
    HIGHEST,
    LOWEST,
    PROBES,
    SETTLED,
    STORED,
    TIME,
    Peak,
)
from hashigo.calculators.workers.homogenization.tensors import von_mises

Floats = NDArray[np.float64]

#: Quantities by short name.
NAMES = {
    "temperature": "component_peak_temperature",
    "steady": "component_steady_temperature",
    "settled": "component_settling_time",
    "von_mises": "component_von_mises_stress",
    "principal": "component_principal_stress",
}
#: Error of the finer of two resolutions of second order, relative to their difference. A peak of stress is taken to
#: be of no order: at a clamped edge it has no limit at all.
SECOND_ORDER = 1 / 3
#: Of a quantity that some of the runs do not have, as where a member does not settle.
INCOMPLETE = "uncertainty not known: not reached with every member or error"
_MM = 1e3
#: Stress is told in MPa.
_MPA = 1e3
_FACTORS = {"von_mises": _MPA, "principal": _MPA}


@dataclass(frozen=True)
class Found:
    """The runs of a job.

    Attributes:
        fine: the wanted one.
        coarse: quantities by short name in half as many cells along each edge, K, s, MPa.
        coarser: likewise, with time steps twice as long besides.
        others: likewise as `coarse`, with other materials.
    """

    fine: Outcome
    coarse: Mapping[str, float]
    coarser: Mapping[str, float]
    others: Mapping[Variant, Mapping[str, float]]


def values_of(outcome: Outcome) -> dict[str, float]:
    """Quantities of a run by short name, K, s and MPa; those that it does not have are left out."""
    found = {name: peak.value * _FACTORS.get(name, 1.0) for name, peak in outcome.peaks.items()}
    found["settled"] = outcome.settled
    return {name: float(found[name]) for name in NAMES if name in found and np.isfinite(found[name])}


def errors(found: Found, name: str) -> tuple[dict[str, float], Floats | None]:
    """Parts of a quantity's standard uncertainty, and the committee's values.

    Members and shifted materials were computed in half as many cells; what they change there is taken for what they
    change in all, of stress relative to the peak, which coarser cells make lower.

    Args:
        found: the runs.
        name: short name of a quantity.

    Returns:
        Parts by name, and values of shape (n_members,) or None; in the unit of the quantity.
    """
    value, coarse = values_of(found.fine)[name], found.coarse.get(name, np.nan)
    stress = name in ("von_mises", "principal")
    order = 1.0 if stress else SECOND_ORDER
    parts = {"resolution": order * abs(value - coarse)}
    if name != "steady":
        parts["time"] = SECOND_ORDER * abs(coarse - found.coarser.get(name, np.nan))
    members = []
    for variant, numbers in found.others.items():
        change = (numbers.get(name, np.nan) - coarse) * (value / coarse if stress and coarse else 1.0)
        if variant.member is not None:
            members.append(value + change)
        elif variant.shifted is not None:
            part = variant.shifted[1]
            parts[part] = float(np.hypot(parts.get(part, 0.0), change))
    if len(members) > 1:
        parts["model"] = float(np.std(members, ddof=1))
    return parts, np.array(members) if members else None


def scale(found: Found, name: str) -> float:
    """What errors of a quantity are judged against: its value, of a temperature the largest difference of the run.

    Args:
        found: the runs.
        name: short name of a quantity.

    Returns:
        K, s or MPa.
    """
    value = values_of(found.fine)[name]
    if name not in ("temperature", "steady"):
        return abs(value)
    history = found.fine.history
    return float(max(history[:, HIGHEST].max(), value) - history[:, LOWEST].min())


def write(path: Path, case: Case, properties: Mapping[str, Property], found: Found) -> None:
    """Write the result.

    Args:
        path: file to write.
        case: what was asked for.
        properties: of the material, by name.
        found: the runs.
    """
    numerical = {}
    with ResultWriter(path, task=TASK, task_version=TASK_VERSION) as writer:
        for name, value in values_of(found.fine).items():
            if name not in found.coarse or name not in found.coarser:
                continue
            parts, members = errors(found, name)
            complete = bool(np.isfinite(list(parts.values())).all())
            parts = {key: part for key, part in parts.items() if np.isfinite(part)}
            allowed = case.tolerance * scale(found, name)
            own = max(parts.get("resolution", 0.0), parts.get("time", 0.0))
            numerical[name] = {
                "resolution": parts.get("resolution"),
                "time": parts.get("time"),
                "allowed": allowed,
            }
            known = all(_known(one) for one in properties.values())
            writer.quantity(
                NAMES[name],
                value,
                components=parts if known and complete else {},
                members=members if members is not None and np.isfinite(members).all() else None,
                calibrated=_calibrated(properties),
                converged=own <= allowed and all(one.converged is not False for one in properties.values()),
                marks=(*_marks(properties, case, name), *(() if complete else (INCOMPLETE,))),
            )
        _write_history(writer, case, found.fine)
        _write_fields(writer, case, found.fine)
        writer.note("component", _note(case, properties, found, numerical))


def _known(one: Property) -> bool:
    """Whether the uncertainty of a property is: what was given by hand counts as exact."""
    return one.origin == GIVEN or bool(one.parts) or one.members is not None


def _calibrated(properties: Mapping[str, Property]) -> bool:
    spread = [one.calibrated for one in properties.values() if one.members is not None]
    return bool(spread) and all(spread)


def _marks(properties: Mapping[str, Property], case: Case, name: str) -> tuple[str, ...]:
    stress = name in ("von_mises", "principal")
    used = {key: one for key, one in properties.items() if stress or key not in ("stiffness", "expansion")}
    # A column's mark "of 0 K" stands beside its name in the handover, and beside others here.
    marks = list(
        dict.fromkeys(
            f"{key.replace('_', ' ')} {mark}" if mark.startswith("of ") else mark
            for key, one in used.items()
            for mark in one.marks
        )
    )
    given = [key.replace("_", " ") for key, one in used.items() if one.origin == GIVEN]
    if given:
        marks.append(f"{', '.join(given)} given")
    marks += [
        f"uncertainty of {key.replace('_', ' ')} not known" for key, one in used.items() if not _known(one)
    ]
    if stress and "fixed" in case.supports.held.values():
        marks.append("grows with resolution at the edges of a fixed face")
    return tuple(marks)


def _write_history(writer: ResultWriter, case: Case, outcome: Outcome) -> None:
    columns = {
        "time": (TIME, "s"),
        "stored_heat": (STORED, "J"),
        "lowest": (LOWEST, "K"),
        "highest": (HIGHEST, "K"),
        "distance": (DISTANCE, "K"),
    }
    for name, (column, unit) in columns.items():
        if np.isfinite(outcome.history[:, column]).all():
            writer.array(f"history/{name}", outcome.history[:, column], units=unit)
    writer.array("history/probes", outcome.history[:, PROBES:], units="K")
    writer.array("probes", case.probes * _MM, units="mm")


def _write_fields(writer: ResultWriter, case: Case, outcome: Outcome) -> None:
    grid = case.grid
    count = len(case.outputs)
    moving = {"temperature": outcome.temperature}
    if outcome.stress is not None and outcome.displacement is not None:
        moving["von_mises"] = _MPA * von_mises(outcome.stress)
        moving["stress"] = _MPA * outcome.stress
        moving["displacement"] = outcome.displacement * 1e6
    fields = {name: np.array([grid.spread(one) for one in values[:count]]) for name, values in moving.items()}
    still: dict[str, NDArray[Any]] = {"region": grid.region.astype(np.int32)}
    if outcome.steady:
        still.update({f"{name}_steady": grid.spread(values[count]) for name, values in moving.items()})
    write_steps(writer.file, fields, still, np.array(case.outputs), grid.spacing * _MM)
    writer.array("outputs", case.outputs, units="s")
    normal = _telling_normal(fields["temperature"][-1])
    writer.note("slice", {"normal": normal})
    for name, unit in (("temperature", "K"), ("von_mises", "MPa")):
        if name in fields:
            writer.array(f"slice/{name}", _middle(fields[name][-1], normal), units=unit)


def _middle(values: Floats, normal: str) -> Floats:
    """The middle plane of a field, shape (nz, ny, nx), across an axis."""
    axis = "zyx".index(normal)
    return np.asarray(np.take(values, values.shape[axis] // 2, axis))


def _telling_normal(temperature: Floats) -> str:
    """The axis across whose middle plane temperatures, K, differ most; z where others differ by hardly more."""
    spread = {}
    for normal in "zyx":
        plane = _middle(temperature, normal)
        known = plane[np.isfinite(plane)]
        spread[normal] = 0.99 * float(np.ptp(known)) if known.size else 0.0
    spread["z"] /= 0.99
    return max("zyx", key=spread.__getitem__)


def _note(
    case: Case, properties: Mapping[str, Property], found: Found, numerical: Mapping[str, Any]
) -> dict[str, Any]:
    fine = found.fine
    stored = float(fine.history[-1, STORED])
    came = fine.given + sum(fine.entered.values())
    moved = max(abs(fine.given), *(abs(heat) for heat in fine.entered.values()), abs(stored), 1e-300)
    return {
        "cells": list(case.grid.region.shape[::-1]),
        "cell_edges_mm": (case.grid.spacing * _MM).tolist(),
        "cells_inside": case.grid.n_cells,
        "coarse_cells": list(case.coarse.region.shape[::-1]),
        "steps": len(fine.history) - 1,
        "rejected": fine.rejected,
        "no_steady_state": fine.absent,
        "heat": {
            "stored_J": stored,
            "faces_J": dict(fine.entered),
            "source_J": fine.given,
            "imbalance": abs(stored - came) / moved,
        },
        "peaks": {name: _peak(peak, _FACTORS.get(name, 1.0)) for name, peak in fine.peaks.items()},
        "errors": dict(numerical),
        "tolerance": case.tolerance,
        "settled": f"no temperature farther from its steady state than {SETTLED:.0%} of the farthest at first",
        "origins": {name: one.origin for name, one in properties.items()},
        "others": "committee members and shifted materials in half as many cells along each edge",
        "units": {
            "displacement": "µm",
            "stress": "MPa",
            "von_mises": "MPa",
            "temperature": "K",
            "length": "mm",
        },
        "scope": "small strains, isothermal stiffness at rest; conductivity, heat capacity and stiffness follow the "
        "temperature, density and size are those of the reference temperature; heat that deformation makes is left out",
        "reference_temperature": case.reference,
    }


def _peak(peak: Peak, factor: float) -> dict[str, Any]:
    steady = not np.isfinite(peak.time)
    return {
        "value": factor * peak.value,
        "time": None if steady else peak.time,
        "steady": steady,
        "place_mm": (np.asarray(peak.place) * _MM).tolist(),
    }
