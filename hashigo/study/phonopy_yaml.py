"""Files of phonopy and phono3py: cells, displacements, forces and Born charges, in eV and Å."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms
from numpy.typing import NDArray

from hashigo.errors import InputError
from hashigo.study.compressed import plain_name, read_text

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """Factors from a calculator's units.

    Attributes:
        length: to Å, dimensionless.
        force: to eV/Å, dimensionless.
        energy: to eV, dimensionless.
    """

    length: float
    force: float
    energy: float


@dataclass(frozen=True)
class PhonopyFile:
    """A phonopy or phono3py YAML file.

    Attributes:
        name: of the file.
        program: "phonopy" or "phono3py".
        calculator: phonopy's name of the program that computed the forces; empty where the file does not say.
        units: of all numbers in `data`.
        data: what phonopy's own reader makes of it, in the calculator's units.
    """

    name: str
    program: str
    calculator: str
    units: Units
    data: Any

    def cell(self, which: str) -> Atoms | None:
        """A cell of the file; None where it has none.

        Args:
            which: "unitcell", "primitive", "supercell", "phonon_supercell".
        """
        cell = getattr(self.data, which, None)
        if cell is None:
            return None
        return Atoms(
            cell.symbols,
            cell=cell.cell * self.units.length,
            scaled_positions=cell.scaled_positions,
            pbc=True,
        )


def is_phonopy_name(path: Path) -> bool:
    """Whether a file is called as phonopy's are: YAML, compressed or not."""
    return plain_name(path).lower().endswith((".yaml", ".yml"))


def read_phonopy_file(path: Path) -> PhonopyFile:
    """Read a phonopy or phono3py YAML file.

    Raises:
        InputError: when it is missing, damaged, of another kind, or lacks its unit cell.
    """
    text = read_text(path, "a phonopy or phono3py YAML file")
    try:
        # Phonopy's own loader would let YAML make any Python object.
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise InputError(
            f"{path.name} is not YAML{where}: it is truncated or of another format", fix="copy it again"
        ) from None
    if not isinstance(content, dict) or not {"unit_cell", "phonopy", "phono3py"} & set(content):
        raise InputError(
            f"{path.name} is YAML but not of phonopy or phono3py: it has no unit_cell",
            fix="give phonopy_params.yaml, phono3py_params.yaml, phonopy_disp.yaml or phono3py_disp.yaml",
        )
    program = "phono3py" if "phono3py" in content else "phonopy"
    calculator = _calculator(content.get(program), path.name)
    units = _units(calculator, path.name)
    data = _load(content, program, path.name)
    if data.unitcell is None:
        raise InputError(f"{path.name} has no unit_cell", fix="write it again with this version of phonopy")
    return PhonopyFile(path.name, program, calculator, units, data)


def unit_cell(path: Path) -> Atoms:
    """The unit cell of a phonopy or phono3py YAML file; lengths in Å.

    Raises:
        InputError: as `read_phonopy_file`.
    """
    atoms = read_phonopy_file(path).cell("unitcell")
    assert atoms is not None
    return atoms


def _calculator(header: Any, name: str) -> str:
    calculator = header.get("calculator") if isinstance(header, dict) else None
    if calculator is not None and not isinstance(calculator, str):
        raise InputError(f"the calculator in {name} is not a name")
    return (calculator or "").lower()


def _units(calculator: str, name: str) -> Units:
    from phonopy.interface.calculator import calculator_info  # loads slowly
    from phonopy.physical_units import get_calculator_physical_units

    if calculator and calculator not in calculator_info:
        raise InputError(
            f"{name} names the calculator '{calculator}', whose units phonopy does not know",
            fix=f"known are {', '.join(sorted(calculator_info))}",
        )
    units = get_calculator_physical_units(calculator or None)
    return Units(units.distance_to_A, units.force_to_eVperA, units.energy_to_eV)


def _load(content: dict[str, Any], program: str, name: str) -> Any:
    from phono3py.interface.phono3py_yaml import load_phono3py_yaml  # loads slowly
    from phonopy.interface.phonopy_yaml import load_phonopy_yaml

    load = load_phono3py_yaml if program == "phono3py" else load_phonopy_yaml
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load(content)
    except Exception as error:  # phonopy's readers raise whatever their parsing meets
        reason = str(error).replace("\n", " ") or type(error).__name__
        raise InputError(
            f"{name} cannot be read as a file of {program}: {reason}",
            fix=f"write it again with this version of {program}",
        ) from None
