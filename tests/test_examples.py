"""The worked example of a phase field, by py-pde: what is exact of it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pde", reason="py-pde is not installed: pip install 'aiida-hashigo[phase_field]'")

SCRIPT = Path(__file__).resolve().parent.parent / "examples" / "phase_field" / "spinodal.py"


@pytest.fixture(scope="module")
def spinodal():
    spec = importlib.util.spec_from_file_location("spinodal", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["spinodal"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["spinodal"]


@pytest.fixture(scope="module")
def separated(spinodal):
    """Two straight interfaces at rest on a periodic strip, from wider ones."""
    from pde import CartesianGrid, ScalarField

    free_energy = spinodal.FreeEnergy()
    grid = CartesianGrid([(-16, 16)], 40, periodic=True)
    x = grid.cell_coords[..., 0]
    start = 0.5 + 0.2 * np.tanh((8 - np.abs(x)) / 3.0)
    times = [0.0, 1.0, 3.0, 10.0]
    return free_energy, *spinodal.follow(free_energy, ScalarField(grid, start), times)


def test_an_interface_at_rest_is_the_hyperbolic_tangent(separated):
    free_energy, last, _ = separated
    x = last.grid.cell_coords[:, 0]
    exact = free_energy.profile(8 - np.abs(x))
    assert np.abs(last.data - exact).max() < 0.01 * (free_energy.high - free_energy.low)


def test_its_energy_is_the_exact_one(separated):
    free_energy, _, history = separated
    assert history.energies[-1] == pytest.approx(2 * free_energy.interface, rel=0.02)


def test_mass_is_kept_and_the_free_energy_falls(separated):
    _, _, history = separated
    assert np.ptp(history.means) < 1e-13
    assert all(np.diff(history.energies) < 1e-12)


def test_the_first_state_is_the_benchmarks(spinodal):
    """Free energy at the start on its square of 200, from the formula integrated on a finer grid."""
    values = [spinodal.FreeEnergy().of(spinodal.benchmark_start(cells)) for cells in (50, 100, 200)]
    assert values[1] == pytest.approx(values[2], rel=2e-3)
    assert 0.45 < float(spinodal.benchmark_start(50).data.min()) < 0.5
