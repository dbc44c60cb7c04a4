from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.given import read_given, write_given
from hashigo.calculators.workers.homogenization.microstructure import voronoi_polycrystal
from hashigo.calculators.workers.homogenization.recipe import Recipe
from hashigo.calculators.workers.job import SerialComm
from hashigo.errors import InputError

from .ranks import on_ranks, whole

SAMPLE = voronoi_polycrystal(7, 10, 1)
GRID = {
    "grain_id": SAMPLE.grain_id[:, :8, :9],
    "material": np.array([0, 0, 1, 0, 0, 0, 0], np.int32),
    "quaternions": SAMPLE.quaternions,
}
FILE = {"microstructure": {"kind": "file"}, "materials": {"pore": "void"}}


def test_a_grid_of_a_file_is_read_in_parts(tmp_path):
    path = tmp_path / "m.h5"
    write_given(path, grid=GRID, origin={"file": "a.vti"})
    recipe = Recipe.read(FILE, path)
    assert recipe.shape == (10, 8, 9)
    assert not recipe.varies
    assert recipe.note() == {"kind": "file", "file": "a.vti", "texture": "given with the grains"}
    alone = recipe.make(0, slice(None), SerialComm())
    parts = on_ranks(3, 10, lambda planes, comm: recipe.make(0, planes, comm))
    assert np.array_equal(alone.grain_id, GRID["grain_id"])
    assert np.array_equal(whole(parts), alone.grain_id)
    assert np.array_equal(parts[2].fractions, np.bincount(alone.grain_id.ravel()) / 720)
    assert np.array_equal(alone.quaternions, SAMPLE.quaternions)
    assert np.array_equal(alone.material, GRID["material"])


def test_grains_without_orientations_take_the_texture(tmp_path):
    write_given(tmp_path / "m.h5", grid={**GRID, "quaternions": None})
    recipe = Recipe.read({**FILE, "texture": {"kind": "fibre"}}, tmp_path / "m.h5")
    assert recipe.varies
    first, second = (recipe.make(seed, slice(None), SerialComm()) for seed in (0, 1))
    crystal = first.material == 0
    assert np.abs(first.rotations[crystal][:, :, 2] - [0, 0, 1]).max() < 1e-14
    assert not np.array_equal(first.quaternions, second.quaternions)


def test_a_list_of_orientations(tmp_path):
    quaternions = Rotation.random(4, random_state=0).as_quat()
    write_given(tmp_path / "m.h5", texture={"quaternions": quaternions, "weights": np.array([1.0, 0, 0, 0])})
    parameters = {"grains": 4, "voxels": 8, "texture": {"kind": "list"}}
    sample = Recipe.read(parameters, tmp_path / "m.h5").make(0, slice(None), SerialComm())
    assert np.array_equal(sample.quaternions, quaternions)
    parameters["texture"]["kind"] = "odf"
    sample = Recipe.read(parameters, tmp_path / "m.h5").make(0, slice(None), SerialComm())
    assert np.array_equal(sample.quaternions, quaternions[[0, 0, 0, 0]])


def test_equal_content_gives_equal_files(tmp_path):
    for name in "ab":
        write_given(tmp_path / f"{name}.h5", grid=GRID, texture={"quaternions": SAMPLE.quaternions})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_files_that_do_not_do_are_named(tmp_path):
    with pytest.raises(InputError, match="no file with the microstructure"):
        Recipe.read(FILE)
    (tmp_path / "m.h5").write_text("no")
    with pytest.raises(InputError, match=r"m.h5 is no microstructure"):
        read_given(tmp_path / "m.h5")
    write_given(tmp_path / "m.h5", grid=GRID)
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        del file["grid/material"]
    with pytest.raises(InputError, match=r"m.h5 is no microstructure"):
        read_given(tmp_path / "m.h5")
