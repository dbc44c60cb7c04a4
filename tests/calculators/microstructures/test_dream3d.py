from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.microstructures.dream3d import read_dream3d
from hashigo.calculators.microstructures.sample import Reading, settle
from hashigo.errors import InputError

from .files import dream3d_quaternions, eulers, grain_ids, write_dream3d_7, write_dream3d_8

WRITERS = [write_dream3d_7, write_dream3d_8]
PHASES = np.array([0, 1, 1, 2, 1, 1], dtype=np.int32)


def bunge_matrix(angles):
    """Bunge's g, from sample to crystal axes, written out."""
    (c1, c, c2), (s1, s, s2) = np.cos(angles), np.sin(angles)
    return np.array(
        [
            [c1 * c2 - s1 * s2 * c, s1 * c2 + c1 * s2 * c, s2 * s],
            [-c1 * s2 - s1 * c2 * c, -s1 * s2 + c1 * c2 * c, c2 * s],
            [s1 * s, -c1 * s, c],
        ]
    )


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("by", ["AvgEulerAngles", "EulerAngles", "AvgQuats", "Quats"])
def test_features_with_their_orientations(tmp_path, write, by):
    ids, angles = grain_ids(), eulers()
    values = angles if "Euler" in by else dream3d_quaternions(angles)
    write(tmp_path / "a.dream3d", ids, {by: values, "Phases": PHASES})
    found = read_dream3d(tmp_path / "a.dream3d")
    assert np.array_equal(found.ids, ids)
    assert found.phases == ["0", "1", "1", "2", "1", "1"]
    assert found.voxel == 0.5
    assert np.isnan(found.quaternions[0]).all()
    turned = Rotation.from_quat(found.quaternions[1:]).as_matrix()
    expected = np.array([bunge_matrix(row.astype(float)).T for row in angles[1:]])
    assert np.abs(turned - expected).max() < 1e-6


@pytest.mark.parametrize("write", WRITERS)
def test_features_without_orientations(tmp_path, write):
    ids = grain_ids()
    write(tmp_path / "a.dream3d", ids, {"NumCells": np.arange(6.0), "Phases": PHASES})
    found = read_dream3d(tmp_path / "a.dream3d")
    assert np.array_equal(found.ids, ids)
    assert found.quaternions is None
    assert found.phases == ["0", "1", "1", "2", "1", "1"]


def test_cells_that_were_not_grouped_are_by_orientation(tmp_path):
    """As DAMASK exports results: angles and phase of each cell."""
    ids, angles = grain_ids(), eulers()
    path = tmp_path / "a.dream3d"
    write_dream3d_7(path, ids, {})
    with h5py.File(path, "r+") as file:
        cells = file["DataContainers/SyntheticVolumeDataContainer/CellData"]
        del cells["FeatureIds"]
        cells["EulerAngles"] = angles[ids]
        cells["Phases"] = PHASES[ids][..., None]
    found = read_dream3d(path)
    for number in range(1, 6):
        inside = found.ids[ids == number]
        assert (inside == inside[0]).all()
        turned = Rotation.from_quat(found.quaternions[inside[0]]).as_matrix()
        assert np.abs(turned - bunge_matrix(angles[number].astype(float)).T).max() < 1e-6
        assert found.phases[inside[0]] == str(PHASES[number])


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_of_one_phase_needs_no_names(tmp_path, write):
    """Row 0 of the features, which no voxel is of, has phase 0."""
    path = tmp_path / "a.dream3d"
    write(path, grain_ids(), {"AvgEulerAngles": eulers(), "Phases": np.array([0, 1, 1, 1, 1, 1], np.int32)})
    found = settle(read_dream3d(path), Reading("assume", "keep", {}, ("pore",)))
    assert not found.material.any()


def test_degrees_are_no_radians(tmp_path):
    path = tmp_path / "a.dream3d"
    write_dream3d_7(path, grain_ids(), {"AvgEulerAngles": np.degrees(eulers())})
    with pytest.raises(InputError, match="and those of DREAM3D are in radians"):
        read_dream3d(path)


def test_phases_are_whole_numbers(tmp_path):
    path = tmp_path / "a.dream3d"
    write_dream3d_7(path, grain_ids(), {"Phases": np.array([0, 1, np.inf, 1, 1, 1])})
    with pytest.raises(InputError, match=r"'Phases' of a.dream3d has voxels that are no numbers"):
        read_dream3d(path)


def test_voxels_must_be_cubes(tmp_path):
    write_dream3d_8(tmp_path / "a.dream3d", grain_ids(), {}, spacing=(0.5, 0.5, 1.0))
    with pytest.raises(InputError, match=r"voxels of a.dream3d are no cubes: their edges are 0.5, 0.5, 1"):
        read_dream3d(tmp_path / "a.dream3d")


def spoil(path, change):
    write_dream3d_7(path, grain_ids(), {"AvgEulerAngles": eulers()})
    with h5py.File(path, "r+") as file:
        change(file["DataContainers/SyntheticVolumeDataContainer"])


def linked(group):
    del group["CellData/FeatureIds"]
    group["CellData/Other"] = np.zeros((4, 5, 6, 1), np.int32)
    group["CellData/FeatureIds"] = h5py.ExternalLink("/etc/passwd", "/data")


def outside(group):
    del group["CellData/FeatureIds"]
    group["CellData"].create_dataset("FeatureIds", (4, 5, 6), "i4", external=[("/etc/passwd", 0, 480)])


def huge(group):
    del group["CellFeatureData/AvgEulerAngles"]
    group["CellFeatureData"].create_dataset("AvgEulerAngles", (2**40, 3), "f4", chunks=(1024, 3))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (linked, "'FeatureIds' of a.dream3d is no array of numbers"),
        (outside, "'FeatureIds' of a.dream3d is no array of numbers"),
        (huge, "voxels, more than"),
        (lambda group: group.pop("_SIMPL_GEOMETRY"), "no regular grid of DREAM3D"),
        (lambda group: group.pop("CellData"), "no data of cells"),
        (lambda group: group["CellData"].pop("FeatureIds"), "no data of cells"),
        (
            lambda group: group["CellFeatureData"].move("AvgEulerAngles", "AvgQuats"),
            "'AvgQuats' of a.dream3d has shape",
        ),
    ],
)
def test_hostile_and_incomplete_files_are_named(tmp_path, change, complaint):
    spoil(tmp_path / "a.dream3d", change)
    with pytest.raises(InputError, match=complaint):
        read_dream3d(tmp_path / "a.dream3d")


def test_no_hdf5_file_is_named(tmp_path):
    (tmp_path / "a.dream3d").write_text("no")
    with pytest.raises(InputError, match=r"a.dream3d is no HDF5 file"):
        read_dream3d(tmp_path / "a.dream3d")
