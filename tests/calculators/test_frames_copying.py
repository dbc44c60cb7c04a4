"""Frames copied by columns: the same file, byte by byte, as of the frames one by one."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.frames import Frame, FrameWriter, copy_frames, write_frames
from hashigo.errors import InputError


def frames(count):
    random = np.random.default_rng(0)
    for index in range(count):
        n = int(random.integers(1, 60))
        yield Frame(
            cell=np.eye(3) * 9,
            positions=random.uniform(0, 9, (n, 3)),
            symbols=("Al", "Ni")[: min(n, 2)] + ("Al",) * (n - min(n, 2)),
            energy=None if index % 3 == 0 else -float(index),
            forces=None if index % 7 == 0 else random.normal(size=(n, 3)),
            stress=None if index % 5 == 0 else random.normal(size=6),
            kind="strained" if index % 2 else "displaced",
            origin="ü" * index if index < 200 else "",
        )


@pytest.mark.parametrize("count", [3, 1200])
def test_a_file_that_grows_is_copied_in_any_order(tmp_path, count):
    header = {"engine": "emt"}
    random = np.random.default_rng(1)
    with FrameWriter(tmp_path / "store.h5", header) as writer:
        given = list(frames(count))
        for frame in given:
            writer.append(frame)
        writer.flush()  # the last ones are in its tail
        orders = [range(count), range(0, count, 2), [*range(count // 2, count), *range(count // 2)]]
        for order in [*orders, random.permutation(count)[:100]]:
            wanted = [given[index] for index in order]
            write_frames(tmp_path / "one.h5", wanted, header)
            copy_frames(tmp_path / "two.h5", writer.path, [frame.identity for frame in wanted], header)
            assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_no_frame_is_no_file(tmp_path):
    write_frames(tmp_path / "one.h5", frames(2), {})
    with pytest.raises(InputError, match=r"no frames to write to two\.h5"):
        copy_frames(tmp_path / "two.h5", tmp_path / "one.h5", [], {})
    assert [path.name for path in tmp_path.iterdir()] == ["one.h5"]
