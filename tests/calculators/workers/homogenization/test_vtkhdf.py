from __future__ import annotations

import h5py
import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.vtkhdf import write_image
from hashigo.errors import WorkerError

SHAPE = (4, 3, 2)


@pytest.fixture
def picture(tmp_path):
    fields = {
        "grain_id": np.arange(24, dtype=np.int32).reshape(SHAPE),
        "stress": np.random.default_rng(0).random((*SHAPE, 6)).astype(np.float32),
    }
    path = tmp_path / "picture.vtkhdf"
    with h5py.File(path, "w") as file:
        file.create_group("data")
        write_image(file, fields, 2.5)
    return path, fields


def test_attributes_are_those_of_the_format(picture):
    path, fields = picture
    with h5py.File(path) as file:
        group = file["VTKHDF"]
        assert group.attrs["Type"] == b"ImageData"
        kind = group.attrs.get_id("Type").get_type()
        assert not kind.is_variable_str()
        assert kind.get_cset() == h5py.h5t.CSET_ASCII
        assert group.attrs["WholeExtent"].tolist() == [0, 2, 0, 3, 0, 4]
        assert group.attrs["Spacing"].tolist() == [2.5] * 3
        assert group.attrs["Direction"].size == 9
        assert np.array_equal(group["CellData/stress"][()], fields["stress"])


def test_vtk_reads_the_same_numbers(picture, require_module):
    require_module("vtk", "dev")
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    path, fields = picture
    reader = vtk.vtkHDFReader()
    reader.SetFileName(str(path))
    reader.Update()
    image = reader.GetOutputDataObject(0)
    assert image.GetDimensions() == (3, 4, 5)
    for name, field in fields.items():
        assert np.array_equal(vtk_to_numpy(image.GetCellData().GetArray(name)).reshape(field.shape), field)


def test_fields_of_two_grids_are_an_error(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file, pytest.raises(WorkerError, match="field 'b' has grid"):
        write_image(file, {"a": np.zeros(SHAPE), "b": np.zeros((1, 1, 1))}, 1.0)
