"""Cells of every kind, on a crystal of oscillators pinned to their sites whose expansion is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from scipy.constants import Boltzmann, elementary_charge, h

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import expansion
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.cell_grid import MARKS, RELAXED, UNIAXIAL, deformed, relaxed_cell
from hashigo.calculators.workers.lattice.expansion_result import Result, solved, write
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells
from hashigo.calculators.workers.potential import Committee, Evaluation
from hashigo.errors import InputError

KB = Boltzmann / elementary_charge
MASS = 26.9815385
#: Energy h ν of a frequency of 1 THz, eV; and the frequency of sqrt(1 eV/Å^2/amu), THz.
QUANTUM, UNIT = h * 1e12 / elementary_charge, 15.633302
SPRING = 4.0
STIFFNESS = np.array([[60.0, 15.0, 20.0], [15.0, 60.0, 20.0], [20.0, 20.0, 40.0]])
GAMMA = np.array([1.0, 1.0, 2.0])
MESH = 6
SETTINGS = {"temperatures": [0.0, 150.0, 600.0], "volumes": 7, "supercell": [1, 1, 1], "mesh": MESH}


class Pinned:
    """One atom a cell with edges along the axes: E = s·K·s/2 + k u²/2, with s the logarithms of the edges.

    Its spring is k = k₀ exp(-2 γ·s), so that every frequency is ν₀ exp(-γ·s).

    Args:
        edges: where the energy is least, shape (3,), Å.
        soft: volume over the least energy's above which the springs push, dimensionless.
    """

    elements = ("Al",)

    def __init__(self, edges: Sequence[float], soft: float = np.inf) -> None:
        self.edges, self.soft = np.array(edges), soft

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Energy, forces and the static stress."""
        return [self._one(atoms) for atoms in structures]

    def _one(self, atoms: Atoms) -> Evaluation:
        repeats = round(len(atoms) ** (1 / 3))
        cell = atoms.cell.lengths() / repeats
        strain = np.log(cell / self.edges)
        gaps = atoms.positions / cell
        moved = (gaps - np.rint(gaps)) * cell
        spring = SPRING * np.exp(-2 * GAMMA @ strain) * (-1 if strain.sum() > np.log(self.soft) else 1)
        energy = len(atoms) * strain @ STIFFNESS @ strain / 2 + spring / 2 * np.sum(moved**2)
        stress = np.concatenate([STIFFNESS @ strain / np.prod(cell), np.zeros(3)])
        return Evaluation(float(energy), -spring * moved, stress)


def crystal(edges: Sequence[float]) -> Atoms:
    return Atoms("Al", cell=edges, pbc=True)


def oscillator(strain: Any, temperature: float) -> tuple[float, float]:
    """Energy and heat capacity of three oscillators of this cell, eV and eV/K, as the mesh has them.

    The three acoustic modes at Γ are left out there.
    """
    quantum = QUANTUM * UNIT * np.sqrt(SPRING / MASS) * np.exp(-GAMMA @ strain)
    x = quantum / (KB * max(temperature, 1.0))
    occupation = 1 / np.expm1(x) if x < 500 else 0.0
    modes = 3 * (1 - 1 / MESH**3)
    return modes * quantum * (occupation + 0.5), modes * KB * x**2 * occupation * (occupation + 1)


def computed(model: Pinned, **parameters: Any) -> tuple[Result, dict[str, Any]]:
    settings = expansion.check_settings({**SETTINGS, **parameters})
    found = expansion.compute(Committee(model, ()), RelaxedCells(crystal(model.edges)), settings)
    assert found is not None
    return found, settings


