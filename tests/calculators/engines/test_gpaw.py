"""GPAW, run for real where it is installed: slopes of the energy, and each rank of a batch by itself."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from hashigo.calculators.engines.gpaw import kpoint_list

pytestmark = pytest.mark.slow

SETTINGS = {"cutoff": "300 eV", "kpoint_spacing": 1.2, "xc": "LDA"}


def test_mesh_is_shifted_by_half_a_step():
    points = kpoint_list([2, 2, 1], 0.5)
    assert sorted(map(tuple, points)) == [
        (x, y, pytest.approx(-0.5)) for x in (-0.25, 0.25) for y in (-0.25, 0.25)
    ]
    assert np.abs(kpoint_list([3, 3, 3], 0.0)).min() == 0


def test_forces_and_stress_are_slopes_of_the_energy(heavy_module, make_calculator, crystal, slopes):
    heavy_module("gpaw")
    atoms = crystal("Si", 5.43)
    atoms.calc = make_calculator("gpaw", **SETTINGS)
    slopes(atoms, 1e-3, 1e-3)
    assert atoms.calc.converged is True
    assert atoms.calc.version


RANKS = """\
from mpi4py import MPI
from ase.build import bulk
from hashigo.calculators.engines import Workspace, get_engine
rank = MPI.COMM_WORLD.rank
engine = get_engine("gpaw")
atoms = bulk("Si", a=5.40 + 0.05 * rank)
atoms.calc = engine.calculator(engine.complete({"cutoff": 200, "kpoint_spacing": 1.5}), Workspace())
if rank == 1:  # would hang, were the frame shared among the ranks
    print("energy", atoms.get_potential_energy(), flush=True)
"""


def test_a_rank_computes_by_itself(heavy_module, require_program):
    heavy_module("gpaw")
    done = subprocess.run(
        [require_program("mpirun", "openmpi-bin"), "--oversubscribe", "-n", "2", sys.executable, "-c", RANKS],
        capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("energy") == 1
