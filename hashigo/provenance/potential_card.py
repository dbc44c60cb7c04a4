"""The data card of a published potential: what `potential.json` says, for readers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hashigo.calculators.workers.models import get_kind

Card = Mapping[str, Any]

TEMPLATE = """\
# {title}

{description}

| | |
|---|---|
| elements | {elements} |
| kind | {kind}{n_features}, cut-off {cutoff} |
| reference | {reference} |
| licence | {licence} |
| authors | {authors} |
{gate}
`potential.json` holds all of this for programs, and the SHA-256 of each file; `sha256sum -c SHA256SUMS` checks them.

## Use it in ASE

With `aiida-hashigo` and the Python package `{library}`{extra}:

```python
import ase.io
import hashigo

atoms = ase.io.read("{example}", index=0)
atoms.calc = hashigo.load_potential(".")  # this folder; the files that it loads are checked first
print(atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress())

atoms.calc = hashigo.load_potential(".", committee=True)
atoms.get_potential_energy()
print(atoms.calc.results["energy_spread"], atoms.calc.results["forces_spread"])
```

{elsewhere}
## Units

| | |
|---|---|
{units}

{zero}

## Errors

Root-mean-square differences from the reference, of the mean model:

| | held out | trained on |
|---|---|---|
{errors}

Force errors do not rank the errors of properties: judge the potential by what it is for.

## Uncertainty

{members} members ({made_by}). {calibration}

| of the frames held out | values | in the interval of 68 % | in the interval of 95 % | within the committee's spread |
|---|---|---|---|---|
{coverage}

Intervals are those of a prediction: they hold the noise of the reference and what the model cannot describe too. The
spread of the members, which `load_potential` gives, is the part that further computations carry on.{region}

## Training set

{training}

## How it was made

{made}
"""

POLYNOMIAL = """\
Without it, by pypolymlp's own calculator (tried with version 0.22.1):

```python
import ase.io
from pypolymlp.calculator.utils.ase_calculator import PolymlpASECalculator

atoms = ase.io.read("{example}", index=0)
atoms.calc = PolymlpASECalculator(pot="{mean}")
print(atoms.get_potential_energy(), atoms.get_forces())
```

Its forces are the same. Its energy counts from the free atoms: add `atomic_energy` of `{mean}` for each atom. Its
stress is not ASE's: it is minus the derivative of the energy by the strain, in eV, in the order xx yy zz xy yz zx. Do
not use it with ASE's cell filters or barostats.

## Use it in LAMMPS

