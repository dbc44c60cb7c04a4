from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.boundary import ModeSet
from hashigo.calculators.workers.homogenization.conduction import ModeByMode, thermal_ensemble
from hashigo.calculators.workers.homogenization.ensemble import elastic_ensemble
from hashigo.calculators.workers.homogenization.microstructure import voronoi_polycrystal
from hashigo.calculators.workers.homogenization.output import uncertainty_components
from hashigo.calculators.workers.homogenization.phonons import PhononModels
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import Effective, ElasticMedium
from hashigo.calculators.workers.homogenization.tensors import rotate_stiffness, voigt_to_mandel
from hashigo.calculators.workers.job import SerialComm

VOXELS = 9


def cubic(c11, c12, c44):
    stiffness = np.diag([c11 - c12] * 3 + [c44] * 3).astype(float)
    stiffness[:3, :3] += c12
    return voigt_to_mandel(stiffness)


COPPER = cubic(168.4, 121.4, 75.4)
MEMBERS = np.array([cubic(168.4 + d, 121.4, 75.4 - d) for d in (-4.0, 0.0, 3.0)])[:, None]


@pytest.fixture
def slabs():
    return Slabs((VOXELS,) * 3, SerialComm())


def samples(*seeds):
    return [voronoi_polycrystal(8, VOXELS, seed) for seed in seeds]


def stiffness(slabs, seeds, members, tolerance=1e-6):
    return elastic_ensemble(samples(*seeds), slabs, COPPER[None], members, tolerance, lambda *_: None)


def modes(factor):
    """Three anisotropic modes, with paths shorter and longer than the grains."""
    outer = np.array([[3.0, 1.0, 1.0, 0, 0, 0], [1.0, 2.0, 1.0, 0, 0, 0], [1.0, 1.0, 4.0, 0, 0, 0]]) * 1e7
    return ModeSet(
        volume=3e-28,
        weight=np.full(3, 8.0),
        speed=np.sqrt(outer[:, :3].sum(axis=1)),
        velocity_outer=outer,
        heat_capacity=np.full((1, 3), 1.2e-23),
        lifetime=factor * np.array([[1e-12, 1e-11, 1e-10]]),
    )


def conductivity(slabs, seeds, factors):
    models = PhononModels(modes(1.0), modes(1.0), tuple(modes(factor) for factor in factors))
    law = ModeByMode(samples(*seeds), models, [(0, 50.0)])
    return thermal_ensemble(len(seeds), slabs, law, 1e-6, lambda *_: None)


def parts(found):
    return uncertainty_components(found.realisations, found.member_means)


def test_equal_members_have_no_model_part(slabs):
    elastic = stiffness(slabs, (1, 2), np.repeat(COPPER[None, None], 3, axis=0))
    thermal = conductivity(slabs, (1, 2), (1.0, 1.0, 1.0))
    for found in (elastic, thermal):
        scale = np.abs(found.realisations).max()
        assert parts(found)["model"].max() <= 1e-14 * scale
        assert parts(found)["sampling"].max() > 1e-3 * scale


def test_one_microstructure_repeated_has_no_sampling_part(slabs):
    elastic = stiffness(slabs, (1, 1), MEMBERS)
    thermal = conductivity(slabs, (1, 1), (0.9, 1.0, 1.1))
    for found in (elastic, thermal):
        scale = np.abs(found.realisations).max()
        assert parts(found)["sampling"].max() == 0.0
        assert parts(found)["model"].max() > 1e-3 * scale


def test_the_model_part_is_the_spread_of_means_over_realisations(slabs):
    found = stiffness(slabs, (1, 2, 3), MEMBERS)
    assert found.members.shape == (3, 3, 1, 6, 6)
    assert np.allclose(found.member_means[0, 0], found.members[0, :, 0].mean(axis=0))
    assert np.allclose(parts(found)["model"], found.members.mean(axis=1).std(axis=0, ddof=1))
    # Of the middle member, which is the mean model, nothing is left but the solver's error.
    assert np.allclose(found.members[1], found.realisations, rtol=0, atol=1e-6)


def test_a_member_started_from_the_mean_model_is_its_own_solution(slabs):
    found = stiffness(slabs, (1, 2), MEMBERS)
    for place, sample in enumerate(samples(1, 2)):
        table = rotate_stiffness(MEMBERS[0, 0], sample.rotations)
        exact = ElasticMedium(slabs, sample.grain_id, table, []).effective(1e-10).tensor
        change = np.abs(exact - found.realisations[place, 0]).max()
        assert np.abs(found.members[0, place, 0] - exact).max() < 1e-4 * change


def test_members_are_discretised_as_the_mean_model_is(slabs, monkeypatch):
    """A member on the other side of the contrast at which schemes change would differ by their errors."""
    sample = samples(1)[0]
    sample = replace(sample, material=(np.arange(8) % 2).astype(np.int32))
    soft = COPPER[None] / 9.9e3
    seen = []
    monkeypatch.setattr(ElasticMedium, "effective", lambda self, *_: seen.append(self.scheme) or found)
    found = Effective(np.eye(6), [np.zeros((3, *slabs.local_shape))] * 6, [1] * 6, [0.0] * 6)
    members = np.array([COPPER, 1.02 * COPPER])[:, None]
    elastic_ensemble([sample], slabs, COPPER[None], members, 1e-6, lambda *_: None, soft)
    assert seen == ["rotated"] * 3
