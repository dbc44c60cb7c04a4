"""Protocols fast, balanced and precise: defaults of the first-principles engines for one word in the study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hashigo.calculators.engines import Engine
from hashigo.errors import InputError

#: kT of the Fermi-Dirac distribution that has the variance of a Gaussian smearing of width 1.
FERMI_DIRAC = math.sqrt(1.5) / math.pi

#: Settings that a protocol may give, as they are shown.
SHOWN = ("kpoint_spacing", "cutoff", "density_cutoff", "smearing", "scf_threshold", "spin", "hubbard")

#: Units of settings that are mappings.
MAPPED = {"spin": "μB", "hubbard": "eV"}

#: Cut-offs of which the protocol takes more.
CUTOFFS = ("cutoff", "density_cutoff")


@cache
def _table() -> dict[str, Any]:
    return dict(yaml.safe_load((Path(__file__).parent / "dft.yaml").read_text(encoding="utf-8")))


def metallic_elements(elements: Sequence[str]) -> bool:
    """Whether a crystal holds metallic elements alone.

    Args:
        elements: chemical symbols of the crystal.
    """
    return not set(elements) & set(_table()["not_metallic"])


def defaults(
    engine: Engine,
    protocol: str | None,
    recommended: Mapping[str, float],
    given: Mapping[str, Any],
    elements: Sequence[str],
) -> dict[str, Any]:
    """Settings that hold where the study gives none.

    Args:
        engine: that computes.
        protocol: fast, balanced or precise; None leaves the engine's defaults.
        recommended: cut-offs that a family of pseudopotentials recommends, in the engine's units.
        given: settings of the study.
        elements: of the crystal.

    Raises:
        InputError: when the engine knows no protocols.
    """
    out: dict[str, Any] = dict(recommended)
    if protocol is not None:
        out.update(_protocol(engine, protocol, recommended, given, elements))
    if "cutoff" in given and "density_cutoff" in recommended:
        # The density needs its own cut-off also where the study sets that of the wavefunctions.
        cutoff = engine.complete({"cutoff": given["cutoff"]})["cutoff"]
        out["density_cutoff"] = max(recommended["density_cutoff"], 4 * cutoff)
    return {name: value for name, value in out.items() if name not in given}


def _protocol(
    engine: Engine,
    protocol: str,
    recommended: Mapping[str, float],
    given: Mapping[str, Any],
    elements: Sequence[str],
) -> dict[str, Any]:
    if not engine.first_principles or "kpoint_spacing" not in engine.settings:
        raise InputError(
            f"reference.protocol is '{protocol}', and engine '{engine.name}' has no protocols",
            fix="leave it out, or choose an engine that samples the Brillouin zone",
        )
    from hashigo.study.units import in_unit  # keeps pint out of the worker's start

    table = _table()
    out: dict[str, Any] = {"kpoint_spacing": table["kpoint_spacing"][protocol]}
    for name in CUTOFFS:
        value = recommended.get(name, engine.settings[name].default if name in engine.settings else 0)
        if value:
            out[name] = _rounded(value * table["cutoff_factor"][protocol])
    if "scf_threshold" in engine.settings:
        out["scf_threshold"] = _rounded(
            engine.settings["scf_threshold"].default * table["scf_factor"][protocol]
        )
    if "spin" in engine.settings:
        out["spin"] = {symbol: moment for symbol, moment in table["spin"].items() if symbol in elements}
    if "hubbard" in engine.settings and set(elements) & set(table["hubbard_anions"]):
        terms = table["hubbard"].items()
        out["hubbard"] = {name: value for name, value in terms if name.partition("-")[0] in elements}
    metal = metallic_elements(elements)
    if "smearing" in engine.settings and (metal or given.get("spin", out.get("spin"))):
        width = table["smearing"][protocol] * (FERMI_DIRAC if engine.name in table["fermi_dirac"] else 1)
        unit = engine.settings["smearing"].unit
        out["smearing"] = _rounded(in_unit(f"{width:.8g} Ry", unit, "reference.protocol"))
    return out


def _rounded(value: float) -> float:
    """Without the last digits of binary fractions, which would be part of a frame's identity."""
    return float(f"{value:.6g}")


def told(engine: Engine, settings: Mapping[str, Any]) -> str:
    """The settings that a protocol decides, in words.

    Args:
        engine: that computes.
        settings: complete.
    """
    return ", ".join(
        f"{name} {_in_words(settings[name], MAPPED.get(name, engine.settings[name].unit))}"
        for name in SHOWN
        if settings.get(name)
    )


def _in_words(value: Any, unit: str) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_in_words(number, unit)}" for key, number in value.items())
    return f"{value:g} {unit}".rstrip()
