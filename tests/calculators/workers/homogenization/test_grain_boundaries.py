from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.boundary import METRES_PER_NM
from hashigo.calculators.workers.homogenization.conduction import Resistive, thermal_ensemble
from hashigo.calculators.workers.homogenization.grain_boundaries import (
    find_interfaces,
    series_estimate,
    smoothing_reach,
)
from hashigo.calculators.workers.homogenization.microstructure import Microstructure, voronoi_polycrystal
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.job import SerialComm

from .ranks import on_ranks

#: Conductivity of the crystal, W/(m K).
CRYSTAL = 50.0


def slabs_of(grain_id):
    return Slabs(grain_id.shape, SerialComm())


def sample_of(grain_id):
    counts = np.bincount(grain_id.ravel())
    quaternions = np.tile([0.0, 0.0, 0.0, 1.0], (len(counts), 1))
    material = np.zeros(len(counts), dtype=np.int32)
    return Microstructure(
        grain_id.astype(np.int32), quaternions, counts / grain_id.size, material, grain_id.shape
    )


def resistive(sample, resistance, size, *, reach=1, crystal=None):
    """One condition: resistance in m^2 K/W, mean grain diameter in nm."""
    slabs = slabs_of(sample.grain_id)
    found = find_interfaces(sample.grain_id, slabs, reach)
    tensor = CRYSTAL * np.eye(3) if crystal is None else crystal
    return Resistive([sample], [found], slabs, tensor[None], None, np.array([resistance]), np.array([size]))


def solved(law, tolerance=1e-9):
    return thermal_ensemble(1, law.slabs, law, tolerance, lambda *_: None)


def stripes(voxels, normal, phase=0.13):
    """Grains with flat boundaries, two in each period along the integer normal (x, y, z)."""
    z, y, x = np.meshgrid(*[(np.arange(voxels) + 0.5) / voxels] * 3, indexing="ij")
    return np.floor(2 * (normal[0] * x + normal[1] * y + normal[2] * z + phase)).astype(int) % 2


def box_edge(sample, size):
    """Edge of the box, m."""
    return size * METRES_PER_NM * sample.spacing * sample.shape[2]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_layers_are_resistances_in_series(axis):
    """Three layers along x, y or z: 1/k = 1/k_crystal + R n/L across, and nothing along."""
    layers = np.repeat([0, 1, 2], [3, 4, 5])
    shape = np.ones(3, dtype=int)
    shape[2 - axis] = 12
    sample = sample_of(np.broadcast_to(layers.reshape(shape), (12, 12, 12)).copy())
    resistance, size = 3e-8, 100.0
    found = solved(resistive(sample, resistance, size)).realisations[0, 0]
    across = 1.0 / (1.0 / CRYSTAL + resistance * 3 / box_edge(sample, size))
    expected = np.full(3, CRYSTAL)
    expected[axis] = across
    assert np.allclose(found, np.diag(expected), rtol=1e-11, atol=1e-11 * CRYSTAL)


def test_the_area_of_layers_is_counted_exactly():
    sample = sample_of(np.repeat([0, 1, 2], [3, 4, 5])[:, None, None] * np.ones((12, 6, 6), dtype=int))
    found = find_interfaces(sample.grain_id, slabs_of(sample.grain_id))
    assert found.density == pytest.approx(3 / 12, rel=1e-13)
    assert found.intercepts == pytest.approx(2 * 3 / 12 / 3, rel=1e-13)


def test_the_surface_of_a_void_is_no_boundary():
    """Two layers of crystal, one a pore between them: one boundary across z is left of three."""
    grain_id = np.repeat([0, 1, 2], [3, 4, 5])[:, None, None] * np.ones((12, 6, 6), dtype=int)
    voids = np.array([False, True, False])
    found = find_interfaces(grain_id.astype(np.int32), slabs_of(grain_id), 1, voids)
    assert found.density == pytest.approx(1 / 12, rel=1e-13)
    assert found.intercepts == pytest.approx(2 / 12 / 3, rel=1e-13)
    assert not np.isin(found.owner, 1).any()


def test_a_pore_in_one_grain_has_nothing_to_do_with_resistance():
    z, y, x = np.meshgrid(*[np.arange(10) - 4.5] * 3, indexing="ij")
    grain_id = (x**2 + y**2 + z**2 < 9).astype(np.int32)
    found = find_interfaces(grain_id, slabs_of(grain_id), 2, np.array([False, True]))
    assert found.density == 0
    assert len(found.index) == 0