The authors of pypolymlp give a pair style for LAMMPS, which has to be compiled into it
(https://github.com/sekocha/lammps-polymlp-package):

```
units metal
pair_style polymlp
pair_coeff * * {mean} {elements}
```

The elements are in the order of your atom types. This was **not run** by whoever made this card: packaged builds of
LAMMPS do not have the style, and older versions of it read an earlier format. Compare with `check` in `potential.json`
first, where it is given; energies in LAMMPS count from the free atoms (`energy_from_free_atoms`).
"""

OTHER = """\
Its files are arrays and a description in NumPy's format, without pickles; nothing else reads them, LAMMPS among it.
"""

#: How to load a kind without this project.
ELSEWHERE = {"polynomial": POLYNOMIAL}

_ERROR_NAMES = {
    "energy_error": "energy",
    "force_error": "force components",
    "stress_error": "stress components",
}


def card_text(card: Card) -> str:
    """The text of `README.md`.

    Args:
        card: content of `potential.json`.
    """
    example = "training/held_out.extxyz" if card["training_set"]["included"] else "your-structure.cif"
    mean, elements = card["model_files"]["mean"], " ".join(card["elements"])
    elsewhere = ELSEWHERE.get(card["kind"], OTHER).format(example=example, mean=mean, elements=elements)
    return TEMPLATE.format(
        title=card["title"],
        description=card["description"],
        elements=", ".join(card["elements"]),
        kind=card["kind"],
        n_features=f", {card['n_features']} coefficients" if card["n_features"] else "",
        cutoff=f"{card['cutoff']['value']:g} {card['cutoff']['unit']}"
        if card["cutoff"]["value"]
        else "not stated",
        reference=_reference(card["reference"]),
        licence=" ".join(filter(None, [card["licence"]["id"], card["licence"]["url"]])),
        authors="; ".join(_author(author) for author in card["authors"]) or "not named",
        gate=_gate(card["gate"]),
        library=card["library"],
        extra=_extra(card["kind"]),
        example=example,
        elsewhere=elsewhere,
        units="\n".join(f"| {name} | {unit} |" for name, unit in card["units"].items()),
        zero=_zero(card["energy_zero"]),
        errors="\n".join(_error_rows(card["errors"])),
        members=card["committee"]["members"],
        made_by=card["committee"]["made_by"] or "not stated",
        calibration=_calibration(card["calibration"]),
        coverage="\n".join(_coverage_rows(card["calibration"]["coverage"])),
        region=_region(card["trained_region"]),
        training=_training(card["training_set"]),
        made=_made(card),
    )


def _extra(kind: str) -> str:
    extra = get_kind(kind).extra
    return f" (`pip install 'aiida-hashigo[{extra}]'`)" if extra else ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _author(author: Mapping[str, str]) -> str:
    return ", ".join(part for part in (author["name"], author["affiliation"], author["orcid"]) if part)


def _reference(reference: Mapping[str, Any]) -> str:
    mark = f" (**{reference['mark']}**)" if reference["mark"] else ""
    return f"{reference['title']}{mark}"


def _gate(gate: Mapping[str, Any] | None) -> str:
    if not gate or gate.get("passed"):
        return ""
    return f"\n**Its check did not hold**: {gate.get('message')}.\n"


def _zero(zero: Mapping[str, Any]) -> str:
    energies = zero["atomic_energies"]
    if not energies["values"]:
        return _sentence(zero["says"])
    values = ", ".join(f"{symbol} {value:.6g} eV" for symbol, value in energies["values"].items())
    return f"{_sentence(zero['says'])[:-1]}: {values} ({energies['source'] or 'origin not stated'})."


def _error_rows(errors: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, words in _ERROR_NAMES.items():
        parts = [errors[part].get(name) for part in ("held_out", "training")]
        if any(parts):
            shown = (f"{p['value']:.3g} {p['unit']} ({p['values']} values)" if p else "–" for p in parts)
            rows.append(f"| {words} | {' | '.join(shown)} |")
    return rows


def _calibration(calibration: Mapping[str, Any]) -> str:
    if not calibration["calibrated"]:
        return f"**Not calibrated**: {calibration['lacking']}."
    return f"Calibrated by {calibration['method']}."


def _coverage_rows(coverage: Mapping[str, Any]) -> list[str]:
    keys = ("within_68", "within_95", "within_committee_spread")
    rows = []
    for name, row in coverage.items():
        if row["values"]:
            shares = (f"{100 * row[key]:.0f} %" if key in row else "–" for key in keys)
            rows.append(f"| {name} | {row['values']} | {' | '.join(shares)} |")
    return rows


def _region(region: Mapping[str, Any] | None) -> str:
    if region is None:
        return ""
    return (
        f"\n\nTrained on cells strained by up to {100 * region['largest_strain']['value']:.2g} % and forces of "
        f"{region['root_mean_square_force']['value']:.3g} eV/Å (root mean square of components): do not trust it far "
        "outside."
    )


def _training(training: Mapping[str, Any]) -> str:
    counts = f"{training['n_train']} frames were trained on, {training['n_test']} held out."
    if not training["included"]:
        return f"{counts} {training['reason']}"
    free = len(training["free_atoms"])
    return (
        f"{counts} `training/frames.h5` holds them all in their order"
        f"{f', with {free} of free atoms' if free else ''}; `potential.json` lists which are which (`training_set`, "
        "counted from 0). The same as extended XYZ: `training/trained_on.extxyz` and `training/held_out.extxyz`"
        f"{' and `training/free_atoms.extxyz`' if free else ''}."
    )


def _made(card: Card) -> str:
    software, reference = card["software"], card["reference"]
    trained, exported = software["trained_with"], software["exported_with"]
    versions = ", ".join(f"{name} {value}" for name, value in trained.items() if value is not None)
    lines = [f"- trained with {versions}; exported with {_versions(exported)}"]
    lines.append(f"- seeds: {', '.join(f'{name} {seed}' for name, seed in card['seeds'].items())}")
    lines.append(f"- settings of the model: `{json.dumps(card['settings'], ensure_ascii=False)}`")
    if reference.get("computed_by"):
        lines.append(f"- frames: {', '.join(reference['computed_by'][:10])}")
    if reference.get("settings"):
        lines.append(
            f"- settings of the reference: `{json.dumps(reference['settings'], ensure_ascii=False)}`"
        )
    lines.append(f"- run {card['run']['uuid']}; `hashigo export --as crate` gives its whole provenance")
    return "\n".join(lines)


def _versions(packages: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value or '(not installed)'}" for name, value in packages.items())
