"""Networks as bytes: complete, reproducible, and read without running anything."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest

from hashigo.calculators.workers.models.packing import pack, unpack
from hashigo.errors import InputError


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_header_and_arrays_come_back_bit_by_bit_and_equal_networks_are_equal_bytes():
    state = {
        "b.weight": np.random.default_rng(0).normal(size=(3, 2)),
        "a": np.array(7),
        "c": np.zeros((0, 3), "f4"),
    }
    blob = pack({"kind": "x", "r": 0.1}, state)
    header, found = unpack(blob)
    assert header == {"kind": "x", "r": 0.1}
    assert list(found) == ["a", "b.weight", "c"]
    for name, value in state.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
    assert pack({"r": 0.1, "kind": "x"}, dict(reversed(state.items()))) == blob


def test_pickles_are_not_loaded():
    stream = io.BytesIO()
    np.savez(stream, header=np.frombuffer(b"{}", dtype=np.uint8), **{"state/a": np.array([Bomb()])})
    for blob in (stream.getvalue(), pickle.dumps(Bomb()), b"", b"PK\x03\x04 but no archive"):
        with pytest.raises(InputError, match="holds no network that can be read"):
            unpack(blob)
