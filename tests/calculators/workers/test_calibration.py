"""Calibration by cross-fitting, judged on rows that it did not see."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.calibration import (
    LEVELS,
    CrossFit,
    calibrate,
    constant_width,
    coverage,
    covering_factor,
    cross_fit,
    summary,
    telling,
    why_not_credible,
)
from hashigo.calculators.workers.fitting import ENERGY, FORCE, STRESS, DesignMatrix
from hashigo.calculators.workers.uncertainty import LinearPosterior
from hashigo.errors import InputError

ROWS = 30


def design_of(features: np.ndarray, targets: np.ndarray) -> DesignMatrix:
    """Force rows of weight 1, thirty of each frame."""
    count = len(targets)
    return DesignMatrix(
        features, targets, np.ones(count), np.arange(count) // ROWS, np.full(count, FORCE, dtype=np.int64)
    )


def folds_of(n_train: int, count: int = 5) -> list[np.ndarray]:
    return [np.arange(start, n_train, count) for start in range(count)]


def gaussian(n_frames: int, seed: int = 0) -> DesignMatrix:
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(n_frames * ROWS, 8))
    return design_of(features, features @ np.arange(8.0) + 0.1 * generator.normal(size=len(features)))


def misspecified(n_frames: int, seed: int = 0) -> DesignMatrix:
    """Frames of small and large amplitude, a cubic that a quadratic is fitted to, and no noise."""
    generator = np.random.default_rng(seed)
    amplitude = np.repeat(generator.uniform(0.1, 1.0, size=n_frames), ROWS)
    x = amplitude * generator.normal(size=n_frames * ROWS)
    y = amplitude * generator.normal(size=n_frames * ROWS)
    features = np.column_stack([np.ones_like(x), x, y, x * y, x**2, y**2])
    return design_of(features, x + y**2 + 0.2 * x**3)


def judged(design: DesignMatrix, n_train: int, seed: int | None = None) -> dict[str, list[float]]:
    """Coverage on the frames from `n_train` on; `seed` asks for the bootstrap."""
    n_frames = int(design.frame.max()) + 1
    kinds, members = ["displaced"] * n_frames, 0 if seed is None else 16
    generator = np.random.default_rng(seed)
    scale = calibrate(cross_fit(design, folds_of(n_train), 1e-8, kinds, members, generator))[FORCE]
    model = LinearPosterior(design, range(n_train), 1e-8)
    rows = design.rows(range(n_train, n_frames))
    features = design.features[rows]
    committee = model.bootstrap(kinds, members, generator) if members else None
    parts = model.parts(features, design.kind[rows], committee)
    widths = scale.half_widths(parts)
    return coverage(design.targets[rows] - model.predict(features), widths, widths[0])


def test_cross_fitted_errors_are_those_of_models_without_the_fold() -> None:
    design, folds = gaussian(6), [np.array([0, 1, 2]), np.array([3, 4, 5])]
    seen = cross_fit(design, folds, 1e-8)
    model = LinearPosterior(design, [3, 4, 5], 1e-8)
    rows = design.rows([0, 1, 2])
    expected = design.targets[rows] - model.predict(design.features[rows])
    np.testing.assert_allclose(seen.errors[: len(rows)], expected)
    np.testing.assert_allclose(
        seen.parts[:, : len(rows)], model.parts(design.features[rows], design.kind[rows])
    )


def test_frames_held_out_change_nothing() -> None:
    design = gaussian(30)
    changed = design_of(design.features, design.targets.copy())
    changed.targets[changed.rows(range(20, 30))] += 100.0
    one, two = (calibrate(cross_fit(each, folds_of(20), 1e-8))[FORCE] for each in (design, changed))
    np.testing.assert_array_equal(one.weights, two.weights)
    np.testing.assert_array_equal(one.factors, two.factors)


def test_a_true_model_with_normal_noise_is_left_nearly_as_it_is() -> None:
    """The combined spread is then sqrt(epistemic^2 + noise^2), and the factors those of a normal distribution."""
    design = gaussian(60)
    seen = cross_fit(design, folds_of(60), 1e-8)
    scale = calibrate(seen)[FORCE]
    expected = np.sqrt(seen.parts[0] ** 2 + seen.parts[2] ** 2)
    np.testing.assert_allclose(scale.half_widths(seen.parts)[0], expected, rtol=0.15)
    np.testing.assert_allclose(scale.half_widths(seen.parts)[1], 1.96 * expected, rtol=0.15)


@pytest.mark.parametrize(
    ("rows", "bootstrap"),
    [(gaussian, False), (misspecified, False), (gaussian, True)],
    ids=["true model", "misfit", "true model, bootstrap"],
)
def test_intervals_cover_frames_used_for_neither_training_nor_calibration(rows, bootstrap) -> None:
    """Coverage is a mean over training sets: of one set it scatters, for a frame's rows are alike."""
    found = [judged(rows(150, seed), 30, seed if bootstrap else None) for seed in range(10)]
    first, second = np.mean([one["all"] for one in found], axis=0)
    assert 0.60 <= first <= 0.76
    assert 0.90 <= second <= 0.98
    terciles = np.mean([one["groups"] for one in found], axis=0)
    assert np.all((terciles >= 0.55) & (terciles <= 0.80))


