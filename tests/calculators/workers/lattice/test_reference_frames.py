from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.lattice.force_constants import Fit, build_lattice, ideal_supercell
from hashigo.calculators.workers.lattice.reference_frames import (
    frames_dataset,
    frames_supercells,
    reference_fit,
)
from hashigo.errors import InputError


@pytest.fixture
def lattice(diamond):
    return build_lattice(diamond, [2, 2, 2])


@pytest.fixture
def frame(tersoff, lattice):
    """A displaced supercell in an order of its own, some of its atoms in another image of the cell."""
    generator = np.random.default_rng(4)
    cell = ideal_supercell(lattice)
    cell.positions += generator.uniform(-0.1, 0.1, size=(64, 3))
    cell = cell[generator.permutation(64)]
    forces = tersoff.evaluate([cell])[0].forces
    positions = cell.positions + generator.integers(-1, 2, size=(64, 3)) @ cell.cell.array
    return Frame(cell.cell.array, positions, tuple(cell.get_chemical_symbols()), forces=forces)


def test_atoms_are_found_whatever_their_order_and_image(lattice, frame, tersoff):
    dataset = frames_dataset(lattice, [frame])
    cell = ideal_supercell(lattice)
    cell.positions += dataset.displacements[0]
    assert np.abs(dataset.displacements).max() <= 0.1
    assert dataset.forces[0] == pytest.approx(tersoff.evaluate([cell])[0].forces, abs=1e-9)
    assert dataset.residual is None


def test_other_supercells_are_left_out(lattice, frame, diamond):
    single = Frame(
        diamond.cell.array, diamond.positions, tuple(diamond.get_chemical_symbols()), forces=np.zeros((8, 3))
    )
    strained = replace(frame, kind="strained")
    larger = replace(frame, cell=frame.cell * 1.01)
    dataset = frames_dataset(lattice, [single, frame, strained, larger])
    assert len(dataset.displacements) == 1
    assert dataset.left_out == (0, 2, 3)
    with pytest.raises(
        InputError, match="none of the 2 reference frames is a displaced supercell of 64 atoms"
    ):
        frames_dataset(lattice, [strained, larger])


def test_undisplaced_frame_gives_the_residual(lattice, frame):
    cell = ideal_supercell(lattice)
    residual = np.full((64, 3), 0.01)
    still = Frame(cell.cell.array, cell.positions, frame.symbols, forces=residual)
    plain, corrected = frames_dataset(lattice, [frame]), frames_dataset(lattice, [frame, still])
    assert corrected.residual == pytest.approx(0.01)
    assert corrected.forces == pytest.approx(plain.forces - 0.01)


def test_an_atom_off_its_site_is_named(lattice, frame):
    positions = frame.positions.copy()
    positions[7] += [0.6, 0.0, 0.0]
    with pytest.raises(InputError, match=r"atom 7 of reference frame 1 is 0\.\d+ Å from the nearest site"):
        frames_dataset(lattice, [frame, replace(frame, positions=positions)])


def test_another_element_is_named(lattice, frame):
    with pytest.raises(
        InputError, match=r"atom 0 \(Ge\) of reference frame 0 has a nearest site that belongs to Si"
    ):
        frames_dataset(lattice, [replace(frame, symbols=("Ge", *frame.symbols[1:]))])


def test_two_atoms_on_a_site_are_named(lattice, frame):
    positions = frame.positions.copy()
    positions[5] = positions[2] + 0.01
    with pytest.raises(InputError, match=r"atom 5 .* has a nearest site that atom 2 has too"):
        frames_dataset(lattice, [replace(frame, positions=positions)])


def test_missing_forces_are_named(lattice, frame):
    with pytest.raises(InputError, match="reference frame 0 has no forces"):
        frames_dataset(lattice, [replace(frame, forces=None)])


