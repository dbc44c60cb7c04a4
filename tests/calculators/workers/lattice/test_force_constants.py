from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from phonopy import Phonopy

from hashigo.calculators.workers.lattice.force_constants import (
    Dataset,
    Fit,
    build_lattice,
    finite_displacements,
    model_dataset,
    random_dataset,
    strained_lattice,
    supercell_matrix,
)
from hashigo.calculators.workers.lattice.harmonic import frequencies
from hashigo.calculators.workers.potential import AseModel
from hashigo.errors import InputError


def test_springs_are_found_exactly(springs, cubic):
    lattice = build_lattice(cubic, [3, 3, 3])
    fitted = Fit(lattice, 3).solve(random_dataset(springs(1.5), lattice, 8, 0.03, seed=0))
    constants = fitted.second[0]
    assert constants[0] == pytest.approx(6 * 1.5 * np.eye(3), abs=1e-9)
    sizes = np.linalg.norm(constants, axis=(1, 2))
    neighbours = np.isclose(sizes, 1.5 * np.sqrt(3), atol=1e-8)
    assert neighbours.sum() == 6
    assert constants[neighbours] == pytest.approx(np.broadcast_to(-1.5 * np.eye(3), (6, 3, 3)), abs=1e-9)
    # What is harmonic has no third order.
    assert np.abs(fitted.third).max() < 1e-7


def test_acoustic_sum_rule(tersoff, diamond):
    lattice = build_lattice(diamond, [2, 2, 2])
    fitted = Fit(lattice, 2).solve(random_dataset(tersoff, lattice, 2, 0.03, seed=0, paired=True))
    assert np.abs(fitted.second.sum(axis=1)).max() < 1e-10


def test_random_and_finite_displacements_agree(tersoff, diamond):
    lattice = build_lattice(diamond, [2, 2, 2])
    single = finite_displacements(tersoff, lattice, 0.005).second
    paired = Fit(lattice, 2).solve(random_dataset(tersoff, lattice, 4, 0.005, seed=3, paired=True)).second
    assert paired == pytest.approx(single, abs=2e-3)
    assert np.abs(single).max() > 10


def test_basis_serves_cells_of_the_same_symmetry(diamond):
    fit = Fit(build_lattice(diamond, [1, 1, 1]), 2)
    grown, sheared = diamond.copy(), diamond.copy()
    grown.set_cell(diamond.cell.array * 1.01, scale_atoms=True)
    sheared.set_cell(diamond.cell.array @ np.diag([1.01, 1, 1]), scale_atoms=True)
    assert fit.serves(build_lattice(grown, [1, 1, 1]))
    assert not fit.serves(build_lattice(sheared, [1, 1, 1]))
    assert not fit.serves(build_lattice(diamond, [2, 1, 1]))


def test_residual_force_is_subtracted(springs, cubic):
    class Biased(springs):
        def _one(self, atoms):
            known = super()._one(atoms)
            known.forces[0, 0] += 0.25
            return known

    lattice = build_lattice(cubic, [2, 2, 2])
    displacements = np.zeros((1, 8, 3))
    displacements[0, 3, 1] = 0.02
    dataset = model_dataset(Biased(1.0), lattice, displacements)
    assert dataset.residual == pytest.approx(0.25)
    assert dataset.forces == pytest.approx(model_dataset(springs(1.0), lattice, displacements).forces)


def test_seed_and_number_extend_a_set(springs, cubic):
    lattice = build_lattice(cubic, [2, 2, 2])
    few = random_dataset(springs(1.0), lattice, 2, 0.03, seed=5)
    more = random_dataset(springs(1.0), lattice, 4, 0.03, seed=5)
    assert np.array_equal(few.displacements, more.displacements[:2])
    assert np.linalg.norm(more.displacements, axis=-1) == pytest.approx(np.full((4, 8), 0.03))
    other = random_dataset(springs(1.0), lattice, 2, 0.03, seed=6)
    assert not np.allclose(few.displacements, other.displacements)


def test_too_few_snapshots_are_named(diamond):
    lattice = build_lattice(diamond, [2, 2, 2])
    fit = Fit(lattice, 3)
    zeros = np.zeros((4, 64, 3))
    with pytest.raises(InputError, match=r"4 displaced supercells are too few .* at least 5 are needed"):
        fit.solve(Dataset(zeros, zeros))
    # Pairs tell the orders apart: the third must be determined by their sums alone.
    assert fit.snapshots_needed(Dataset(zeros, zeros, paired=True)) == 10


def test_supercell_matrix():
    assert np.array_equal(supercell_matrix([2, 3, 4]), np.diag([2, 3, 4]))
    full = [[-1, 1, 1], [1, -1, 1], [1, 1, -1]]
    assert np.array_equal(supercell_matrix(full), full)


@pytest.mark.parametrize(
    "supercell", [[2, 2], [2, 2, 0], [2, 2, 1.5], "2x2x2", [[1, 0, 0], [0, 1, 0], [1, 1, 0]]]
)
def test_bad_supercells_are_named(supercell):
    with pytest.raises(InputError, match="the supercell"):
        supercell_matrix(supercell)


def test_a_small_strain_makes_no_jump_between_the_wave_vectors_of_the_supercell(
    tersoff: AseModel, diamond: Atoms
) -> None:
    """Of atoms with several nearest images, which a supercell of one cell has many of, a strain would choose one."""
    lattice = build_lattice(diamond, [1, 1, 1])
    qpoint = np.array([[0.1, 0.2, 0.3]])

    def lowest(of: Phonopy) -> float:
        constants = finite_displacements(tersoff, of, 0.003)
        return float(frequencies(of, constants, qpoint).min())

    strained = diamond.copy()
    shear = np.eye(3) + 1e-3 * np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    strained.set_cell(diamond.cell.array @ shear, scale_atoms=True)
    known = lowest(lattice)
    assert lowest(strained_lattice(strained, lattice)) == pytest.approx(known, rel=0.01)
    assert lowest(build_lattice(strained, [1, 1, 1])) != pytest.approx(known, rel=0.03)
