from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.microstructure import Microstructure, voronoi_polycrystal
from hashigo.calculators.workers.homogenization.recipe import Recipe
from hashigo.calculators.workers.homogenization.statistics import (
    fit_log_normal,
    grain_statistics,
    statistics_note,
)
from hashigo.calculators.workers.job import SerialComm

from .ranks import on_ranks

COMM = SerialComm()


def blocks(edge=4, number=3, material=None):
    """Cubes of equal edges, each a grain; the box repeats after three of them."""
    index = np.arange(edge * number) // edge
    z, y, x = np.meshgrid(index, index, index, indexing="ij")
    grains = ((z * number + y) * number + x).astype(np.int32)
    count = number**3
    kinds = np.zeros(count, np.int32) if material is None else np.asarray(material, np.int32)
    unit = np.tile([0.0, 0, 0, 1], (count, 1))
    return Microstructure(grains, unit, np.full(count, 1 / count), kinds, (edge * number,) * 3)


def test_cubes_have_six_neighbours_and_their_edge_for_an_intercept():
    found = grain_statistics(blocks(), 1, COMM)
    assert (found.neighbours == 6).all()
    assert (found.voxels == 64).all()
    edge_over_diameter = (np.pi / 6) ** (1 / 3)
    assert found.intercepts == pytest.approx(np.full(3, edge_over_diameter))
    assert found.fractions == pytest.approx([1.0])
    assert found.cosines == pytest.approx(np.eye(3))


def test_what_is_no_crystal_does_not_count():
    """Every second layer of cubes along z is a pore: lines along z leave the crystal at each layer's ends."""
    material = np.arange(27) // 9 % 2
    found = grain_statistics(blocks(material=material), 2, COMM)
    assert len(found.diameters) == 18
    assert found.fractions == pytest.approx([2 / 3, 1 / 3])
    # The two layers of crystal touch across the box's face, and have boundaries there.
    assert found.intercepts == pytest.approx(np.full(3, (np.pi / 6) ** (1 / 3)))
    one = grain_statistics(blocks(number=1), 1, COMM)
    assert np.isinf(one.intercepts).all()
    assert (one.neighbours == 0).all()


def test_voronoi_cells_have_the_neighbours_of_the_literature():
    """15.54 faces a cell, and a mean intercept of 0.6872 n^(-1/3) (Meijering 1953, Kumar et al. 1992)."""
    sample = voronoi_polycrystal(150, 64, 1)
    found = grain_statistics(sample, 1, COMM)
    # Some faces are smaller than a voxel.
    assert found.neighbours.mean() == pytest.approx(15.54, abs=0.6)
    intercept = found.intercepts.mean() * sample.mean_diameter * 150 ** (1 / 3)
    # Chords shorter than a voxel are missed.
    assert intercept == pytest.approx(0.6872, rel=0.05)
    assert found.cosines == pytest.approx(np.full((3, 3), 1 / 3), abs=0.08)


def test_any_number_of_ranks_finds_the_same():
    recipe = Recipe(grains=12, shape=(11, 10, 12))
    alone = grain_statistics(recipe.make(0, slice(None), COMM), 1, COMM)
    parts = on_ranks(3, 11, lambda planes, comm: grain_statistics(recipe.make(0, planes, comm), 1, comm))
    for part in parts:
        assert np.array_equal(part.neighbours, alone.neighbours)
        assert np.array_equal(part.intercepts, alone.intercepts)


def test_a_log_normal_distribution_is_found_again():
    generator = np.random.default_rng(0)
    fit = fit_log_normal(generator.lognormal(0.3, 0.4, 20000))
    assert fit.median == pytest.approx(np.exp(0.3), rel=0.02)
    assert fit.spread == pytest.approx(0.4, rel=0.02)
    assert fit.distance < 0.01
    assert fit_log_normal(generator.uniform(0.1, 1.0, 20000)).distance > 0.05
    assert fit_log_normal(np.ones(5)).spread == 0


def test_what_was_asked_for_stands_in_the_note():
    parameters = {
        "grains": 20, "voxels": 24, "materials": {"pore": "void"},
        "microstructure": {"kind": "inclusions", "fraction": 0.1, "inclusions": 3, "size_spread": 0.3},
    }  # fmt: skip
    recipe = Recipe.read(parameters)
    found = [grain_statistics(recipe.make(seed, slice(None), COMM), 2, COMM) for seed in range(3)]
    note = statistics_note(found, recipe.materials, recipe.asked)
    assert note["asked"] == {"size_spread": 0.3, "fraction of pore": 0.1}
    assert note["fraction"]["pore"] == pytest.approx(0.1, rel=0.03)
    assert note["fraction"]["crystal"] == pytest.approx(1 - note["fraction"]["pore"])
    assert note["grains"] == 60
