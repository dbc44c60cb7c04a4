"""CIF with anisotropic displacement parameters, read back."""

from __future__ import annotations

import io

import numpy as np
import pytest
from ase import Atoms
from ase.io.cif import parse_cif, read_cif

from hashigo.calculators.workers.lattice.displacement_cif import (
    cif_tensor,
    displacement_cif,
    operation,
)

HEXAGONAL = Atoms(
    "ZnZnOO",
    cell=[3.25, 3.25, 5.2, 90, 90, 120],
    scaled_positions=[[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, 0.38], [2 / 3, 1 / 3, 0.88]],
    pbc=True,
)


def blocks(text):
    return list(parse_cif(io.BytesIO(text.encode()), reader="ase"))


def aniso(block):
    names = ("11", "22", "33", "23", "13", "12")
    rows = zip(*(block[f"_atom_site_aniso_u_{name}"] for name in names), strict=True)
    full = []
    for u11, u22, u33, u23, u13, u12 in rows:
        full.append([[u11, u12, u13], [u12, u22, u23], [u13, u23, u33]])
    return np.array(full)


def test_the_tensor_of_cif_gives_the_same_attenuation():
    """exp(-2π² Σ h h a* a* U_cif) is exp(-G·U·G/2) with the factor 2π in G, for any cell."""
    rng = np.random.default_rng(0)
    cell = rng.normal(size=(3, 3)) + 4 * np.eye(3)
    half = rng.normal(size=(3, 3)) / 10
    tensor = half @ half.T
    found = cif_tensor(tensor, cell)
    reciprocal = np.linalg.inv(cell).T
    lengths = np.linalg.norm(reciprocal, axis=1)
    for index in ((1, 0, 0), (1, -2, 3), (0, 1, 1)):
        wave = 2 * np.pi * np.array(index) @ reciprocal
        indices = np.array(index) * lengths
        assert 2 * np.pi**2 * indices @ found @ indices == pytest.approx(wave @ tensor @ wave / 2)


def test_what_is_written_is_read_back():
    tensors = np.empty((2, 4, 3, 3))
    tensors[:, :2] = np.diag([0.006, 0.006, 0.008])
    tensors[:, 2:] = np.diag([0.009, 0.009, 0.007])
    tensors[0] /= 2
    text = displacement_cif(HEXAGONAL, [100.0, 300.0], tensors, 1e-5 * np.ones_like(tensors))
    room, cold = blocks(text)
    assert room["_diffrn_ambient_temperature"] == 300
    assert cold["_diffrn_ambient_temperature"] == 100
    assert room["_space_group_it_number"] == 186
    assert room["_chemical_formula_sum"] == "O Zn"
    assert room["_atom_site_label"] == room["_atom_site_aniso_label"] == ["Zn1", "O1"]
    assert room["_atom_site_adp_type"] == ["Uani", "Uani"]
    assert room["_atom_site_site_symmetry_multiplicity"] == [2, 2]
    found = aniso(room)
    # In hexagonal axes a site on a threefold axis has U12 = U11/2.
    assert found[:, 0, 1] == pytest.approx(found[:, 0, 0] / 2, abs=1e-6)
    assert found[0, 0, 0] == pytest.approx(0.006, abs=1e-6)
    assert found[:, 2, 2] == pytest.approx([0.008, 0.007], abs=1e-6)
    assert room["_atom_site_u_iso_or_equiv"] == pytest.approx([0.02 / 3, 0.025 / 3], abs=1e-6)
    assert aniso(cold) == pytest.approx(found / 2, abs=2e-6)
    assert "0.006000(10)" in text


def test_the_symmetry_operations_make_the_whole_cell(diamond):
    for atoms in (HEXAGONAL, diamond):
        tensors = np.tile(np.eye(3) * 0.005, (1, len(atoms), 1, 1))
        whole = read_cif(io.BytesIO(displacement_cif(atoms, [300.0], tensors).encode()), index=0)
        assert len(whole) == len(atoms)
        assert whole.cell.cellpar() == pytest.approx(atoms.cell.cellpar())
        assert sorted(whole.get_chemical_symbols()) == sorted(atoms.get_chemical_symbols())
        distances = [np.sort(a.get_all_distances(mic=True).ravel()) for a in (whole, atoms)]
        assert distances[0] == pytest.approx(distances[1], abs=1e-5)


@pytest.mark.parametrize(
    ("rotation", "shift", "text"),
    [
        (np.eye(3), [0, 0, 0], "x,y,z"),
        ([[0, -1, 0], [1, -1, 0], [0, 0, 1]], [0, 0, 0.5], "-y,x-y,z+1/2"),
        ([[-1, 0, 0], [0, 1, 0], [0, 0, -1]], [0.25, -0.25, 2 / 3], "-x+1/4,y+3/4,-z+2/3"),
    ],
)
def test_operations_in_letters(rotation, shift, text):
    assert operation(np.array(rotation), np.array(shift)) == text
