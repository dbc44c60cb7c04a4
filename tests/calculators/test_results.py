"""Result files keep values, parts of uncertainty and members; they appear only when complete."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.errors import InputError


def test_round_trip(tmp_path):
    path = tmp_path / "r.h5"
    conditions = [{"temperature": 300.0}, {"temperature": 400.0}]
    with ResultWriter(path, task="t", task_version=3) as writer:
        writer.quantity(
            "heat_capacity", [1.0, 2.0], conditions=conditions, components={"model": [3.0, 0.0], "mesh": [4.0, 1.0]},
            members=[[1.0, 2.0], [1.1, 2.1]], converged=False,
        )  # fmt: skip
        writer.array("a/b", np.arange(2000), units="K")
        writer.note("gate", {"passed": True})
    with ResultReader(path) as reader:
        record = reader.quantity("heat_capacity")
        assert record.conditions == conditions
        np.testing.assert_allclose(record.standard_uncertainty, [5.0, 1.0])
        assert record.members.shape == (2, 2)
        assert (record.unit, record.converged, record.calibrated) == ("J/(K mol)", False, False)
        assert reader.note("gate") == {"passed": True}
        assert reader.array("a/b")[-1] == 1999
    with h5py.File(path) as file:
        missing = []
        file.visititems(
            lambda name, item: missing.append(name) if isinstance(item, h5py.Dataset) and "units" not in item.attrs
            else None
        )  # fmt: skip
        assert missing == []


@pytest.mark.parametrize("message", ["", "the tea is cold"])
def test_a_gate_that_does_not_hold_says_why_and_what_to_do(tmp_path, message):
    with ResultWriter(tmp_path / "r.h5", task="t", task_version=1) as writer:
        writer.gate("warm_tea", message, fix="drink faster", cups=2)
    with ResultReader(tmp_path / "r.h5") as reader:
        assert reader.note("gate") == {
            "name": "warm_tea", "passed": not message, "message": message, "fix": "drink faster" if message else "",
            "cups": 2,
        }  # fmt: skip


def test_an_error_leaves_no_file(tmp_path):
    with (
        pytest.raises(InputError, match="shape"),
        ResultWriter(tmp_path / "r.h5", task="t", task_version=1) as w,
    ):
        w.quantity("stiffness", np.eye(3))
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_are_refused(tmp_path):
    with ResultWriter(tmp_path / "r.h5", task="t", task_version=1) as writer:
        with pytest.raises(InputError, match="no quantity 'hardness'"):
            writer.quantity("hardness", 1.0)
        with pytest.raises(InputError, match="'guess' is no part of an uncertainty"):
            writer.quantity("density", 1.0, components={"guess": 1.0})


def test_damaged_files_are_one_sentence(tmp_path):
    (tmp_path / "r.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match="cannot be read as HDF5"):
        ResultReader(tmp_path / "r.h5")
