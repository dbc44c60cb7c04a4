from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.homogenization.boundary import limited_conductivity, read_modes
from hashigo.calculators.workers.lattice.force_constants import Fit, build_lattice, random_dataset
from hashigo.calculators.workers.lattice.transport import (
    build_anharmonic,
    cumulative,
    voigt_to_tensor,
)
from hashigo.calculators.workers.lattice.wave_vectors import mode_properties


@pytest.fixture(scope="module")
def silicon(tersoff, diamond):
    lattice = build_lattice(diamond, [2, 2, 2])
    dataset = random_dataset(tersoff, lattice, 20, 0.03, seed=0, paired=True)
    return build_anharmonic(diamond, [2, 2, 2], Fit(lattice, 3).solve(dataset))


@pytest.fixture(scope="module")
def modes(silicon):
    return mode_properties(silicon, 5, [300.0, 600.0])


def test_silicon_by_tersoff(silicon):
    """267.9 W/(m K) by the 111 supercells of finite displacements."""
    kappa = mode_properties(silicon, 9, [300.0], isotopes=False).conductivity()[0]
    assert kappa == pytest.approx(267.9 * np.eye(3), rel=0.02, abs=1e-6)


@pytest.mark.parametrize("isotopes", [True, False])
def test_modes_give_what_phono3py_gives(silicon, isotopes):
    found = mode_properties(silicon, 5, [300.0, 600.0], isotopes=isotopes)
    silicon.run_thermal_conductivity(temperatures=[300.0, 600.0], is_isotope=isotopes, log_level=0)
    expected = voigt_to_tensor(silicon.thermal_conductivity.kappa[0])
    assert found.conductivity() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_star_average_is_of_the_velocity(modes):
    assert modes.velocity_outer[:, :3].sum(axis=1) == pytest.approx(modes.speed**2, rel=1e-9, abs=1e-9)
    assert modes.weight.reshape(-1, 6)[:, 0].sum() == 5**3
    assert modes.volume == pytest.approx(5**3 * 5.432e-10**3 / 4)


def test_sound_velocity(modes):
    # Of longitudinal waves in silicon about 8 to 9 km/s.
    assert 7e3 < modes.speed.max() < 1e4


def test_modes_of_no_frequency_carry_nothing(modes):
    still = modes.frequency < 1e-3
    assert still.sum() == 3
    assert np.abs(modes.lifetime[:, still]).max() == 0
    assert np.isfinite(modes.lifetime).all()


def test_cumulative_ends_at_the_conductivity(modes):
    paths, carried = cumulative(modes, points=50)
    total = np.trace(modes.conductivity(), axis1=1, axis2=2) / 3
    assert carried[:, -1] == pytest.approx(total)
    assert (np.diff(carried, axis=1) >= 0).all()
    assert (carried[:, 0] < 0.05 * total).all()
    assert 0.1 < paths[0] < 100 < paths[-1] < 1e5


def test_mesoscale_reads_the_modes(modes, tmp_path):
    with ResultWriter(tmp_path / "c.h5", task="conductivity", task_version=1) as writer:
        modes.write(writer, "modes/fine")
    with ResultReader(tmp_path / "c.h5") as reader:
        read = read_modes(reader, "modes/fine")
    for index in range(2):
        unlimited = limited_conductivity(read, index, np.array([np.inf]))[0]
        assert unlimited == pytest.approx(modes.conductivity()[index], rel=1e-12, abs=1e-9)


def test_a_small_specimen_is_ballistic_and_a_large_one_has_no_surface(modes):
    """κ = L/(3V) Σ C |v| of a cubic crystal as L goes to 0: every path ends at the surface."""
    length = 1e-4
    found = modes.bounded(length).conductivity().trace(axis1=1, axis2=2) / 3
    carries = (modes.lifetime > 0) * modes.weight * modes.heat_capacity * modes.speed
    assert found == pytest.approx(carries.sum(axis=1) * length * 1e-9 / 3 / modes.volume, rel=1e-3)
    assert modes.bounded(1e12).conductivity() == pytest.approx(modes.conductivity(), rel=1e-4)
    assert modes.bounded(None) is modes


def test_a_cutoff_leaves_third_order_constants_of_near_atoms_only(tersoff, diamond):
    lattice = build_lattice(diamond, [2, 2, 2])
    dataset = random_dataset(tersoff, lattice, 4, 0.03, seed=0, paired=True)
    constants = Fit(lattice, 3, cutoff=3.0).solve(dataset)
    vectors = lattice.supercell.scaled_positions - lattice.supercell.scaled_positions[0]
    distance = np.linalg.norm((vectors - np.rint(vectors)) @ lattice.supercell.cell, axis=1)
    site = lattice.primitive.p2s_map[0]
    assert site == 0
    size = np.abs(constants.third[0]).max(axis=(1, 2, 3, 4))
    assert np.all(size[distance > 3.0] < 1e-12)
    assert np.all(size[(distance > 1) & (distance < 3.0)] > 1e-3)
