from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.homogenization import boundary
from hashigo.calculators.workers.homogenization.boundary import ModeSet
from hashigo.errors import InputError


def grey(speed=6000.0, lifetime=1e-11, modes=1):
    """Modes that are all alike and isotropic."""
    outer = np.zeros((modes, 6))
    outer[:, :3] = speed**2 / 3.0
    return ModeSet(
        volume=4e-29 * modes,
        weight=np.ones(modes),
        speed=np.full(modes, speed),
        velocity_outer=outer,
        heat_capacity=np.full((1, modes), 1.2e-23),
        lifetime=np.full((1, modes), lifetime),
    )


def spread_modes(modes=200, seed=0):
    generator = np.random.default_rng(seed)
    speed = generator.uniform(0.0, 8000.0, modes)
    outer = np.zeros((modes, 6))
    outer[:, :3] = speed[:, None] ** 2 * generator.dirichlet([5.0] * 3, modes)
    lifetime = 10.0 ** generator.uniform(-12.0, -9.0, (2, modes))
    return ModeSet(
        1e-26, generator.integers(1, 48, modes) * 1.0, speed, outer, np.full((2, modes), 1e-23), lifetime
    )


def bulk(modes, index):
    carrier = modes.weight * modes.heat_capacity[index] * modes.lifetime[index]
    return np.diag((carrier @ modes.velocity_outer[:, :3]) / modes.volume)


def test_grey_medium_follows_the_closed_form():
    """One mean free path Λ: κ(L) = κ / (1 + Λ/L)."""
    modes = grey()
    path = 6000.0 * 1e-11 / 1e-9
    sizes = np.array([0.1, 1.0, 10.0]) * path
    kappa = 1.2e-23 / 4e-29 * 6000.0**2 / 3.0 * 1e-11
    found = boundary.limited_conductivity(modes, 0, sizes)
    expected = kappa / (1.0 + path / sizes)
    assert np.allclose(found, expected[:, None, None] * np.eye(3), rtol=1e-13)
    assert boundary.median_mean_free_path(modes, 0) == pytest.approx(path)


def test_large_grains_are_the_crystal_and_small_ones_ballistic():
    modes = spread_modes()
    crystal = bulk(modes, 1)
    assert np.allclose(boundary.limited_conductivity(modes, 1, np.array([np.inf]))[0], crystal, rtol=1e-13)
    assert np.allclose(boundary.limited_conductivity(modes, 1, np.array([1e12]))[0], crystal, rtol=1e-6)
    small = boundary.limited_conductivity(modes, 1, np.array([1e-6, 2e-6]))
    assert np.allclose(small[1], 2.0 * small[0], rtol=1e-4)


def test_conductivity_grows_with_the_grain():
    sizes = np.geomspace(1.0, 1e5, 20)
    trace = np.trace(boundary.limited_conductivity(spread_modes(), 0, sizes), axis1=1, axis2=2)
    assert (np.diff(trace) > 0).all()


def test_modes_without_lifetime_or_speed_do_no_harm():
    modes = grey(modes=3)
    stopped = replace(modes, lifetime=np.array([[1e-11, 0.0, 1e-11]]), speed=np.array([6000.0, 6000.0, 0.0]))
    found = boundary.limited_conductivity(stopped, 0, np.array([60.0]))
    assert np.isfinite(found).all()


def test_chunks_give_the_same(monkeypatch):
    modes, sizes = spread_modes(), np.geomspace(1.0, 1e4, 17)
    whole = boundary.limited_conductivity(modes, 0, sizes)
    monkeypatch.setattr(boundary, "CHUNK", 600)
    assert np.allclose(boundary.limited_conductivity(modes, 0, sizes), whole, rtol=1e-13)


def test_median_halves_the_conductivity():
    modes = spread_modes()
    median = boundary.median_mean_free_path(modes, 0)
    short = modes.speed * modes.lifetime[0] < median * 1e-9 * (1 - 1e-12)
    share = np.trace(bulk(replace(modes, weight=modes.weight * short), 0)) / np.trace(bulk(modes, 0))
    assert 0.45 < share < 0.5


def test_ratio_of_cubic_crystals_is_a_ratio_of_numbers():
    one = np.eye(3)[None]
    assert np.allclose(boundary.scale_by_ratio(100.0 * one, 80.0 * one, 60.0 * one), 75.0 * one)


def test_ratio_of_tensors_is_exact_when_nothing_changes():
    tensor = np.array([[[3.0, 0.5, 0.1], [0.5, 2.0, 0.2], [0.1, 0.2, 1.0]]])
    other = np.diag([5.0, 6.0, 7.0])[None]
    assert np.allclose(boundary.scale_by_ratio(other, tensor, tensor), other)
    assert np.linalg.eigvalsh(boundary.scale_by_ratio(other, tensor, other)).min() > 0


def test_grain_of_no_size_is_an_error():
    with pytest.raises(InputError, match="diameter is not positive"):
        boundary.limited_conductivity(grey(), 0, np.array([0.0]))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"speed": np.ones(2)}, "'speed' of the phonon modes has shape"),
        ({"lifetime": np.array([[np.nan]])}, "'lifetime' .* no numbers"),
        ({"volume": 0.0}, "'volume'"),
        ({"lifetime": np.array([[-1.0]])}, "negative"),
    ],
)
def test_bad_modes_are_named(change, complaint):
    with pytest.raises(InputError, match=complaint):
        replace(grey(), **change)


def test_modes_are_read_from_a_result(tmp_path):
    modes = spread_modes()
    with ResultWriter(tmp_path / "c.h5", task="conductivity", task_version=1) as writer:
        for name in ("volume", "weight", "speed", "velocity_outer", "heat_capacity", "lifetime"):
            writer.array(f"modes/fine/{name}", getattr(modes, name), units="SI")
    with ResultReader(tmp_path / "c.h5") as reader:
        again = boundary.read_modes(reader, "modes/fine")
        with pytest.raises(InputError, match="modes/coarse/mean/volume"):
            boundary.read_modes(reader, "modes/coarse/mean")
    assert np.array_equal(again.lifetime, modes.lifetime)
    assert again.volume == modes.volume


def test_mirrors_do_not_scatter_and_half_a_mirror_trebles_the_length():
    assert boundary.scattering_lengths(np.array([10.0]), 0.5) == pytest.approx(30.0)
    assert np.isinf(boundary.scattering_lengths(np.array([10.0]), 1.0)).all()
    assert boundary.scattering_lengths(np.array([10.0]), 0.0) == pytest.approx(10.0)


def test_one_boundary_has_one_model():
    with pytest.raises(InputError, match="never both"):
        boundary.BoundaryModel.read({"kapitza": 1e-9, "specularity": 0.5})
    assert boundary.BoundaryModel.read("modes") == boundary.BoundaryModel()
    one = boundary.BoundaryModel.read({"kapitza": 1e-9, "specularity": None, "uncertainty": 0.1})
    assert (one.kapitza, one.uncertainty) == ({0.0: 1e-9}, 0.1)


def test_resistance_between_and_beyond_its_temperatures():
    one = boundary.BoundaryModel.read({"kapitza": {"300.0": 2e-9, "600.0": 1e-9}})
    assert one.resistance(np.array([300.0, 450.0, 600.0])) == pytest.approx([2e-9, 1.5e-9, 1e-9])
    with pytest.raises(InputError, match="not at 700 K, and nothing is extrapolated"):
        one.resistance(np.array([700.0]))
    assert boundary.BoundaryModel.read({"kapitza": 3e-9}).resistance(np.array([5.0])) == pytest.approx(3e-9)
