"""Structures are read from the common formats, standardised, and compared."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hashigo.errors import InputError
from hashigo.study.structures import (
    difference,
    read_structure_file,
    standardise,
    structure_content,
    structure_from_content,
)


@pytest.mark.parametrize("name", ["si.cif", "POSCAR", "si.vasp", "si.extxyz"])
def test_formats(tmp_path, diamond, name):
    path = tmp_path / name
    diamond.write(
        path, format="extxyz" if name.endswith("xyz") else "cif" if name.endswith("cif") else "vasp"
    )
    atoms = read_structure_file(path)
    assert difference(standardise(atoms), standardise(diamond)) == ""


def test_primitive_and_rotated_cells_become_the_conventional_one():
    primitive = bulk("Si", "diamond", 5.432)
    primitive.rotate(33, (1, 2, 3), rotate_cell=True)
    standard = standardise(primitive)
    assert len(standard) == 8
    np.testing.assert_allclose(standard.cell.array, np.eye(3) * 5.432, atol=1e-8)


def test_differences_are_named(diamond):
    assert difference(diamond, diamond.repeat((2, 1, 1))).startswith("Si8 against Si16")
    wide = diamond.copy()
    wide.set_cell(diamond.cell.array * 1.1, scale_atoms=True)
    assert "cell edges" in difference(diamond, wide)
    moved = diamond.copy()
    moved.positions[3] += 0.9
    assert "atom 3 is" in difference(diamond, moved)


def test_a_just_different_lattice_constant_is_the_same_crystal(diamond):
    wide = diamond.copy()
    wide.set_cell(diamond.cell.array * 1.04, scale_atoms=True)
    assert difference(diamond, wide) == ""


def test_plain_values_round_trip(diamond):
    back = structure_from_content(structure_content(diamond))
    np.testing.assert_allclose(back.positions, diamond.positions)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.cif", "", "no known structure format"),
        ("x.cif", "data_x\n_cell_length_a 3\n", "cannot be read|holds no structure"),
        ("x.dat", "1 2 3\n", "no known structure format|cannot be read"),
        ("x.xyz", "1\ncomment\nSi 0 0 0\n", "not periodic"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_structure_file(tmp_path / name)


def test_atoms_on_top_of_each_other():
    with pytest.raises(InputError, match="no crystal symmetry"):
        standardise(Atoms("Si2", cell=np.eye(3) * 3, positions=np.zeros((2, 3)), pbc=True))
