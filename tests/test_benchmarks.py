"""Benchmarks print one JSON object as their last line; their speed is judged by people, not here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def last_line(name, *arguments):
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_start():
    result = last_line("start.py")
    assert result["benchmark"] == "start"
    assert result["figures"]["help_ratio"] > 0


def test_accuracy_reads_the_results_of_a_run(finished):
    numbers = finished.workplace.folder / "study-results" / "results.json"
    cases = last_line("accuracy.py", "--results", str(numbers))["figures"]["cases"]
    assert {case["quantity"].split(" ")[0] for case in cases} >= {"a₀", "C₁₁", "κ", "K", "G"}
    for case in cases:
        assert case["relative_difference"] == pytest.approx(case["value"] / case["reference"] - 1, abs=1e-4)


def test_the_table_of_accuracy_is_brought_up_to_date(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from accuracy import case
    from accuracy_table import BEGIN, END, update_table

    page = tmp_path / "accuracy.md"
    page.write_text(f"before\n{BEGIN}\n| crystal |\n| --- |\n{END}\nafter\n", encoding="utf-8")
    update_table(page, [case("Si", "a", 5.0, 0.012, 4.0, "one"), case("Si", "b", 2.0, None, 2.0, "two")])
    update_table(page, [case("Si", "a", 3.0, 0.012, 4.0, "one") | {"converged": True}])
    before, *lines, after = [
        line for line in page.read_text(encoding="utf-8").splitlines() if "<!--" not in line
    ]
    assert (before, after) == ("before", "after")
    assert lines[2:] == [
        "| Si | a | 4 | 3.000 ± 0.012 | -25.0 % | yes | one |",
        "| Si | b | 2 | 2.000 | +0.0 % |  | two |",
    ]


def test_published_expansions_of_silicon_agree_where_they_meet(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from published_values import silicon_expansion, silicon_expansion_hot

    for temperature in (200, 300, 400, 500):
        assert silicon_expansion(temperature) == pytest.approx(silicon_expansion_hot(temperature), abs=0.06)
    assert silicon_expansion(80) < -0.4 < 0 < silicon_expansion(130)


@pytest.mark.slow
def test_batch_loses_nothing_in_a_kill(require_program):
    require_program("mpirun", "openmpi-bin")
    figures = last_line("batch.py", "--frames", "1000", "--repeat", "1")["figures"]
    assert figures["lost_frames"] == 0
    assert figures["kept_frames"] >= figures["told_frames"] > 0
    assert all(0 < memory < 300 for pair in figures["rss_mb"].values() for memory in pair)
    assert figures["rate_ratio_1"] > 0


@pytest.mark.slow
def test_a_committee_costs_no_more_than_some_models():
    pytest.importorskip("pypolymlp")
    figures = last_line("committee.py", "--models", "small", "--members", "3", "--repeat", "2")["figures"]
    assert [case["crystal"] for case in figures["cases"]] == ["silicon", "sodium chloride"]
    for case in figures["cases"]:
        assert case["committee_cost"] > 0
        assert max(case["relative_difference"].values()) < 1e-9


@pytest.mark.slow
def test_molecular_dynamics_and_boltzmann_s_equation_agree_as_far_as_they_should(require_program, tmp_path):
    """Tersoff's silicon at 1000 K in 64 atoms: all orders of anharmonicity conduct less than the third alone.

    The fourth order takes a good part of the conductivity at this temperature, and the equation has quantum
    occupations, so there is no equality to ask for; a wrong unit, volume, flux or spectrum leaves this range.
    """
    require_program("lmp", "lammps")
    figures = last_line(
        "green_kubo.py",
        "--cells",
        "2",
        "--seeds",
        "8",
        "--duration",
        "60",
        "--meshes",
        "5",
        "--folder",
        str(tmp_path),
    )["figures"]
    (cell,) = figures["cells"]
    error = 3 * cell["uncertainty"]
    assert error < 2 * cell["kappa"]
    assert cell["same_wave_vectors"]["lbte"] < figures["meshes"]["5"]["lbte"]
    assert figures["meshes"]["5"]["rta"] < figures["meshes"]["5"]["lbte"]
    assert cell["kappa"] - error < 1.1 * cell["same_wave_vectors"]["lbte"]
    assert cell["kappa"] + error > 0.5 * cell["same_wave_vectors"]["lbte"]
    assert 0.25 < cell["kappa_integral"] / cell["same_wave_vectors"]["lbte"] < 1.2
    assert cell["kappa_integral"] == pytest.approx(cell["kappa"], abs=error)
    assert cell["mean_temperature"] == pytest.approx(
        figures["temperature"], abs=4 * cell["temperature_scatter"] / 8**0.5
    )
    assert cell["temperature_scatter"] < 200
    assert cell["largest_drift"] < 0.02


@pytest.mark.slow
def test_learning_stops_by_itself_and_its_properties_are_judged_by_the_truth():
    pytest.importorskip("pypolymlp")
    quick = ("--seeds", "1", "--model", "small", "--mesh", "3", "--members", "4", "--budget", "14")
    figures = last_line("learning_properties.py", *quick)["figures"]
    goal, coverage = figures["goal"], figures["coverage"]
    assert goal["frames_of_seeds"][0] <= 14
    assert abs(goal["kappa_rms_error"]) < 0.2
    assert goal["finite_displacements"] == 111
    assert abs(goal["finite_displacements_kappa_error"]) < 0.1
    assert coverage["kappa_relative_rms_error"] < 0.2
