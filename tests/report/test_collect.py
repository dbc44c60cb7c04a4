"""Reports of real runs, also of those that did not come to their end."""

from __future__ import annotations

import json
import re
from html import unescape


def test_every_number_names_the_node_it_came_from(finished):
    folder = finished.workplace.folder / "study-results"
    numbers = json.loads((folder / "results.json").read_text())
    page = (folder / "report.html").read_text()
    shown = set(re.findall(r'<code title="([^"]+)">', page))
    assert shown == {row["node"] for row in numbers["results"]}
    assert numbers == json.loads(finished.workplace.run("results", finished.identifier, "--json").stdout)


def test_a_run_stopped_at_a_gate_has_a_report_that_says_so(finished):
    place = finished.workplace
    text = (place.folder / "study.yaml").read_text()
    strict = text.replace("potential: {members: 2,", "potential: {members: 2, max_force_error: 1.0e-9,")
    assert strict != text
    (place.folder / "strict.yaml").write_text(strict + "until: elasticity\n")
    folder = place.folder / "strict-results"
    folder.mkdir()
    (folder / "microstructure.vtkhdf").write_text("of an earlier run")
    done = place.run("run", "strict.yaml")
    assert done.returncode == 3, done.stdout + done.stderr
    page = unescape((folder / "report.html").read_text())
    assert 'class="state gate"' in page
    assert "Stopped at a gate: stage 'potential'" in page
    assert "✗ not held" in page
    assert re.findall(r'<figure id="figure-([\w-]+)"', page) == ["parity", "reliability"]
    assert {path.name for path in folder.iterdir()} == {"report.html", "results.json", "reference.h5"}
    names = {row["quantity"] for row in json.loads((folder / "results.json").read_text())["results"]}
    assert names == {"energy_error", "force_error", "stress_error"}


def test_a_run_that_ends_before_its_frames_are_used_has_a_report(finished):
    place = finished.workplace
    lines = (
        "licence: CC-BY-4.0",
        "structure: silicon.cif",
        "reference: study-results/reference.h5",
        "until: structure",
    )
    (place.folder / "early.yaml").write_text("\n".join(lines) + "\n")
    done = place.run("run", "early.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tersoff" in (place.folder / "early-results" / "report.html").read_text()
