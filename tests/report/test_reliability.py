"""Reliability of predicted intervals: exact where errors are what was predicted, and wrong where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.calibration import LEVELS as TRAINED_LEVELS
from hashigo.errors import InputError
from hashigo.report.figures import Results
from hashigo.report.figures.reliability import LEVELS, HeldOut, binomial_interval, held_out, reliability

#: Half-widths of intervals of a normal distribution of standard deviation 1.
NORMAL = norm.ppf((1 + np.array(LEVELS)) / 2)


def normal(count, spread=1.0, claimed=None):
    """Errors at the quantiles of a normal distribution, and the intervals that are claimed for them."""
    quantiles = norm.ppf((np.arange(count) + 0.5) / count)
    claim = np.broadcast_to(spread if claimed is None else claimed, count)
    return HeldOut(spread * quantiles, NORMAL[:, None] * claim)


def test_levels_are_those_of_the_training():
    assert LEVELS == TRAINED_LEVELS


@pytest.mark.parametrize("level", [0.1, 0.5, 0.683, 0.8, 0.95, 0.99])
def test_normal_errors_are_covered_as_they_should_be(level):
    assert normal(20000).coverage(level) == pytest.approx(level, abs=1e-3)


def test_intervals_too_narrow_cover_too_little():
    values = normal(20000, spread=2.0, claimed=1.0)
    assert values.coverage(0.683) == pytest.approx(2 * norm.cdf(0.5 * NORMAL[0]) - 1, abs=1e-3)
    assert values.coverage(0.95) == pytest.approx(2 * norm.cdf(0.5 * NORMAL[1]) - 1, abs=1e-3)


def test_the_two_levels_use_their_own_widths():
    values = HeldOut(np.array([0.5, 1.5, 2.5, 9.0]), np.array([[1.0] * 4, [3.0] * 4]))
    assert [values.coverage(level) for level in LEVELS] == [0.25, 0.75]
    # Halfway between both quantiles the width is halfway between both widths.
    middle = 2 * norm.cdf(NORMAL.mean()) - 1
    assert values.coverage(middle) == 0.5
    assert HeldOut(np.array([2.1]), values.widths[:, :1]).coverage(middle) == 0.0


def test_terciles_tell_a_spread_that_follows_the_error():
    parts = [normal(3000, spread) for spread in (1.0, 2.0, 4.0)]
    values = HeldOut(
        np.concatenate([p.errors for p in parts]), np.concatenate([p.widths for p in parts], axis=1)
    )
    predicted, error = values.terciles()
    np.testing.assert_allclose(error, np.array([1, 2, 4]) / np.sqrt(7), rtol=1e-2)
    np.testing.assert_allclose(predicted, error, rtol=1e-2)


def test_binomial_interval():
    low, high = binomial_interval(0.5, 100)
    assert (low + high) / 2 == pytest.approx(0.5)
    assert (high - low) / 2 == pytest.approx(0.05, rel=0.01)
    # All of few values inside is no certainty.
    low, high = binomial_interval(1.0, 4)
    assert (low, high) == (pytest.approx(0.8), 1.0)


def write(path, **kinds):
    with ResultWriter(path, task="training", task_version=1) as writer:
        for name, values in kinds.items():
            zeros = np.zeros(len(values.errors))
            arrays = (zeros, values.errors, *values.widths)
            for part, array in zip(("reference", "predicted", "spread", "interval_95"), arrays, strict=True):
                writer.array(f"parity/{name}/{part}", array, units="eV/Å")
        writer.note("calibration", {"calibrated": False, "lacking": "a reason"})
    return path


def test_the_figure_marks_both_levels_of_each_kind(tmp_path):
    path = write(
        tmp_path / "p.h5",
        forces=normal(3000),
        energy=normal(6),
        stress=HeldOut(np.zeros(0), np.zeros((2, 0))),
    )
    with ResultReader(path) as reader:
        results = Results({"potential": reader})
        assert set(held_out(results)) == {"energy", "forces"}
        figure = reliability(results)
    left, right = figure.axes
    marks = {c.get_label(): c.lines[0].get_xydata() for c in left.containers}
    assert set(marks) == {"energies (6 values)", "force components (3000 values)"}
    np.testing.assert_allclose(marks["force components (3000 values)"], np.array([LEVELS] * 2).T, atol=2e-3)
    # Six energies have no thirds; the other line is the diagonal.
    assert len(right.lines) == 2
    assert left.get_title() == "not calibrated"


def test_without_intervals_there_is_no_figure(tmp_path):
    with ResultWriter(tmp_path / "p.h5", task="training", task_version=1) as writer:
        writer.array("parity/forces/reference", [1.0], units="eV/Å")
    with ResultReader(tmp_path / "p.h5") as reader, pytest.raises(InputError, match="no intervals"):
        reliability(Results({"potential": reader}))
