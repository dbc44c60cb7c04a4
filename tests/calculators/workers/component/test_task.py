"""The whole task: quantities with their errors, fields that VTK opens, a job that goes on after it was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import component
from hashigo.calculators.workers.component.case import Case
from hashigo.calculators.workers.job import Job, PartialResult
from hashigo.errors import InputError
from hashigo.study.component import Component

MATERIAL = {
    "conductivity": {"300": 150.0, "500": 90.0}, "density": 2330.0, "heat_capacity": {"300": 700.0, "500": 830.0},
    "youngs_modulus": 160.0, "poisson_ratio": 0.22, "expansion": 2.6e-6,
}  # fmt: skip
BOX = {
    "size": [10.0, 8.0, 2.0], "cells": [12, 8, 2], "duration": 2.0, "stress_free_temperature": 300.0,
    "faces": {"x-": {"temperature": 400.0}, "x+": {"convection": {"coefficient": 5000.0, "ambient": 300.0}}},
    "supports": {"y-": "roller"}, "outputs": [0.5, 2.0], "material": MATERIAL,
}  # fmt: skip


def compute(folder, parameters, inputs=None):
    component.run(Job("component", parameters, inputs or {}, folder / "result.h5"))
    return ResultReader(folder / "result.h5")


def test_defaults_are_those_of_the_study():
    for name, field in Component.model_fields.items():
        given = component.DEFAULTS[name]
        if not field.is_required():
            own = field.get_default(call_default_factory=True)
            own = own.model_dump(exclude_none=True) if hasattr(own, "model_dump") else own
            assert (list(own) if isinstance(own, tuple) else own) == given, name


def test_quantities_have_parts_and_places(tmp_path):
    with compute(tmp_path, BOX) as reader:
        assert reader.quantities() == [
            "component_peak_temperature", "component_principal_stress", "component_settling_time",
            "component_steady_temperature", "component_von_mises_stress",
        ]  # fmt: skip
        settled = reader.quantity("component_settling_time")
        assert set(settled.components) == {"resolution", "time"}
        assert settled.converged
        assert 0.5 < settled.value[0] < 2.0
        steady = reader.quantity("component_steady_temperature")
        assert "conductivity, density, heat capacity given" in steady.marks
        note = reader.note("component")
        assert note["heat"]["imbalance"] < 1e-10
        assert note["peaks"]["temperature"]["place_mm"][0] == 0.0
        assert note["coarse_cells"] == [6, 4, 1]
        assert reader.array("history/probes").shape == (note["steps"] + 1, 1)
    assert not (tmp_path / "partial").exists() or not any((tmp_path / "partial").iterdir())


def test_steady_convection_is_the_exact_one(tmp_path):
    """One-dimensional with constant conductivity: two resistances in series."""
    material = {**MATERIAL, "conductivity": 100.0}
    with compute(
        tmp_path, {**BOX, "material": material, "stress_free_temperature": None, "supports": {}}
    ) as reader:
        row = reader.file["VTKHDF/CellData/temperature_steady"][0, 0, 0]
    flux = 100 / (0.01 / 100 + 1 / 5000)
    x = (np.arange(12) + 0.5) * 10e-3 / 12
    assert row == pytest.approx(400 - flux / 100 * x, abs=1e-7)


def test_the_errors_told_are_those_made(tmp_path):
    """A slab heated at one side settles as its slowest wave does: 4/π exp(-D (π/2L)² t) = 5 %."""
    material = {"conductivity": 2.0, "density": 3000.0, "heat_capacity": 1000.0}
    slab = {"size": [10.0, 1.0, 1.0], "cells": [20, 1, 1], "faces": {"x-": {"temperature": 400.0}}}
    with compute(tmp_path, {**slab, "material": material, "duration": 300.0}) as reader:
        settled = reader.quantity("component_settling_time")
    rate = 2.0 / 3e6 * (np.pi / 2 / 0.01) ** 2
    error = abs(settled.value[0] - np.log(4 / np.pi / 0.05) / rate)
    told = settled.components["resolution"][0] + settled.components["time"][0]
    assert settled.converged
    assert 0.2 * told < error < 2 * told


def test_the_last_output_is_the_end_whatever_its_digits():
    material = {"conductivity": 2.0, "density": 3000.0, "heat_capacity": 1000.0}
    for duration in (0.9743236137985917, 0.1, 1 / 3, 7e-3):
        outputs = Case.read({"size": [1, 1, 1], "duration": duration, "material": material}).outputs
        assert len(outputs) == 5
        assert outputs[-1] == duration


def test_members_and_other_parts_are_carried(tmp_path, ladder):
    parameters = {**BOX, "material": {}, "grain_size": 100.0, "outputs": [2.0]}
    parameters["faces"] = {
        "x-": {"temperature": 390.0},
        "x+": {"convection": {"coefficient": 5000.0, "ambient": 300.0}},
    }
    with compute(tmp_path, parameters, ladder) as reader:
        stress = reader.quantity("component_von_mises_stress")
        assert stress.members.shape == (3, 1)
        assert set(stress.components) == {"model", "mesh", "resolution", "time"}
        assert stress.components["model"] == pytest.approx(stress.members.std(axis=0, ddof=1))
        assert stress.calibrated is False  # the polycrystal's stiffness is not
        assert reader.note("component")["origins"]["conductivity"] == "mesoscale, mean grain 100 nm"


def test_a_member_that_leaves_what_is_known_is_named(tmp_path, ladder):
    """The mean stays below 400 K, the member of the least conductivity does not."""
    faces = {"x-": {"flux": 3.3e5}, "x+": {"temperature": 310.0}}
    change = {"material": {}, "grain_size": 100.0, "faces": faces, "duration": 60.0, "outputs": [60.0]}
    with pytest.raises(
        InputError, match=r"known from 300 to 400 K: nothing is .* \(material: committee member 1\)"
    ):
        compute(tmp_path, {**BOX, **change, "stress_free_temperature": None, "supports": {}}, ladder)


def test_a_member_is_followed_with_all_of_its_own_properties(tmp_path, ladder):
    """Held all around and evenly warm: stress is the product of stiffness and expansion of each."""
    held = dict.fromkeys(("x-", "x+", "y-", "y+", "z-", "z+"), "roller")
    change = {"material": {}, "faces": {}, "initial_temperature": 350.0, "supports": held}
    with compute(tmp_path, {**BOX, **change}, ladder) as reader:
        stress = reader.quantity("component_principal_stress")
    ratios = stress.members[:, 0] / stress.value[0]
    assert ratios == pytest.approx([0.81, 1.0, 1.21], rel=1e-8)


def test_a_steady_state_out_of_reach_is_left_out_unless_asked_for(tmp_path):
    hot = {"faces": {"x-": {"flux": 3e6}, "x+": {"convection": {"coefficient": 100.0, "ambient": 300.0}}},
           "duration": 0.1, "outputs": [0.1]}  # fmt: skip
    with compute(tmp_path, {**BOX, **hot}) as reader:
        assert "component_steady_temperature" not in reader.quantities()
        assert not reader.has("history/distance")
        assert "in its steady state" in reader.note("component")["no_steady_state"]
    with pytest.raises(InputError, match="in its steady state"):
        compute(tmp_path, {**BOX, **hot, "steady": True})


def test_a_job_whose_time_is_over_says_how_far_it_came(tmp_path):
    job = Job("component", BOX, {}, tmp_path / "result.h5", walltime=1e-3)
    with pytest.raises(PartialResult, match="of 2 s is computed and kept: its walltime"):
        component.run(job)
    component.run(Job("component", BOX, {}, tmp_path / "result.h5"))


def test_vtk_opens_the_fields_over_time(tmp_path):
    vtk = pytest.importorskip("vtk")
    from vtk.util.numpy_support import vtk_to_numpy

    with compute(tmp_path, BOX) as reader:
        wanted = reader.file["VTKHDF/CellData/temperature"][()]
        steady = reader.file["VTKHDF/CellData/von_mises_steady"][0]
    source = vtk.vtkHDFReader()
    source.SetFileName(str(tmp_path / "result.h5"))
    source.UpdateInformation()
    keys = vtk.vtkStreamingDemandDrivenPipeline
    info = source.GetOutputInformation(0)
    times = [info.Get(keys.TIME_STEPS(), i) for i in range(info.Length(keys.TIME_STEPS()))]
    assert times == [0.5, 2.0]
    for index in range(2):
        source.SetStep(index)
        source.Update()
        cells = source.GetOutput().GetCellData()
        assert np.array_equal(vtk_to_numpy(cells.GetArray("temperature")), wanted[index].ravel())
        assert np.array_equal(vtk_to_numpy(cells.GetArray("von_mises_steady")), steady.ravel())
        assert cells.GetArray("displacement").GetNumberOfComponents() == 3
    assert source.GetOutput().GetSpacing() == pytest.approx((10 / 12, 1.0, 1.0))


def test_a_mask_with_regions_and_pulses(tmp_path):
    region = np.ones((2, 4, 6), dtype=np.uint8)
    region[:, 1:3, 2:4] = 2
    region[:, 3, 5] = 0
    parameters = {
        "mask": "part.npy", "voxel": 1.0, "refine": 2, "duration": 4.0,
        "outputs": [1.0, 4.0], "regions": {"2": {"source": 1e7, "material": {**MATERIAL, "conductivity": 20.0}}},
        "pulses": [[0.0, 1.0], [2.0, 3.0]], "material": {**MATERIAL, "conductivity": 100.0, "heat_capacity": 700.0},
    }  # fmt: skip
    parameters["regions"]["2"]["material"]["heat_capacity"] = 700.0
    np.save(tmp_path / "body.npy", region)
    with compute(tmp_path, parameters, {"body": tmp_path / "body.npy"}) as reader:
        heat = reader.note("component")["heat"]
        assert heat["source_J"] == pytest.approx(1e7 * 8e-9 * 2.0)
        assert heat["stored_J"] == pytest.approx(heat["source_J"])
        field = reader.file["VTKHDF/CellData/temperature"][-1]
        assert np.isnan(field[:, 6:, 10:]).all()
        # All of it heats all of the body in the end, nearly evenly.
        mean = 300 + heat["source_J"] / (2330 * 700 * 46e-9)
        assert np.nanmean(field) == pytest.approx(mean)
        assert "component_steady_temperature" not in reader.quantities()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"faces": {"x-": {"temperature": 600.0}}},
            "is at 600 K at the start, or at a face, and its conductivity",
        ),
        ({"faces": {"x-": {"flux": 1e7}}}, r"K at .* s, and its conductivity is known from 300 to 500 K"),
        ({"initial_temperature": 250.0}, "is at 250 K at the start"),
        ({"cells": [3, 2, 2]}, "each must be even or 1"),
        ({"duration": -1.0}, "must be positive"),
        ({"probes": [[20.0, 1.0, 1.0]]}, "the probe at 20, 1, 1 mm lies outside"),
        ({"pressure": {"x-": 0.1}}, "the pressure on the component moves it"),
        ({"warm": 1}, "component.warm is not a parameter"),
        ({"material": {}}, "the conductivity of the component is not known"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path, change, sentence):
    with pytest.raises(InputError, match=sentence):
        compute(tmp_path, {**BOX, **change})


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        (np.array([[[1, 0, 1]]]), "falls into 2 pieces"),
        (np.zeros((2, 2, 2)), "has no cell inside"),
        (np.array([[[0, 1, 1]]]), "has no cell at its face x-"),
    ],
)
def test_a_mask_that_will_not_do_is_named(region, sentence):
    parameters = {"voxel": 1.0, "faces": {"x-": {"flux": 1.0}}, "material": MATERIAL}
    with pytest.raises(InputError, match=sentence):
        Case.read(parameters, region)


def test_inner_surfaces_are_those_inside_the_box():
    parameters = {"voxel": 1.0, "faces": {"inner": {"flux": 1.0}}, "material": MATERIAL}
    with pytest.raises(InputError, match="'inner', and the body has no surface inside its box"):
        Case.read(parameters, np.ones((2, 2, 2)))
    hollow = np.ones((3, 3, 3))
    hollow[1, 1, 1] = 0
    case = Case.read({**parameters, "refine": 4}, hollow)
    assert sum(len(case.grid.at_face(name)) for name in case.faces) == 6 * 16


def _start(folder, parameters):
    folder.mkdir(exist_ok=True)
    content = {
        "task": "component", "parameters": parameters, "inputs": {}, "output": "result.h5", "scratch": "scratch",
    }  # fmt: skip
    (folder / "job.json").write_text(json.dumps(content))
    command = [sys.executable, "-m", "hashigo.calculators.workers", "job.json"]
    return subprocess.Popen(command, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_a_killed_job_goes_on_to_the_same_bits(tmp_path):
    parameters = {**BOX, "cells": [16, 8, 2], "tolerance": 2e-3}
    killed = _start(tmp_path / "killed", parameters)
    scratch = tmp_path / "killed" / "scratch"
    ended = time.monotonic() + 60
    while not list(scratch.glob("*/fine-state.npz")) and time.monotonic() < ended:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert list(scratch.glob("*/fine-state.npz"))
    assert not (tmp_path / "killed" / "result.h5").exists()
    for folder in ("killed", "whole"):
        assert _start(tmp_path / folder, parameters).wait(timeout=100) == 0
    assert (tmp_path / "killed" / "result.h5").read_bytes() == (tmp_path / "whole" / "result.h5").read_bytes()


def test_a_mask_of_nothing_but_its_surroundings_is_cut_first():
    """Refined eight times along each edge, it would be arrays of some gigabytes."""
    region = np.zeros((120, 120, 120), dtype=np.uint8)
    region[60, 60, :] = 1
    parameters = {**BOX, "size": None, "mask": "a.npy", "voxel": 1.0, "refine": 8}
    with pytest.raises(InputError, match="884736000 cells, nearly all outside"):
        Case.read(parameters, region)


def test_the_slice_shows_where_temperatures_differ(tmp_path):
    """Heat along z leaves the plane across z at one temperature."""
    upright = {**BOX, "size": [2, 4, 10], "cells": [2, 4, 12], "faces": {}, "probes": [], "supports": {}}
    upright["faces"] = {"z-": {"temperature": 300}, "z+": {"temperature": 400}}
    with compute(tmp_path, upright) as reader:
        assert reader.note("slice") == {"normal": "y"}
        assert reader.array("slice/temperature").shape == (12, 2)
