"""Checks of the stage "component" as the report tells them."""

from __future__ import annotations

from collections.abc import Iterator

from hashigo.report.figures import Results

_WORDS = {
    "temperature": ("highest temperature", "K"),
    "steady": ("highest temperature in the steady state", "K"),
    "von_mises": ("largest von Mises stress", "MPa"),
    "principal": ("largest principal stress", "MPa"),
    "settled": ("settling time", "s"),
}


def component(results: Results) -> Iterator[tuple[str, str, str]]:
    """Heat that is kept, errors of cells and time steps, places of the peaks, and what the numbers hold for.

    Args:
        results: of a run.

    Yields:
        Stage, what was checked, and the outcome.
    """
    note = results.note("component", "component")
    if not note:
        return
    heat = note["heat"]
    yield (
        "component",
        "heat that is kept",
        f"stored {heat['stored_J']:.4g} J is what came through faces and from sources, to {heat['imbalance']:.0e} of "
        f"the largest of them; {note['steps']} time steps, {note['rejected']} tried again",
    )
    if note["no_steady_state"]:
        yield "component", "no steady state", note["no_steady_state"]
    for name, error in note["errors"].items():
        words, unit = _WORDS[name]
        parts = [f"{error[key]:.2g} by {by}" for key, by in (("resolution", "cells"), ("time", "time steps"))
                 if error[key] is not None]  # fmt: skip
        yield (
            "component",
            f"error of the {words}",
            f"{', '.join(parts)} {unit}; {error['allowed']:.2g} allowed",
        )
    for name, peak in note["peaks"].items():
        words, unit = _WORDS[name]
        place = ", ".join(f"{value:.3g}" for value in peak["place_mm"])
        when = "in the steady state" if peak["steady"] else f"at {peak['time']:.4g} s"
        yield "component", words, f"{peak['value']:.4g} {unit} {when}, at {place} mm"
    origins = "; ".join(f"{name.replace('_', ' ')}: {origin}" for name, origin in note["origins"].items())
    yield "component", "material", origins
    yield "component", "scope", note["scope"]
