"""Files of one crystal become one; what would mix them up is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.formats import Source
from hashigo.calculators.formats.merging import Merger
from hashigo.errors import InputError
from hashigo.study.structures import structure_content


def merged(*headers):
    return Merger(
        [(f"file {number}", Source(header, iter([]))) for number, header in enumerate(headers)]
    ).header


@pytest.mark.parametrize("change", ["order", "origin"])
def test_born_charges_of_atoms_in_another_order_are_not_taken_over(change):
    cell = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    other = cell[::-1]
    if change == "origin":
        other = cell.copy()
        other.positions = cell.positions[[2, 1, 0, 3, 4, 5, 6, 7]]
    charges = [np.eye(3).tolist()] * 8
    polar = {"born_charges": charges, "dielectric": np.eye(3).tolist()}
    with pytest.raises(InputError, match="its atoms in another order, than file 0"):
        merged(
            {"structure": structure_content(cell)}, {"structure": structure_content(other), "polar": polar}
        )
    same = merged(
        {"structure": structure_content(cell)}, {"structure": structure_content(cell), "polar": polar}
    )
    assert same["polar"] == polar


def test_a_method_that_one_file_does_not_name_is_not_that_of_all():
    vasp = {"engine": "vasp", "first_principles": True}
    assert merged(vasp, vasp) == vasp
    assert merged({}, vasp) == {}
    with pytest.raises(InputError, match="has another engine than file 0"):
        merged({"engine": "mace", "first_principles": False}, vasp)
