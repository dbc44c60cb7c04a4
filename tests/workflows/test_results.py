"""Rows and lines of results: conditions, marks and digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.workflows.method import untrained
from hashigo.workflows.results import rounded, rows_of, table_lines


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [(142.53, 0.17, "142.53 ± 0.17"), (142.53, None, "142.53"), (None, None, "—"),
     (5.432, 3.4e-5, "5.432000 ± 0.000034"), (194.2, 93.0, "194 ± 93"), (0.00021045, 0.0, "0.00021045"),
     (2.653e-6, 5.4e-8, "(2.653 ± 0.054)e-06")],
)  # fmt: skip
def test_numbers_are_rounded_to_their_uncertainty(value, uncertainty, text):
    assert rounded(value, uncertainty) == text


@pytest.fixture
def rows(tmp_path):
    stiffness = np.diag([160.0] * 3 + [80.0] * 3)
    stiffness[:3, :3] += 60 * (1 - np.eye(3))
    kappa = np.eye(3)[None] * np.array([200.0, 150.0])[:, None, None]
    with ResultWriter(tmp_path / "r.h5", task="t", task_version=1) as writer:
        writer.quantity("stiffness", stiffness, components={"model": np.ones((6, 6))})
        writer.quantity(
            "lattice_thermal_conductivity", kappa, conditions=[{"temperature": 200.0}, {"temperature": 300.0}],
            components={"mesh": np.full((2, 3, 3), np.nan)}, converged=False,
        )  # fmt: skip
    with ResultReader(tmp_path / "r.h5") as reader:
        return rows_of(reader, "elasticity", "uuid")


def test_rows_are_json_and_what_is_not_finite_is_null(rows):
    kappa = [row.as_json() for row in rows if row.quantity == "lattice_thermal_conductivity"]
    assert [row["conditions"]["temperature"] for row in kappa] == [200.0, 300.0]
    assert kappa[0]["components"]["mesh"][0][0] is None
    assert kappa[0]["standard_uncertainty"][0][0] is None


def test_the_table_shows_distinct_components_and_marks(rows):
    lines = {line.label: line for line in table_lines(rows)}
    assert set(lines) == {"C_11", "C_12", "C_44", "κ_xx (300 K)"}
    assert lines["C_11"].marks == ("spread uncalibrated",)
    assert lines["κ_xx (300 K)"].marks == ("not converged",)
    assert lines["κ_xx (300 K)"].uncertainty is None


def test_a_quantity_of_two_stages_is_shown_of_both(rows):
    still = next(row for row in rows if row.quantity == "stiffness")
    hot = [
        replace(still, stage="thermoelasticity", conditions={"temperature": t}) for t in (100.0, 310.0, 900.0)
    ]
    labels = [line.label for line in table_lines([still, *hot])]
    assert labels == ["C_11", "C_12", "C_44", "C_11 (310 K)", "C_12 (310 K)", "C_44 (310 K)"]


def test_numbers_of_a_potential_that_was_not_trained_are_marked_so():
    assert untrained({"model": "chgnet", "members": 0}) == "potential chgnet as it is, not calibrated"
    assert untrained({"model": "mace", "members": 4}) == ""
    assert untrained({"members": 8, "n_features": 100}) == ""
    assert untrained(None) == ""
