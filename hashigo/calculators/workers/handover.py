"""Task "handover": the crystal's properties at the mesoscale's temperatures as one typed table.

It computes nothing but what the table needs: values between temperatures, heat by mass, and the sum of lattice's and
electrons' conductivity. The gate on a metal without an electronic part stands here, before the mesoscale.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.frames import read_header
from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.electrons import (
    ElectronicPart,
    Metallicity,
    electronic_part,
    metallicity,
)
from hashigo.calculators.workers.handover_table import (
    COLUMNS,
    Column,
    HandoverTable,
    column_at,
    column_of_zero,
    scaled,
)
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import primitive
from hashigo.calculators.workers.lattice.relaxed import read_relaxed
from hashigo.errors import InputError

TASK = "handover"
TASK_VERSION = 1

#: Parameters and their defaults: temperatures in K.
DEFAULTS: dict[str, Any] = {"temperatures": [300.0], "metal": "auto", "electronic": None}

#: Results that it must have, and those of stages that a study may leave out.
NEEDED = ("elasticity", "phonons", "conductivity")
OPTIONAL = ("expansion", "thermoelasticity")

STATIC = "0 K stiffness: no thermoelasticity in the study"
COLD = "0 K cell: no expansion in the study"
HARMONIC = "harmonic, at constant volume: no expansion in the study"
LATTICE_ONLY = "lattice only"
NO_ERROR = "uncertainty of the electronic part not given"
UNKNOWN = "electrons not known"

REACH = "let the stage reach it, by expansion.temperatures and expansion.volume_range"

Floats = NDArray[np.float64]

_GRAMS = 1e-3


def run(job: Job) -> None:
    """Write the table from the inputs "elasticity", "phonons", "conductivity" and those of optional stages.

    Raises:
        InputError: when an input is missing, or a temperature lies outside those of a stage.
    """
    if not job.is_root:
        return
    parameters = {**DEFAULTS, **job.parameters}
    missing = [name for name in NEEDED if name not in job.inputs]
    if missing:
        raise InputError(f"task '{TASK}' has no input '{missing[0]}'")
    header = read_header(job.inputs["frames"]) if "frames" in job.inputs else {}
    atoms = read_relaxed(job.inputs["elasticity"]).mean
    nature = metallicity(parameters["metal"], header, sorted(set(atoms.get_chemical_symbols())))
    temperatures = np.array(parameters["temperatures"], dtype=float)
    given = parameters["electronic"]
    electrons = electronic_part(given, temperatures) if given else None
    with ExitStack() as stack:
        readers = {
            name: stack.enter_context(ResultReader(Path(job.inputs[name])))
            for name in (*NEEDED, *OPTIONAL)
            if name in job.inputs
        }
        # The mass of a primitive cell in g/mol is that of a mole of them in g.
        molar_mass = float(primitive(atoms).get_masses().sum()) * _GRAMS
        table = build(readers, temperatures, molar_mass, nature, electrons)
    with ResultWriter(job.output, task=TASK, task_version=TASK_VERSION) as writer:
        table.write(writer)
        _write_electrons(writer, nature, electrons, atoms.get_chemical_formula())


def build(
    readers: Mapping[str, ResultReader],
    temperatures: Floats,
    molar_mass: float,
    nature: Metallicity,
    electrons: ElectronicPart | None,
) -> HandoverTable:
    """Put the table together.

    Args:
        readers: open result files by stage: those of `NEEDED`, and of `OPTIONAL` where the study runs them.
        temperatures: shape (n_temperatures,), K.
        molar_mass: of primitive cells, kg/mol.
        nature: whether the crystal is a metal.
        electrons: its electronic conductivity; None where none was given.

    Raises:
        InputError: when a temperature lies outside those of a stage.
    """
    kappa = column_at(
        readers["conductivity"].quantity("lattice_thermal_conductivity"),
        temperatures,
        "conductivity",
        "add it to conductivity.temperatures",
    )
    electronic = None if electrons is None else _electronic(electrons)
    if electronic is None and nature.metal:
        kappa = _marked(kappa, LATTICE_ONLY)
    total = _total(kappa, electronic, nature)
    stiffness = _stiffness(readers, temperatures)
    return HandoverTable(
        temperatures,
        _thermal(readers, temperatures, "lattice_parameters", "lattice_parameters"),
        _thermal(readers, temperatures, "density", "density"),
        *stiffness,
        kappa,
        _specific_heat(readers, temperatures, molar_mass),
        electronic,
        total,
        _expansion(readers, temperatures),
    )


def _thermal(readers: Mapping[str, ResultReader], temperatures: Floats, field: str, cold: str) -> Column:
    """Cell or density at temperature, or that of 0 K."""
    name = COLUMNS[field]
    if "expansion" in readers:
        record = readers["expansion"].quantity(name)
        return column_at(record, temperatures, "expansion", REACH)
    record = readers["elasticity"].quantity(cold)
    return column_of_zero(record, name, len(temperatures), f"elasticity, {COLD}", "of 0 K")


def _stiffness(readers: Mapping[str, ResultReader], temperatures: Floats) -> tuple[Column, Column]:
    names = COLUMNS["isothermal_stiffness"], COLUMNS["adiabatic_stiffness"]
    if "thermoelasticity" in readers:
        source = readers["thermoelasticity"]
        first, second = (
            column_at(source.quantity(name), temperatures, "thermoelasticity", REACH) for name in names
        )
        return first, second
    record = readers["elasticity"].quantity("stiffness")
    first, second = (
        column_of_zero(record, name, len(temperatures), f"elasticity, {STATIC}", "of 0 K") for name in names
    )
    return first, second


def _specific_heat(readers: Mapping[str, ResultReader], temperatures: Floats, molar_mass: float) -> Column:
    if "expansion" in readers:
        record = readers["expansion"].quantity(COLUMNS["specific_heat"])
        return column_at(record, temperatures, "expansion", REACH)
    record = readers["phonons"].quantity("heat_capacity")
    column = column_at(record, temperatures, f"phonons, {HARMONIC}", "add it to phonons.temperatures")
    return scaled(column, COLUMNS["specific_heat"], 1.0 / molar_mass, "harmonic, at constant volume")


def _expansion(readers: Mapping[str, ResultReader], temperatures: Floats) -> Column | None:
    if "expansion" not in readers:
        return None
    record = readers["expansion"].quantity(COLUMNS["thermal_expansion"])
    return column_at(record, temperatures, "expansion", REACH)


def _electronic(electrons: ElectronicPart) -> Column:
    error = electrons.error
    return Column(
        COLUMNS["electronic_conductivity"],
        electrons.value,
        electrons.origin,
        {} if error is None else {"electronic": error},
        marks=() if error is not None else (NO_ERROR,),
    )


def _total(kappa: Column, electronic: Column | None, nature: Metallicity) -> Column | None:
    """The sum of both parts; of a crystal that is none, or not known to be a metal, that of phonons."""
    name = COLUMNS["total_conductivity"]
    if electronic is None:
        if nature.metal:
            return None
        marks = (*kappa.marks, *((UNKNOWN,) if nature.metal is None else ()))
        return Column(
            name, kappa.value, f"{kappa.origin}; {nature.reason}", kappa.components, kappa.members,
            kappa.calibrated, kappa.converged, marks,
        )  # fmt: skip
    # Without one part's uncertainty that of the other would be taken for the whole.
    known = kappa.components and electronic.components
    return Column(
        name,
        kappa.value + electronic.value,
        f"{kappa.origin}; electronic part {electronic.origin}",
        {**kappa.components, **electronic.components} if known else {},
        None if kappa.members is None else kappa.members + electronic.value,
        kappa.calibrated,
        kappa.converged,
        (*kappa.marks, *electronic.marks),
    )


def _marked(column: Column, mark: str) -> Column:
    return scaled(column, column.name, 1.0, mark)


def _write_electrons(
    writer: ResultWriter, nature: Metallicity, electrons: ElectronicPart | None, formula: str
) -> None:
    writer.note(
        "electrons",
        {
            "metal": nature.metal,
            "reason": nature.reason,
            "electronic_part": None if electrons is None else electrons.origin,
        },
    )
    message = ""
    if nature.metal and electrons is None:
        message = (
            f"{formula} is a metal ({nature.reason}), and of its thermal conductivity the lattice's part alone is "
            "known"
        )
    fix = (
        "give mesoscale.electronic, or set structure.metal to false if it is none, or stop_at_gates to false to go on "
        "with the lattice's part"
    )
    writer.gate("electronic_part", message, fix=fix, metal=nature.metal, reason=nature.reason)
