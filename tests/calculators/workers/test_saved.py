from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.saved import Saved, inputs_hash
from hashigo.errors import WorkerError


def _interrupted(folder):
    with Saved(folder) as saved:
        saved.save("piece-3", {"a": np.arange(3)})
        saved.save("other", {"b": np.eye(2)})
        raise KeyboardInterrupt


def test_pieces_are_found_again_and_go_when_all_is_done(tmp_path):
    folder = tmp_path / "partial" / "job"
    with pytest.raises(KeyboardInterrupt):
        _interrupted(folder)
    with Saved(folder) as saved:
        assert saved.names("piece-") == ["piece-3"]
        assert saved.load("piece-3")["a"].tolist() == [0, 1, 2]
        assert saved.load("piece-4") is None
    assert not folder.exists()


def test_a_damaged_piece_is_none(tmp_path):
    saved = Saved(tmp_path)
    saved.save("whole", {"a": np.arange(1000)})
    content = (tmp_path / "whole.npz").read_bytes()
    for size in (0, 3, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.npz").write_bytes(content[:size])
        assert saved.load("cut") is None


def test_without_a_folder_nothing_is_kept():
    with Saved() as saved:
        saved.save("piece", {"a": np.arange(3)})
        assert saved.names("") == []
        assert saved.load("piece") is None


def _hold(folder, held, release):
    with Saved(folder):
        held.set()
        release.wait(20)


def test_two_jobs_do_not_mix(tmp_path):
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "job", held, release))
    other.start()
    try:
        assert held.wait(20)
        with pytest.raises(WorkerError, match="another job computes the same"), Saved(tmp_path / "job"):
            pass
    finally:
        release.set()
        other.join()


def test_the_hash_knows_parameters_inputs_and_version(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    first = inputs_hash(Job("conductivity", {"x": 1}, {"a": file}, tmp_path / "out"), 1)
    assert inputs_hash(Job("conductivity", {"x": 1}, {"a": file}, tmp_path / "out", threads=4), 1) == first
    assert inputs_hash(Job("conductivity", {"x": 2}, {"a": file}, tmp_path / "out"), 1) != first
    assert inputs_hash(Job("conductivity", {"x": 1}, {"a": file}, tmp_path / "out"), 2) != first
    file.write_bytes(b"2")
    assert inputs_hash(Job("conductivity", {"x": 1}, {"a": file}, tmp_path / "out"), 1) != first
