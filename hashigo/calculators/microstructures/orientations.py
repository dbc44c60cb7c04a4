"""Orientations from files: lists of quaternions or Bunge's Euler angles, and DAMASK's material.yaml.

Source: Rowenhorst et al., Modelling Simul. Mater. Sci. Eng. 23, 083501 (2015). Bunge's angles turn the sample's axes
into the crystal's; the rotation from crystal to sample axes, which is kept here, is their inverse. DAMASK writes
quaternions scalar first with P = -1, in which those numbers are the quaternion from crystal to sample axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hashigo.calculators.microstructures.sample import Floats, check_size
from hashigo.errors import InputError

#: Columns of a list: one of these sets.
QUATERNION = ("qx", "qy", "qz", "qw")
EULER = ("phi1", "Phi", "phi2")
#: Most bytes of such a file, which is text.
MOST_BYTES = 2**28
#: Numbers of grains in a list are below.
MOST_GRAINS = 10_000_000


@dataclass(frozen=True)
class Orientations:
    """A list of orientations.

    Attributes:
        quaternions: crystal to sample axes, scalar last, shape (n, 4), dimensionless; NaN where a number has none.
        weights: share of the volume up to a factor, shape (n,), dimensionless; None where there are none.
        phases: name of the phase of each; None where there are none.
    """

    quaternions: Floats
    weights: Floats | None = None
    phases: Sequence[str] | None = None


def from_bunge(angles: Floats) -> Floats:
    """Quaternions of Bunge's Euler angles φ1, Φ, φ2.

    Args:
        angles: shape (n, 3), unit rad.

    Returns:
        From crystal to sample axes, scalar last, shape (n, 4), dimensionless.
    """
    return np.asarray(Rotation.from_euler("ZXZ", angles).as_quat())


def read_orientations(path: Path) -> Orientations:
    """Read a list of orientations.

    A text has a first line that names its columns: qx qy qz qw (crystal to sample axes), or phi1 Phi phi2 (Bunge, °),
    and may have weight, and grain, the number of the grain that a line is for. A YAML file is DAMASK's.

    Raises:
        InputError: names the line or column at fault.
    """
    check_size(path)
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path.name} has more than {MOST_BYTES / 2**20:g} MiB, too many for a list")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read as text: {error}") from None
    if path.suffix in (".yaml", ".yml"):
        return _damask(path.name, text)
    return _listed(path.name, text)


def _listed(name: str, text: str) -> Orientations:
    lines = [line.partition("#")[0].replace(",", " ").split() for line in text.splitlines()]
    lines = [line for line in lines if line]
    header = lines[0] if lines else []
    known = {*QUATERNION, *EULER, "weight", "grain"}
    if not header or not set(header) <= known or len(set(header)) < len(header):
        raise InputError(
            f"the first line of {name} does not name its columns",
            fix=f"{' '.join(QUATERNION)}, or {' '.join(EULER)} (°), and perhaps weight and grain",
        )
    table = np.array([_numbers(name, number, line, header) for number, line in enumerate(lines[1:], 2)])
    if not len(table):
        raise InputError(f"{name} has no orientations")
    columns = {column: table[:, place] for place, column in enumerate(header)}
    quaternions = _quaternions(name, columns, header)
    weights = columns.get("weight")
    if weights is not None and (weights.min() < 0 or not weights.any()):
        raise InputError(f"the weights of {name} must be positive")
    if "grain" in columns:
        place = _numbered(name, columns["grain"])
        quaternions = _by_number(place, quaternions, np.nan)
        weights = None if weights is None else _by_number(place, weights, 0.0)
    return Orientations(quaternions, weights)


def _numbers(name: str, number: int, line: list[str], header: list[str]) -> list[float]:
    try:
        values = [float(word) for word in line]
    except ValueError:
        raise InputError(f"orientation {number - 1} of {name} is not made of numbers") from None
    if len(values) != len(header) or not np.isfinite(values).all():
        raise InputError(f"orientation {number - 1} of {name} does not have {len(header)} finite numbers")
    return values


def _quaternions(name: str, columns: dict[str, Floats], header: list[str]) -> Floats:
    told = [kind for kind in (QUATERNION, EULER) if set(kind) & set(header)]
    if len(told) != 1 or not set(told[0]) <= set(header):
        raise InputError(
            f"the columns of {name} are neither quaternions nor Euler angles",
            fix=f"{' '.join(QUATERNION)}, or {' '.join(EULER)} (°)",
        )
    found = np.stack([columns[column] for column in told[0]], axis=1)
    if told[0] == EULER:
        return from_bunge(np.radians(found))
    return unit_quaternions(name, found)


def unit_quaternions(name: str, quaternions: Floats) -> Floats:
    """Quaternions of norm 1.

    Args:
        name: of the file.
        quaternions: shape (n, 4), dimensionless; rows of NaN stay so.

    Returns:
        Shape (n, 4), dimensionless.

    Raises:
        InputError: names the first whose norm is another than rounding would leave.
    """
    norms = np.linalg.norm(quaternions, axis=1)
    off = np.flatnonzero(np.abs(norms - 1.0) > 1e-3)
    if len(off):
        raise InputError(f"the quaternion of orientation {off[0] + 1} of {name} has norm {norms[off[0]]:.3g}")
    return np.asarray(quaternions / norms[:, None])


def _numbered(name: str, grains: Floats) -> NDArray[np.int64]:
    if (grains < 0).any() or (grains != np.rint(grains)).any() or grains.max() >= MOST_GRAINS:
        raise InputError(f"column grain of {name} has no whole numbers from 0 to {MOST_GRAINS - 1}")
    numbers = grains.astype(np.int64)
    if len(np.unique(numbers)) < len(numbers):
        raise InputError(f"{name} has two orientations of one grain")
    return numbers


def _by_number(place: NDArray[np.int64], rows: Floats, none: float) -> Floats:
    """Rows in the places that the grains' numbers say."""
    out = np.full((int(place.max()) + 1, *rows.shape[1:]), none)
    out[place] = rows
    return out


def _damask(name: str, text: str) -> Orientations:
    """The section `material`, whose entries are numbered from 0; each has one constituent with `O` and `phase`."""
    try:
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{name} is no YAML: {str(error).splitlines()[0]}") from None
    materials = content.get("material") if isinstance(content, dict) else None
    if not isinstance(materials, list) or not materials:
        raise InputError(f"{name} has no list 'material', as a material.yaml of DAMASK has")
    rows, phases = [], []
    for number, material in enumerate(materials):
        row, phase = _constituent(name, number, material)
        rows.append(row)
        phases.append(phase)
    return Orientations(unit_quaternions(name, np.array(rows)), None, phases)


def _constituent(name: str, number: int, material: Any) -> tuple[list[float], str]:
    constituents = material.get("constituents") if isinstance(material, dict) else None
    if not isinstance(constituents, list) or len(constituents) != 1 or not isinstance(constituents[0], dict):
        raise InputError(f"material {number} of {name} does not have one constituent")
    phase, found = constituents[0].get("phase"), constituents[0].get("O")
    if not isinstance(phase, (str, int, float, type(None))):
        raise InputError(f"the phase of material {number} of {name} is no name")
    if not isinstance(found, list) or len(found) != 4:
        return [np.nan] * 4, str(phase)
    try:
        scalar, x, y, z = (float(value) for value in found)
    except (TypeError, ValueError):
        raise InputError(f"the orientation of material {number} of {name} is not made of numbers") from None
    return [x, y, z, scalar], str(phase)
