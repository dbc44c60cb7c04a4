"""A crystal as CIF with its symmetry, with anisotropic displacement parameters in a block for each temperature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.results import CREATOR
from hashigo.calculators.workers.lattice.crystal import SYMMETRY_TOLERANCE
from hashigo.errors import WorkerError

Floats = NDArray[np.float64]

#: The block of the temperature nearest to this comes first, K.
_ROOM = 300.0
#: Components in the order of their tags.
_INDICES = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_NAMES = ("11", "22", "33", "23", "13", "12")


def cif_tensor(tensors: Floats, cell: Floats) -> Floats:
    """U_cif, of exp(-2π² Σ h_i h_j a*_i a*_j U_ij), of Cartesian tensors.

    Args:
        tensors: Cartesian, shape (..., 3, 3), Å^2.
        cell: lattice vectors as rows, shape (3, 3), Å.

    Returns:
        Shape (..., 3, 3), Å^2.

    Source: Grosse-Kunstleve & Adams, J. Appl. Cryst. 35, 477 (2002).
    """
    lengths = np.linalg.norm(np.linalg.inv(cell).T, axis=1)
    # U_cart = A N U_cif (A N)ᵀ, with the lattice vectors in the columns of A and N = diag(|a*|, |b*|, |c*|).
    inverse = np.linalg.inv(np.asarray(cell).T * lengths)
    return np.asarray(inverse @ tensors @ inverse.T)


def displacement_cif(
    atoms: Atoms, temperatures: Sequence[float] | Floats, tensors: Floats, uncertainty: Floats | None = None
) -> str:
    """The text of a CIF file: space group, its operations in this cell, and the atoms of the asymmetric unit.

    The block of the temperature nearest to 300 K comes first, for programs that read one block only.

    Args:
        atoms: conventional cell; lengths in Å.
        temperatures: shape (n_temperatures,), K.
        tensors: Cartesian mean-square displacements, shape (n_temperatures, n_atoms, 3, 3), Å^2.
        uncertainty: standard uncertainties of their components, shape of `tensors`, Å^2; None where not known.
    """
    order = np.argsort(np.abs(np.asarray(temperatures, dtype=float) - _ROOM), kind="stable")
    first, rest = int(order[0]), sorted(int(index) for index in order[1:])
    errors = uncertainty if uncertainty is not None else np.zeros_like(tensors)
    return "\n".join(
        _block(atoms, float(temperatures[index]), tensors[index], errors[index]) for index in (first, *rest)
    )


def crystal_cif(atoms: Atoms) -> str:
    """The text of a CIF file without displacements.

    Args:
        atoms: conventional cell; lengths in Å.
    """
    found = _symmetry(atoms)
    units = [int(index) for index in np.unique(found.equivalent_atoms)]
    lines = [f"data_{_formula(atoms)}", *_head(atoms, found), *_sites(atoms, units, found.equivalent_atoms)]
    return "\n".join(lines) + "\n"


def _block(atoms: Atoms, temperature: float, tensors: Floats, errors: Floats) -> str:
    found = _symmetry(atoms)
    units = [int(index) for index in np.unique(found.equivalent_atoms)]
    lines = [
        f"data_{_formula(atoms)}_{temperature:g}K",
        f"_diffrn_ambient_temperature {temperature:g}",
        *_head(atoms, found),
        *_sites(atoms, units, found.equivalent_atoms, tensors),
        *_aniso(atoms, units, tensors, errors),
    ]
    return "\n".join(lines) + "\n"


def _symmetry(atoms: Atoms) -> spglib.SpglibDataset:
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=SYMMETRY_TOLERANCE)
    if found is None:
        raise WorkerError(f"spglib finds no symmetry of {atoms.get_chemical_formula()}")
    return found


def _formula(atoms: Atoms) -> str:
    return str(atoms.get_chemical_formula(mode="hill", empirical=True))


def _head(atoms: Atoms, found: spglib.SpglibDataset) -> list[str]:
    return [
        f"_audit_creation_method '{CREATOR}, harmonic phonons'",
        f"_chemical_formula_sum '{_spaced(atoms)}'",
        *_cell(atoms),
        f"_space_group_IT_number {found.number}",
        f"_space_group_name_Hall '{found.hall}'",
        f"_space_group_name_H-M_alt '{found.international}'",
        "loop_",
        "_space_group_symop_operation_xyz",
        *(f"'{operation(r, t)}'" for r, t in zip(found.rotations, found.translations, strict=True)),
    ]


def _spaced(atoms: Atoms) -> str:
    counts = atoms.symbols.formula.reduce()[0].count()
    return " ".join(f"{name}{count if count > 1 else ''}" for name, count in sorted(counts.items()))


def _cell(atoms: Atoms) -> list[str]:
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    values = atoms.cell.cellpar()
    return [
        *(f"_cell_{name} {value:.6f}" for name, value in zip(names, values, strict=True)),
        f"_cell_volume {atoms.get_volume():.5f}",
    ]


def operation(rotation: NDArray[np.int64], translation: Floats) -> str:
    """A symmetry operation in letters, such as "-x+1/2,y,z".

    Args:
        rotation: of fractional coordinates, shape (3, 3), dimensionless.
        translation: in fractions of the lattice vectors, shape (3,), dimensionless.
    """
    words = []
    for row, shift in zip(np.rint(rotation).astype(int), translation, strict=True):
        text = "".join(
            f"{'-' if entry < 0 else '+'}{'xyz'[axis]}" for axis, entry in enumerate(row) if entry
        ).removeprefix("+")
        twelfths = round(float(shift) % 1.0 * 24) % 24
        if twelfths:
            divisor = int(np.gcd(twelfths, 24))
            text += f"+{twelfths // divisor}/{24 // divisor}"
        words.append(text)
    return ",".join(words)


def _label(atoms: Atoms, units: list[int], index: int) -> str:
    symbol = atoms[index].symbol
    same = [unit for unit in units if atoms[unit].symbol == symbol]
    return f"{symbol}{same.index(index) + 1}"


def _sites(
    atoms: Atoms, units: list[int], equivalent: NDArray[np.int32], tensors: Floats | None = None
) -> list[str]:
    columns = [
        "label",
        "type_symbol",
        "fract_x",
        "fract_y",
        "fract_z",
        "occupancy",
        "site_symmetry_multiplicity",
    ]
    if tensors is not None:
        columns += ["U_iso_or_equiv", "adp_type"]
    lines = ["loop_", *(f"_atom_site_{name}" for name in columns)]
    places = atoms.get_scaled_positions()
    for index in units:
        x, y, z = places[index]
        many = int(np.count_nonzero(equivalent == index))
        line = f"{_label(atoms, units, index)} {atoms[index].symbol} {x:.8f} {y:.8f} {z:.8f} 1.0 {many}"
        if tensors is not None:
            line += f" {float(np.trace(tensors[index]) / 3):.6f} Uani"
        lines.append(line)
    return lines


def _aniso(atoms: Atoms, units: list[int], tensors: Floats, errors: Floats) -> list[str]:
    lines = ["loop_", "_atom_site_aniso_label", *(f"_atom_site_aniso_U_{name}" for name in _NAMES)]
    values = cif_tensor(tensors, atoms.cell.array)
    # Errors are those of the Cartesian components; in another basis, of the size of their largest.
    for index in units:
        size = float(np.abs(errors[index]).max())
        shown = (_with_error(float(values[index][i, j]), size) for i, j in _INDICES)
        lines.append(f"{_label(atoms, units, index)} {' '.join(shown)}")
    return lines


def _with_error(value: float, error: float) -> str:
    """A number with its standard uncertainty in parentheses, as CIF writes it; with six digits where it has none."""
    digits = 6
    if error <= 0 or error < 10.0**-digits or abs(value) < 10.0**-digits:
        return f"{value:.{digits}f}".replace("-0.000000", "0.000000")
    return f"{value:.{digits}f}({round(error * 10**digits)})"
