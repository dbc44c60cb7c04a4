from __future__ import annotations

import zipfile

import numpy as np
import pytest

from hashigo.errors import InputError
from hashigo.study.numpy_file import NotPlain, read_arrays
from hashigo.study.voxels import read_voxels


def anything(shape):
    pass


def announced(path, descr, shape, archive):
    """A small file whose header tells of a large array."""
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    if not archive:
        with path.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            stream.write(bytes(1000))
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("a.npy", "w") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(bytes(1000))


def test_arrays_by_name_whatever_the_end_of_the_files(tmp_path):
    array = np.arange(6).reshape(2, 3)
    np.save(tmp_path / "one.npy", array)
    assert np.array_equal(read_arrays(tmp_path / "one.npy", anything)[""], array)
    with (tmp_path / "two.npy").open("wb") as stream:
        np.savez(stream, a=array, b=np.array(["x"]))
    found = read_arrays(tmp_path / "two.npy", anything)
    assert list(found) == ["a", "b"]
    assert np.array_equal(found["a"], array)
    assert list(read_arrays(tmp_path / "two.npy", anything, ("b",))) == ["b"]


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize(
    ("descr", "shape", "complaint"),
    [
        ("<i8", (2**20, 2**20), "announces 8796093022208 bytes"),
        ("|V8", (4,), "it holds"),
        ("<U100000", (4,), "it holds"),
        ("|O", (4,), "it holds object"),
    ],
)
def test_nothing_is_read_that_is_not_there_or_no_number(tmp_path, archive, descr, shape, complaint):
    announced(tmp_path / "a.npy", descr, shape, archive)
    with pytest.raises(NotPlain, match=complaint):
        read_arrays(tmp_path / "a.npy", anything)


def test_encrypted_archives_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.find(mark) + place] |= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(NotPlain, match="encrypted"):
        read_arrays(tmp_path / "a.npz", anything)


@pytest.mark.parametrize("archive", [False, True])
def test_a_mask_that_would_fill_the_memory_is_not_opened(tmp_path, archive):
    announced(tmp_path / "a.npy", "|u1", (4096, 4096, 4096), archive)
    with pytest.raises(InputError, match="68719476736 voxels, more than 50000000"):
        read_voxels(tmp_path / "a.npy")
