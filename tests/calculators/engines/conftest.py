"""What the engines' tests share: finite differences of the energy, and where programs run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hashigo.calculators.engines import Workspace, get_engine


@pytest.fixture
def make_calculator(tmp_path: Path) -> Callable[..., Any]:
    """Calculator of an engine; called as make_calculator(name, **settings)."""

    def make(name: str, elements: tuple[str, ...] = ("Si",), **given: Any) -> Any:
        engine = get_engine(name)
        settings = engine.complete(given)
        engine.check(settings, list(elements))
        command = (str(shutil.which(engine.program.name)),) if engine.program else ()
        return engine.calculator(settings, Workspace(tmp_path / "work", command))

    return make


def distorted(symbol: str = "Si", constant: float = 5.43, **options: Any) -> Atoms:
    """A crystal without symmetry: displaced and strained.

    Args:
        symbol: of the element.
        constant: lattice constant, Å.
        options: of `ase.build.bulk`.
    """
    atoms = bulk(symbol, a=constant, **options)
    atoms.positions[0] += [0.05, 0.02, -0.03]
    strain = np.array([[0.01, 0.005, 0], [0.005, -0.004, 0.002], [0, 0.002, 0.003]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def slope_over_position(atoms: Atoms, axis: int, step: float = 0.01) -> float:
    """Force on the first atom from energies, eV/Å."""

    def energy(sign: int) -> float:
        moved = atoms.copy()
        moved.positions[0, axis] += sign * step
        moved.calc = atoms.calc
        return moved.get_potential_energy()

    return -(energy(1) - energy(-1)) / (2 * step)


def slope_over_strain(atoms: Atoms, i: int, j: int, step: float = 0.004) -> float:
    """Stress from energies, eV/Å^3, positive under tension."""
    strain = np.zeros((3, 3))
    strain[i, j] += step / 2
    strain[j, i] += step / 2

    def energy(sign: int) -> float:
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array @ (np.eye(3) + sign * strain), scale_atoms=True)
        strained.calc = atoms.calc
        return strained.get_potential_energy()

    return (energy(1) - energy(-1)) / (2 * step) / atoms.get_volume()


def assert_slopes(atoms: Atoms, force: float, stress: float) -> None:
    """Compare forces and stress with finite differences of the energy.

    Args:
        atoms: with calculator.
        force: allowed difference, eV/Å.
        stress: allowed difference, eV/Å^3.
    """
    given = atoms.get_stress()
    assert atoms.get_forces()[0, 0] == pytest.approx(slope_over_position(atoms, 0), abs=force)
    assert given[0] == pytest.approx(slope_over_strain(atoms, 0, 0), abs=stress)
    assert given[5] == pytest.approx(slope_over_strain(atoms, 0, 1), abs=stress)


@pytest.fixture
def slopes() -> Callable[..., None]:
    """Called as slopes(atoms with calculator, force tolerance [eV/Å], stress tolerance [eV/Å^3])."""
    return assert_slopes


@pytest.fixture
def crystal() -> Callable[..., Atoms]:
    """A crystal without symmetry; called as crystal(symbol, constant, ...)."""
    return distorted


@pytest.fixture
def heavy_module() -> Callable[[str], None]:
    """Skip without a module that `make test` does not install, in CI too."""
    import importlib.util

    def check(name: str) -> None:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"Python module '{name}' is not installed")

    return check
