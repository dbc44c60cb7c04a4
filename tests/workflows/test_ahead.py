"""What the last stages would refuse after hours is refused before the first one starts."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.errors import InputError
from hashigo.study import study_from
from hashigo.workflows.ahead import check_component, check_mesoscale

BASE = {"structure": "a.cif", "reference": "r.h5"}
GLASS = {"young": 70, "poisson": 0.2, "conductivity": 1.1}
POROUS = {"microstructure": {"kind": "inclusions"}, "materials": {"pore": "void"}, "grains": 8, "voxels": 17}
BODY = {"size": [10, 10, 2], "cells": [4, 4, 2], "duration": 2, "faces": {"x-": {"temperature": 300}}}


def inclusions(**changes):
    return {**POROUS, "microstructure": {"kind": "inclusions", **changes}}


def material(**changes):
    return {**inclusions(), "materials": {"glass": {**GLASS, **changes}}}


def mesoscale(section, **more):
    study = study_from({**BASE, "mesoscale": section, **more})
    check_mesoscale(study, study.model_dump(mode="json"), None)


def component(section, voxels=None, **more):
    study = study_from({**BASE, "expansion": {}, "component": {**BODY, **section}, **more})
    check_component(study, study.model_dump(mode="json"), voxels)


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        (inclusions(inclusions=5000), "5000 inclusions of a fraction of 0.1 have a semi-axis of 0.29 voxels"),
        (inclusions(fraction=0.6, inclusions=10), "do not fit into the box without overlap"),
        (
            {"grains": 8, "voxels": 9, "microstructure": {"kind": "laguerre", "size_spread": 1}},
            "the smallest",
        ),
        (
            {
                "voxels": 16,
                "microstructure": {"kind": "laminate", "layers": [["crystal", 0.999], ["glass", 0.001]]},
                "materials": {"glass": GLASS},
            },
            "layer 2 is thinner than a voxel",
        ),
    ],
)
def test_a_polycrystal_that_cannot_be_made_is_refused(section, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        mesoscale(section)
    assert caught.value.fix
    assert "stage" not in caught.value.fix
    mesoscale(section, until="elasticity")  # none is made


def test_a_polycrystal_that_can_be_made_is_not_refused():
    mesoscale(POROUS)
    mesoscale(material())
    # Too large to be tried.
    mesoscale({"grains": 8, "voxels": 512})


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"probes": [[20, 0, 0]]}, "the probe at 20, 0, 0 mm lies outside"),
        (
            {"material": {"conductivity": {400: 5, 500: 4}}},
            "at 300 K, and its conductivity is known from 400",
        ),
        (
            {
                "faces": {"x-": {"temperature": 900}},
                "material": {"conductivity": 5, "heat_capacity": {300: 700, 500: 800}},
            },
            "at 900 K, and its heat capacity is known from 300 to 500 K",
        ),
        ({"stress_free_temperature": 300, "pressure": {"x-": 1}}, "moves it along x, for nothing holds it"),
        (
            {"stress_free_temperature": 300, "pressure": {"y-": 1, "y+": 2}, "supports": {"x-": "roller"}},
            "moves it along y, for nothing holds it",
        ),
    ],
)
def test_a_component_that_must_fail_is_refused(section, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        component(section)
    assert caught.value.fix


@pytest.mark.parametrize(
    "section",
    [
        {"pressure": {"x-": 1, "x+": 1}},
        {"pressure": {"x-": 1}, "supports": {"x+": "roller"}},
        {"pressure": {"x-": 1}, "supports": {"z+": "fixed"}},
        {"material": {"expansion": {300: 1e-6, 500: 2e-6}}},
    ],
)
def test_a_component_at_rest_is_not_refused(section):
    component({"stress_free_temperature": 300, **section})


def test_pieces_and_missing_regions_of_a_mask_are_refused():
    given = {"conductivity": 5, "heat_capacity": 700}
    mask = {"size": None, "mask": "m.npy", "voxel": 1, "material": given}
    whole, torn = np.ones((4, 4, 4), np.uint8), np.ones((4, 4, 4), np.uint8)
    torn[1:3] = 0
    with pytest.raises(InputError, match="falls into 2 pieces"):
        component(mask, torn)
    with pytest.raises(InputError, match=r"component\.regions has 2, and the mask has no such voxel"):
        component({**mask, "regions": {2: {"source": 1}}}, whole)
    component(mask, whole)


def test_pores_make_a_body_lighter_than_its_crystal():
    grains = {**POROUS, "grain_sizes": [100]}
    with pytest.raises(InputError, match="has pore in it, so that the component's density"):
        component({"grain_size": 100}, mesoscale=grains)
    component({"grain_size": 100, "material": {"density": 2e3, "heat_capacity": 700}}, mesoscale=grains)
