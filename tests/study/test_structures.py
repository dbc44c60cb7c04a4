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


def compound(name, structure, edge, shift=0.0):
    """Conventional cell with both kinds of atoms moved by a part of the diagonal."""
    atoms = bulk(name, structure, edge, cubic=True)
    atoms.set_scaled_positions((atoms.get_scaled_positions() + shift) % 1.0)
    return atoms


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (compound("NaCl", "rocksalt", 5.64), compound("NaCl", "rocksalt", 5.64, 0.5)),
        (compound("ZnS", "zincblende", 5.41), compound("ZnS", "zincblende", 5.41, 0.25)),
        # Sulphur at the origin: zinc is at ¼¼¼ of it, and was at ¾¾¾.
        (compound("ZnS", "zincblende", 5.41), compound("SZn", "zincblende", 5.45)),
        (bulk("ZnO", "wurtzite", 3.25, 5.2), bulk("OZn", "wurtzite", 3.25, 5.2)),
    ],
)
def test_the_origin_and_the_setting_are_free(first, second):
    assert difference(standardise(first), standardise(second)) == ""
    assert difference(first, second[::-1]) == ""


def test_other_crystals_of_the_same_formula_are_named():
    salt = compound("NaCl", "rocksalt", 5.64)
    assert "Å from its counterpart" in difference(salt, compound("NaCl", "zincblende", 5.64))
    cesium = standardise(bulk("NaCl", "cesiumchloride", 3.4))
    assert difference(standardise(salt), cesium) == "Cl4Na4 against ClNa"
    for atom in (0, 5):
        moved = compound("NaCl", "rocksalt", 5.64, 0.5)
        moved.positions[atom] += (0.9, 0.0, 0.0)
        assert "is 0.90 Å from its counterpart" in difference(salt, moved)


def test_two_atoms_have_two_counterparts(diamond):
    moved = diamond.copy()
    moved.positions[1] = moved.positions[0] + (0.1, 0.0, 0.0)
    assert "Å from its counterpart" in difference(diamond, moved)


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
