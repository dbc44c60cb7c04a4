import numpy as np
import pytest

from hashigo.calculators.workers.lattice import direct
from hashigo.calculators.workers.lattice.direct import BeyondRelaxation, beyond_relaxation, collision_bytes
from hashigo.calculators.workers.lattice.force_constants import Fit, build_lattice, random_dataset
from hashigo.calculators.workers.lattice.transport import build_anharmonic
from hashigo.calculators.workers.lattice.wave_vectors import mode_properties

TEMPERATURES = [300.0, 1000.0]


@pytest.fixture(scope="module")
def crystal(tersoff, diamond):
    lattice = build_lattice(diamond, (1, 1, 1))
    dataset = random_dataset(tersoff, lattice, 6, 0.03, 0, paired=True)
    return build_anharmonic(diamond, (1, 1, 1), Fit(lattice, 3).solve(dataset))


@pytest.fixture(scope="module")
def found(crystal):
    return beyond_relaxation(crystal, 5, TEMPERATURES)


def test_methods_on_one_mesh(crystal, found):
    rta = mode_properties(crystal, 5, TEMPERATURES).conductivity()
    assert found.fine.relaxation_time == pytest.approx(rta, rel=1e-6)
    # Of silicon the two methods are near each other, but not the same.
    assert np.all((np.abs(found.fine.ratio - 1) > 1e-4) & (np.abs(found.fine.ratio - 1) < 0.2))
    assert found.fine.direct[0] == pytest.approx(np.eye(3) * found.fine.direct[0, 0, 0], abs=1e-6)
    assert np.all(found.fine.coherence.trace(axis1=1, axis2=2) > 0)
    assert found.coarse.mesh == 3


def test_a_finer_meshs_direct_solution_and_its_error(found):
    fine = 2 * found.fine.relaxation_time
    assert found.conductivity(fine).trace(axis1=1, axis2=2) == pytest.approx(
        2 * found.fine.direct.trace(axis1=1, axis2=2)
    )
    expected = np.abs(found.fine.ratio - found.coarse.ratio) * fine.trace(axis1=1, axis2=2)
    assert found.error(fine).trace(axis1=1, axis2=2) == pytest.approx(expected)
    alone = BeyondRelaxation(found.fine)
    assert alone.error(fine).trace(axis1=1, axis2=2) == pytest.approx(
        np.abs(found.fine.ratio - 1) * fine.trace(axis1=1, axis2=2)
    )


def test_a_mesh_that_takes_too_much_memory_is_left_out(crystal, monkeypatch):
    monkeypatch.setattr(direct, "MOST_BYTES", collision_bytes(crystal, 5) - 1)
    assert "the direct solution was left out" in beyond_relaxation(crystal, 5, TEMPERATURES)