def test_a_bootstrap_alone_covers_too_little_where_the_model_is_not_true() -> None:
    design = misspecified(120)
    model = LinearPosterior(design, range(60), 1e-8)
    members = model.bootstrap(["displaced"] * 120, 16, np.random.default_rng(0))
    rows = design.rows(range(60, 120))
    features = design.features[rows]
    errors = np.abs(design.targets[rows] - model.predict(features))
    assert np.mean(errors <= model.parts(features, design.kind[rows], members)[0]) < 0.4


def test_a_constant_width_misses_the_terciles_that_the_calibrated_one_covers() -> None:
    design = misspecified(220)
    seen = cross_fit(design, folds_of(20), 1e-8)
    model = LinearPosterior(design, range(20), 1e-8)
    rows = design.rows(range(20, 220))
    features = design.features[rows]
    spread = calibrate(seen)[FORCE].spread(model.parts(features, design.kind[rows]))
    flat = np.broadcast_to(constant_width(seen.errors)[:, None], (2, len(rows)))
    found = coverage(design.targets[rows] - model.predict(features), flat, spread)
    assert found["groups"][0] > 0.8
    assert found["groups"][2] < 0.55


def test_the_same_seed_gives_the_same_scale() -> None:
    design, kinds = gaussian(20), ["displaced"] * 20
    one, two, other = (
        calibrate(cross_fit(design, folds_of(20), 1e-8, kinds, 8, np.random.default_rng(seed)))[FORCE]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.factors, two.factors)
    assert not np.array_equal(one.factors, other.factors)


def test_quantiles_are_conformal_and_of_few_rows_normal() -> None:
    values = np.arange(1.0, 101.0)
    # The 69th and the 96th of 100: ceil(101 * 0.683), ceil(101 * 0.95).
    np.testing.assert_array_equal(constant_width(values), [69.0, 96.0])
    first, second = constant_width(np.arange(1.0, 11.0))
    assert first == 8.0
    assert second / first == pytest.approx(1.96, abs=1e-3)


def test_a_kind_with_too_few_rows_is_not_calibrated() -> None:
    generator = np.random.default_rng(0)
    kind = np.array([ENERGY] * 5 + [FORCE] * 100)
    scales = calibrate(CrossFit(kind, generator.normal(size=105), np.ones((3, 105))))
    assert set(scales) == {FORCE}
    told = summary(scales)["force"]
    assert set(told) == {"epistemic", "misfit", "noise", "factors_68", "factors_95"}
    assert len(LEVELS) == 2


@pytest.mark.parametrize("folds", [[np.array([0, 1]), np.array([2, 3])], [np.arange(20)]])
def test_too_few_frames_are_named(folds) -> None:
    with pytest.raises(InputError, match=r"cannot be calibrated on \d+ training frames in \d folds"):
        cross_fit(gaussian(20), folds, 1e-8)


def test_forces_that_vanish_by_symmetry_tell_nothing() -> None:
    kind = np.array([FORCE, FORCE, ENERGY, STRESS])
    assert telling(kind, np.array([1e-9, 0.1, 0.0, 0.0])).tolist() == [False, True, True, True]


def test_the_covering_factor_makes_a_spread_cover_its_share() -> None:
    generator = np.random.default_rng(0)
    spread = generator.uniform(1, 3, 4000)
    errors = 2.5 * spread * generator.normal(size=4000)
    assert covering_factor(errors, spread) == pytest.approx(2.5, rel=0.05)


@pytest.mark.parametrize(
    ("covered", "stresses", "lacking"),
    [
        ({FORCE: 0.68, STRESS: 0.95}, 60, ""),
        ({FORCE: 0.51, STRESS: 0.51}, 60, ""),
        ({FORCE: 0.45}, 60, "covers 45 % of the force components"),
        ({FORCE: 0.95}, 60, "covers 95 % of the force components"),
        ({FORCE: 0.68, STRESS: 0.3}, 60, "covers 30 % of the stress components"),
        ({FORCE: 0.68, STRESS: 0.3}, 12, ""),  # two frames tell nothing
        ({STRESS: 0.68}, 60, "no frame held out has forces"),
    ],
)
def test_the_members_spread_is_judged_on_frames_held_out(
    covered: dict[int, float], stresses: int, lacking: str
) -> None:
    rows = {FORCE: 300, STRESS: stresses}
    said = why_not_credible(
        {kind: {"rows": rows[kind], "members_68": share} for kind, share in covered.items()}
    )
    assert lacking in said
    assert bool(said) is bool(lacking)
