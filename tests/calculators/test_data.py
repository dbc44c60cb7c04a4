"""A node of frames is checked when it is stored, and is known by its physical content."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from aiida.common.exceptions import ValidationError

from hashigo.calculators.data import FramesData
from hashigo.calculators.frames import Frame, write_frames


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return Frame(
        cell=np.eye(3) * 4, positions=rng.random((2, 3)), symbols=("Si", "Ge"), energy=-1.0,
        forces=rng.random((2, 3)), magnetic_moments=np.array([1.0, -1.0]), charges=np.array([0.1, -0.1]),
        weight=2.0, origin="here",
    )  # fmt: skip


def node(path, frames, header=None):
    write_frames(path, frames, header or {"engine": "emt"})
    return FramesData(path)


@pytest.mark.usefixtures("aiida_profile_clean")
def test_the_hash_is_of_physical_content_only(tmp_path, frame):
    first = node(tmp_path / "a.h5", [frame]).store()
    other = node(tmp_path / "b.h5", [replace(frame, origin="there")]).store()
    assert first.base.caching.get_hash() == other.base.caching.get_hash()
    back = other.frames()[0]
    assert (back.origin, back.weight) == ("there", 2.0)
    np.testing.assert_array_equal(back.magnetic_moments, frame.magnetic_moments)
    np.testing.assert_array_equal(back.charges, frame.charges)
    for change in (
        {"energy": -1.1}, {"weight": 1.0}, {"charges": None}, {"kind": "strained"}, {"forces": frame.forces * 2},
    ):  # fmt: skip
        changed = node(tmp_path / "c.h5", [replace(frame, **change)]).store()
        assert changed.base.caching.get_hash() != first.base.caching.get_hash()
    header = node(tmp_path / "d.h5", [frame], {"engine": "tersoff"}).store()
    assert header.base.caching.get_hash() != first.base.caching.get_hash()


@pytest.mark.usefixtures("aiida_profile_clean")
def test_a_damaged_file_is_not_stored(tmp_path):
    (tmp_path / "f.h5").write_text("hello")
    with pytest.raises(ValidationError, match="truncated or of another format"):
        FramesData(tmp_path / "f.h5").store()
