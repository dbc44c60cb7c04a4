"""Frames survive the way to disk; damaged ones are named."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from hashigo.calculators.frames import (
    Frame,
    FrameWriter,
    frame_identity,
    iter_frames,
    read_frames,
    read_header,
    read_sizes,
    write_frames,
)
from hashigo.errors import InputError


def make(n=2, **changes):
    rng = np.random.default_rng(n)
    return replace(
        Frame(
            cell=np.eye(3) * 4, positions=rng.random((n, 3)), symbols=("Si",) * n, energy=-1.5,
            forces=rng.random((n, 3)), stress=rng.random(6), settings="a",
        ),
        **changes,
    )  # fmt: skip


def test_round_trip_keeps_every_number(tmp_path):
    frames = [make(2), make(3, kind="strained", stress=None), make(1, energy=None, forces=None)]
    write_frames(tmp_path / "f.h5", frames, {"engine": "x"})
    back = read_frames(tmp_path / "f.h5")
    assert read_header(tmp_path / "f.h5") == {"engine": "x"}
    for one, two in zip(frames, back, strict=True):
        assert (one.identity, one.kind, one.symbols, one.energy) == (
            two.identity,
            two.kind,
            two.symbols,
            two.energy,
        )
        np.testing.assert_array_equal(one.positions, two.positions)
    np.testing.assert_array_equal(back[0].forces, frames[0].forces)
    assert back[1].stress is None
    assert back[2].forces is None


def test_every_dataset_has_units_and_equal_frames_are_equal_files(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_frames(tmp_path / name, [make(2)])
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert names
        assert all(file[name].attrs["units"] for name in names)


def test_identity_is_of_structure_and_settings():
    frame = make(2)
    assert frame.identity == frame_identity(frame.cell, frame.positions + 1e-10, frame.symbols, "a")
    assert frame.identity != frame_identity(frame.cell, frame.positions + 1e-6, frame.symbols, "a")
    assert frame.identity != frame_identity(frame.cell, frame.positions, frame.symbols, "b")


def test_truncated_file_is_one_sentence(tmp_path):
    path = tmp_path / "f.h5"
    write_frames(path, [make(50)])
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"f\.h5 cannot be read as HDF5: it is truncated"):
        read_frames(path)


def test_nan_forces_name_the_frame(tmp_path):
    path = tmp_path / "f.h5"
    write_frames(path, [make(2), make(3)])
    with h5py.File(path, "r+") as file:
        file["atoms/force"][3, 1] = np.nan
    with pytest.raises(InputError, match=r"forces of frame 1 of f\.h5 is not finite"):
        list(iter_frames(path))


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="positions of frame 1"):
        write_frames(tmp_path / "f.h5", [make(2), make(2, positions=np.zeros((3, 3)))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.attrs.__delitem__("format"), "not a frames file"),
        (lambda f: f.__delitem__("frames/energy"), "lacks the dataset 'frames/energy'"),
        (lambda f: f.attrs.__setitem__("schema_version", 99), "newer schema"),
    ],
)
def test_foreign_files_are_refused(tmp_path, damage, message):
    write_frames(tmp_path / "f.h5", [make(2)])
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        damage(file)
    with pytest.raises(InputError, match=message):
        read_frames(tmp_path / "f.h5")


def test_missing_file_names_the_path(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.h5 does not exist"):
        read_frames(tmp_path / "nowhere.h5")


WRITER = """
import os, signal, sys
import numpy as np
from pathlib import Path
from hashigo.calculators.frames import Frame, FrameWriter
path, n_flushed, n_more = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(0)
def frame(i):
    n = 32 + i % 3
    return Frame(cell=np.eye(3) * 9, positions=rng.random((n, 3)), symbols=("Al",) * n, energy=float(i),
                 forces=rng.random((n, 3)), charges=np.full(n, 0.5) if i % 2 else None)
writer = FrameWriter(path, {"engine": "emt"})
for i in range(n_flushed):
    writer.append(frame(i))
    if i % 7 == 0:
        writer.flush()
writer.flush()
for i in range(n_more):
    writer.append(frame(n_flushed + i))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("flushed", "more"), [(0, 3), (40, 5), (1700, 60)])
def test_a_killed_writer_leaves_every_flushed_frame_and_another_goes_on(tmp_path, flushed, more):
    path = tmp_path / "f.h5"
    done = subprocess.run([sys.executable, "-c", WRITER, path, str(flushed), str(more)])
    assert done.returncode == -signal.SIGKILL
    frames = read_frames(path)
    assert flushed <= len(frames) <= flushed + more
    rng = np.random.default_rng(0)
    for index, frame in enumerate(frames):
        n = 32 + index % 3
        assert frame.energy == index
        np.testing.assert_array_equal(frame.positions, rng.random((n, 3)))
        np.testing.assert_array_equal(frame.forces, rng.random((n, 3)))
        assert (frame.charges is not None) == bool(index % 2)

    with FrameWriter(path) as writer:
        assert len(writer) == len(frames)
        writer.append(make(5, energy=-7.0))
        writer.flush()
        assert [f.energy for f in iter_frames(path)] == [f.energy for f in frames] + [-7.0]
    assert [f.identity for f in iter_frames(path)] == [f.identity for f in frames] + [make(5).identity]
    assert read_header(path) == {"engine": "emt"}
    assert [item.name for item in tmp_path.iterdir()] == ["f.h5"]


