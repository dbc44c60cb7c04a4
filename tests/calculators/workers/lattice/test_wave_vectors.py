from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hashigo.calculators.workers.job import PartialResult
from hashigo.calculators.workers.lattice import wave_vectors
from hashigo.calculators.workers.lattice.force_constants import Fit, build_lattice, random_dataset
from hashigo.calculators.workers.lattice.transport import build_anharmonic
from hashigo.calculators.workers.lattice.wave_vectors import Work, mode_properties, share
from hashigo.calculators.workers.saved import Saved

TEMPERATURES = [300.0, 600.0]


@pytest.fixture(scope="module")
def silicon(tersoff, diamond):
    lattice = build_lattice(diamond, [2, 2, 2])
    dataset = random_dataset(tersoff, lattice, 10, 0.03, seed=0, paired=True)
    return build_anharmonic(diamond, [2, 2, 2], Fit(lattice, 3).solve(dataset))


@pytest.fixture(scope="module")
def modes(silicon):
    return mode_properties(silicon, 5, TEMPERATURES)


def equal(one, other):
    """Two sets of modes to the last digit."""
    return all(np.array_equal(part, other.arrays()[name]) for name, part in one.arrays().items())


@pytest.fixture
def solved(monkeypatch):
    """Indices of the wave vectors that phono3py was asked for."""
    asked: list[int] = []
    solve = wave_vectors.solve_points

    def count(crystal, points, piece, *rest):
        asked.extend(int(index) for index in piece)
        return solve(crystal, points, piece, *rest)

    monkeypatch.setattr(wave_vectors, "solve_points", count)
    return asked


def test_cost_is_shared_evenly():
    costs = np.array([48, 48, 24, 24, 24, 6, 6, 1, 1, 1.0])
    for ranks in (1, 2, 3):
        parts = share(costs, ranks)
        assert sorted(np.concatenate(parts).tolist()) == list(range(10))
        loads = [costs[part].sum() for part in parts]
        assert max(loads) - min(loads) <= 24
    assert [len(part) for part in share(np.zeros(0), 2)] == [0, 0]


def test_cost_goes_with_the_arms_of_the_star(silicon):
    from phono3py.phonon3.triplets import get_triplets_at_q
    from phonopy.phonon.grid import get_ir_grid_points

    silicon.mesh_numbers = [11] * 3
    irreducible, weights, _ = get_ir_grid_points(silicon.grid)
    points = silicon.grid.grg2bzg[irreducible]
    triplets = np.array([len(get_triplets_at_q(int(point), silicon.grid)[0]) for point in points])
    assert np.corrcoef(triplets, weights)[0, 1] > 0.999


def test_ranks_share_the_wave_vectors(silicon, modes):
    """Two ranks, one after the other: what the first keeps, the second adds to."""
    kept: dict = {}

    class Rank:
        size = 2

        def __init__(self, rank):
            self.rank = rank

        def Ibarrier(self):
            return SimpleNamespace(Test=lambda: True)

        def bcast(self, value, root=0):
            return {} if value is None else value

        def allgather(self, found):
            if not isinstance(found, dict):
                return [found]
            kept[self.rank] = found
            return [kept.get(0, {}), found if self.rank else {**_blank(found), **found}]

    def _blank(found):
        some = next(iter(found.values()))
        return {index: tuple(np.zeros_like(part) for part in some) for index in range(10)}

    told = []
    mode_properties(silicon, 5, TEMPERATURES, work=Work(Rank(0)))
    work = Work(Rank(1), progress=lambda mesh, fraction: told.append(fraction))
    second = mode_properties(silicon, 5, TEMPERATURES, work=work)
    assert len(kept[0]) + len(kept[1]) == 10
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert equal(second, modes)


def test_a_stopped_mesh_goes_on_where_it_was(silicon, modes, solved, tmp_path):
    reasons = iter(["", "the job got SIGTERM", "the job got SIGTERM"])
    saved = Saved(tmp_path)
    with pytest.raises(
        PartialResult, match=r"9 of 10 wave vectors of mesh 5 are left .*: the job got SIGTERM"
    ):
        mode_properties(silicon, 5, TEMPERATURES, work=Work(saved=saved, reason=lambda: next(reasons)))
    assert len(solved) == 1
    again = mode_properties(silicon, 5, TEMPERATURES, work=Work(saved=saved))
    assert sorted(solved) == list(range(10))
    assert equal(again, modes)
    # All is kept now, and nothing is computed a third time; another crystal's pieces are others.
    assert equal(mode_properties(silicon, 5, TEMPERATURES, work=Work(saved=saved)), modes)
    assert len(solved) == 10
    mode_properties(silicon, 5, TEMPERATURES, work=Work(saved=saved), name="other")
    assert len(solved) == 20


def test_a_damaged_piece_is_computed_again(silicon, modes, solved, tmp_path):
    saved = Saved(tmp_path)
    mode_properties(silicon, 5, TEMPERATURES, work=Work(saved=saved))
    first = saved.names("mean-5-")[0]
    (tmp_path / f"{first}.npz").write_bytes(b"PK")
    assert equal(mode_properties(silicon, 5, TEMPERATURES, work=Work(saved=saved)), modes)
    assert 10 < len(solved) < 20


def test_ballistic_limit_of_small_specimens(modes):
    """κ → Σ c v⊗v/|v| L / V as L → 0; and 1/τ adds |v|/L to every mode (Casimir, Physica 5, 495 (1938))."""
    for length in (10.0, 1e-3):
        limited = modes.bounded(length)
        path, speed = limited.mean_free_path(), limited.speed
        assert (path < length * (1 + 1e-9)).all()
        carries = modes.lifetime > 0
        rate = 1 / modes.lifetime[carries] + np.broadcast_to(speed, carries.shape)[carries] / (length * 1e-9)
        assert limited.lifetime[carries] == pytest.approx(1 / rate, rel=1e-6)
    moving = speed > 1.0
    free = (modes.weight * modes.heat_capacity)[:, moving] @ (
        modes.velocity_outer[moving] / speed[moving, None]
    )
    expected = free[:, 0] * (1e-3 * 1e-9) / modes.volume
    assert limited.conductivity()[:, 0, 0] == pytest.approx(expected, rel=1e-3)
    # Of a cubic crystal a third of the sum over modes: C v L / 3.
    third = (modes.weight * modes.heat_capacity)[:, moving] @ speed[moving] * 1e-12 / modes.volume / 3
    assert limited.conductivity()[:, 0, 0] == pytest.approx(third, rel=1e-3)


def test_cubic_symmetry_of_the_tensor(modes):
    for kappa in modes.conductivity():
        assert kappa == pytest.approx(kappa[0, 0] * np.eye(3), rel=1e-9, abs=1e-6 * kappa[0, 0])
