from __future__ import annotations

import base64
import contextlib
import struct
import zlib

import numpy as np
import pytest

from hashigo.calculators.microstructures.vti import read_vti
from hashigo.errors import InputError

from .files import grain_ids, write_vti


@pytest.mark.parametrize("mode", ["ascii", "binary", "appended", "raw"])
@pytest.mark.parametrize("compressor", ["none", "zlib"])
@pytest.mark.parametrize(("kind", "header"), [(np.int64, 32), (np.int32, 64), (np.float32, 32)])
def test_what_vtk_writes_is_read(tmp_path, mode, compressor, kind, header):
    ids = grain_ids(shape=(7, 8, 9))
    write_vti(tmp_path / "grid.vti", ids, mode, compressor, kind, header)
    found = read_vti(tmp_path / "grid.vti")
    assert np.array_equal(found.ids, ids)
    assert found.voxel == 0.5


def test_the_only_array_of_whole_numbers_will_do(tmp_path):
    ids = grain_ids()
    write_vti(tmp_path / "grid.vti", ids, name="grains of mine")
    assert np.array_equal(read_vti(tmp_path / "grid.vti").ids, ids)
    write_vti(tmp_path / "grid.vti", ids, name="grains of mine", kind=np.float64)
    with pytest.raises(InputError, match="no cell data named 'material'") as caught:
        read_vti(tmp_path / "grid.vti")
    assert "grains of mine, other" in caught.value.fix


BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>
<VTKFile type="ImageData"><ImageData WholeExtent="0 2 0 2 0 2">&b;</ImageData></VTKFile>"""


def changed(path, old, new, mode="binary"):
    write_vti(path, grain_ids(), mode)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (BOMB, "declares a document type"),
        (b"<VTKFile", "is no VTK XML file"),
        (b"\x00\x01", "is no VTK XML file"),
        (b'<?xml version="1.0" encoding="none"?><VTKFile/>', "is no VTK XML file"),
        (b'<?xml version="1.0" encoding="shift-jis"?><VTKFile/>', "is no VTK XML file"),
        (b'<VTKFile type="PolyData"></VTKFile>', "no VTK XML file of image data"),
        (b'<VTKFile type="ImageData"><AppendedData encoding="raw">_abc', "appended data .* are cut off"),
    ],
)
def test_files_of_another_kind_are_named(tmp_path, content, complaint):
    path = tmp_path / "bad.vti"
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint):
        read_vti(path)


@pytest.mark.parametrize(
    ("old", "new", "mode", "complaint"),
    [
        (b'WholeExtent="0 6 0 5 0 4"', b'WholeExtent="0 6 0 5 0 8"', "binary", "its blocks have"),
        (b'WholeExtent="0 6 0 5 0 4"', b'WholeExtent="0 6 0 5"', "binary", "does not tell its grid"),
        (b'WholeExtent="0 6 0 5 0 4"', b'WholeExtent="0 99999 0 99999 0 99999"', "binary", "voxels, more than"),
        (b'Spacing="0.5 0.5 0.5"', b'Spacing="0.5 0.5 0.7"', "binary", "are no cubes: their edges are 0.5, 0.5, 0.7"),
        (b'Direction="1 0 0 0 1', b'Direction="0 1 0 -1 0', "binary", "is turned against its axes"),
        (b'type="Int64"', b'type="String"', "binary", "is of type String"),
        (b"vtkZLibDataCompressor", b"vtkLZ4DataCompressor", "binary", "is compressed by vtkLZ4"),
        (b"eF", b"!!", "binary", "cannot be decoded"),
        (b"eF", b"aa", "appended", "cannot be decoded"),
    ],
)  # fmt: skip
def test_damaged_files_are_named(tmp_path, old, new, mode, complaint):
    path = changed(tmp_path / "bad.vti", old, new, mode)
    with pytest.raises(InputError, match=complaint):
        read_vti(path)


@pytest.mark.parametrize(("block", "last"), [(0, 64), (2**31, 64)])
def test_a_block_is_not_unpacked_beyond_what_the_grid_needs(tmp_path, monkeypatch, block, last):
    """Zeros compress a thousandfold, and a size of zero is no limit to zlib."""
    sizes = []

    class Spy:
        def decompress(self, data, most):
            found = zlib.decompress(data)[: most or None]
            sizes.append(len(found))
            return found

    packed = zlib.compress(bytes(1 << 20))
    monkeypatch.setattr("hashigo.calculators.microstructures.vti.zlib.decompressobj", Spy)
    header = struct.pack("<4I", 1, block, last, len(packed))
    content = (base64.b64encode(header) + base64.b64encode(packed)).decode()
    path = tmp_path / "bomb.vti"
    path.write_text(
        '<VTKFile type="ImageData" byte_order="LittleEndian" compressor="vtkZLibDataCompressor"><ImageData '
        'WholeExtent="0 2 0 2 0 2"><Piece><CellData><DataArray type="Int64" Name="material" format="binary">'
        f"{content}</DataArray></CellData></Piece></ImageData></VTKFile>"
    )
    with contextlib.suppress(InputError):
        read_vti(path)
    assert max(sizes) <= 64