@pytest.mark.parametrize(
    ("normal", "voxels", "error"), [((1, 1, 0), 16, 1e-4), ((1, 1, 1), 32, 1e-4), ((1, 2, 3), 32, 0.01)]
)
def test_heat_does_not_leak_through_an_inclined_boundary(normal, voxels, error):
    """Resistances in series along the normal, with boundaries that resist 20 to 40 times as much as a voxel."""
    sample = sample_of(stripes(voxels, normal))
    size = 100.0
    edge = box_edge(sample, size)
    resistance = 1.2 * edge / CRYSTAL
    found = solved(resistive(sample, resistance, size), 1e-6).realisations[0, 0]
    length = np.linalg.norm(normal)
    direction = np.array(normal) / length
    expected = 1.0 / (1.0 / CRYSTAL + resistance * 2 * length / edge)
    assert direction @ found @ direction == pytest.approx(expected, rel=error)


def test_no_resistance_is_the_crystal_and_a_small_one_is_near():
    sample = voronoi_polycrystal(8, 12, 1)
    crystal = np.diag([30.0, 50.0, 80.0])
    none, small = (solved(resistive(sample, r, 100.0, crystal=crystal)).realisations for r in (0.0, 1e-15))
    plain = resistive(sample, 0.0, 100.0, crystal=crystal).phases(0, 0).table[sample.grain_id[0, 0, 0]]
    assert np.linalg.eigvalsh(plain) == pytest.approx([30.0, 50.0, 80.0])
    assert np.allclose(none, small, rtol=1e-4)
    assert not np.allclose(
        none, solved(resistive(sample, 1e-9, 100.0, crystal=crystal)).realisations, rtol=1e-2
    )


def test_the_slope_is_that_of_the_conductivity():
    sample = voronoi_polycrystal(8, 12, 1)
    crystal = np.diag([30.0, 50.0, 80.0])
    low, middle, high = (
        solved(resistive(sample, r * 1e-9, 100.0, crystal=crystal)) for r in (0.999, 1.0, 1.001)
    )
    difference = (high.realisations - low.realisations) / 0.002
    assert np.allclose(middle.slope, difference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kapitza_length", [0.1, 1.0])
def test_polycrystal_is_near_the_effective_medium(kapitza_length):
    """R k from a tenth of the grain's size to all of it."""
    sample = voronoi_polycrystal(20, 24, 1)
    size = 100.0
    resistance = kapitza_length * size * METRES_PER_NM / CRYSTAL
    law = resistive(sample, resistance, size)
    found = solved(law, 1e-6).realisations[0, 0]
    density = law.interfaces[0].density / law.voxel(0, 0)
    expected = float(series_estimate(CRYSTAL, resistance, density))
    # In series, the estimate is Reuss's bound for boundaries of no preferred direction.
    assert expected < np.trace(found) / 3 < 1.1 * expected


def test_boundary_area_of_random_cells():
    """S_V = 2.910 n^(1/3) for n cells in a unit volume (Meijering, 1953)."""
    sample = voronoi_polycrystal(200, 48, 0)
    found = find_interfaces(sample.grain_id, slabs_of(sample.grain_id), smoothing_reach(1 / sample.spacing))
    expected = 2.910 * 200 ** (1 / 3) / 48
    assert found.density == pytest.approx(expected, rel=0.03)
    assert found.density / found.intercepts == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize(("size", "reach"), [(2, 1), (3, 3)])
def test_ranks_find_the_boundaries_that_one_finds(size, reach):
    """With slabs of one or two planes, thinner than the smoothing reaches."""
    grain_id, voids = voronoi_polycrystal(6, 10, 1).grain_id[:5], np.arange(6) == 2
    alone = find_interfaces(grain_id, slabs_of(grain_id), reach, voids)

    def work(planes, comm):
        return find_interfaces(grain_id[planes], Slabs(grain_id.shape, comm), reach, voids)

    parts = on_ranks(size, 5, work)
    assert len(np.concatenate([part.index for part in parts])) == len(alone.index)
    for part in parts:
        assert np.allclose(part.area, alone.area, rtol=0, atol=1e-14)
        assert np.array_equal(part.owner, alone.owner)
        assert part.density == pytest.approx(alone.density, rel=1e-13)
        assert part.intercepts == pytest.approx(alone.intercepts, rel=1e-13)


def test_grains_of_more_voxels_are_smoothed_wider():
    assert [smoothing_reach(d) for d in (4.0, 8.7, 17.4, 26.0, 100.0)] == [1, 1, 2, 3, 3]
