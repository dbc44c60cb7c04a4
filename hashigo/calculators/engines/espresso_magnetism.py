"""Spin and Hubbard terms of pw.x: from a study's settings to the words of old and new versions."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from hashigo.calculators.engines.frame_calculator import check_spin
from hashigo.calculators.engines.pseudopotentials import find_pseudopotential
from hashigo.calculators.engines.upf import header_of
from hashigo.errors import InputError, WorkerError

#: Polarisation from which a free atom starts, of its valence, dimensionless.
ATOM_POLARISATION = 0.5

#: First version that takes the Hubbard terms from a card; those before know `Hubbard_U`, and each element's shell.
CARD = (7, 1)

#: Longest wait for a program that is asked for its version, s.
PATIENCE = 60

_MANIFOLD = re.compile(r"([A-Z][a-z]?)-([1-7][spdf])")

#: The shells that versions before the card take: d of transition metals, f of lanthanides and actinides, p of oxygen.
_SHELLS = {
    "3d": "Ti V Cr Mn Fe Co Ni Cu Zn",
    "4d": "Zr Nb Mo Tc Ru Rh Pd Ag Cd",
    "5d": "Hf Ta W Re Os Ir Pt Au Hg",
    "4f": "Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu",
    "5f": "Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr",
    "2p": "C N O",
}


def fill(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with moments in μB and Hubbard terms in eV as plain numbers."""
    from hashigo.study.units import in_unit  # keeps pint out of the worker's start

    where = "reference.settings"
    moments = {k: in_unit(v, "bohr_magneton", f"{where}.spin.{k}") for k, v in settings["spin"].items()}
    terms = {k: in_unit(v, "eV", f"{where}.hubbard.{k}") for k, v in settings["hubbard"].items()}
    return {**settings, "spin": moments, "hubbard": terms}


def check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    """Refuse spin and Hubbard terms that pw.x would not take.

    Args:
        settings: complete.
        elements: of the crystal.

    Raises:
        InputError: names the setting.
    """
    check_spin(settings, elements)
    spin = settings["spin"]
    if spin and not any(spin.values()):
        raise InputError(
            "reference.settings.spin gives only zeros", fix="leave it out for a crystal without moments"
        )
    if spin and not settings["smearing"]:
        raise InputError(
            "reference.settings.spin is given and smearing is 0: pw.x finds the moment of a cell by smearing only",
            fix="set smearing, e.g. 0.01 Ry",
        )
    for symbol, share in shares(settings, elements).items():
        if abs(share) > 1:
            raise InputError(
                f"reference.settings.spin.{symbol} is {spin[symbol]:g} μB, more than its pseudopotential has electrons"
            )
    for name, value in settings["hubbard"].items():
        match = _MANIFOLD.fullmatch(name)
        if match is None or value < 0:
            raise InputError(
                f"reference.settings.hubbard is {name}: {value:g}",
                fix="give shells and U ≥ 0, e.g. Ni-3d: 6.2 eV",
            )
        if match[1] not in elements:
            raise InputError(
                f"reference.settings.hubbard names {match[1]}, which is not in the crystal",
                fix=f"its elements are: {', '.join(elements)}",
            )


def shares(settings: Mapping[str, Any], symbols: Iterable[str]) -> dict[str, float]:
    """Starting moments of a crystal as pw.x wants them: of the valence electrons, dimensionless; empty without spin.

    Args:
        settings: complete.
        symbols: of all its elements.
    """
    if not settings["spin"]:
        return {}
    out = {}
    for symbol in symbols:
        valence = header_of(find_pseudopotential(symbol, settings["pseudopotentials"])).valence
        if not valence:
            raise InputError(f"the pseudopotential of element {symbol} does not tell its valence electrons")
        out[symbol] = round(settings["spin"].get(symbol, 0.0) / valence, 9)
    return out


def system(
    settings: Mapping[str, Any], kind: str, symbols: Sequence[str], version: tuple[int, int]
) -> dict[str, Any]:
    """Entries of the namelist SYSTEM, values of elements as mappings.

    Args:
        settings: complete.
        kind: of the frame; a free atom has its moment by Hund's rule.
        symbols: elements of the frame.
        version: of pw.x; only asked of where there are Hubbard terms.

    Raises:
        InputError: when this version cannot be given a Hubbard term.
    """
    start = dict.fromkeys(symbols, ATOM_POLARISATION) if kind == "atom" else shares(settings, symbols)
    out: dict[str, Any] = {"nspin": 2, "starting_magnetization": start} if start else {}
    terms = _terms(settings, symbols)
    if not terms or version >= CARD:
        return out
    for symbol, shell, _ in terms:
        if symbol not in _SHELLS.get(shell, "").split():
            raise InputError(
                f"reference.settings.hubbard names {symbol}-{shell}, which Quantum ESPRESSO before 7.1 cannot treat",
                fix="install Quantum ESPRESSO 7.1 or later, or leave it out",
            )
    return out | {"lda_plus_u": True, "hubbard_u": {symbol: value for symbol, _, value in terms}}


def card(settings: Mapping[str, Any], symbols: Sequence[str], version: tuple[int, int]) -> list[str]:
    """Lines of the card HUBBARD, which versions from 7.1 on read; none without Hubbard terms.

    Args:
        settings: complete.
        symbols: elements of the frame.
        version: of pw.x.
    """
    terms = _terms(settings, symbols)
    if not terms or version < CARD:
        return []
    return ["HUBBARD {atomic}", *(f"U {symbol}-{shell} {value}" for symbol, shell, value in terms)]


def _terms(settings: Mapping[str, Any], symbols: Sequence[str]) -> list[tuple[str, str, float]]:
    """Element, shell and U [eV] of the terms that concern these elements."""
    found = [(*name.split("-"), value) for name, value in settings["hubbard"].items()]
    return [(symbol, shell, value) for symbol, shell, value in found if symbol in symbols]


def version_for(settings: Mapping[str, Any], command: Sequence[str]) -> tuple[int, int]:
    """Version of pw.x where the input depends on it; (0, 0) elsewhere, where nobody is asked.

    Args:
        settings: complete.
        command: launcher and program, word by word.

    Raises:
        WorkerError: when it does not tell.
    """
    return ask_version(tuple(command)) if settings["hubbard"] else (0, 0)


@cache
def ask_version(command: tuple[str, ...]) -> tuple[int, int]:
    """Version of pw.x, which says so before it finds its input empty.

    Args:
        command: launcher and program, word by word.

    Raises:
        WorkerError: when it does not tell.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
        except (OSError, subprocess.TimeoutExpired):
            text = ""
        else:
            text = done.stdout
    found = re.search(r"Program PWSCF v\.(\d+)\.(\d+)", text)
    if found is None:
        raise WorkerError(
            "pw.x does not tell its version, by which the form of Hubbard terms is chosen",
            fix="see that the program starts by itself, or leave out reference.settings.hubbard",
        )
    return int(found[1]), int(found[2])
