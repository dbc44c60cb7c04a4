"""Frames survive the way to disk; damaged ones are named."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from hashigo.calculators.frames import (
    Frame,
    frame_identity,
    iter_frames,
    read_frames,
    read_header,
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