LARGE = """
import resource, sys
import numpy as np
from pathlib import Path
from hashigo.calculators.frames import Frame, iter_frames, write_frames
n = 400
def frames(count):
    for i in range(count):
        rng = np.random.default_rng(i)
        yield Frame(cell=np.eye(3) * 20, positions=rng.random((n, 3)), symbols=("Al",) * n, energy=float(i),
                    forces=rng.random((n, 3)))
path = Path(sys.argv[1])
write_frames(path, frames(5), {})
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = used + 60_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
write_frames(path, frames(6000), {})
assert path.stat().st_size > 90_000_000, path.stat().st_size
assert sum(frame.energy for frame in iter_frames(path)) == sum(range(6000))
"""


def test_a_file_larger_than_the_memory_is_written_and_read(tmp_path):
    done = subprocess.run([sys.executable, "-c", LARGE, tmp_path / "f.h5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


FULL = """
import resource, sys
import numpy as np
from pathlib import Path
from hashigo.calculators.frames import Frame, FrameWriter
from hashigo.errors import WorkerError
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
rng = np.random.default_rng(0)
flushed = 0
try:
    with FrameWriter(Path(sys.argv[1]), {}) as writer:
        for i in range(10_000):
            writer.append(Frame(cell=np.eye(3) * 9, positions=rng.random((32, 3)), symbols=("Al",) * 32,
                                energy=float(i), forces=rng.random((32, 3))))
            writer.flush()
            flushed = i + 1
except WorkerError as error:
    print(flushed, error.message)
"""


def test_a_full_disk_is_one_sentence_and_keeps_what_was_flushed(tmp_path):
    path = tmp_path / "f.h5"
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True)
    flushed, message = done.stdout.split(maxsplit=1)
    assert "cannot be written" in message
    frames = read_frames(path)
    assert len(frames) >= int(flushed) > 50
    assert [f.energy for f in frames] == list(range(len(frames)))


def test_files_of_the_first_schema_are_still_read():
    path = Path(__file__).parents[2] / "examples" / "silicon" / "reference.h5"
    frames = read_frames(path)
    assert len(frames) == 29
    assert read_header(path)["engine"] == "quantum_espresso"
    assert frames[0].magnetic_moments is None


def test_a_writer_refuses_what_is_no_frames_file(tmp_path):
    (tmp_path / "f.h5").write_text("hello")
    with pytest.raises(InputError, match="truncated or of another format"):
        FrameWriter(tmp_path / "f.h5")
    assert (tmp_path / "f.h5").read_text() == "hello"


def test_sizes_are_read_without_the_frames(tmp_path):
    frames = [make(n) for n in (2, 3, 4)]
    write_frames(tmp_path / "a.h5", frames)
    assert read_sizes(tmp_path / "a.h5") == {frame.identity: len(frame.symbols) for frame in frames}
    with pytest.raises(InputError, match="does not exist"):
        read_sizes(tmp_path / "b.h5")


def replaced(key, data):
    """A change of a frames file: another dataset in the place of one."""

    def change(file):
        del file[key]
        file[key] = data

    return change


def outside(file):
    """Numbers of another file, which would be read as the frames' own."""
    del file["atoms/charge"]
    file.create_dataset("atoms/charge", (5,), "<f8", external=[("secret", 0, 40)])


def too_many(file):
    """A file of some kilobytes that says it has 10¹⁵ atoms."""
    for key, kind, shape in (("number", "<i4", ()), ("position", "<f8", (3,)), ("force", "<f8", (3,)),
                             ("charge", "<f8", ()), ("magnetic_moment", "<f8", ())):  # fmt: skip
        del file[f"atoms/{key}"]
        file.create_dataset(f"atoms/{key}", (10**15, *shape), kind, chunks=(2048, *shape), fillvalue=1)
    file["frames/count"][...] = 10**15


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (replaced("frames/kind", 3), "'frames/kind' is of another type or shape"),
        (replaced("frames/identity", np.zeros(1)), "'frames/identity' is of another type or shape"),
        (replaced("atoms/force", np.zeros((5, 2))), "'atoms/force' is of another type or shape"),
        (replaced("atoms/number", h5py.ExternalLink("other.h5", "/x")), "lacks the dataset 'atoms/number'"),
        (replaced("header", 3), "its header is not JSON"),
        (lambda file: file.attrs.pop("schema_version"), "does not say its schema"),
        (outside, "takes its dataset 'atoms/charge' from another file"),
        (too_many, "is damaged: Unable to allocate"),
    ],
)
def test_files_that_lie_are_refused_in_a_sentence(tmp_path, monkeypatch, change, sentence):
    monkeypatch.chdir(tmp_path)
    Path("secret").write_bytes(bytes(40))
    write_frames(Path("f.h5"), [make(5)], {})
    with h5py.File("f.h5", "a") as file:
        change(file)
    with pytest.raises(InputError, match=sentence):
        read_header(Path("f.h5")), read_frames(Path("f.h5"))
