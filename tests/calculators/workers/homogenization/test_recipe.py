from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.materials import isotropic_stiffness
from hashigo.calculators.workers.homogenization.recipe import Recipe
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import ElasticMedium, ThermalMedium
from hashigo.calculators.workers.homogenization.tensors import (
    rotate_conductivity,
    rotate_stiffness,
    voigt_to_mandel,
)
from hashigo.calculators.workers.job import SerialComm
from hashigo.errors import InputError

from .ranks import on_ranks, whole

COMM = SerialComm()
PORE = {"pore": "void"}
KINDS = {
    "voronoi": {"grains": 10, "voxels": 11},
    "laguerre": {"grains": 10, "voxels": 15, "microstructure": {"kind": "laguerre", "size_spread": 0.3}},
    "inclusions": {
        "grains": 5,
        "voxels": [12, 14, 16],
        "materials": PORE,
        "microstructure": {"kind": "inclusions", "fraction": 0.2, "inclusions": 4, "size_spread": 0.2},
    },
    "laminate": {
        "voxels": [4, 5, 6],
        "materials": PORE,
        "microstructure": {"kind": "laminate", "layers": [["crystal", 0.5], ["pore", 0.5]]},
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_ranks_makes_the_same(kind):
    recipe = Recipe.read(KINDS[kind])
    alone = recipe.make((3, 1), slice(None), COMM)
    again = recipe.make((3, 1), slice(0, recipe.shape[0]), COMM)
    parts = on_ranks(3, recipe.shape[0], lambda planes, comm: recipe.make((3, 1), planes, comm))
    assert np.array_equal(alone.grain_id, again.grain_id)
    assert np.array_equal(whole(parts), alone.grain_id)
    for part in parts:
        assert np.array_equal(part.quaternions, alone.quaternions)
        assert np.array_equal(part.fractions, alone.fractions)
        assert np.array_equal(part.material, alone.material)
    other = recipe.make((3, 2), slice(None), COMM)
    assert not np.array_equal(other.quaternions, alone.quaternions)


def test_grains_of_a_plane_are_circles():
    recipe = Recipe.read(
        {"grains": 9, "voxels": [48, 48, 1], "microstructure": {"kind": "laguerre", "size_spread": 0.3}}
    )
    sample = recipe.make(0, slice(None), COMM)
    voxels = sample.fractions * 48**2
    assert sample.diameters / sample.spacing == pytest.approx(np.sqrt(4 / np.pi * voxels))
    assert np.log(sample.diameters).std() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_fractions_are_those_of_the_whole_grid(kind):
    recipe = Recipe.read(KINDS[kind])
    sample = recipe.make(0, slice(None), COMM)
    assert sample.grain_id.shape == recipe.shape == sample.shape
    assert np.allclose(sample.fractions, np.bincount(sample.grain_id.ravel()) / sample.grain_id.size)
    assert sample.diameters[sample.crystals].mean() == pytest.approx(1.0)
    assert (6 / np.pi * sample.fractions * sample.grain_id.size) ** (1 / 3) * sample.spacing == pytest.approx(
        sample.diameters
    )


def test_a_texture_is_for_the_crystal_alone():
    texture = {"kind": "fibre", "crystal_direction": [1, 0, 0], "sample_direction": [0, 1, 0]}
    sample = Recipe.read({**KINDS["inclusions"], "texture": texture}).make(1, slice(None), COMM)
    axes = sample.rotations[:, :, 0]
    crystal = sample.material == 0
    assert np.abs(axes[crystal] - [0, 1, 0]).max() < 1e-14
    assert np.abs(axes[~crystal] - [0, 1, 0]).max(axis=1).min() > 1e-3


def laminate(axis):
    layers = [["crystal", 0.25], ["other", 0.25], ["crystal", 0.375], ["crystal", 0.125]]
    parameters = {
        "voxels": {"x": [8, 2, 3], "y": [2, 8, 3], "z": [3, 2, 8]}[axis],
        "materials": {"other": "rigid"},
        "microstructure": {"kind": "laminate", "layers": layers, "axis": axis},
    }
    return Recipe.read(parameters).make(7, slice(None), COMM)


def exact_conductivity(tensors, fractions, normal):
    """Of layers: the flux along the normal and the gradient across it are the same in all."""
    mean = lambda values: np.tensordot(fractions, values, axes=1)  # noqa: E731
    along = np.array([normal @ k @ normal for k in tensors])
    off = np.array([k @ normal for k in tensors])
    inverse = 1.0 / mean(1.0 / along)
    drag = mean(off / along[:, None])
    rest = mean(np.array([k - np.outer(v, v) / a for k, v, a in zip(tensors, off, along, strict=True)]))
    return rest + inverse * np.outer(drag, drag)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_conductivity_of_a_laminate_of_turned_crystals_is_exact(axis):
    sample = laminate(axis)
    crystal = np.diag([1.0, 3.0, 9.0])
    tensors = rotate_conductivity(crystal, sample.rotations)
    tensors[sample.material == 1] = rotate_conductivity(np.diag([20.0, 50.0, 30.0]), sample.rotations[1:2])
    medium = ThermalMedium(Slabs(sample.shape, COMM), sample.grain_id, tensors, [])
    expected = exact_conductivity(tensors, sample.fractions, np.eye(3)["xyz".index(axis)])
    assert np.abs(medium.effective(1e-12).tensor - expected).max() < 1e-10 * np.abs(expected).max()


def exact_stiffness(tensors, fractions, axis):
    """The same with the Mandel components that act on the layers' faces, and the others."""
    faces = {"x": [0, 4, 5], "y": [1, 3, 5], "z": [2, 3, 4]}[axis]
    inside = [k for k in range(6) if k not in faces]
    mean = lambda values: np.tensordot(fractions, np.array(values), axes=1)  # noqa: E731
    ff = [c[np.ix_(faces, faces)] for c in tensors]
    fi = [c[np.ix_(faces, inside)] for c in tensors]
    ii = [c[np.ix_(inside, inside)] for c in tensors]
    inverse = [np.linalg.inv(c) for c in ff]
    stiff = np.linalg.inv(mean(inverse))
    drag = mean([a @ b for a, b in zip(inverse, fi, strict=True)])
    rest = mean([c - b.T @ a @ b for c, a, b in zip(ii, inverse, fi, strict=True)])
    out = np.empty((6, 6))
    out[np.ix_(faces, faces)] = stiff
    out[np.ix_(faces, inside)] = stiff @ drag
    out[np.ix_(inside, faces)] = (stiff @ drag).T
    out[np.ix_(inside, inside)] = rest + drag.T @ stiff @ drag
    return out


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_stiffness_of_a_laminate_of_turned_crystals_is_exact(axis):
    sample = laminate(axis)
    generator = np.random.default_rng(1)
    root = generator.standard_normal((6, 6))
    triclinic = voigt_to_mandel(isotropic_stiffness(100.0, 0.3)) + 10 * root @ root.T
    tensors = rotate_stiffness(triclinic, sample.rotations)
    tensors[1] = voigt_to_mandel(isotropic_stiffness(900.0, 0.1))
    medium = ElasticMedium(Slabs(sample.shape, COMM), sample.grain_id, tensors, [])
    expected = exact_stiffness(tensors, sample.fractions, axis)
    assert np.abs(medium.effective(1e-12).tensor - expected).max() < 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"microstructure": {"kind": "foam"}}, "no microstructure of kind 'foam'"),
        ({"microstructure": {"kind": "inclusions"}}, "microstructure names material ''"),
        (
            {"microstructure": {"kind": "laminate", "layers": [["gold", 1.0]]}},
            "names material 'gold', and there is none",
        ),
    ],
)
def test_what_cannot_be_made_is_named(parameters, complaint):
    with pytest.raises(InputError, match=complaint):
        Recipe.read(parameters)
