"""Files of one crystal become one; what would mix them up is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.formats import Source
from hashigo.calculators.formats.merging import Merger
from hashigo.calculators.frames import Frame
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


def test_equal_structures_with_forces_of_another_method_are_refused():
    frame = Frame(
        np.eye(3) * 5,
        np.array([[0, 0, 0], [2.0, 2, 2]]),
        ("Si", "Si"),
        forces=np.array([[1.0, 0, 0], [-1, 0, 0]]),
    )

    def kept(other):
        merger = Merger([("a", Source({}, iter([frame]))), ("b", Source({}, iter([other])))])
        return len(list(merger.frames()))

    assert kept(replace(frame, forces=frame.forces + 1e-5)) == 1
    for forces in (-frame.forces, frame.forces[::-1], frame.forces[:, ::-1], frame.forces * 1.01):
        with pytest.raises(InputError, match="is the same structure as a frame of a, with other forces"):
            kept(replace(frame, forces=forces))
