"""Gates and checks in words."""

from __future__ import annotations

import pytest

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.report.checks import checks, gates
from hashigo.report.figures import Results

TITLES = {
    name: name.capitalize()
    for name in (
        "potential",
        "elasticity",
        "phonons",
        "conductivity",
        "expansion",
        "thermoelasticity",
        "dynamics",
        "mesoscale",
    )
}


def test_every_gate_says_whether_it_held_and_its_numbers(results):
    found = {gate.stage: gate for gate in gates(results, TITLES)}
    assert {stage: gate.passed for stage, gate in found.items()} == {
        "Potential": True, "Elasticity": True, "Phonons": False, "Expansion": True,
        "Thermoelasticity": True, "Dynamics": False, "Mesoscale": True,
    }  # fmt: skip
    assert found["Potential"].detail == "2 meV/Å, limit 50 meV/Å"
    assert "67 GPa; it does not hold for committee member 2" in found["Elasticity"].detail
    assert found["Thermoelasticity"].detail == "smallest eigenvalue of the stiffness 64 GPa"
    assert "−0.5 THz at (0.5, 0, 0), tolerance −0.1 THz" in found["Phonons"].detail
    assert found["Mesoscale"].detail == "within all; 1 tensor, tolerance 0.0001"
    # Not of dynamics alone: elasticity, phonons and conductivity stop there too.
    assert found["Dynamics"].name == "structures within the region in which the potential was trained"


def test_a_gate_of_another_kind_is_told_plainly(tmp_path):
    with ResultWriter(tmp_path / "r.h5", task="t", task_version=1) as writer:
        writer.note("gate", {"name": "tea_time", "passed": False, "cups": 2, "kind": "green"})
    with ResultReader(tmp_path / "r.h5") as reader:
        (gate,) = gates(Results({"potential": reader}), TITLES)
    assert (gate.name, gate.passed, gate.detail) == ("tea time", False, "cups 2, kind green")


def test_checks_compare_routes_near_room_temperature(results):
    found = {(check.stage, check.name): check.outcome for check in checks(results, TITLES)}
    route = "potential against the reference's forces"
    assert found["Conductivity", route].startswith("198 against 200 W/(m K) at 300 K (−1.0 %)")
    assert "0.0016 THz" in found["Phonons", route]
    assert found["Potential", "uncertainty"] == (
        "calibrated; intervals of 68 % and 95 % hold 70 % and 94 % of 40 force components "
        "(thirds by spread, at 68 %: 60, 70, 80 %), on frames held out"
    )
    choice = found["Potential", "choice of the model"]
    assert choice.startswith("cut-off 5 Å, 5 radial functions, angular numbers up to (4, 4), power 2: ")
    assert choice.endswith("error of 1.3 meV/Å, the best one 411 and 1.25 meV/Å")
    assert found["Dynamics", "temperature"].startswith(
        "largest deviation 5 ± 4 K of 1 trajectories, at 300 K"
    )
    assert found["Dynamics", "drift of the conserved energy"] == "at most 0.02 meV an atom and ps"
    assert "0.30 Å" in found["Dynamics", "diffusion of Si at 300 K"]
    assert found["Dynamics", "trajectory 900K-1V-0"] == "left the trained region after 0.2 ps"
    assert found["Expansion", "no values at 2000 K"].endswith(
        "outside the grid: widen expansion.volume_range"
    )
    assert found["Expansion", "potential against the reference's force constants"] == (
        "1.70 against 2.60 10⁻⁶/K at 300 K, 7 volumes"
    )
    assert found["Expansion", "energies of the potential against the reference's"].endswith(
        "its volume differs by −0.50 %, its bulk modulus is 93.0 against 94.0 GPa"
    )
    bulk = found["Thermoelasticity", "bulk modulus against that of the thermal expansion"]
    assert bulk == "at most 0.2 %"
    assert "4.8 (7.5) at 50 nm" in found["Mesoscale", "Knudsen number, mean over grains (largest)"]


def test_a_comparison_that_was_not_made_says_why(tmp_path):
    with ResultWriter(tmp_path / "r.h5", task="phonons", task_version=1) as writer:
        writer.note("comparison", {"skipped": "no frame fits"})
    with ResultReader(tmp_path / "r.h5") as reader:
        (check,) = checks(Results({"phonons": reader}), TITLES)
    assert (check.stage, check.outcome) == ("Phonons", "not made: no frame fits")


def test_a_run_without_results_has_neither():
    assert gates(Results({}), TITLES) == []
    assert checks(Results({}), TITLES) == []


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        (
            {"members": 4, "model": "mace", "n_train": 20, "n_test": 5},
            "4 members of mace, trained on 20 frames",
        ),
        ({"members": 0, "model": "chgnet", "n_test": 25}, "none: chgnet as it is, compared with 25 frames"),
    ],
)
def test_the_committee_of_any_model_is_told(tmp_path, note, sentence):
    path = tmp_path / "potential.h5"
    with ResultWriter(path, task="training", task_version=1) as writer:
        writer.note("training", note)
    with ResultReader(path) as reader:
        told = [check.outcome for check in checks(Results({"potential": reader}), {})]
    assert sentence in told[0]
