"""Extended tight binding by tblite: semi-empirical, not first-principles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hashigo.calculators.engines import Engine, Setting, Workspace
from hashigo.calculators.engines.frame_calculator import check_choice, check_positive
from hashigo.calculators.engines.universal import installed_version
from hashigo.errors import InputError

#: The heaviest element that both methods have parameters of, radon.
HEAVIEST = 86

METHODS = ("GFN2-xTB", "GFN1-xTB")


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> Any:
    from tblite.ase import TBLite

    return TBLite(
        method=settings["method"],
        accuracy=settings["accuracy"],
        electronic_temperature=settings["electronic_temperature"],
        max_iterations=int(settings["scf_steps"]),
        verbosity=0,
    )


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    from ase.data import atomic_numbers

    check_choice(settings, "method", METHODS)
    check_positive("tblite", settings, "accuracy", "electronic_temperature", "scf_steps")
    heavy = [symbol for symbol in elements if atomic_numbers[symbol] > HEAVIEST]
    if heavy:
        raise InputError(f"engine 'tblite' has no parameters of {', '.join(heavy)}: they end with radon")


ENGINE = Engine(
    name="tblite",
    title="tblite (GFN-xTB, semi-empirical)",
    first_principles=False,
    settings={
        "method": Setting("GFN1-xTB", f"One of {', '.join(METHODS)}. Crystals: Γ only, so use supercells."),
        "accuracy": Setting(0.1, "Factor on all thresholds; smaller is finer, dimensionless."),
        "electronic_temperature": Setting(300.0, "Temperature of the electrons.", "K"),
        "scf_steps": Setting(250, "Most steps of self-consistency.", physics=False),
    },
    module="tblite",
    extra="tblite",
    calculator=_calculator,
    version=lambda calculator: installed_version("tblite"),
    # The library raises when it does not converge: a result is a converged one.
    converged=lambda calculator: bool(calculator.results),
    check=_check,
    cost=lambda n_atoms: float(n_atoms) ** 2,
)
