from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hashigo.calculators.workers.lattice.crystal import (
    PrimitiveCell,
    point_group,
    primitive,
    read_structure,
    write_structure,
)
from hashigo.errors import InputError


def test_a_structure_comes_back(tmp_path: Path) -> None:
    atoms = bulk("NaCl", "rocksalt", 5.64, cubic=True)
    write_structure(tmp_path / "structure.json", atoms)
    read = read_structure(tmp_path / "structure.json")
    assert read.get_chemical_symbols() == atoms.get_chemical_symbols()
    np.testing.assert_allclose(read.positions, atoms.positions, atol=1e-12)
    assert read.pbc.all()


GOOD = {"cell": np.eye(3).tolist(), "positions": [[0, 0, 0]], "symbols": ["Si"]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cell": None}, "is not a structure file|has a cell of shape"),
        ({"positions": [[0, 0]]}, "positions of shape"),
        ({"positions": [[0, 0, float("nan")]]}, "not finite"),
        ({"cell": (-np.eye(3)).tolist()}, "not right-handed"),
        ({"cell": np.zeros((3, 3)).tolist()}, "span no volume"),
        ({"symbols": ["Xx"]}, "unknown element 'Xx'"),
        ({"symbols": []}, "0 symbols"),
    ],
)
def test_a_bad_structure_is_one_sentence(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    path = tmp_path / "structure.json"
    path.write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(InputError, match=sentence):
        read_structure(path)


def test_text_is_no_structure(tmp_path: Path) -> None:
    (tmp_path / "structure.json").write_text("data_Si")
    with pytest.raises(InputError, match=r"structure\.json is not a structure file"):
        read_structure(tmp_path / "structure.json")


@pytest.mark.parametrize(
    ("atoms", "ratio"),
    [
        (bulk("Si", "diamond", 5.43, cubic=True), 4),
        (bulk("W", "bcc", 3.16, cubic=True), 2),
        (bulk("Ti", "hcp"), 1),
        (bulk("NaCl", "rocksalt", 5.64, cubic=True), 4),
    ],
)
def test_the_primitive_cell_keeps_axes_and_atoms(atoms: Atoms, ratio: int) -> None:
    small = primitive(atoms)
    assert len(atoms) == ratio * len(small)
    # Conventional lattice vectors are whole combinations of primitive ones: nothing was turned.
    whole = atoms.cell.array @ np.linalg.inv(small.cell.array)
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-8)
    assert abs(np.linalg.det(whole)) == pytest.approx(ratio)
    assert len(point_group(small)) == len(point_group(atoms))


def test_a_relaxed_primitive_cell_expands_to_the_conventional_one() -> None:
    atoms = bulk("NaCl", "rocksalt", 5.64, cubic=True)
    crystal = PrimitiveCell.of(atoms)
    gradient = np.eye(3) + np.array([[0.02, 0.01, 0], [0.01, -0.01, 0], [0, 0, 0.03]])
    relaxed = crystal.atoms.copy()
    relaxed.set_cell(crystal.atoms.cell.array @ gradient, scale_atoms=True)
    relaxed.positions[1] += [0.0, 0.1, 0.0]
    expanded = crystal.expand(relaxed)
    np.testing.assert_allclose(expanded.cell.array, atoms.cell.array @ gradient, atol=1e-12)
    moved = expanded.positions - atoms.positions @ gradient
    second = np.flatnonzero(crystal.mapping == 1)
    np.testing.assert_allclose(moved[second], [[0.0, 0.1, 0.0]] * 4, atol=1e-12)
    np.testing.assert_allclose(np.delete(moved, second, axis=0), 0, atol=1e-12)
    assert len(set(np.array(expanded.get_chemical_symbols())[second])) == 1
