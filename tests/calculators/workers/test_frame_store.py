"""Partial results: found again by the next try, in order, whatever the last one did."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.frames import Frame, iter_frames, read_frames, write_frames
from hashigo.calculators.workers import frame_store
from hashigo.calculators.workers.flight import FlightRecorder, casualties, forget_casualties
from hashigo.calculators.workers.frame_store import FrameStore, Record, Reserve, clean, in_order
from hashigo.calculators.workers.job import NotWritten
from hashigo.errors import WorkerError


@pytest.fixture
def frames():
    atoms = bulk("Al", cubic=True)
    shifted = [atoms.positions + 0.01 * index for index in range(30)]
    return [
        Frame(atoms.cell.array, positions, tuple(atoms.symbols), energy=float(index), forces=np.zeros((4, 3)))
        for index, positions in enumerate(shifted)
    ]


def record(index, frame, **changes):
    return Record(index, frame.identity, replace(frame, stored_identity=frame.identity), 0.1, 4, **changes)


@pytest.mark.parametrize("window", [1, 4, 100])
def test_frames_come_in_order_with_few_in_memory(tmp_path, frames, window):
    shuffled = [frames[i] for i in np.random.default_rng(0).permutation(30)]
    write_frames(tmp_path / "a.h5", shuffled[:20])
    write_frames(tmp_path / "b.h5", shuffled[20:])
    wanted = [frame.identity for frame in frames[5:25]]
    found = list(in_order([tmp_path / "a.h5", tmp_path / "b.h5"], wanted, window))
    assert [frame.energy for frame in found] == list(range(5, 25))


def test_a_frame_that_is_nowhere_is_an_error(tmp_path, frames):
    write_frames(tmp_path / "a.h5", frames[:5])
    with pytest.raises(WorkerError, match=r"is in none of: a\.h5"):
        list(in_order([tmp_path / "a.h5"], [frames[7].identity]))


def test_a_later_try_finds_frames_and_log(tmp_path, frames):
    with FrameStore(tmp_path / "x", {"engine": "e"}) as store:
        store.add([record(3, frames[3]), record(1, frames[1])])
        store.add([Record(2, frames[2].identity, None, 0.1, 4, error="no luck")])
        assert store.failed == {2: "no luck"}
    # The last line was cut off by a kill.
    with (tmp_path / "x" / "log.jsonl").open("a") as log:
        log.write('{"index": 9, "iden')
    with FrameStore(tmp_path / "x", {"engine": "e"}) as store:
        assert store.done == {frames[1].identity, frames[3].identity}
        assert store.failed == {}
        store.save(tmp_path / "r.h5", [frame.identity for frame in frames], {"engine": "e"})
        store.save_log(tmp_path / "log.gz")
    assert [frame.energy for frame in iter_frames(tmp_path / "r.h5")] == [1, 3]
    with gzip.open(tmp_path / "log.gz", "rt") as lines:
        assert [json.loads(line)["index"] for line in lines] == [3, 1, 2]


def test_a_damaged_file_is_put_aside(tmp_path, frames):
    with FrameStore(tmp_path / "x", {}) as store:
        store.add([record(0, frames[0])])
    (tmp_path / "x" / "frames.h5").write_bytes(b"nonsense")
    with FrameStore(tmp_path / "x", {}) as store:
        assert store.done == set()
        store.add([record(0, frames[0])])
    assert len(read_frames(tmp_path / "x" / "frames.h5")) == 1


def test_only_one_has_the_store(tmp_path, frames, monkeypatch):
    monkeypatch.setattr(frame_store, "PATIENCE", 0.2)
    with FrameStore(tmp_path / "x", {}), pytest.raises(WorkerError, match="another job computes the same"):
        FrameStore(tmp_path / "x", {})
    FrameStore(tmp_path / "x", {}).close()


def test_old_partial_results_are_removed_and_others_kept(tmp_path):
    for name in ("old", "new", "held"):
        FrameStore(tmp_path / name, {}).close()
    with FrameStore(tmp_path / "held", {}):
        for name in ("old", "held"):
            os.utime(tmp_path / name / "lock", (0, 0))
        clean(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"new", "held"}
    clean(tmp_path / "nowhere")


def fill(path):
    """Write to a disk that is full."""
    assert path.stat().st_size > 0
    with open("/dev/full", "w") as full:
        full.write("x")


def test_a_full_disk_is_a_sentence(tmp_path):
    path = tmp_path / "r"
    with pytest.raises(NotWritten, match="no room for the results: No space left on device"), Reserve(path):
        fill(path)
    assert not path.exists()


def test_another_error_passes_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError), Reserve(tmp_path / "r"):
        Path(tmp_path, "nowhere").read_text()


def test_a_rank_that_ended_well_leaves_no_casualty(tmp_path):
    with FlightRecorder(tmp_path, 1) as recorder:
        recorder.begin("a" * 32)
        assert casualties(tmp_path) == {}
    assert casualties(tmp_path) == {}


def test_casualties_are_kept_until_forgotten(tmp_path):
    (tmp_path / "rank-1.frame").write_text("b" * 32)
    (tmp_path / "rank-1.fault").write_text("Fatal Python error: Bus error\n\nCurrent thread")
    (tmp_path / "rank-2.fault").write_text("")  # of a rank that was killed while it ended
    sentence = {"b" * 32: "the engine took its process down: Bus error"}
    assert casualties(tmp_path) == sentence
    assert casualties(tmp_path) == sentence
    forget_casualties(tmp_path)
    assert casualties(tmp_path) == {}
