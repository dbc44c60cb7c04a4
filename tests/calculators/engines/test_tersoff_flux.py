"""The heat flux of Tersoff's potential is the rate of the first moment of the energy, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.engines.tersoff import SILICON, silicon
from hashigo.calculators.engines.tersoff_flux import KINETIC, forces, snapshots
from hashigo.errors import InputError


@pytest.fixture
def hot():
    """A hot crystal, some of its bonds within the range of the cut-off function."""
    atoms = bulk("Si", "diamond", 5.43, cubic=True) * 2
    atoms.rattle(0.15, seed=1)
    atoms.calc = silicon()
    return atoms


def velocities(atoms, seed=0):
    return np.random.default_rng(seed).normal(size=(len(atoms), 3)) * 5


def test_energy_forces_and_stress_are_the_engine_s(hot):
    force, stress = forces(SILICON, hot.positions, hot.cell.lengths())
    energies, _ = snapshots(
        SILICON, hot.positions[None], 0 * hot.positions[None], hot.cell.lengths(), hot.get_masses()
    )
    assert energies[0] == pytest.approx(hot.get_potential_energy(), abs=1e-9)
    assert np.abs(force - hot.get_forces()).max() < 1e-9
    assert np.abs(stress - hot.get_stress(voigt=False)).max() < 1e-11


def atomic_energies(x):
    """U_i, half the sum over the bonds of each atom of a cluster, written down once more."""
    p = SILICON
    d = x[None] - x[:, None]
    r = np.linalg.norm(d, axis=2) + 1e9 * np.eye(len(x))
    cut = 0.5 - 0.5 * np.sin(np.pi / 2 * np.clip((r - p["R"]) / p["D"], -1, 1))
    cosine = np.einsum("ija,ika->ijk", d, d) / (r[:, :, None] * r[:, None, :])
    angular = p["gamma"] * (1 + (p["c"] / p["d"]) ** 2 - p["c"] ** 2 / (p["d"] ** 2 + (p["h"] - cosine) ** 2))
    near = np.where((cut[:, :, None] > 0) & (cut[:, None, :] > 0), r[:, :, None] - r[:, None, :], 0)
    terms = cut[:, None, :] * angular * np.exp((p["lambda3"] * near) ** p["m"])
    zeta = np.sum(terms * (1 - np.eye(len(x)))[None], axis=2)
    order = (1 + (p["beta"] * zeta) ** p["n"]) ** (-0.5 / p["n"])
    bonds = p["A"] * np.exp(-p["lambda1"] * r) - order * p["B"] * np.exp(-p["lambda2"] * r)
    return 0.5 * np.sum(cut * bonds, axis=1)


def test_flux_of_a_cluster_is_the_rate_of_its_energy_s_first_moment(hot):
    """Without boundaries Σ r_i E_i exists: its slope along the motion is compared."""
    cluster = hot.copy()
    cluster.pbc = False
    cluster.cell = [40, 40, 40]
    cluster.center()
    x, speed, mass, cell = (
        cluster.positions,
        velocities(cluster),
        cluster.get_masses(),
        cluster.cell.lengths(),
    )
    pull = forces(SILICON, x, cell)[0] / mass[:, None] / KINETIC
    assert atomic_energies(x).sum() == pytest.approx(
        snapshots(SILICON, x[None], x[None], cell, mass)[0][0], abs=1e-9
    )

    def moment(time):
        moved, now = x + time * speed + 0.5 * time**2 * pull, speed + time * pull
        return (0.5 * KINETIC * mass * np.sum(now**2, axis=1) + atomic_energies(moved)) @ moved

    step = 1e-5
    rate = (8 * (moment(step) - moment(-step)) - (moment(2 * step) - moment(-2 * step))) / (12 * step)
    _, flux = snapshots(SILICON, x[None], speed[None], cell, mass)
    assert np.abs(rate).max() > 10
    assert flux[0] == pytest.approx(rate, abs=1e-4)


def test_flux_knows_no_boundary(hot):
    speed = velocities(hot)
    shifted = hot.copy()
    shifted.positions += [3.1, -20.3, 7.7]
    shifted.wrap()
    given = [
        snapshots(SILICON, one.positions[None], speed[None], one.cell.lengths(), one.get_masses())[1][0]
        for one in (hot, shifted)
    ]
    assert given[0] == pytest.approx(given[1], abs=1e-9)


def test_frames_that_follow_each_other_equal_single_ones(hot):
    """The list of neighbours is kept while atoms move little, and made again when they do not."""
    rng = np.random.default_rng(2)
    positions = hot.positions + np.cumsum(rng.normal(scale=0.08, size=(6, 64, 3)), axis=0)
    speed = rng.normal(size=positions.shape)
    cell, mass = hot.cell.lengths(), hot.get_masses()
    energies, flux = snapshots(SILICON, positions, speed, cell, mass)
    for number in range(6):
        one = snapshots(SILICON, positions[number, None], speed[number, None], cell, mass)
        assert one[0][0] == pytest.approx(energies[number], abs=1e-9)
        assert one[1][0] == pytest.approx(flux[number], abs=1e-9)


def test_small_cells_and_collapsed_structures_are_refused():
    cell = bulk("Si", "diamond", 5.43, cubic=True)
    with pytest.raises(InputError, match=r"edge of the cell is 5\.43 Å"):
        forces(SILICON, cell.positions, cell.cell.lengths())
    with pytest.raises(InputError, match="more than 64 neighbours"):
        forces(SILICON, np.random.default_rng(0).uniform(0, 2, (100, 3)), np.full(3, 10.0))
