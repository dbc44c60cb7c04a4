"""Files for FANS, which is not at hand here: keys and layout are those of its sources and of its README."""

from __future__ import annotations

import dataclasses
import json

import h5py
import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.interface import HEXAHEDRA, PeriodicProblem, get_homogenizer
from hashigo.calculators.workers.homogenization.peers import fans, own
from hashigo.errors import InputError

#: Where FANS has our components xx, yy, zz, yz, xz, xy.
THEIRS = ["11", "22", "33", "66", "55", "44"]


def made_up_result(path, tensor, *, loads=None):
    """A result whose mean fluxes are the rows of a tensor in FANS's order."""
    size = len(tensor)
    with h5py.File(path, "w") as file:
        for load in range(size if loads is None else loads):
            group = file.create_group(f"/phase_results/load{load}/time_step0")
            group["strain_average"] = np.eye(size)[load]
            group["stress_average"] = tensor[load]
            group["absolute_error"] = np.ones(5 + load)


def test_the_files_are_those_of_fans(tmp_path, two_crystals, golden):
    written = fans.write(two_crystals, 1e-6, tmp_path)
    assert [path.name for path in written] == ["input.json", "microstructure.h5"]
    golden(written[0], "fans")
    with h5py.File(written[1], "r") as file:
        assert np.array_equal(file["phase"][()], two_crystals.phase)
        assert file["phase"].attrs["permute_order"] == "zyx"
    assert fans.how(tmp_path).endswith("mpiexec -n 1 FANS input.json results.h5")


def test_components_are_in_the_order_of_fans(tmp_path, two_crystals):
    fans.write(two_crystals, 1e-6, tmp_path)
    properties = json.loads((tmp_path / "input.json").read_text())["materials"][0]["material_properties"]
    assert len(properties) == 21
    for place, name in enumerate(THEIRS):
        assert properties[f"C_{name}"] == pytest.approx(two_crystals.table[:, place, place])


def test_phases_are_numbered_without_gaps(tmp_path):
    phase = np.zeros((2, 2, 4), dtype=np.int32)
    phase[0] = 2
    fans.write(PeriodicProblem(phase, np.array([1.0, 2.0, 3.0])[:, None, None] * np.eye(3)), 1e-6, tmp_path)
    content = json.loads((tmp_path / "input.json").read_text())
    assert content["problem_type"] == "thermal"
    assert content["materials"][0]["phases"] == [0, 1]
    assert content["materials"][0]["material_properties"]["K_11"] == [1.0, 3.0]
    with h5py.File(tmp_path / "microstructure.h5", "r") as file:
        assert file["phase"][()].max() == 1


def test_the_tensor_is_in_our_order(tmp_path, two_crystals):
    read = get_homogenizer("fans").read
    assert read(tmp_path, two_crystals) is None
    values = np.arange(36.0).reshape(6, 6)
    made_up_result(tmp_path / "results.h5", values)
    found = read(tmp_path, two_crystals)
    # Load xy, stress yz; and load yz, stress xx.
    assert found.tensor[5, 3] == values[3, 5]
    assert found.tensor[3, 0] == values[5, 0]
    assert found.iterations == (4, 5, 6, 9, 8, 7)


def test_a_conductivity_is_read(tmp_path, two_crystals):
    made_up_result(tmp_path / "results.h5", np.diag([1.0, 2.0, 3.0]))
    heat = PeriodicProblem(two_crystals.phase, np.array([np.eye(3)] * 2))
    assert np.array_equal(fans.read(tmp_path, heat).tensor, np.diag([1.0, 2.0, 3.0]))
    with pytest.raises(InputError, match="load 1 has not the gradient"):
        fans.read(tmp_path, two_crystals)


def test_voids_want_full_integration(tmp_path, two_crystals):
    table = two_crystals.table.copy()
    table[1] = 0.0
    with_void = dataclasses.replace(two_crystals, table=table)
    fans.write(with_void, 1e-6, tmp_path)
    assert json.loads((tmp_path / "input.json").read_text())["FE_type"] == "HEX8"
    made_up_result(tmp_path / "results.h5", np.eye(6))
    assert fans.read(tmp_path, with_void).discretisation == own.discretisation(with_void) == HEXAHEDRA


def test_what_fans_cannot_be_given_is_said(tmp_path, two_crystals):
    odd = dataclasses.replace(two_crystals, phase=np.zeros((3, 4, 5), dtype=np.int32))
    with pytest.raises(InputError, match="an even number along x or z, not 5 and 3"):
        fans.write(odd, 1e-6, tmp_path)
    strained = dataclasses.replace(two_crystals, eigenstrain=np.zeros((2, 6)))
    with pytest.raises(InputError, match="eigenstrain"):
        fans.write(strained, 1e-6, tmp_path)


def test_results_that_end_early_are_refused(tmp_path, two_crystals):
    made_up_result(tmp_path / "results.h5", np.eye(6), loads=3)
    with pytest.raises(InputError, match=r"results\.h5 ends before load 4 of 6"):
        fans.read(tmp_path, two_crystals)
    (tmp_path / "results.h5").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"results\.h5 cannot be read as HDF5"):
        fans.read(tmp_path, two_crystals)


@pytest.mark.parametrize("spoiled", ["strain_average", "absolute_error", "stress_average"])
def test_results_of_another_layout_are_refused(tmp_path, two_crystals, spoiled):
    made_up_result(tmp_path / "results.h5", np.eye(6))
    with h5py.File(tmp_path / "results.h5", "r+") as file:
        group = file["phase_results/load0/time_step0"]
        del group[spoiled]
        group[spoiled] = np.full(6 if "strain" in spoiled else (2, 2, 2), np.nan)
        if spoiled == "absolute_error":
            del group[spoiled]
    with pytest.raises(InputError, match=r"not the gradient|not laid out as FANS"):
        fans.read(tmp_path, two_crystals)
