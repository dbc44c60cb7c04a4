"""Small files of microstructures in the layouts that other programs write."""

from __future__ import annotations

import h5py
import numpy as np

GRID = (4, 5, 6)


def grain_ids(seed=0, shape=GRID, grains=5):
    """Numbers of grains from 1, each there at least once."""
    ids = np.random.default_rng(seed).integers(1, grains + 1, shape)
    ids.ravel()[:grains] = np.arange(1, grains + 1)
    return ids.astype(np.int32)


def eulers(grains=5, seed=1):
    """Bunge angles of features, rad; row 0 is none."""
    angles = np.random.default_rng(seed).uniform([0, 0, 0], [6.2, 3.1, 6.2], (grains + 1, 3))
    angles[0] = 0
    return angles.astype(np.float32)


def dream3d_quaternions(angles):
    """As EbsdLib computes them: vector first, P = +1."""
    half = 0.5 * np.asarray(angles, dtype=float)
    total, apart = half[:, 0] + half[:, 2], half[:, 0] - half[:, 2]
    sine, cosine = np.sin(half[:, 1]), np.cos(half[:, 1])
    parts = [-sine * np.cos(apart), -sine * np.sin(apart), -cosine * np.sin(total), cosine * np.cos(total)]
    return np.stack(parts, axis=1).astype(np.float32)


def write_dream3d_7(path, ids, features, spacing=(0.5, 0.5, 0.5)):
    """Version 7.0 as DREAM.3D 6 writes it: groups of a data container, geometry as datasets."""
    with h5py.File(path, "w") as file:
        file.attrs["FileVersion"] = np.bytes_("7.0")
        container = file.create_group("DataContainers/SyntheticVolumeDataContainer")
        box = container.create_group("_SIMPL_GEOMETRY")
        box["DIMENSIONS"] = np.array(ids.shape[::-1], dtype=np.int64)
        box["ORIGIN"] = np.zeros(3, dtype=np.float32)
        box["SPACING"] = np.array(spacing, dtype=np.float32)
        container["CellData/FeatureIds"] = ids[..., None]
        for name, values in features.items():
            container[f"CellFeatureData/{name}"] = values if values.ndim > 1 else values[:, None]


def write_dream3d_8(path, ids, features, spacing=(0.5, 0.5, 0.5)):
    """Version 8.0 as DREAM3D-NX writes it: an image geometry with attributes."""
    with h5py.File(path, "w") as file:
        file.attrs["FileVersion"] = np.bytes_("8.0")
        box = file.create_group("DataStructure/DataContainer")
        box.attrs["ObjectType"] = np.bytes_("ImageGeom")
        box.attrs["_DIMENSIONS"] = np.array(ids.shape[::-1], dtype=np.uint64)
        box.attrs["_ORIGIN"] = np.zeros(3, dtype=np.float32)
        box.attrs["_SPACING"] = np.array(spacing, dtype=np.float32)
        box["Cell Data/FeatureIds"] = ids[..., None]
        box["Cell Data"].attrs["ObjectType"] = np.bytes_("AttributeMatrix")
        for name, values in features.items():
            box[f"Cell Feature Data/{name}"] = values if values.ndim > 1 else values[:, None]


def write_vti(path, ids, mode="binary", compressor="zlib", kind=np.int64, header=32, name="material"):
    """By VTK's own writer."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkIOXML import vtkXMLImageDataWriter

    image = vtkImageData()
    image.SetDimensions(*(n + 1 for n in ids.shape[::-1]))
    image.SetSpacing(0.5, 0.5, 0.5)
    array = numpy_to_vtk(np.ascontiguousarray(ids).ravel().astype(kind), deep=True)
    array.SetName(name)
    image.GetCellData().AddArray(array)
    other = numpy_to_vtk(np.linspace(0, 1, ids.size), deep=True)
    other.SetName("other")
    image.GetCellData().AddArray(other)
    writer = vtkXMLImageDataWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(image)
    {"none": writer.SetCompressorTypeToNone, "zlib": writer.SetCompressorTypeToZLib}.get(
        compressor, writer.SetCompressorTypeToLZ4
    )()
    writer.SetHeaderTypeToUInt64() if header == 64 else writer.SetHeaderTypeToUInt32()
    if mode == "ascii":
        writer.SetDataModeToAscii()
    elif mode == "binary":
        writer.SetDataModeToBinary()
    else:
        writer.SetDataModeToAppended()
        writer.SetEncodeAppendedData(mode == "appended")
    writer.SetBlockSize(256)  # several blocks
    assert writer.Write()
