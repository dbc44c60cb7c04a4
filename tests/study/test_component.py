"""The section "component": what is wrong is one sentence that names the key."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.errors import InputError
from hashigo.study import study_from
from hashigo.study.voxels import read_voxels

BASE = {"structure": "a.cif", "reference": "r.h5"}
BODY = {"size": ["1 cm", 10, 10], "duration": "1 min", "faces": {"x-": {"temperature": 300}}}


def component(**changes):
    return study_from({**BASE, "component": {**BODY, **changes}}).component


def test_units_are_converted():
    found = component(
        faces={"x-": {"flux": "10 W/cm^2"}, "y+": {"convection": {"coefficient": 50, "ambient": 290}}},
        material={"conductivity": 100, "heat_capacity": 700},
    )
    assert found.size == (10.0, 10.0, 10.0)
    assert found.duration == 60.0
    assert found.faces["x-"].flux == pytest.approx(1e5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"faces": {"x-": {"temperature": 300, "flux": 1}}}, "has temperature and flux"),
        ({"faces": {"x-": {}}}, "none is given"),
        ({"faces": {"x": {"flux": 1}}}, "x"),
        ({"cells": [0, 2, 2]}, "cells"),
        ({"cells": [3, 2, 2]}, "even or 1"),
        ({"cells": [1, 1, 1]}, "no temperature but one"),
        ({"cells": [100, 100, 100]}, "1000000 cells"),
        ({"duration": -1}, "duration"),
        ({"size": [0, 1, 1]}, "size must be positive"),
        ({"mask": "m.npy"}, "not both"),
        ({"size": None, "mask": "m.npy"}, "needs 'voxel'"),
        ({"size": None}, "give either"),
        ({"faces": {}}, "nothing heats or cools"),
        ({"faces": {"x-": {"flux": 1}}, "steady": True}, "no steady state of its own"),
        ({"outputs": [2, 1]}, "outputs must rise"),
        ({"outputs": [70]}, "the duration"),
        ({"pulses": [[1, 0.5]]}, "pulses must"),
        ({"pulses": [[0, 1]]}, "pulses say when sources are on, and there is none"),
        ({"pulses": [[60, 61]], "source": 1}, "pulses must begin before the duration is over"),
        ({"faces": {"left": {"flux": 1}}}, "component.faces.left: Input should be 'x-'"),
        ({"material": {"conductivity": "iron"}}, "component.material.conductivity: 'iron' is no number"),
        ({"material": {"conductivity": {300: "5 K"}}}, "component.material.conductivity.300: '5 K' cannot"),
        ({"material": {"conductivity": [1, 2]}}, "'component.material.conductivity.2' is missing"),
        ({"supports": {"x-": "fixed"}}, "give stress_free_temperature"),
        ({"stress_free_temperature": 300}, "needs the thermal expansion"),
        (
            {"faces": {"x-": {"temperature": 500}}},
            "at 500 K, and mesoscale.temperatures reach from 300 to 300 K",
        ),
        ({"source": 1}, "does not stay at 300 K, and mesoscale.temperatures has no other"),
        ({"grain_size": 70}, "mesoscale.grain_sizes lacks"),
        ({"material": {"youngs_modulus": 100}}, "go together"),
        ({"material": {"poisson_ratio": 0.5, "youngs_modulus": 1}}, "between -1 and 0.5"),
        ({"material": {"conductivity": {300: -1}}}, "conductivity must be positive"),
        ({"material": {"density": "1 kg"}}, "cannot be converted"),
        ({"regions": {2: {"source": 1}}}, "regions are those of a mask"),
        ({"faces": {"inner": {"flux": 1e5}}}, "faces.inner are surfaces of a mask"),
    ],
)
def test_what_is_wrong_is_one_sentence(changes, sentence):
    with pytest.raises(InputError, match="component") as caught:
        component(**changes)
    assert sentence in caught.value.message
    assert "\n" not in caught.value.message


def test_what_is_given_by_hand_need_not_be_known_elsewhere():
    material = {
        "conductivity": {300: 150, 500: [90, 90, 80]},
        "heat_capacity": 700,
        "expansion": "2.6e-6 1/K",
    }
    found = component(
        faces={"x-": {"temperature": 500}},
        stress_free_temperature=300,
        material=material,
        supports={"x-": "roller"},
    )
    assert found.material.conductivity[500.0] == (90.0, 90.0, 80.0)


def test_a_section_survives_json():
    content = study_from({**BASE, "component": {**BODY, "material": {"conductivity": {300: 1, 400: 2}}}})
    again = study_from(content.model_dump(mode="json"))
    assert again.model_dump() == content.model_dump()


def test_masks_are_numpy_files_of_whole_numbers(tmp_path):
    body = np.ones((2, 3, 4), dtype=bool)
    np.save(tmp_path / "body.npy", body)
    np.savez(tmp_path / "body.npz", body=body.astype(int) * 3)
    assert read_voxels(tmp_path / "body.npy").dtype == np.uint8
    assert read_voxels(tmp_path / "body.npz").max() == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (np.ones((2, 2)), "whole numbers of three"),
        (np.full((1, 1, 1), 300), "from 0 to 255"),
        (np.array([[[object()]]], dtype=object), "no NumPy file of numbers"),
        (None, "no NumPy file of numbers"),
        ("absent", "does not exist"),
    ],
)
def test_what_is_no_mask_is_named(tmp_path, content, sentence):
    path = tmp_path / "body.npy"
    if content is None:
        path.write_text("a text")
    elif not isinstance(content, str):
        np.save(path, content, allow_pickle=True)
    with pytest.raises(InputError, match=sentence):
        read_voxels(path)
