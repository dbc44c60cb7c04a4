from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from hashigo.calculators.microstructures.arrays import read_image, read_numpy
from hashigo.errors import InputError

from .files import grain_ids


@pytest.mark.parametrize("kind", [np.int16, np.uint64, np.float64, bool])
def test_arrays_of_grains(tmp_path, kind):
    ids = grain_ids().astype(kind)
    np.save(tmp_path / "a.npy", ids)
    assert np.array_equal(read_numpy(tmp_path / "a.npy").ids, ids.astype(int))
    np.save(tmp_path / "a.npy", np.asfortranarray(ids[0]))
    assert np.array_equal(read_numpy(tmp_path / "a.npy").ids, ids[:1].astype(int))


def test_an_archive_has_orientations_and_phases_too(tmp_path):
    quaternions = np.random.default_rng(0).standard_normal((6, 4))
    ids = grain_ids()
    np.savez_compressed(tmp_path / "a.npz", grain_id=ids, quaternions=quaternions, phase=list("abcabc"))
    found = read_numpy(tmp_path / "a.npz")
    assert np.array_equal(found.ids, ids)
    assert np.array_equal(found.quaternions, quaternions)
    assert found.phases == list("abcabc")


class Harmful:
    """Would run something when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.full((2, 2, 2), np.nan), "voxels that are no numbers"),
        (np.full((2, 2, 2), 0.5), "voxels that are no whole numbers"),
        (np.full((2, 2, 2), -1), "voxels of grain -1"),
        (np.zeros(8, int), "has 1 axes, expected z, y, x"),
        (np.zeros((0, 2, 2), int), "a grid of 0×2×2 voxels"),
        (np.full((2, 2, 2), "a"), "holds no numbers of grains"),
        (np.full((2, 2, 2), Harmful()), "no NumPy file of plain arrays"),
    ],
)
def test_arrays_of_something_else_are_named(tmp_path, array, complaint):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=complaint):
        read_numpy(tmp_path / "a.npy")


def test_other_files_of_that_name_are_named(tmp_path):
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(InputError, match=r"a.npy is no NumPy file"):
        read_numpy(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", grain_ids())
    (tmp_path / "c.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:200])
    with pytest.raises(InputError, match=r"c.npy is no NumPy file"):
        read_numpy(tmp_path / "c.npy")
    np.savez(tmp_path / "d.npz", ids=grain_ids())
    with pytest.raises(InputError, match=r"d.npz has no array 'grain_id'"):
        read_numpy(tmp_path / "d.npz")
    (tmp_path / "e.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"e.npz is no NumPy file"):
        read_numpy(tmp_path / "e.npz")


@pytest.mark.parametrize("quaternions", [np.full((6, 4), "a"), np.ones((6, 4), complex)])
def test_quaternions_are_numbers(tmp_path, quaternions):
    np.savez(tmp_path / "a.npz", grain_id=grain_ids(), quaternions=quaternions)
    with pytest.raises(InputError, match=r"holds <U1|it holds complex128"):
        read_numpy(tmp_path / "a.npz")


def test_an_archive_that_would_fill_the_memory_is_not_opened(tmp_path):
    """Zeros compress a thousandfold: the header tells before they are unpacked."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = {"descr": "<i8", "fortran_order": False, "shape": (4096, 4096, 4096)}
        with archive.open("grain_id.npy", "w") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            stream.write(bytes(1000))
    with pytest.raises(InputError, match="voxels, more than"):
        read_numpy(tmp_path / "a.npz")


def test_grey_levels_of_an_image(tmp_path):
    levels = np.array([[0, 0, 128], [255, 128, 0]], dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png")
    assert found.levels
    # The picture's lowest row is y = 0.
    assert np.array_equal(found.ids, levels[None, ::-1])
    Image.fromarray(np.stack([levels] * 3, axis=-1)).save(tmp_path / "b.png")
    assert np.array_equal(read_image(tmp_path / "b.png").ids, found.ids)
    Image.fromarray(levels > 100).save(tmp_path / "c.png")
    assert sorted(np.unique(read_image(tmp_path / "c.png").ids)) == [0, 255]
    Image.fromarray(levels.astype(np.uint16) * 200).save(tmp_path / "d.tif")
    assert read_image(tmp_path / "d.tif").ids.max() == 51000


def test_frames_of_an_image_are_planes(tmp_path):
    frames = [np.full((3, 4), value, dtype=np.uint8) for value in (1, 2, 3)]
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(tmp_path / "a.tif", save_all=True, append_images=rest)
    assert np.array_equal(read_image(tmp_path / "a.tif").ids, np.stack(frames))


def test_images_that_do_not_do_are_named(tmp_path):
    Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"image a.png is coloured"):
        read_image(tmp_path / "a.png")
    # Other formats would be read by programs that the file tells what to do.
    (tmp_path / "c.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    with pytest.raises(InputError, match=r"cannot identify image file"):
        read_image(tmp_path / "c.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    with pytest.raises(InputError, match=r"b.png is no image that can be read"):
        read_image(tmp_path / "b.png")
