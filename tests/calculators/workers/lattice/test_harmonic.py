from __future__ import annotations

import numpy as np
import pytest
from scipy.constants import R, h, k

from hashigo.calculators.workers.lattice.force_constants import Fit, build_lattice, random_dataset
from hashigo.calculators.workers.lattice.harmonic import (
    band_path,
    commensurate_qpoints,
    difference,
    frequencies,
    mesh_properties,
    phonons,
    stability_gate,
)


@pytest.fixture
def spring_lattice(springs, cubic):
    def make(stiffness):
        lattice = build_lattice(cubic, [3, 3, 3])
        model = springs(stiffness)
        return lattice, Fit(lattice, 2).solve(random_dataset(model, lattice, 4, 0.03, seed=0)), model

    return make


@pytest.fixture(scope="module")
def silicon(tersoff, diamond):
    lattice = build_lattice(diamond, [2, 2, 2])
    return lattice, Fit(lattice, 2).solve(random_dataset(tersoff, lattice, 4, 0.03, seed=0, paired=True))


def test_known_dispersion_between_commensurate_points(spring_lattice):
    lattice, constants, model = spring_lattice(1.2)
    qpoints = np.random.default_rng(0).uniform(-0.5, 0.5, size=(20, 3))
    exact = np.repeat(model.frequency(qpoints)[:, None], 3, axis=1)
    assert frequencies(lattice, constants, qpoints) == pytest.approx(exact, rel=1e-6)


def test_imaginary_modes_are_negative_numbers(spring_lattice):
    lattice, constants, model = spring_lattice(-1.2)
    exact = model.frequency(np.array([[0.5, 0, 0]]))
    assert exact[0] < -1
    assert frequencies(lattice, constants, np.array([[0.5, 0, 0]]))[0] == pytest.approx(
        [exact[0]] * 3, rel=1e-6
    )


def test_commensurate_points_fit_into_the_supercell(silicon):
    qpoints = commensurate_qpoints(silicon[0])
    assert len(qpoints) == 32
    cells = silicon[0].primitive.primitive_matrix
    waves = qpoints @ np.linalg.inv(cells)
    assert np.abs(waves - np.rint(waves)).max() < 1e-9


def test_thermal_properties_at_both_ends(silicon):
    mesh = 15
    spectrum, thermal = mesh_properties(*silicon, mesh, [0.0, 4000.0])
    energy, entropy, capacity = thermal.rows
    # Dulong and Petit with the first quantum correction, less the three modes at Γ that do not move.
    step = spectrum.frequency[1] - spectrum.frequency[0]
    square = np.sum(spectrum.frequency**2 * spectrum.density) * step
    expected = R * (6 - 3 / mesh**3 - (h * 1e12 / (k * 4000)) ** 2 / 12 * square)
    assert capacity[1] == pytest.approx(expected, rel=1e-4)
    assert capacity[0] == 0
    assert entropy[0] == 0
    assert energy[0] > 0  # zero-point motion
    assert np.sum(spectrum.density) * step == pytest.approx(6, rel=2e-2)


def test_silicon_by_tersoff(silicon):
    lattice, constants = silicon
    path = band_path(lattice, 21)
    found = phonons(lattice, constants, path, 7, [300.0], -0.1)
    assert found.gamma == pytest.approx(16.07, abs=0.05)
    assert found.gate.passed
    assert found.frequency.shape == (len(path.qpoints), 6)
    positions, labels = path.ticks(found.distance)
    assert labels == ["Γ", "X", "U|K", "Γ", "L", "W", "X"]
    # Γ to X is 1/a without the factor 2π.
    assert positions[1] == pytest.approx(1 / 5.432)
    assert positions[-1] == found.distance[-1]
    assert path.ranges[0] == (0, len(path.segments[0]))
    assert path.ranges[-1][1] == len(path.qpoints)
    gamma = [start for start, _ in path.ranges if not path.qpoints[start].any()]
    assert np.abs(found.frequency[gamma, :3]).max() < 1e-4


@pytest.mark.parametrize(("lowest", "passed"), [(-0.0999, True), (-0.1, True), (-0.1001, False), (0.0, True)])
def test_gate_at_its_limit(lowest, passed):
    frequency = np.array([[0.0, 0.0, 0.0], [lowest, 1.0, 2.0], [0.5, 1.0, 2.0]])
    qpoints = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0]])
    gate = stability_gate(qpoints, frequency, -0.1)
    assert gate.passed is passed
    assert (gate.sentence("Si2") == "") is passed
    assert gate.values()["minimum_frequency"] == gate.minimum
    if lowest < 0:
        assert gate.qpoint == (0.5, 0, 0)


def test_gate_of_a_crystal_that_passes_and_of_one_that_fails(spring_lattice):
    stable, unstable = spring_lattice(1e-6), spring_lattice(-1e-3)
    for (lattice, constants, _), passed in ((stable, True), (unstable, False)):
        found = phonons(lattice, constants, band_path(lattice, 5), 5, [300.0], -0.1)
        assert found.gate.passed is passed
        # One atom has no optical branch.
        assert found.gamma is None


def test_difference():
    apart = difference(np.array([[1.0, 2.0]]), np.array([[1.0, 2.5]]))
    assert apart.maximum == 0.5
    assert apart.rms == pytest.approx(0.5 / np.sqrt(2))
