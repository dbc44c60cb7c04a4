"""Parts of the predictive uncertainty, on synthetic rows whose posterior is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.fitting import ENERGY, FORCE, DesignMatrix, Ridge
from hashigo.calculators.workers.uncertainty import LinearPosterior

RIDGE = 1e-3
ROWS = 6


def rows_of(features: np.ndarray, targets: np.ndarray, kind: int = FORCE) -> DesignMatrix:
    """Rows of weight 1, six of each frame."""
    count = len(targets)
    return DesignMatrix(
        features, targets, np.ones(count), np.arange(count) // ROWS, np.full(count, kind, dtype=np.int64)
    )


def gaussian(n_frames: int, noise: float, seed: int = 0) -> tuple[DesignMatrix, np.ndarray]:
    """A linear model of five coefficients, true up to normal noise."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(n_frames * ROWS, 5))
    truth = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    return rows_of(features, features @ truth + noise * generator.normal(size=len(features))), truth


def test_the_mean_is_that_of_the_ridge_regression() -> None:
    design, _ = gaussian(20, 0.1)
    model = LinearPosterior(design, range(15), RIDGE)
    np.testing.assert_allclose(model.coefficients, Ridge(design, range(15)).fit(RIDGE), rtol=1e-10)


def test_the_epistemic_part_is_the_posterior_in_closed_form() -> None:
    design, _ = gaussian(20, 0.1)
    scale = np.sqrt(np.mean(design.features**2, axis=0))
    penalised = design.features.T @ design.features + RIDGE * len(design.targets) * np.diag(scale**2)
    hat = design.features @ np.linalg.solve(penalised, design.features.T)
    residuals = design.targets - hat @ design.targets
    variance = residuals @ residuals / (len(residuals) - np.trace(hat))
    new = np.random.default_rng(1).normal(size=(4, 5))
    expected = np.sqrt(variance * np.diag(new @ np.linalg.solve(penalised, new.T)))
    parts = LinearPosterior(design, range(20), RIDGE).parts(new, np.full(4, FORCE))
    np.testing.assert_allclose(parts[0], expected, rtol=1e-10)


def test_the_epistemic_part_is_the_scatter_of_fits_to_new_noise() -> None:
    new = np.random.default_rng(1).normal(size=(50, 5))
    repeated, spreads = [], []
    for seed in range(200):
        # The same features each time, other noise.
        design, truth = gaussian(20, 0.0)
        design.targets[:] += 0.1 * np.random.default_rng([5, seed]).normal(size=len(design.targets))
        model = LinearPosterior(design, range(20), 1e-10)
        repeated.append(model.predict(new) - new @ truth)
        spreads.append(model.parts(new, np.full(50, FORCE))[0])
    np.testing.assert_allclose(np.mean(spreads, axis=0), np.std(repeated, axis=0), rtol=0.2)


def test_the_noise_is_found_for_each_kind_even_of_rows_with_no_weight() -> None:
    generator = np.random.default_rng(0)
    kind = np.tile([ENERGY, FORCE], 600)
    features = generator.normal(size=(1200, 5))
    noise = np.where(kind == ENERGY, 0.02, 0.3)
    design = DesignMatrix(
        features,
        features @ np.arange(5.0) + noise * generator.normal(size=1200),
        np.where(kind == ENERGY, 0.0, 1.0),
        np.arange(1200) // ROWS,
        kind,
    )
    found = LinearPosterior(design, range(200), 1e-8).noise
    assert found[FORCE] == pytest.approx(0.3, rel=0.1)
    # The energies were not fitted: they have the error of the coefficients on top.
    assert 0.02 * 0.9 < found[ENERGY] < 0.05
    assert found[2] == 0


def test_pops_corrections_make_the_model_exact_for_their_rows() -> None:
    design, _ = gaussian(4, 0.5)
    model = LinearPosterior(design, range(4), 1e-12)
    inverse = np.linalg.inv(design.features.T @ design.features)
    leverage = np.einsum("ij,jk,ik->i", design.features, inverse, design.features)
    residuals = design.targets - model.predict(design.features)
    corrections = (design.features @ inverse) * (residuals / leverage)[:, None]
    np.testing.assert_allclose(np.sum(design.features * corrections, axis=1), residuals)
    chosen = corrections[leverage >= np.median(leverage)]
    new = np.random.default_rng(1).normal(size=(7, 5))
    expected = np.sqrt(np.mean((new @ chosen.T) ** 2, axis=1))
    np.testing.assert_allclose(model.parts(new, np.full(7, FORCE))[1], expected, rtol=1e-6)


def test_the_misfit_stays_when_rows_become_many_and_the_epistemic_part_vanishes() -> None:
    """A parabola fitted by a straight line: more rows do not help."""
    parts = []
    for count in (60, 6000):
        x = np.linspace(-1, 1, count)
        design = rows_of(np.column_stack([np.ones(count), x]), x**2)
        model = LinearPosterior(design, range(count // ROWS), 1e-10)
        parts.append(model.parts(np.array([[1.0, 0.9]]), np.array([FORCE]))[:, 0])
    assert parts[1][0] == pytest.approx(parts[0][0] / 10, rel=0.1)
    assert parts[1][1] == pytest.approx(parts[0][1], rel=0.1)


def test_members_of_the_bootstrap_scatter_as_the_posterior_and_come_from_the_seed() -> None:
    design, _ = gaussian(60, 0.1)
    kinds = ["displaced"] * 60
    model = LinearPosterior(design, range(50), 1e-8)
    first, again, other = (model.bootstrap(kinds, 60, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    rows = design.rows(range(50, 60))
    features, kind = design.features[rows], design.kind[rows]
    ratio = model.parts(features, kind, first)[0] / model.parts(features, kind)[0]
    assert np.median(ratio) == pytest.approx(1.0, rel=0.2)


def test_kinds_of_unequal_noise_each_count_with_their_own() -> None:
    # The coefficients scatter over new noise as their draws do, also where few rows are much noisier than the others.
    features = np.random.default_rng(0).normal(size=(120, 3))
    kinds = np.where(np.arange(120) % ROWS == 0, ENERGY, FORCE)
    noise = np.where(kinds == ENERGY, 5.0, 0.1)
    features[kinds == FORCE, 2] = 0.0  # what the energies alone tell
    coefficients, drawn = [], []
    for seed in range(300):
        targets = features @ [1.0, -1.0, 2.0] + noise * np.random.default_rng([9, seed]).normal(size=120)
        design = DesignMatrix(features, targets, np.ones(120), np.arange(120) // ROWS, kinds)
        model = LinearPosterior(design, range(20), 1e-10)
        coefficients.append(model.coefficients)
        drawn.append(model.draw(50, np.random.default_rng(seed)).std(axis=0, ddof=1))
    scatter = np.std(coefficients, axis=0)
    np.testing.assert_allclose(np.mean(drawn, axis=0), scatter, rtol=0.2)


def test_draws_lie_as_far_from_the_mean_as_they_are_told() -> None:
    design, _ = gaussian(20, 0.1)
    model = LinearPosterior(design, range(20), 1e-10)
    near, far = (model.draw(40, np.random.default_rng(3), factor) for factor in (1.0, 2.5))
    np.testing.assert_allclose(far - model.coefficients, 2.5 * (near - model.coefficients), rtol=1e-9)
