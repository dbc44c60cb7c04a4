from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.microstructures import read_microstructure
from hashigo.calculators.microstructures.pieces import label_pieces, without_crumbs
from hashigo.calculators.microstructures.sample import Imported, Reading, mismatch, settle
from hashigo.calculators.workers.homogenization.microstructure import voronoi_polycrystal
from hashigo.errors import InputError

VORONOI = voronoi_polycrystal(20, 24, 3).grain_id.astype(np.int64)


def settled(ids, periodic="check", phases=None, materials=(), **more):
    return settle(
        Imported("a.npy", np.asarray(ids), **more), Reading(periodic, "check", phases or {}, materials)
    )


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
    found = settle(Imported("a.npy", VORONOI, table, phases), Reading("check", "check", named, ["hole"]))
    assert list(np.flatnonzero(found.material)) == [row]


def test_phases_become_materials():
    levels = np.array([[[0, 100, 255, 255]] * 4])
    named = {"0": "pore", "100": "glass", "255": "crystal"}
    found = settle(
        Imported("a.png", levels, levels=True), Reading("assume", "check", named, ["glass", "pore"])
    )
    assert list(found.material) == [2, 1, 0]
    assert list(found.numbers) == [0, 100, 255]
    with pytest.raises(InputError, match=r"grey level 100 of a.png has no material"):
        settle(
            Imported("a.png", levels, levels=True),
            Reading("assume", "keep", {"0": "pore", "255": "crystal"}, ["pore"]),
        )
    # Without any named all are the crystal's grains; phases named as materials are theirs.
    assert not settle(
        Imported("a.png", levels, levels=True), Reading("assume", "keep", {}, ["pore"])
    ).material.any()
    named = settle(
        Imported("a", levels % 3, phases=["crystal", "pore"]), Reading("assume", "keep", {}, ["pore"])
    )
    assert list(named.material) == [0, 1]
    with pytest.raises(InputError, match="phase Al of a has no material"):
        settle(Imported("a", levels % 3, phases=["Al", "pore"]), Reading("assume", "keep", {}, ["pore"]))
    with pytest.raises(InputError, match="grain 1 of a has no phase"):
        settle(Imported("a", levels % 3, phases=["Al"]), Reading("assume", "keep", {}, ["pore"]))


def test_an_image_of_many_levels_is_no_image_of_phases():
    levels = np.arange(100).reshape(1, 10, 10)
    with pytest.raises(InputError, match="100 grey levels, more than 32"):
        settle(Imported("a.png", levels, levels=True), Reading("assume", "keep", {}, []))


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
        assumed = Reading("assume", "keep")
        assert settle(Imported("a.npy", part.astype(np.int64)), assumed).grain_id.shape == part.shape


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
    number = found.numbers[found.grain_id]
    assert np.array_equal(number, number[::-1])
    assert np.array_equal(number, number[:, :, ::-1])
    # Across the faces of the mirrored box nothing changes.
    assert mismatch(found.grain_id.astype(np.int64), 0)[0] == 0


def test_pieces_touch_by_faces_and_across_the_box():
    ids = np.zeros((1, 4, 8), int)
    ids[0, 1, 1] = ids[0, 2, 2] = 5  # by an edge only
    ids[0, :, 7] = ids[0, :, 0] = 3  # across the face
    piece, grain = label_pieces(ids)
    assert list(grain) == [0, 3, 5, 5]
    assert np.array_equal(grain[piece], ids)
    assert piece[0, 1, 1] != piece[0, 2, 2]
    assert len(np.unique(piece[ids == 3])) == 1


@pytest.mark.parametrize("seed", range(3))
def test_cells_of_voronoi_are_in_one_piece_each(seed):
    ids = voronoi_polycrystal(40, 20, seed).grain_id.astype(np.int64)
    _, grain = without_crumbs(*label_pieces(ids))
    assert np.array_equal(grain, np.arange(40))


def test_crumbs_stay_with_their_grain_and_particles_do_not():
    ids = np.zeros((12, 12, 12), int)
    ids[1:9, 1:9, 1:9] = 1
    ids[10, 10, 10] = 1
    piece, grain = without_crumbs(*label_pieces(ids))
    assert list(grain) == [0, 1]
    assert np.array_equal(piece, ids)
    particles = np.zeros((12, 12, 12), int)
    particles[::3, ::3, ::3] = 1
    assert len(without_crumbs(*label_pieces(particles))[1]) == 1 + 64


def test_a_grain_in_pieces_is_named_and_can_be_separated():
    ids = np.ones((6, 10, 10), int)
    ids[:, 1:4, 1:4] = ids[:, 6:9, 6:9] = 2
    with pytest.raises(InputError, match=r"grain 2 of a.npy is in 2 pieces") as caught:
        settled(ids)
    assert "pieces to separate" in caught.value.fix
    table = np.random.default_rng(0).standard_normal((3, 4))
    apart = settle(Imported("a.npy", ids, table), Reading(pieces="separate"))
    assert list(apart.numbers) == [1, 2, 2]
    assert np.array_equal(apart.quaternions[1], apart.quaternions[2])
    assert np.array_equal(np.bincount(apart.grain_id.ravel()), [6 * 82, 54, 54])
    assert len(settle(Imported("a.npy", ids), Reading(pieces="keep")).numbers) == 2
    # Pores may be many.
    holes = Reading(phases={"2": "pore"}, materials=["pore"])
    assert list(settle(Imported("a.npy", ids), holes).material) == [0, 1]


def test_what_mirroring_makes_two_of_becomes_two_grains():
    found = settled(VORONOI[:15], "mirror")
    assert found.mirrored == "z"
    _, grain = without_crumbs(*label_pieces(found.grain_id.astype(np.int64)))
    assert np.array_equal(grain, np.arange(len(found.numbers)))
    assert len(found.numbers) > len(np.unique(found.numbers)) == len(np.unique(VORONOI[:15]))


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