def test_edges_of_a_uniaxial_crystal_expand_as_its_compliance_says():
    """ds/dT = H⁻¹ γ C_V with H = K + ∂²F, and C_p - C_V = T ds/dT·H·ds/dT: the tensor form of V T α·C·α."""
    result, _ = computed(Pinned([3.0, 3.0, 3.8]))
    assert result.kind == UNIAXIAL
    assert len(result.mean.points) == 49
    found, _ = solved(result.mean, result.atoms, 0.0)
    for index, temperature in enumerate(found.temperatures):
        strain = np.log(found.lattice[index].diagonal() / [3.0, 3.0, 3.8])
        energy, capacity = oscillator(strain, temperature)
        hessian = STIFFNESS + np.outer(GAMMA, GAMMA) * (energy - temperature * capacity)
        assert strain == pytest.approx(np.linalg.solve(STIFFNESS, GAMMA * energy), abs=5e-6)
        rate = np.linalg.solve(hessian, GAMMA * capacity)
        assert found.expansion[index] == pytest.approx(np.diag(rate), rel=5e-3, abs=1e-9)
        assert found.heat_capacity_volume[index] == pytest.approx(capacity, rel=1e-3, abs=1e-9)
        gap = found.heat_capacity_pressure[index] - found.heat_capacity_volume[index]
        assert gap == pytest.approx(temperature * rate @ hessian @ rate, rel=1e-2, abs=1e-9)
    assert rate[2] > 2 * rate[0] > 0


def test_the_shape_of_other_crystals_is_relaxed_at_each_volume(tmp_path):
    """At a fixed volume s ∝ K⁻¹(1, 1, 1); the volume alone then follows the vibrations."""
    model = Pinned([3.0, 3.4, 3.8])
    cell = relaxed_cell(model, deformed(crystal(model.edges), np.array([0.05])), 1e-5, shape=True)
    strain = np.log(cell.atoms.cell.lengths() / model.edges)
    way = np.linalg.solve(STIFFNESS, np.ones(3))
    way /= way.sum()
    assert strain == pytest.approx(0.05 * way, abs=1e-6)
    assert cell.energy == pytest.approx(0.05**2 / 2 / np.linalg.solve(STIFFNESS, np.ones(3)).sum())
    result, settings = computed(model)
    assert result.kind == RELAXED
    write(tmp_path / "result.h5", result, settings, 1)
    with ResultReader(tmp_path / "result.h5") as reader:
        alpha = reader.quantity("thermal_expansion")
        volume = reader.array("thermal/volume")[-1]
    assert alpha.marks == (MARKS[RELAXED],)
    gamma, bulk = GAMMA @ way, way @ STIFFNESS @ way
    logarithm = np.log(volume / np.prod(model.edges))
    energy, capacity = oscillator(logarithm * way, 600.0)
    rate = gamma * capacity / (bulk + gamma**2 * (energy - 600.0 * capacity))
    assert alpha.value[-1] == pytest.approx(np.diag(rate * way), rel=5e-3, abs=1e-9)


def test_ranks_share_the_cells_and_give_what_one_gives(tmp_path):
    class Rank:
        """One of two ranks, run one after the other."""

        size = 2
        kept: list[Any] = []

        def __init__(self, rank: int) -> None:
            self.rank = rank

        def gather(self, value: Any, root: int = 0) -> list[Any] | None:
            self.kept.append(value)
            return self.kept[::-1] if self.rank == root else None

    model = Pinned([3.0, 3.0, 3.0])
    committee, cells = Committee(model, (model,)), RelaxedCells(crystal(model.edges), (crystal(model.edges),))
    settings = expansion.check_settings(SETTINGS)
    files = []
    for name, ranks in (("one", [None]), ("two", [1, 0])):
        for rank in ranks:
            job = Job("expansion", {}, {}, tmp_path / name, progress_path=tmp_path / "progress.json")
            if rank is not None:
                job.comm = Rank(rank)
            found = expansion.compute(committee, cells, settings, job)
            assert (found is None) == (rank == 1)
        write(tmp_path / name, found, settings, 1)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_unstable_cells_of_a_member_are_left_out_of_its_own_grid():
    stable, softer, unstable = Pinned([3.0] * 3), Pinned([3.0] * 3, soft=1.05), Pinned([3.0] * 3, soft=1.0)
    settings = expansion.check_settings(SETTINGS)
    cells = RelaxedCells(crystal([3.0] * 3), (crystal([3.0] * 3),))
    found = expansion.compute(Committee(stable, (softer,)), cells, settings)
    assert [len(grid.points) for grid in (found.mean, *found.members)] == [7, 6]
    assert found.left_out == []
    with pytest.raises(InputError, match=r"4 of 7 cells .* by member 0, down to -\d"):
        expansion.compute(Committee(stable, (unstable,)), cells, settings)
    with pytest.raises(
        InputError, match="4 of 7 cells of the thermal expansion have imaginary modes, down to"
    ):
        computed(unstable)
