"""What the report says of the component."""

from __future__ import annotations

from hashigo.report.checks_component import component
from hashigo.report.figures import Results


def test_heat_errors_and_places_are_told(results):
    rows = {what: text for _, what, text in component(results)}
    assert rows["heat that is kept"].startswith("stored ")
    assert "time steps MPa; " in rows["error of the largest von Mises stress"]
    assert rows["highest temperature"] == "400 K at 0 s, at 0, 0.5, 0.5 mm"
    assert rows["material"].startswith("conductivity: given in the study; ")
    assert "no steady state" not in rows


def test_without_a_component_there_is_nothing_to_say():
    assert list(component(Results({}))) == []
