"""Lennard-Jones pairs with cut-off, for tests and trials: not first-principles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hashigo.calculators.engines import Engine, Setting, Workspace
from hashigo.calculators.engines.frame_calculator import check_positive
from hashigo.calculators.engines.lammps_pair import LammpsPair
from hashigo.errors import InputError

#: Where the switch to zero begins, relative to the cut-off.
SMOOTH_FROM = 0.8


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> Any:
    from ase.calculators.lj import LennardJones

    return LennardJones(
        sigma=settings["sigma"],
        epsilon=settings["epsilon"],
        rc=settings["cutoff"],
        ro=SMOOTH_FROM * settings["cutoff"],
        smooth=True,
    )


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    check_positive("lennard_jones", settings, "sigma", "epsilon", "cutoff")
    if len(elements) > 1:
        raise InputError(f"engine 'lennard_jones' knows one kind of atom only, not {', '.join(elements)}")


def _lammps(settings: Mapping[str, Any]) -> LammpsPair:
    # ASE's switching function is CHARMM's, which LAMMPS has only beside charges; there are none here.
    cutoff, onset = settings["cutoff"], SMOOTH_FROM * settings["cutoff"]
    return LammpsPair(
        style=("lj/charmm/coul/charmm", repr(onset), repr(cutoff)),
        coefficients=("1", "1", repr(settings["epsilon"]), repr(settings["sigma"])),
        charged=True,
    )


ENGINE = Engine(
    name="lennard_jones",
    title="Lennard-Jones (pairs)",
    first_principles=False,
    settings={
        # Argon: Rahman, Phys. Rev. 136, A405 (1964): 3.4 Å, ε/k_B = 120 K.
        "sigma": Setting(3.4, "Distance at which the energy of a pair is zero; the default is argon's.", "Å"),
        "epsilon": Setting(0.01034, "Depth of a pair's energy.", "eV"),
        "cutoff": Setting(8.5, "Pairs farther apart do not interact; smooth from four fifths of it on.", "Å"),
    },
    calculator=_calculator,
    check=_check,
    lammps=_lammps,
)
