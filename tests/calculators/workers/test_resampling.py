from __future__ import annotations

import numpy as np

from hashigo.calculators.workers.resampling import resample, split, stratified_folds

KINDS = ["displaced"] * 10 + ["strained"] * 5 + ["melt"]


def test_every_kind_of_two_or_more_is_held_out() -> None:
    train, test = split(KINDS, 0.2, np.random.default_rng(0))
    assert [KINDS[i] for i in test].count("displaced") == 2
    assert [KINDS[i] for i in test].count("strained") == 1
    assert "melt" not in [KINDS[i] for i in test]
    assert sorted([*train, *test]) == list(range(len(KINDS)))


def test_a_large_share_leaves_one_to_train_on() -> None:
    train, _ = split(KINDS, 0.99, np.random.default_rng(0))
    assert {KINDS[i] for i in train} == set(KINDS)


def test_folds_are_disjoint_and_hold_every_kind_evenly() -> None:
    train, _ = split(KINDS, 0.2, np.random.default_rng(0))
    folds = stratified_folds(KINDS, train, 4, np.random.default_rng(1))
    assert sorted(np.concatenate(folds)) == sorted(train)
    assert all(2 <= sum(KINDS[i] == "displaced" for i in fold) <= 2 for fold in folds)


def test_a_resample_keeps_the_number_of_each_kind() -> None:
    train, _ = split(KINDS, 0.2, np.random.default_rng(0))
    drawn = resample(KINDS, train, np.random.default_rng(2))
    for kind in set(KINDS):
        assert sum(KINDS[i] == kind for i in drawn) == sum(KINDS[i] == kind for i in train)
    assert set(drawn) <= set(train)
    assert len(set(drawn.tolist())) < len(train)
