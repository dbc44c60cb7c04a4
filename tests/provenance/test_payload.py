from __future__ import annotations

import hashlib
import io
import json
from datetime import datetime, timezone

import ase.io
import h5py
import numpy as np
import pytest
from aiida import orm

from hashigo.provenance.payload import slug_suffix, write_data
from hashigo.provenance.records import Data


@pytest.fixture
def write(aiida_profile, tmp_path):
    def write(node, label="thing", stage="phonons"):
        node.store()
        data = Data(node.uuid, label, "", "", datetime.now(timezone.utc), stage=stage)
        payload = write_data(tmp_path, data)
        path = tmp_path / payload.path
        assert hashlib.sha256(path.read_bytes()).hexdigest() == payload.sha256
        return payload, path

    return write


def structure(*symbols, weights=None):
    node = orm.StructureData(cell=np.diag([5.0, 5.0, 5.0]).tolist())
    node.append_atom(position=(0, 0, 0), symbols=list(symbols), weights=weights or [1.0])
    return node


def test_files_stay_as_they_are(write):
    payload, path = write(orm.SinglefileData(io.BytesIO(b"\x00\x01"), filename="model.yaml.xz"), "the/model")
    assert payload.path.startswith("data/phonons/the-model-")
    assert path.name.endswith(".yaml.xz")
    assert (path.read_bytes(), payload.size, payload.encoding) == (b"\x00\x01", 2, "application/x-xz")


def test_arrays_keep_what_the_node_knows_about_them(write):
    node = orm.TrajectoryData()
    node.set_trajectory(["Si"], np.zeros((2, 1, 3)), cells=np.ones((2, 3, 3)))
    node.base.attributes.set("units|positions", "angstrom")
    payload, path = write(node)
    assert payload.encoding == "application/x-hdf5"
    with h5py.File(path) as file:
        assert file["positions"].shape == (2, 1, 3)
        assert file.attrs["units|positions"] == '"angstrom"'


def test_a_mesh_without_arrays(write):
    node = orm.KpointsData()
    node.set_kpoints_mesh([4, 4, 4])
    with h5py.File(write(node)[1]) as file:
        assert json.loads(file.attrs["mesh"]) == [4, 4, 4]


def test_structures(write):
    assert str(ase.io.read(write(structure("Si"))[1]).symbols) == "Si"
    payload, path = write(structure("Si", "Ge", weights=[0.5, 0.5]))
    assert payload.encoding == "application/json"
    assert json.loads(path.read_text())["kinds"][0]["symbols"] == ["Si", "Ge"]


@pytest.mark.parametrize(
    ("kind", "content"), [(orm.Dict, {"b": 1, "a": [1.5, None]}), (orm.List, [1, "Å"]), (orm.Dict, {})]
)
def test_mappings_and_lists(write, kind, content):
    assert json.loads(write(kind(content))[1].read_text()) == content


def test_data_from_outside_has_its_own_folder(write):
    assert write(orm.Dict({}), stage="")[0].path.startswith("data/inputs/")


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.yaml.xz", ".yaml.xz"),
        ("Si.pz-vbc.UPF", ".UPF"),
        ("x.h5", ".h5"),
        ("noname", ""),
        ("1.2/a b.dat", ".dat"),
    ],
)
def test_suffixes(name, suffix):
    assert slug_suffix(name) == suffix
