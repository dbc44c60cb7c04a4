from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.microstructures import read_microstructure
from hashigo.calculators.microstructures.sample import Imported, mismatch, settle
from hashigo.calculators.workers.homogenization.microstructure import voronoi_polycrystal
from hashigo.errors import InputError

VORONOI = voronoi_polycrystal(20, 24, 3).grain_id.astype(np.int64)


def settled(ids, periodic="check", phases=None, materials=(), **more):
    return settle(Imported("a.npy", np.asarray(ids), **more), periodic, phases or {}, materials)


def test_gaps_in_the_numbers_are_closed():
    found = settled(3 * VORONOI + 7)
    assert np.array_equal(found.grain_id, VORONOI)
    assert np.array_equal(found.numbers, 3 * np.arange(20) + 7)
    assert found.grain_id.dtype == np.int32


def test_orientations_follow_their_grains():
    table = np.random.default_rng(0).standard_normal((70, 4))
    found = settled(3 * VORONOI + 7, quaternions=table)
    expected = table[3 * np.arange(20) + 7]
    assert np.allclose(found.quaternions, expected / np.linalg.norm(expected, axis=1)[:, None])


@pytest.mark.parametrize(("row", "value"), [(5, np.nan), (5, 0.0), (19, None)])
def test_a_grain_without_orientation_is_named(row, value):
    table = np.ones((20, 4))
    if value is None:
        table = table[:row]
    else:
        table[row] = value
    with pytest.raises(InputError, match=f"grain {row} of a.npy has no orientation"):
        settled(VORONOI, quaternions=table)
    # A pore needs none.
    phases = ["pore" if number == row else "Si" for number in range(20)]
    named = {"pore": "hole", "Si": "crystal"}
    found = settle(Imported("a.npy", VORONOI, table, phases), "check", named, ["hole"])
    assert list(np.flatnonzero(found.material)) == [row]


def test_phases_become_materials():
    levels = np.array([[[0, 100, 255, 255]] * 4])
    found = settle(
        Imported("a.png", levels, levels=True), "assume", {"0": "pore", "100": "glass", "255": "crystal"},
        ["glass", "pore"],
    )  # fmt: skip
    assert list(found.material) == [2, 1, 0]
    assert list(found.numbers) == [0, 100, 255]
    with pytest.raises(InputError, match=r"grey level 100 of a.png has no material"):
        settle(Imported("a.png", levels, levels=True), "assume", {"0": "pore", "255": "crystal"}, ["pore"])
    # Without any named all are the crystal's grains; phases named as materials are theirs.
    assert not settle(Imported("a.png", levels, levels=True), "assume", {}, ["pore"]).material.any()
    named = settle(Imported("a", levels % 3, phases=["crystal", "pore"]), "assume", {}, ["pore"])
    assert list(named.material) == [0, 1]
    with pytest.raises(InputError, match="phase Al of a has no material"):
        settle(Imported("a", levels % 3, phases=["Al", "pore"]), "assume", {}, ["pore"])
    with pytest.raises(InputError, match="grain 1 of a has no phase"):
        settle(Imported("a", levels % 3, phases=["Al"]), "assume", {}, ["pore"])


def test_an_image_of_many_levels_is_no_image_of_phases():
    levels = np.arange(100).reshape(1, 10, 10)
    with pytest.raises(InputError, match="100 grey levels, more than 32"):
        settle(Imported("a.png", levels, levels=True), "assume", {}, [])


@pytest.mark.parametrize("seed", range(5))
def test_a_periodic_sample_passes_and_a_part_of_it_does_not(seed):
    ids = voronoi_polycrystal(30, 24, seed).grain_id
    assert np.array_equal(settled(ids).grain_id, ids)
    for axis, letter in ((0, "z"), (1, "y"), (2, "x")):
        part = np.take(ids, range(17), axis=axis)
        with pytest.raises(InputError, match=rf"not periodic along {letter}: \d+ % of the voxels") as caught:
            settled(part)
        assert "mirror" in caught.value.fix
        assert "assume" in caught.value.fix
        assert settled(part, "assume").grain_id.shape == part.shape


def test_layers_and_planes_are_periodic():
    layers = np.repeat([0, 1, 2], 4)[:, None, None] * np.ones((12, 5, 6), int)
    assert settled(layers).mirrored == ""
    assert settled(VORONOI[:1]).grain_id.shape == (1, 24, 24)


def test_a_mirrored_sample_is_periodic():
    part = VORONOI[:15, :, :17]
    found = settled(part, "mirror")
    assert found.mirrored == "zx"
    assert found.grain_id.shape == (30, 24, 34)
    assert np.array_equal(found.numbers[found.grain_id[:15, :, :17]], part)
    assert np.array_equal(found.grain_id, found.grain_id[::-1])
    assert np.array_equal(found.grain_id, found.grain_id[:, :, ::-1])
    # Across the faces of the mirrored box nothing changes.
    assert mismatch(found.grain_id.astype(np.int64), 0)[0] == 0


def test_files_by_their_ending(tmp_path):
    np.save(tmp_path / "a.npy", VORONOI)
    (tmp_path / "o.txt").write_text("phi1 Phi phi2\n" + "1 2 3\n" * 20)
    found = read_microstructure(tmp_path / "a.npy", tmp_path / "o.txt")
    assert found.quaternions.shape == (20, 4)
    with pytest.raises(InputError, match=r"b.npy does not exist"):
        read_microstructure(tmp_path / "b.npy")
    (tmp_path / "c.xyz").write_text("")
    with pytest.raises(InputError, match=r"c.xyz is no file of a microstructure that is known") as caught:
        read_microstructure(tmp_path / "c.xyz")
    assert ".dream3d" in caught.value.fix
    np.savez(tmp_path / "d.npz", grain_id=VORONOI, quaternions=np.ones((20, 4)))
    with pytest.raises(InputError, match=r"d.npz has orientations of its own, and o.txt gives others"):
        read_microstructure(tmp_path / "d.npz", tmp_path / "o.txt")
