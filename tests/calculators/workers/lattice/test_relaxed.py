from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.lattice.relaxed import read_relaxed
from hashigo.calculators.workers.potential import Committee
from hashigo.errors import InputError


def write(path, atoms, members=0, symbols=True):
    with ResultWriter(path, task="elasticity", task_version=1) as writer:
        writer.array("relaxed/cell", atoms.cell.array, units="Å")
        writer.array("relaxed/positions", atoms.get_scaled_positions(), units="dimensionless")
        if members:
            cells = [atoms.cell.array * (1 + 0.01 * i) for i in range(members)]
            writer.array("members/cell", cells, units="Å")
            writer.array("members/positions", [atoms.get_scaled_positions()] * members, units="dimensionless")
        if symbols:
            writer.note("relaxed", {"symbols": atoms.get_chemical_symbols()})
    return path


def test_cells_of_mean_and_members(tmp_path, diamond):
    cells = read_relaxed(write(tmp_path / "e.h5", diamond, members=2))
    assert np.allclose(cells.mean.positions, diamond.positions)
    assert cells.members[1].get_volume() == pytest.approx(1.01**3 * diamond.get_volume())
    assert read_relaxed(write(tmp_path / "f.h5", diamond)).members == ()


def test_cells_of_another_committee_are_refused(tmp_path, diamond, tersoff):
    cells = read_relaxed(write(tmp_path / "e.h5", diamond, members=2))
    cells.check(Committee(tersoff, (tersoff, tersoff)))
    with pytest.raises(
        InputError, match="the committee has 1 members, but the elasticity result has relaxed cells of 2"
    ):
        cells.check(Committee(tersoff, (tersoff,)))


def test_a_file_without_atoms_is_named(tmp_path, diamond):
    with pytest.raises(InputError, match=r"e\.h5 names no atoms"):
        read_relaxed(write(tmp_path / "e.h5", diamond, symbols=False))
