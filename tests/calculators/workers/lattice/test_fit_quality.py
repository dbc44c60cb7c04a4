"""Displacements that are too large are told by the forces that force constants leave untold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hashigo.calculators.workers.lattice.fit_quality import MOST_UNTOLD, check_untold, untold_share
from hashigo.calculators.workers.lattice.force_constants import Fit, build_lattice, random_dataset
from hashigo.errors import InputError


@pytest.fixture(scope="module")
def springs_fit(springs, cubic):
    lattice = build_lattice(cubic, [3, 3, 3])
    fit = Fit(lattice, 2)
    dataset = random_dataset(springs(1.2), lattice, 4, 0.03, seed=0)
    return lattice, fit, dataset


def test_springs_are_told_to_the_last_bit(springs_fit):
    lattice, fit, dataset = springs_fit
    assert untold_share(lattice, fit.solve(dataset), dataset) < 1e-9


def test_a_known_share_of_noise_is_found(springs_fit):
    lattice, fit, dataset = springs_fit
    noise = np.random.default_rng(0).normal(size=dataset.forces.shape)
    noise *= 0.3 * np.sqrt(np.mean(dataset.forces**2))
    noisy = replace(dataset, forces=dataset.forces + noise)
    # Of the sum of both squares the noise is 0.09/1.09.
    assert untold_share(lattice, fit.solve(noisy), noisy) == pytest.approx(0.29, abs=0.06)


def test_silicon_at_small_and_at_large_displacements(tersoff, diamond):
    lattice = build_lattice(diamond, [2, 2, 2])
    fit = Fit(lattice, 2)
    shares = []
    for distance in (0.03, 0.45):
        dataset = random_dataset(tersoff, lattice, 4, distance, seed=0, paired=True)
        shares.append(untold_share(lattice, fit.solve(dataset), dataset))
    assert shares[0] < 0.01
    assert shares[1] > MOST_UNTOLD


def test_third_order_tells_more(tersoff, diamond):
    lattice = build_lattice(diamond, [1, 1, 1])
    dataset = random_dataset(tersoff, lattice, 12, 0.05, seed=0)
    second = untold_share(lattice, Fit(lattice, 2).solve(dataset), dataset)
    third = untold_share(lattice, Fit(lattice, 3).solve(dataset), dataset)
    assert third < 0.5 * second


def test_the_limit_just_passes_and_just_fails():
    check_untold(MOST_UNTOLD, 2, 0.1, "x")
    with pytest.raises(
        InputError, match=r"displacements of up to 0\.40 Å are too large .* leave 21% .* 20%"
    ) as found:
        check_untold(0.21, 3, 0.4, "make them smaller")
    assert found.value.fix == "make them smaller"
