"""Ranks of a test: threads that share sums and lists, each with its part of the planes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hashigo.calculators.workers.homogenization.slabs import split


class Rank:
    """A communicator of one of several threads."""

    def __init__(self, rank, size, barrier, box):
        self.rank, self.size, self.barrier, self.box = rank, size, barrier, box

    def allgather(self, value):
        self.box[self.rank] = value
        self.barrier.wait()
        found = [self.box[rank] for rank in range(self.size)]
        self.barrier.wait()
        return found

    def allreduce(self, value):
        return sum(self.allgather(value)[1:], self.allgather(value)[0])

    def sendrecv(self, value, dest, source):
        sent, received = self.allgather((dest, value))[source]
        assert sent == self.rank
        return received

    def bcast(self, value, root=0):
        return self.allgather(value)[root]


def on_ranks(size, planes, function):
    """What `function(planes, comm)` gives on each of some ranks."""
    barrier, box = threading.Barrier(size), {}
    parts = split(planes, size)

    def work(rank):
        try:
            return function(parts[rank], Rank(rank, size, barrier, box))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, range(size)))


def whole(samples):
    """The grid of all ranks."""
    return np.concatenate([sample.grain_id for sample in samples])
