from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from hashigo.calculators.workers.conductivity import check_settings
from hashigo.calculators.workers.lattice.force_constants import Fit, build_lattice, random_dataset
from hashigo.calculators.workers.lattice.settle import SHARES, Settled, cutoffs, is_open, settle

QUICK = {
    "meshes": [3],
    "coarse_mesh": 3,
    "temperatures": [300.0],
    "tolerance": 0.2,
    "snapshots": 10,
    "cutoff": None,
}


def test_shares_add_up():
    assert sum(share**2 for share in SHARES.values()) == pytest.approx(1, abs=0.01)


def test_cutoffs_lie_between_shells(diamond):
    # Shells of diamond: √3/4, √2/2, √11/4, 1 of the lattice constant; the inscribed sphere of 2x2x2 cells has radius 1.
    edge = diamond.cell.lengths()[0]
    shells = np.array([np.sqrt(2) / 2, np.sqrt(11) / 4, 1.0]) * edge
    found = cutoffs(build_lattice(diamond, [2, 2, 2]))
    assert found == [
        *(pytest.approx((a + b) / 2, abs=2e-3) for a, b in pairwise(shells)),
        None,
    ]


def test_a_cutoff_leaves_no_third_order_beyond(tersoff, diamond):
    lattice = build_lattice(diamond, [2, 2, 2])
    cutoff = cutoffs(lattice)[0]
    third = (
        Fit(lattice, 3, cutoff).solve(random_dataset(tersoff, lattice, 4, 0.03, seed=0, paired=True)).third
    )
    cell = lattice.supercell
    from ase import Atoms

    atoms = Atoms(cell.symbols, cell=cell.cell, positions=cell.positions, pbc=True)
    far = atoms.get_distances(int(lattice.primitive.p2s_map[0]), range(len(atoms)), mic=True) > cutoff
    assert np.abs(third[0][far]).max() < 1e-12
    assert np.abs(third[0][:, far]).max() < 1e-12
    assert np.abs(third).max() > 1


def test_supercells_and_cutoff_are_found(tersoff, diamond):
    settings = check_settings({**QUICK, "snapshots": "auto", "cutoff": "auto"})
    assert is_open(settings)
    found, constants, modes = settle(tersoff, diamond, settings)
    assert found.left == ""
    assert found.sampling.max() <= SHARES["sampling"] * 0.2
    assert found.truncation.max() <= SHARES["cutoff"] * 0.2
    assert found.steps[0]["snapshots"] * 2 == found.steps[1]["snapshots"]
    # Tersoff's silicon reaches second neighbours only: the first two cut-offs agree.
    assert found.cutoff == cutoffs(build_lattice(diamond, [2, 2, 2]))[1]
    assert found.steps[-1]["kappa"] == pytest.approx(np.trace(modes.conductivity()[0]) / 3, rel=1e-9)
    assert constants.third is not None
    again = Settled.of(found.arrays())
    assert again.settings(settings)["snapshots"] == found.snapshots
    assert np.array_equal(again.sampling, found.sampling)


def test_what_does_not_settle_is_said(tersoff, diamond, monkeypatch):
    monkeypatch.setattr("hashigo.calculators.workers.lattice.settle.MOST", 0)
    settings = check_settings({**QUICK, "snapshots": "auto", "cutoff": "auto", "tolerance": 1e-9})
    found, _, _ = settle(tersoff, diamond, settings)
    assert re.fullmatch(r"\d+ supercells and the third order in all of the supercell", found.left)
    assert found.cutoff is None


def test_given_numbers_stay(tersoff, diamond):
    assert not is_open(check_settings(QUICK))
    settings = check_settings({**QUICK, "snapshots": "auto", "cutoff": 4.0})
    found, _, _ = settle(tersoff, diamond, settings)
    assert found.cutoff == 4.0
    assert set(found.errors()) == {"sampling"}
