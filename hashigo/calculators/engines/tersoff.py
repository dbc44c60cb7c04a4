"""Tersoff's empirical potential of silicon, for tests and trials: not first-principles.

Parameters: J. Tersoff, Phys. Rev. B 38, 9902 (1988); 39, 5566 (1989), the Si-Si-Si set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hashigo.calculators.engines import Engine, Workspace
from hashigo.calculators.engines.lammps_pair import LammpsPair
from hashigo.errors import InputError

#: Energies in eV, lengths in Å, in the order of a line of LAMMPS's parameter files.
SILICON: dict[str, float] = {
    "m": 3.0, "gamma": 1.0, "lambda3": 1.7322, "c": 1.0039e5, "d": 16.217, "h": -0.59825, "n": 0.78734,
    "beta": 1.1e-6, "lambda2": 1.7322, "B": 471.18, "R": 2.85, "D": 0.15, "lambda1": 2.4799, "A": 1830.8,
}  # fmt: skip


def silicon() -> Any:
    """ASE calculator of silicon."""
    from ase.calculators.tersoff import Tersoff, TersoffParameters

    return Tersoff({("Si", "Si", "Si"): TersoffParameters(**SILICON)})


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> Any:
    return silicon()


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    if list(elements) != ["Si"]:
        raise InputError(f"engine 'tersoff' knows silicon only, not {', '.join(elements)}")


def _lammps(settings: Mapping[str, Any]) -> LammpsPair:
    from hashigo.calculators.engines.tersoff_flux import snapshots  # numba is slow to import

    return LammpsPair(
        style=("tersoff",),
        coefficients=("*", "*", "silicon.tersoff", "Si"),
        files={"silicon.tersoff": f"Si Si Si {' '.join(map(repr, SILICON.values()))}\n"},
        flux=partial(snapshots, SILICON),
    )


ENGINE = Engine(
    name="tersoff",
    title="Tersoff (silicon, empirical)",
    first_principles=False,
    calculator=_calculator,
    check=_check,
    lammps=_lammps,
    metal=False,
)
