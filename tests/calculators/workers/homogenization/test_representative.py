from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.recipe import Recipe
from hashigo.calculators.workers.homogenization.representative import (
    FIRST,
    Wanted,
    find_representative,
    of_size,
)
from hashigo.errors import InputError

RECIPE = Recipe(grains=50, shape=(32, 32, 32))


def scattered(scatter, drift=0.0, values=1):
    """A property of mean 10 whose realisations scatter as the inverse root of the grains, with a drift as 1/grains."""

    def evaluate(recipe, index):
        generator = np.random.default_rng((recipe.grains, index))
        noise = scatter / np.sqrt(recipe.grains) * generator.standard_normal(values)
        return 10.0 * (1.0 + noise + drift / recipe.grains)

    return evaluate


def test_a_property_without_scatter_needs_two_sizes():
    found = find_representative(RECIPE, Wanted(), scattered(0.0))
    assert found.converged
    assert [size.grains for size in found.sizes] == [8, 16]
    assert [len(size.values) for size in found.sizes] == [FIRST, FIRST]


def test_realisations_are_added_until_the_mean_is_known():
    found = find_representative(RECIPE, Wanted(tolerance=0.01, most_realisations=200), scattered(0.2))
    assert found.converged
    for size in found.sizes:
        assert size.error <= 0.01
    # A scatter of 0.2/√8 needs about 50 of 8 grains.
    assert 25 <= len(found.sizes[0].values) <= 100
    assert found.scatter == pytest.approx(0.2, rel=0.2)
    assert found.realisations(50) == pytest.approx((found.scatter / 0.01) ** 2 / 50, abs=1)


def test_a_drift_with_the_number_of_grains_is_followed():
    """A mean of 10 (1 + 1.6/grains) changes by 0.8/grains when grains are doubled."""
    found = find_representative(RECIPE, Wanted(tolerance=0.01), scattered(1e-4, drift=1.6))
    assert found.converged
    last, before = found.sizes[-1], found.sizes[-2]
    assert last.drift(before) <= 0.01
    assert last.grains == 256
    assert all(b.drift(a) > 0.01 for a, b in zip(found.sizes[:-2], found.sizes[1:-1], strict=True))


def test_a_budget_that_ends_first_is_told():
    wanted = Wanted(tolerance=0.001, most_grains=40, most_realisations=6)
    found = find_representative(RECIPE, wanted, scattered(0.5))
    assert not found.converged
    assert [size.grains for size in found.sizes] == [8, 16, 32]
    assert all(len(size.values) == 6 for size in found.sizes)


def test_the_worst_of_several_values_counts():
    def evaluate(recipe, index):
        return np.array([10.0, *scattered(0.3)(recipe, index)])

    found = find_representative(RECIPE, Wanted(tolerance=0.02), evaluate)
    assert found.sizes[0].scatter[0] == 0
    assert found.sizes[0].error == pytest.approx(
        found.sizes[0].scatter[1] / np.sqrt(len(found.sizes[0].values))
    )


def test_samples_of_another_size_have_grains_as_well_resolved():
    larger = of_size(RECIPE, 400)
    assert larger.shape == (64, 64, 64)
    flat = of_size(Recipe(grains=10, shape=(1, 30, 40)), 80)
    assert flat.shape == (1, 85, 113)
    assert pytest.approx(30 * 40 / 10, rel=0.01) == 85 * 113 / 80
    filled = of_size(Recipe(kind="inclusions", grains=50, inclusions=20), 100)
    assert filled.inclusions == 40


def test_a_largest_sample_of_grains_too_small_is_told_before_anything_is_solved():
    """Among many log-normal grains the smallest is smaller than among few."""

    def never(recipe, index):
        raise AssertionError("solved")

    few = Recipe(kind="laguerre", grains=20, shape=(20, 20, 20), size_spread=0.45)
    with pytest.raises(InputError, match=r"smallest of 512 grains would have \d\.\d voxels"):
        find_representative(few, Wanted(most_grains=600), never)


def test_what_does_not_vary_has_no_representative_volume():
    with pytest.raises(InputError, match="kind laminate has no representative volume"):
        find_representative(Recipe(kind="laminate", layers=((0, 1.0),)), Wanted(), scattered(0.1))
    with pytest.raises(InputError, match=r"representative.property is 'colour'"):
        Wanted.read({"property": "colour"})
