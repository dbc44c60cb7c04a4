"""Checks of the stage "expansion" as the report tells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hashigo.report.figures.source import Results
from hashigo.report.figures.style import middle


def expansion(results: Results) -> Iterator[tuple[str, str, str]]:
    """What was checked of the thermal expansion, and the outcome.

    Args:
        results: of a run; without the stage there is nothing.

    Returns:
        Stage, name of the check and outcome, in words with units, of each.
    """
    note = results.note("expansion", "expansion")
    if not note:
        return
    yield (
        "expansion",
        "fit of the static energies",
        f"residual {note['fit_residual']:.2g} {note['fit_residual_unit']}",
    )
    check = note["spot_check"]
    outcome = check.get("skipped") or (
        f"{check['rms']:.2g} {check['unit']} r.m.s. over volumes {min(check['volumes']):.3f} to "
        f"{max(check['volumes']):.3f} times the structure's{_minimum(check)}"
    )
    yield "expansion", "energies of the potential against the reference's", outcome
    cross = note.get("cross_check", {})
    if cross.get("temperatures"):
        yield "expansion", "potential against the reference's force constants", _cross(cross)
    if note["volumes_with_imaginary_modes"]:
        yield (
            "expansion",
            "volumes left out",
            f"{len(note['volumes_with_imaginary_modes'])} have imaginary modes",
        )
    if note["absent"]:
        listed = ", ".join(f"{t:g}" for t in note["absent"])
        remedy = "widen expansion.volume_range"
        yield "expansion", f"no values at {listed} K", f"{note['absent_why']}: {remedy}"
    yield "expansion", "scope", note["method"]


def _minimum(check: Mapping[str, Any]) -> str:
    if "equilibrium_volume_ratio" not in check:
        return ""
    change = f"{100 * (check['equilibrium_volume_ratio'] - 1):+.2f}".replace("-", "−")
    return (
        f"; without vibrations its volume differs by {change} %, its bulk modulus is "
        f"{check['bulk_modulus_potential']:.1f} against {check['bulk_modulus_reference']:.1f} "
        f"{check['bulk_modulus_unit']}"
    )


def _cross(check: Mapping[str, Any]) -> str:
    row = middle(np.array(check["temperatures"]))
    own, other = (1e6 * check[f"expansion_{route}"][row] for route in ("potential", "reference"))
    text = f"{own:.2f} against {other:.2f} 10⁻⁶/K at {check['temperatures'][row]:g} K, {check['volumes']} volumes"
    return text.replace("-", "−")
