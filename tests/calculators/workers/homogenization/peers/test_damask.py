"""Files for DAMASK's grid solver, which is not at hand here.

DAMASK's own Python package (3.1.0) has read the golden files: `ConfigMaterial` is complete and valid, `GeomGrid` has
the materials of the voxels, `LoadcaseGrid` six load steps, and its rotations turn the constants written into the
stiffness in sample axes that they were made of. It opens the result that is made up here, and finds the same means.
"""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.interface import PeriodicProblem, get_homogenizer
from hashigo.calculators.workers.homogenization.peers import damask
from hashigo.calculators.workers.homogenization.tensors import ROOT2, rotate_stiffness, voigt_to_mandel
from hashigo.errors import InputError

ORDER = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
WEIGHT = np.array([1, 1, 1, ROOT2, ROOT2, ROOT2])


def made_up_result(path, problem, *, loads=6, strain=damask.STRAIN):
    """A DADF5 file with random stress; returns the stiffness of its means."""
    generator = np.random.default_rng(3)
    count = problem.phase.size
    label = np.array([b"crystal_1", b"crystal_2"])[problem.phase.ravel()]
    cells = np.zeros((count, 1), dtype=[("label", "S9"), ("entry", "i8")])
    cells["label"][:, 0] = label
    for name in np.unique(label):
        # Ranks number the entries of a phase in an order of their own.
        cells["entry"][label == name, 0] = generator.permutation(int((label == name).sum()))
    stiffness = np.empty((6, 6))
    with h5py.File(path, "w") as file:
        file.attrs.update({"DADF5_version_major": 1, "DADF5_version_minor": 0})
        file.attrs.update({"creator": "DAMASK 3", "created": "", "call": ""})
        file.create_dataset("cell_to/phase", data=cells)
        whole = np.zeros(count, dtype=[("label", "S9"), ("entry", "i8")])
        whole["label"], whole["entry"] = b"direct", np.arange(count)
        file.create_dataset("cell_to/homogenization", data=whole)
        file.create_group("geometry").attrs.update(
            {"cells": problem.phase.shape[::-1], "size": [1.0, 1.0, 1.0], "origin": [0.0, 0.0, 0.0]}
        )
        for number in range(loads + 1):
            gradient = np.eye(3)
            if number:
                i, j = ORDER[number - 1]
                gradient[i, j] += strain / WEIGHT[number - 1]
                gradient[j, i] = gradient[i, j]
            stress = generator.normal(1e5, 1e4, (count, 3, 3))
            stress += np.swapaxes(stress, 1, 2)
            if number:
                mean = stress.mean(axis=0) / strain / 1e9
                stiffness[number - 1] = [w * mean[pair] for w, pair in zip(WEIGHT, ORDER, strict=True)]
            group = file.create_group(f"increment_{number}")
            group.attrs["t/s"] = float(number)
            group.create_group("geometry")
            group.create_group("homogenization/direct/mechanical")
            for name in np.unique(label):
                place = group.create_group(f"phase/{name.decode()}/mechanical")
                own = label == name
                data = np.empty((own.sum(), 3, 3))
                data[cells["entry"][own, 0]] = stress[own]
                place["P"] = data
                place["F"] = np.broadcast_to(gradient, data.shape)
    return stiffness


def test_the_files_are_those_that_damask_reads(tmp_path, two_crystals, golden):
    written = damask.write(two_crystals, 1e-6, tmp_path)
    assert [path.name for path in written] == ["grid.vti", "material.yaml", "load.yaml", "numerics.yaml"]
    for path in written:
        golden(path, "damask")
    assert "--geom grid.vti --load load.yaml --material material.yaml" in damask.how(tmp_path)


def test_the_grid_is_vtk_image_data(tmp_path, two_crystals, require_module):
    require_module("vtk", "dev")
    from vtk import vtkXMLImageDataReader
    from vtk.util.numpy_support import vtk_to_numpy

    damask.write(two_crystals, 1e-6, tmp_path)
    reader = vtkXMLImageDataReader()
    reader.SetFileName(str(tmp_path / "grid.vti"))
    reader.Update()
    image = reader.GetOutput()
    assert image.GetDimensions() == (5, 4, 3)
    material = vtk_to_numpy(image.GetCellData().GetArray("material"))
    assert np.array_equal(material.reshape(2, 3, 4), two_crystals.phase)


