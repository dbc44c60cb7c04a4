"""Bundles are sized by what frames cost: a second of work, the longest first, smaller towards the end."""

from __future__ import annotations

import pytest

from hashigo.calculators.workers.farm import LARGEST, Queue, compute_alone
from hashigo.calculators.workers.stopping import Stop


def queue_of(sizes):
    return Queue(iter(range(len(sizes))), sizes, lambda size: float(size) ** 2)


def test_bundles_take_a_second_once_times_are_known():
    queue = queue_of([32] * 1000)
    assert queue.bundle(2) == [0]
    queue.measured(32, 0.0099)
    assert queue.bundle(2) == list(range(1, 102))
    assert queue.is_fine()


def test_expensive_tasks_are_handed_out_one_by_one():
    queue = queue_of([64] * 10)
    queue.measured(64, 30.0)
    assert [queue.bundle(2) for _ in range(3)] == [[0], [1], [2]]
    assert not queue.is_fine()


def test_an_unknown_size_is_estimated_by_its_cost():
    queue = queue_of([10, 20])
    assert queue.seconds(10) is None
    queue.measured(10, 1.0)
    assert queue.seconds(20) == pytest.approx(4.0)
    queue.measured(20, 9.0)
    assert queue.seconds(20) == pytest.approx(9.0)


def test_bundles_shrink_towards_the_end_so_that_all_end_together():
    queue = queue_of([32] * 1000)
    queue.measured(32, 0.01)
    lengths = []
    while bundle := queue.bundle(2):
        lengths.append(len(bundle))
    assert sum(lengths) == 1000
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == 1


def test_a_bundle_is_never_larger_than_a_message_should_be():
    queue = queue_of([1] * 10000)
    queue.measured(1, 1e-6)
    assert len(queue.bundle(1)) == LARGEST


def test_what_would_not_end_in_time_is_not_begun():
    queue = queue_of([32] * 10)
    queue.measured(32, 2.0)
    assert queue.bundle(1, time_left=1.0) == []
    assert queue.bundle(1, time_left=3.0) == [0]
    assert len(queue) == 9


def test_one_process_computes_all_in_order():
    queue = queue_of([1] * 20)
    results = []
    compute_alone(queue, lambda task: task * 10, results.extend, Stop())
    assert results == [task * 10 for task in range(20)]