def test_supercell_of_the_frames(diamond, frame):
    (found,) = frames_supercells(diamond, [frame])
    assert np.array_equal(found, np.diag([2, 2, 2]))
    # phonopy's matrix acts on columns: its transpose is what relates the rows of the cells.
    matrix = np.array([[1, 1, 0], [0, 2, 0], [0, 0, 1]])
    cell = ideal_supercell(build_lattice(diamond, matrix))
    skew = Frame(cell.cell.array, cell.positions, tuple(cell.get_chemical_symbols()))
    both = frames_supercells(diamond, [skew, frame])
    assert np.array_equal(both, [np.diag([2, 2, 2]), matrix])
    stretched = replace(frame, cell=frame.cell * 1.01)
    with pytest.raises(
        InputError, match="none of the 1 displaced reference frames is a supercell of the structure"
    ):
        frames_supercells(diamond, [stretched])


def test_third_order_needs_enough_frames(diamond, frame):
    found = reference_fit(diamond, [frame])
    assert found.third is None
    assert found.second.order == 2
    assert found.lacking.startswith("third-order force constants need about 4 frames; there are 1")


def spring_frames(springs, cubic, repeats, count):
    cell = ideal_supercell(build_lattice(cubic, [repeats] * 3))
    frames = []
    for seed in range(count):
        moved = cell.copy()
        moved.positions += np.random.default_rng(seed).uniform(-0.02, 0.02, size=(len(cell), 3))
        forces = springs(1.0).evaluate([moved])[0].forces
        frames.append(Frame(cell.cell.array, moved.positions, ("Al",) * len(cell), forces=forces))
    return frames


def test_third_order_where_the_frames_are_enough(springs, cubic):
    found = reference_fit(cubic, spring_frames(springs, cubic, 3, 2))
    assert found.second is found.third
    assert found.frames == 2
    assert found.solve().second[0, 0] == pytest.approx(6 * np.eye(3), abs=1e-8)


def test_each_order_is_from_the_largest_supercell_that_determines_it(springs, cubic):
    small, large = spring_frames(springs, cubic, 3, 2), spring_frames(springs, cubic, 5, 1)
    found = reference_fit(cubic, [*small, *large])
    assert found.frames == 3
    assert found.supercells == "second order from 1 frame of 125 atoms, third from 2 frames of 27 atoms"
    constants = found.solve()
    assert constants.second.shape == (1, 125, 3, 3)
    assert constants.second[0, 0] == pytest.approx(6 * np.eye(3), abs=1e-8)
    assert constants.third.shape == (1, 27, 27, 3, 3, 3)
    again = found.model(springs(2.0))
    assert again.second == pytest.approx(2 * constants.second, abs=1e-8)
    assert reference_fit(cubic, large).third is None


def test_a_cell_too_small_for_the_third_order_gives_the_second():
    # Every atom of this cell is inverted onto itself: the symmetry leaves nothing of the third order.
    salt = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    random = np.random.default_rng(0)
    frames = []
    for _ in range(12):
        steps = random.normal(scale=0.02, size=(8, 3))
        frames.append(
            Frame(
                salt.cell.array,
                salt.positions + steps,
                tuple(salt.get_chemical_symbols()),
                forces=-2.0 * (steps - steps.mean(axis=0)),
            )
        )
    found = reference_fit(salt, frames)
    assert found.third is None
    assert "leaves no force constants of order 3" in found.lacking
    assert found.second.order == 2
    with pytest.raises(InputError, match="supercell of 8 atoms leaves no force constants of order 3"):
        Fit(build_lattice(salt, [1, 1, 1]), 3)


@pytest.mark.parametrize(
    ("repeats", "atoms", "reason"),
    [
        (
            (2, 2, 1),
            12,
            r"frame 0 has 12 atoms, and its edges are 2\.000, 2\.000, 1\.500 times .* no whole multiple",
        ),
        ((2, 2, 2), 63, "frame 0 has 63 atoms, and as many repeats of the structure hold 64"),
    ],
)
def test_a_frame_that_is_no_multiple_of_the_cell_is_named(diamond, repeats, atoms, reason):
    whole = diamond.repeat(repeats)
    cell = whole.cell.array * ([1, 1, 1.5] if atoms == 12 else [1, 1, 1])
    frame = Frame(cell=cell, positions=whole.positions[:atoms], symbols=("Si",) * atoms, kind="displaced")
    with pytest.raises(InputError, match=reason):
        frames_supercells(diamond, [frame])
