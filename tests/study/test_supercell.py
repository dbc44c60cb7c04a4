"""Supercells by the distance of images."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hashigo.errors import InputError
from hashigo.study import Study
from hashigo.study.load import study_from
from hashigo.study.structures import standardise
from hashigo.study.supercell import image_distance, resolve, smallest_supercell


@pytest.mark.parametrize(
    ("atoms", "distance", "repeats"),
    [
        (bulk("Si", "diamond", 5.43, cubic=True), 10.0, (2, 2, 2)),
        (bulk("NaCl", "rocksalt", 5.64, cubic=True), 10.0, (2, 2, 2)),
        (bulk("MgO", "rocksalt", 4.21, cubic=True), 10.0, (3, 3, 3)),
        (bulk("Si", "diamond", 5.43, cubic=True), 1.0, (1, 1, 1)),
        # Tetragonal: a and b alike, c by itself.
        (
            Atoms("TiTi", cell=[3, 3, 9.9], scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], pbc=True),
            9.0,
            (3, 3, 1),
        ),
        # Hexagonal: the rotation by 60° turns a into b.
        (bulk("Mg", "hcp", 3.2, 5.2), 9.5, (3, 3, 2)),
        # Orthorhombic: each edge by itself.
        (Atoms("SiGe", cell=[3, 5, 11], positions=[[0, 0, 0], [1.4, 2.4, 5.2]], pbc=True), 9.0, (3, 2, 1)),
    ],
)
def test_the_fewest_atoms_that_keep_the_symmetry(atoms, distance, repeats):
    assert smallest_supercell(atoms, distance) == repeats
    assert image_distance(np.diag(repeats) @ atoms.cell.array) >= distance - 1e-3


def test_oblique_cells_are_judged_by_their_shortest_vector():
    cell = np.array([[4.0, 0, 0], [3.5, 3.0, 0], [3.9, 1.0, 9.0]])
    steps = np.array([s for s in product(range(-4, 5), repeat=3) if any(s)])
    assert image_distance(cell) == pytest.approx(np.linalg.norm(steps @ cell, axis=1).min())
    assert image_distance(cell) < 4.0


def test_a_distance_out_of_reach_is_an_error_with_a_remedy():
    with pytest.raises(InputError, match="more than 20 repeats") as found:
        smallest_supercell(bulk("Si", "diamond", 5.43, cubic=True), 200.0)
    assert "shorter" in found.value.fix


def test_a_study_takes_repeats_or_a_length():
    def supercell(value):
        given = {"structure": "a.cif", "reference": "a.h5", "phonons": {"supercell": value}}
        return Study.model_validate(given).phonons.supercell

    assert supercell([2, 2, 1]) == (2, 2, 1)
    assert supercell("1.2 nm") == pytest.approx(12.0)
    for value in ("3 kg", 0, -4, [0, 1, 1], [2, 2]):
        with pytest.raises(InputError, match=r"phonons\.supercell"):
            study_from({"structure": "a.cif", "reference": "a.h5", "phonons": {"supercell": value}})


def test_lengths_anywhere_in_a_study_become_repeats():
    atoms = standardise(bulk("Si", "diamond", 5.43))
    study = Study.model_validate({"structure": "a.cif", "reference": {"engine": "tersoff"}, "dynamics": {}})
    content = resolve(study.model_dump(mode="json"), atoms)
    assert content["phonons"]["supercell"] == [2, 2, 2]
    assert content["conductivity"]["supercell"] == [2, 2, 2]
    assert content["reference"]["sampling"]["supercell"] == [2, 2, 2]
    assert content["dynamics"]["supercell"] == [2, 2, 2]
    assert content["phonons"]["mesh"] == study.phonons.mesh
