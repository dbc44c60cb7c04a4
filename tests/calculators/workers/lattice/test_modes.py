"""Single modes against chains whose dispersion, velocities and Grüneisen parameters are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from hashigo.calculators.workers.lattice.force_constants import (
    Fit,
    ForceConstants,
    build_lattice,
    random_dataset,
)
from hashigo.calculators.workers.lattice.harmonic import band_path, frequencies
from hashigo.calculators.workers.lattice.modes import (
    VOLUME_STEP,
    Volumes,
    gruneisen_bands,
    gruneisen_mesh,
    modes_at,
    participation_ratio,
    projected_states,
    scaled,
)
from hashigo.calculators.workers.potential import Evaluation

#: Frequency of sqrt(1 eV/Å^2/amu), THz.
UNIT = 15.633302
EDGE = 4.0
SPRING = 2.0
LIGHT, HEAVY = 22.98976928, 35.453


def chain_constants(lattice, spring, transverse):
    """Na and Cl along x, springs between neighbours along x; each atom on transverse springs to its own site."""
    supercell = lattice.supercell
    steps = supercell.scaled_positions[None] - supercell.scaled_positions[:, None]
    steps -= np.rint(steps)
    apart = np.linalg.norm(steps @ supercell.cell, axis=-1)
    near = (apart > 0) & (apart < 0.6 * EDGE)
    full = np.zeros((*near.shape, 3, 3))
    full[near, 0, 0] = -spring
    across = np.eye(3)
    across[0, 0] = 0
    for atom in range(len(near)):
        full[atom, atom] = -full[atom].sum(axis=0) + transverse * across
    return ForceConstants(full[lattice.primitive.p2s_map])


@pytest.fixture(scope="module")
def diatomic():
    atoms = Atoms("NaCl", cell=[EDGE, 9, 9], scaled_positions=[[0, 0, 0], [0.5, 0, 0]], pbc=True)
    lattice = build_lattice(atoms, [4, 1, 1])
    return lattice, chain_constants(lattice, SPRING, 1.0)


def along_chain(lattice, fractions):
    """Wave vectors along x, in fractions of the reciprocal vector of the chain; primitive axes may be in any order."""
    qpoints = np.zeros((len(fractions), 3))
    qpoints[:, np.argmax(np.abs(lattice.primitive.cell[:, 0]))] = fractions
    return qpoints


def branches(q):
    """ω² of the diatomic chain, acoustic and optical, and its derivative by q (in 1/a)."""
    total = SPRING * (1 / LIGHT + 1 / HEAVY)
    inside = total**2 - 4 * SPRING**2 / (LIGHT * HEAVY) * np.sin(np.pi * q) ** 2
    slope = -4 * SPRING**2 / (LIGHT * HEAVY) * np.pi * np.sin(2 * np.pi * q)
    root = np.sqrt(inside)
    return (total - root, -slope / (2 * root)), (total + root, slope / (2 * root))


def longitudinal(lattice, constants, qpoints):
    """Modes, and which of their bands move along x, acoustic and optical: the others have two known frequencies."""
    found = modes_at(lattice, constants, qpoints)
    across = UNIT * np.sqrt(1.0 / np.array([LIGHT, HEAVY]))
    apart = np.abs(found.frequency[..., None] - across).min(axis=-1)
    return found, np.array([np.flatnonzero(row > 1e-5) for row in apart])


def test_the_diatomic_chain_has_its_dispersion_and_velocities(diatomic):
    fractions = np.linspace(0.03, 0.47, 7)
    qpoints = along_chain(diatomic[0], fractions)
    found, picked = longitudinal(*diatomic, qpoints)
    for branch, column in zip(branches(fractions), (0, 1), strict=True):
        square, slope = branch
        rows = np.arange(len(qpoints))
        frequency = found.frequency[rows, picked[:, column]]
        assert frequency == pytest.approx(UNIT * np.sqrt(square), rel=1e-6)
        # dν/dq with q in 1/a is a velocity of a·THz, and 1 Å THz is 100 m/s.
        velocity = UNIT * slope / (2 * np.sqrt(square)) * EDGE * 100
        assert found.velocity[rows, picked[:, column], 0] == pytest.approx(velocity, rel=1e-5)
        assert np.abs(found.velocity[rows, picked[:, column], 1:]).max() < 1e-6


def test_at_the_zone_boundary_one_kind_of_atom_moves(diatomic):
    found, _ = longitudinal(*diatomic, along_chain(diatomic[0], [0.5]))
    for mass in (LIGHT, HEAVY):
        band = np.abs(found.frequency[0] - UNIT * np.sqrt(2 * SPRING / mass)).argmin()
        assert found.frequency[0, band] == pytest.approx(UNIT * np.sqrt(2 * SPRING / mass), rel=1e-6)
        assert found.participation[0, band] == pytest.approx(0.5, rel=1e-6)
        assert np.abs(found.velocity[0, band]).max() < 1e-3


def test_participation_does_not_depend_on_the_vectors_of_equal_modes():
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    for mixed in (np.eye(2), turn):
        vectors = np.zeros((6, 6))
        vectors[np.ix_([0, 3], [0, 1])] = mixed
        vectors[[1, 2, 4, 5], [2, 3, 4, 5]] = 1.0
        share = participation_ratio(np.array([1.0, 1.0, 2.0, 3.0, 4.0, 5.0]), vectors)
        assert share == pytest.approx([1.0, 1.0, 0.5, 0.5, 0.5, 0.5])


class Power:
    """Springs along the edges of a simple cubic crystal whose stiffness goes with the edge as (a0/a)^power."""

    elements = ("Al",)

    def __init__(self, power, edge=3.0):
        self.power, self.edge = power, edge

    def stiffness(self, volume):
        return 1.5 * (self.edge / volume ** (1 / 3)) ** self.power

    def evaluate(self, structures):
        return [self._one(atoms) for atoms in structures]

    def _one(self, atoms):
        from ase.neighborlist import neighbor_list

        edge = (atoms.get_volume() / len(atoms)) ** (1 / 3)
        first, vectors = neighbor_list("iD", atoms, 1.2 * edge)
        stretch = vectors - edge * np.rint(vectors / edge)
        forces = np.zeros((len(atoms), 3))
        spring = self.stiffness(edge**3)
        np.add.at(forces, first, spring * stretch)
        return Evaluation(spring / 4 * float(np.sum(stretch**2)), forces, np.zeros(6))


def crystal(model, atoms):
    lattice = build_lattice(atoms, [2, 2, 2])
    constants = Fit(lattice, 2).solve(random_dataset(model, lattice, 4, 0.03, seed=0, paired=True))
    lattice.force_constants = constants.second
    return lattice, constants


@pytest.fixture(scope="module")
def anharmonic():
    """Springs k ~ a^-6: ω ~ V^-1, so that every mode has γ = 1."""
    model, atoms = Power(6.0), Atoms("Al", cell=[3.0] * 3, pbc=True)
    parts = [
        crystal(model, cell) for cell in (atoms, scaled(atoms, VOLUME_STEP), scaled(atoms, -VOLUME_STEP))
    ]
    return parts[0], Volumes(*(lattice for lattice, _ in parts))


def test_gruneisen_parameters_of_springs_that_weaken_with_the_volume(anharmonic):
    (lattice, _), volumes = anharmonic
    assert volumes.larger.primitive.volume == pytest.approx(1.01 * volumes.middle.primitive.volume)
    found = gruneisen_mesh(volumes, 5)
    known = np.isfinite(found.parameter)
    assert np.count_nonzero(~known) == 3
    # The central difference of V^-2 over 1 % is off by 2·10^-4.
    assert found.parameter[known] == pytest.approx(1.0, rel=3e-4)
    assert found.weight.sum() == 125
    thermal = found.thermal([0.0, 10.0, 300.0], 0.01)
    assert np.isnan(thermal[0])
    assert thermal[1:] == pytest.approx(1.0, rel=3e-4)
    path = band_path(lattice, 5)
    frequency, parameter = gruneisen_bands(volumes, path)
    assert frequency.shape == parameter.shape == (len(path.qpoints), 3)
    assert parameter[np.isfinite(parameter)] == pytest.approx(1.0, rel=3e-4)
    gamma = ~path.qpoints.any(axis=1)
    assert np.isnan(parameter[gamma]).all()
    assert np.isfinite(parameter[~gamma]).all()


def test_the_thermal_mean_leaves_modes_below_the_cutoff_out(anharmonic):
    found = gruneisen_mesh(anharmonic[1], 4)
    assert np.isnan(found.thermal([300.0], 1e3)).all()


def test_the_states_of_all_atoms_are_all_states(diatomic):
    lattice, constants = diatomic
    found = projected_states(lattice, constants, 6)
    assert found.density.shape[0] == 2
    step = found.frequency[1] - found.frequency[0]
    assert found.mesh == 6
    assert found.spectrum.density == pytest.approx(found.density.sum(axis=0))
    # The transverse states are lines, which a tetrahedron has no width for; the rest of each atom is smooth.
    assert np.all(found.density >= -1e-12)
    assert step > 0


def test_force_constants_obey_the_acoustic_sum_rule(anharmonic):
    (lattice, constants), _ = anharmonic
    largest = np.abs(constants.second).max()
    assert np.abs(constants.second.sum(axis=1)).max() < 1e-9 * largest
    assert np.abs(frequencies(lattice, constants, np.zeros((1, 3)))).max() < 1e-4
