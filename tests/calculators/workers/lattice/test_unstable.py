"""Imaginary modes followed to a ground state that is known exactly."""

from __future__ import annotations

import io

import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from ase.neighborlist import neighbor_list

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.lattice.force_constants import Fit, build_lattice, random_dataset
from hashigo.calculators.workers.lattice.harmonic import (
    commensurate_qpoints,
    frequencies,
    stability_gate,
)
from hashigo.calculators.workers.lattice.unstable import (
    ImaginaryMode,
    Stable,
    follow,
    imaginary_mode,
    write_mode,
)
from hashigo.calculators.workers.potential import Evaluation

EDGE = 3.0
#: Bonds of z-displacements between neighbours: V = -K (u_i - u_j)²/2 + Q (u_i - u_j)⁴/4, wells at √(K/Q).
K, Q = 0.2, 5.0
WELL = np.sqrt(K / Q)


class Buckling:
    """Simple cubic; neighbours along x repel each other's z-displacement into a double well; all else is stiff.

    The ground state is a chain of dimers along x: u = ±WELL/2 on alternate atoms, energy -K²/(4Q) for each bond.
    """

    elements = ("Al",)

    def __init__(self, sign=-1.0):
        self.sign = sign

    def evaluate(self, structures):
        return [self._one(atoms) for atoms in structures]

    def _one(self, atoms):
        first, vectors = neighbor_list("iD", atoms, 1.25 * EDGE)
        stretch = vectors - EDGE * np.rint(vectors / EDGE)
        along = np.abs(vectors).argmax(axis=1)
        stiff = np.full_like(stretch, 2.0)
        energy = 0.5 * stiff * stretch**2
        slope = stiff * stretch
        soft = along == 0
        u = stretch[soft, 2]
        energy[soft, 2] = self.sign * K / 2 * u**2 + Q / 4 * u**4
        slope[soft, 2] = self.sign * K * u + Q * u**3
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, first, slope)
        return Evaluation(float(energy.sum() / 2), forces, np.zeros(6))


def solved(model, repeats=(2, 2, 2), step=0.005):
    # The cubic cell has more symmetry than the model: its own, with an axis of its own, is given by a hair's strain.
    atoms = Atoms("Al", cell=[EDGE * 1.001, EDGE, EDGE * 0.999], pbc=True)
    lattice = build_lattice(atoms, repeats)
    constants = Fit(lattice, 2).solve(random_dataset(model, lattice, 4, step, seed=0, paired=True))
    qpoints = commensurate_qpoints(lattice)
    return lattice, constants, stability_gate(qpoints, frequencies(lattice, constants, qpoints), -0.1)


@pytest.fixture(scope="module")
def mode():
    return imaginary_mode(*solved(Buckling()))


def test_the_mode_and_its_pattern(mode):
    # ω² = 4·(-K)/m at the zone boundary; ν = 15.63 THz of sqrt(eV/Å²/amu).
    exact = -15.633302 * np.sqrt(4 * K / 26.9815385)
    assert mode.frequency == pytest.approx(exact, rel=0.01)
    assert sorted(mode.supercell) == [1, 1, 2]
    assert len(mode.undisplaced) == 2
    assert mode.patterns[0][:, :2] == pytest.approx(np.zeros((2, 2)), abs=1e-6)
    assert np.abs(mode.patterns[0][:, 2]) == pytest.approx([1, 1])
    assert mode.patterns[0][0, 2] == pytest.approx(-mode.patterns[0][1, 2])


def test_it_is_followed_to_the_exact_ground_state(mode):
    stable = follow(Buckling(), mode, cell=False)
    assert isinstance(stable, Stable)
    # One bond along x for each atom, in its well.
    assert stable.gain == pytest.approx(K**2 / (4 * Q), rel=1e-4)
    assert stable.before != stable.space_group
    assert len(stable.atoms) == 2
    distance = stable.atoms.get_distance(0, 1, mic=True)
    assert distance == pytest.approx(np.hypot(EDGE, WELL), abs=5e-3)


def test_a_mode_that_leads_nowhere_says_so(mode):
    reason = follow(Buckling(sign=1.0), mode, cell=False)
    assert reason == "the energy does not fall along the mode"


def test_one_of_the_longest_waves_that_moves_all_is_acoustic(mode):
    # One atom in the primitive cell: at the shortest wave vector of the supercell every mode is acoustic.
    assert isinstance(mode, ImaginaryMode)
    lattice, constants, gate = solved(Buckling(), (4, 1, 1))
    found = imaginary_mode(lattice, constants, gate)
    # The zone boundary is the most unstable, and not the longest wave of four cells.
    assert max(found.supercell) == 2
    assert not found.acoustic
    assert mode.acoustic


def test_mode_and_structure_are_files(mode, tmp_path):
    stable = follow(Buckling(), mode, cell=False)
    with ResultWriter(tmp_path / "p.h5", task="phonons", task_version=1) as writer:
        write_mode(writer, mode, stable)
    with ResultReader(tmp_path / "p.h5") as reader:
        texts, note = reader.texts(), reader.note("imaginary_mode")
        assert reader.array("imaginary_mode/patterns").shape == (1, 2, 3)
        assert reader.array("imaginary_mode/eigenvector_real").shape == (1, 3)
    pattern = read(io.StringIO(texts["imaginary-mode.xyz"]), format="extxyz")
    assert pattern.get_array("displacement") == pytest.approx(mode.patterns[0])
    assert pattern.info["frequency_THz"] == pytest.approx(mode.frequency)
    crystal = read(io.BytesIO(texts["stable.cif"].encode()), format="cif")
    assert len(crystal) == len(stable.atoms)
    assert crystal.cell.cellpar() == pytest.approx(stable.atoms.cell.cellpar(), abs=1e-4)
    assert note["stable"]["space_group"] == stable.space_group
