"""Checks of the elastic constants at temperature, in words."""

from __future__ import annotations

from collections.abc import Iterator

from hashigo.report.figures.source import Results


def thermoelasticity(results: Results) -> Iterator[tuple[str, str, str]]:
    """Elastic constants at temperature against the thermal expansion, and their scope.

    Args:
        results: of a run.
    """
    note = results.note("thermoelasticity", "thermoelasticity")
    if not note:
        return
    names = {
        "bulk_modulus": "bulk modulus against that of the thermal expansion",
        "expansion": "thermal expansion from the stiffness against that of its own stage",
        "reshaped": "strain by which cells of a shape relaxed without vibrations were freed of stress",
        "correction": "strain from the cells of the thermal expansion to those without stress",
    }
    for key, name in names.items():
        if key in note["checks"]:
            yield "thermoelasticity", name, f"at most {100 * note['checks'][key]:.2g} %"
    yield "thermoelasticity", "scope", f"{note['method']}; {note['derived']}"