def test_orientations_turn_the_constants_into_the_table(tmp_path):
    rotations = Rotation.random(3, random_state=8).as_matrix()
    crystal = np.diag([160.0, 160.0, 180.0, 50.0, 50.0, 40.0])
    crystal[0, 1] = crystal[1, 0] = 90.0
    crystal[2, :2] = crystal[:2, 2] = 65.0
    table = rotate_stiffness(voigt_to_mandel(crystal), rotations)
    phase = np.arange(3, dtype=np.int32).reshape(1, 1, 3)
    damask.write(PeriodicProblem(phase, table, rotations=rotations), 1e-6, tmp_path)
    content = yaml.safe_load((tmp_path / "material.yaml").read_text())
    assert list(content["phase"]) == ["crystal_1"]
    assert content["phase"]["crystal_1"]["lattice"] == "tI"
    for material, rotation in zip(content["material"], rotations, strict=True):
        w, *vector = material["constituents"][0]["O"]
        x, y, z = vector
        assert w >= 0
        # From sample to crystal axes, with P = -1.
        # Source: Rowenhorst et al., Model. Simul. Mater. Sci. Eng. 23, 083501 (2015).
        q = w * w - x * x - y * y - z * z
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        passive = q * np.eye(3) + 2 * np.outer(vector, vector) - 2 * w * cross
        assert passive == pytest.approx(rotation.T, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "lattice"),
    [({}, "cF"), ({(2, 2): 5.0}, "tI"), ({(0, 0): 1.0}, None), ({(0, 3): 2.0}, None)],
)
def test_the_lattice_is_that_of_the_symmetry(change, lattice):
    stiffness = np.diag([60.0, 60.0, 60.0, 75.0, 75.0, 75.0])
    stiffness[:3, :3] += 120.0
    for (i, j), value in change.items():
        stiffness[i, j] = stiffness[j, i] = stiffness[i, j] + value
    found = damask.lattice_constants(stiffness)
    assert (None if found is None else found[0]) == lattice


def test_what_damask_cannot_be_given_is_said(tmp_path, two_crystals):
    table = two_crystals.table.copy()
    table[1, 0, 3] = table[1, 3, 0] = 9.0
    with pytest.raises(InputError, match="the stiffness of zinc cannot be given to DAMASK"):
        damask.write(dataclasses.replace(two_crystals, table=table), 1e-6, tmp_path)
    table[1] = 0.0
    with pytest.raises(InputError, match="DAMASK cannot be given zinc, which is a void"):
        damask.write(dataclasses.replace(two_crystals, table=table), 1e-6, tmp_path)
    heat = PeriodicProblem(two_crystals.phase, np.array([np.eye(3)] * 2))
    with pytest.raises(InputError, match="no mean gradient"):
        damask.write(heat, 1e-6, tmp_path)
    strained = dataclasses.replace(two_crystals, eigenstrain=np.zeros((2, 6)))
    with pytest.raises(InputError, match="eigenstrain"):
        damask.write(strained, 1e-6, tmp_path)


def test_the_stiffness_is_that_of_the_mean_stresses(tmp_path, two_crystals):
    read = get_homogenizer("damask").read
    assert read(tmp_path, two_crystals) is None
    stiffness = made_up_result(tmp_path / "grid_load_material_numerics.hdf5", two_crystals)
    assert read(tmp_path, two_crystals).tensor == pytest.approx(stiffness, rel=1e-12)


def test_results_of_something_else_are_refused(tmp_path, two_crystals):
    path = tmp_path / "one.hdf5"
    made_up_result(path, two_crystals, loads=4)
    with pytest.raises(InputError, match=r"one\.hdf5 ends before load 5 of 6"):
        damask.read(tmp_path, two_crystals)
    made_up_result(path, two_crystals, strain=2e-6)
    with pytest.raises(InputError, match="load 1 has not the deformation"):
        damask.read(tmp_path, two_crystals)
    other = PeriodicProblem(two_crystals.phase[:1], two_crystals.table)
    with pytest.raises(InputError, match="has 24 cells, the problem 12 voxels"):
        damask.read(tmp_path, other)
    (tmp_path / "two.hdf5").write_bytes(b"")
    with pytest.raises(InputError, match=r"several results of DAMASK: one\.hdf5, two\.hdf5"):
        damask.read(tmp_path, two_crystals)
    path.unlink()
    with pytest.raises(InputError, match=r"two\.hdf5 cannot be read as HDF5"):
        damask.read(tmp_path, two_crystals)
    with h5py.File(tmp_path / "two.hdf5", "w"):
        pass
    with pytest.raises(InputError, match="no result of DAMASK 3"):
        damask.read(tmp_path, two_crystals)


def test_results_of_another_layout_are_refused(tmp_path, two_crystals):
    path = tmp_path / "one.hdf5"
    made_up_result(path, two_crystals)
    with h5py.File(path, "r+") as file:
        del file["increment_2/phase"]
    with pytest.raises(InputError, match=r"one\.hdf5 is not laid out as DAMASK 3 does"):
        damask.read(tmp_path, two_crystals)
