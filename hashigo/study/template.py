"""The study that `hashigo init` writes: every field a user is likely to touch, with its description."""

from __future__ import annotations

from typing import Any

from ase import Atoms
from pydantic import BaseModel

from hashigo.study.conductivity import Conductivity
from hashigo.study.mesoscale import Mesoscale
from hashigo.study.model import Elasticity, Phonons, Potential, Sampling

#: Sections written out as comments: their defaults hold until a line is uncommented.
SECTIONS: dict[str, type[BaseModel]] = {
    "potential": Potential,
    "elasticity": Elasticity,
    "phonons": Phonons,
    "conductivity": Conductivity,
    "mesoscale": Mesoscale,
}

#: For an engine, which labels frames.
LEARNING = [
    "",
    "# learning:  # label frames in rounds until properties are known, not all of the sampling at once",
    "#   until: {thermal_conductivity: 5 %, stiffness: 2 %}",
    "#   budget: {frames: 60}",
]


def study_text(atoms: Atoms, structure: str, reference: str | None) -> str:
    """A commented study file.

    Args:
        atoms: conventional cell of the crystal.
        structure: the structure file, as it is to stand in the study.
        reference: a frames file, as it is to stand in the study; None writes an engine instead.
    """
    lines = [
        "# A study: hashigo plan shows what it will run, hashigo run runs it.",
        "# Lengths are in Å, grain sizes in nm, temperatures in K, unless a unit is written: '0.5 nm'.",
        "schema_version: 1",
        f"title: {atoms.get_chemical_formula(mode='metal')} from first principles to the polycrystal",
        "authors: []  # - {name: …, orcid: 0000-0000-0000-0000, affiliation: …}",
        "licence: CC-BY-4.0  # SPDX identifier of the licence of the results; needed for export",
        "access: {}  # stage: open | restricted | closed; those not named are open",
        "seed: 0",
        "site: local",
        "until: mesoscale  # last stage to run",
        f"structure: {structure}",
        *_reference(reference, atoms),
        *([] if reference else LEARNING),
        "",
        "# sscha: {temperatures: [300]}  # force constants renormalised by temperature; left out by default",
        "# expansion: {}  # quasi-harmonic thermal expansion; left out by default",
        "# thermoelasticity: {}  # elastic constants at temperature, with an expansion; left out by default",
        "# dynamics: {temperatures: [300]}  # molecular dynamics with the potential; left out by default",
        "# component: {size: [10, 10, 2], duration: 5, faces: {x-: {flux: 1e5}}}  # heat in a body, mm and s",
    ]
    for name, model in SECTIONS.items():
        lines += ["", f"{name}:", *_section(model)]
    return "\n".join(lines) + "\n"


def _reference(reference: str | None, atoms: Atoms) -> list[str]:
    if reference:
        return [f"reference: {reference}"]
    names = sorted(set(atoms.get_chemical_symbols()))
    pseudos = ", ".join(f"{name}: {name}.upf" for name in names)
    head = [
        "reference:",
        "  # Instead of this section the name of a frames file will do: reference: frames.h5",
        "  engine: quantum_espresso",
        "  settings:",
        f"    pseudopotentials: {{{pseudos}}}  # file names; looked for in $ESPRESSO_PSEUDO",
        "    cutoff: 40 Ry",
        "    kpoint_spacing: 0.3  # 1/Å, with the factor 2π",
        "  sampling:",
    ]
    return head + ["  " + line for line in _section(Sampling)]


def _section(model: type[BaseModel]) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        value = field.get_default(call_default_factory=True)
        mark = "" if name == "supercell" else "# "
        lines.append(f"  {mark}{name}: {_plain(value)}  # {field.description}")
    return lines


def _plain(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, BaseModel):
        kind = dict(value).get("kind")
        if kind:
            return f"{{kind: {kind}}}"  # what else there is depends on it
        return "{" + ", ".join(f"{key}: {_plain(entry)}" for key, entry in value) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_plain(v) for v in value) + "]"
    return (
        f"{value:g}"
        if isinstance(value, float)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
