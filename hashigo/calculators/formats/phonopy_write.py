"""Frames as displaced supercells in phonopy's and phono3py's files, in eV and Å."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.configuration import Frame
from hashigo.errors import InputError
from hashigo.study.compressed import plain_name
from hashigo.study.structures import structure_from_content

Floats = NDArray[np.float64]

#: Lattice vectors of a frame and of a supercell may differ by this, Å.
_CELL_TOLERANCE = 1e-3
#: An atom further than this from its site is not on it any more, Å.
_MAX_DISPLACEMENT = 0.5

_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.compress,
    ".lzma": lzma.compress,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
}


@dataclass
class Supercells:
    """Displaced supercells of one size.

    Attributes:
        matrix: M of (a' b' c') = (a b c) M, shape (3, 3), dimensionless.
        cell: without displacements, in phonopy's order of atoms; lengths in Å.
        displacements: of each supercell, shape (n_atoms, 3), Å.
        forces: on each, shape (n_atoms, 3), eV/Å.
        energies: of each, eV; None where not computed.
    """

    matrix: NDArray[np.int64]
    cell: Atoms
    displacements: list[Floats] = field(default_factory=list)
    forces: list[Floats] = field(default_factory=list)
    energies: list[float | None] = field(default_factory=list)

    def dataset(self) -> dict[str, Any]:
        """As phonopy keeps it; energies where every supercell has one."""
        content: dict[str, Any] = {
            "displacements": np.array(self.displacements),
            "forces": np.array(self.forces),
        }
        if None not in self.energies:
            content["supercell_energies"] = np.array(self.energies, dtype=float)
        return content


class _Collected:
    """Displaced supercells by size, and what is lost on the way to phonopy's files."""

    def __init__(self, frames: Iterable[Frame], header: Mapping[str, Any], target: str) -> None:
        if "structure" not in header:
            raise InputError(
                f"{target} needs the unit cell that the frames are supercells of, and it is not known",
                fix="give it with --structure",
            )
        self.header = header
        self.unit_cell = structure_from_content(header["structure"])
        self.sizes: dict[tuple[int, ...], Supercells] = {}
        self.lost: dict[str, int] = {}
        for index, frame in enumerate(frames):
            self._add(index, frame)
        if not self.sizes:
            raise InputError(
                f"none of the frames is a displaced supercell with forces, which {target} is made of"
            )

    def _add(self, index: int, frame: Frame) -> None:
        if frame.kind != "displaced" or frame.forces is None:
            what = "frames without forces" if frame.kind == "displaced" else f"frames of kind '{frame.kind}'"
            self._lose(what)
            return
        for what, there in (
            ("stresses", frame.stress is not None),
            ("magnetic moments", frame.magnetic_moments is not None),
            ("charges", frame.charges is not None),
            ("weights", frame.weight != 1.0),
        ):
            if there:
                self._lose(what)
        size = self._size(index, frame)
        displacements, order = _sites(size.cell, frame, index)
        size.displacements.append(displacements)
        size.forces.append(frame.forces[order])
        size.energies.append(frame.energy)

    def _lose(self, what: str) -> None:
        self.lost[what] = self.lost.get(what, 0) + 1

    def _size(self, index: int, frame: Frame) -> Supercells:
        lattice = self.unit_cell.cell.array
        rows = np.rint(frame.cell @ np.linalg.inv(lattice))
        if np.abs(rows @ lattice - frame.cell).max() > _CELL_TOLERANCE or round(np.linalg.det(rows)) * len(
            self.unit_cell
        ) != len(frame.symbols):
            raise InputError(
                f"frame {index} ({len(frame.symbols)} atoms) is no supercell of the unit cell of the frames",
                fix="leave it out with `hashigo frames split`, or give its unit cell with --structure",
            )
        key = tuple(int(x) for x in rows.T.ravel())
        if key not in self.sizes:
            matrix = np.array(key, dtype=np.int64).reshape(3, 3)
            self.sizes[key] = Supercells(matrix, _supercell(self.unit_cell, matrix))
        return self.sizes[key]

    def sorted_sizes(self) -> list[Supercells]:
        return [self.sizes[key] for key in sorted(self.sizes, key=lambda k: (len(self.sizes[k].cell), k))]

    def sentences(self, target: str, extra: Iterable[str] = ()) -> list[str]:
        lost = [f"{what} ({count} frames)" for what, count in self.lost.items() if "frames" not in what]
        left_out = [f"{count} {what}" for what, count in self.lost.items() if "frames" in what]
        lost = [*extra, *lost]
        out = [f"{', '.join(lost)}: not kept by {target}"] if lost else []
        return out + (
            [f"{', '.join(left_out)}: left out, {target} holds displaced supercells"] if left_out else []
        )


def _supercell(unit_cell: Atoms, matrix: NDArray[np.int64]) -> Atoms:
    from phonopy.structure.cells import get_supercell  # loads slowly

    made = get_supercell(_phonopy_cell(unit_cell), matrix)
    return Atoms(made.symbols, cell=made.cell, scaled_positions=made.scaled_positions, pbc=True)


def _phonopy_cell(atoms: Atoms) -> Any:
    from phonopy.structure.atoms import PhonopyAtoms  # loads slowly

    return PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(wrap=False),
    )


def _sites(cell: Atoms, frame: Frame, index: int) -> tuple[Floats, NDArray[np.int64]]:
    """Displacements in the order of the supercell, and for each of its sites the frame's atom."""
    inverse = np.linalg.inv(cell.cell.array)

    def nearest(vectors: Floats) -> Floats:
        fractions = vectors @ inverse
        return np.asarray((fractions - np.rint(fractions)) @ cell.cell.array)

    symbols = np.array(cell.get_chemical_symbols())
    same_order = nearest(frame.positions - cell.positions)
    if np.abs(same_order).max() < _MAX_DISPLACEMENT and list(symbols) == list(frame.symbols):
        return same_order, np.arange(len(cell))
    order = np.full(len(cell), -1, dtype=np.int64)
    for atom, position in enumerate(frame.positions):
        apart = np.linalg.norm(nearest(position - cell.positions), axis=1)
        site = int(apart.argmin())
        if apart[site] > _MAX_DISPLACEMENT or order[site] >= 0 or symbols[site] != frame.symbols[atom]:
            raise InputError(
                f"atom {atom} ({frame.symbols[atom]}) of frame {index} is on no free site of the unit cell's supercell",
                fix="leave the frame out, or give the unit cell it is made of with --structure",
            )
        order[site] = atom
    return nearest(frame.positions[order] - cell.positions), order


def write_params(path: Path, frames: Iterable[Frame], header: Mapping[str, Any]) -> list[str]:
    """Write phonopy_params.yaml, or, where its name says so, phono3py_params.yaml.

    Returns:
        A sentence for each thing that was lost.

    Raises:
        InputError: when the unit cell is not known, or there are more sizes of supercells than the file holds.
    """
    collected = _Collected(frames, header, path.name)
    sizes = collected.sorted_sizes()
    phono3py = "phono3py" in path.name.lower()
    if len(sizes) > 1 + phono3py:
        raise InputError(
            f"the frames are of {len(sizes)} sizes of supercells, and {path.name} holds {1 + phono3py}",
            fix="name the file phono3py_params.yaml, which holds two" if len(sizes) == 2 else
            "choose frames of one size with `hashigo frames split`",
        )  # fmt: skip
    if phono3py:
        lattice = _phono3py(collected, sizes[0], sizes[1] if len(sizes) == 2 else None)
    else:
        lattice = _phonopy(collected, sizes[0])
    plain = path.with_name(plain_name(path) + ".part")
    try:
        lattice.save(plain, settings={"force_sets": True, "displacements": True})
        _pack(plain, path)
    finally:
        plain.unlink(missing_ok=True)
    no_energy = sum(energy is None for size in sizes for energy in size.energies)
    total = sum(len(size.energies) for size in sizes)
    extra = ["energies, as some supercells have none,"] if 0 < no_energy < total else []
    return collected.sentences(plain_name(path), [*extra, *_lost_header(header)])


def _lost_header(header: Mapping[str, Any]) -> list[str]:
    names = {"settings": "the engine's settings", "atomic_energies": "energies of free atoms"}
    return [text for key, text in names.items() if header.get(key)]


def _pack(plain: Path, path: Path) -> None:
    if path.suffix in _PACKERS:
        plain.write_bytes(_PACKERS[path.suffix](plain.read_bytes()))
    plain.replace(path)


def _phonopy(collected: _Collected, size: Supercells) -> Any:
    from phonopy import Phonopy  # loads slowly
    from phonopy.structure.cells import guess_primitive_matrix

    cell = _phonopy_cell(collected.unit_cell)
    lattice = Phonopy(
        cell, supercell_matrix=size.matrix, primitive_matrix=guess_primitive_matrix(cell), log_level=0
    )
    lattice.dataset = size.dataset()
    return _with_charges(lattice, lattice.primitive, lattice.supercell, collected.header)


def _phono3py(collected: _Collected, small: Supercells | None, large: Supercells | None) -> Any:
    """Supercells of the anharmonic and of the harmonic force constants; one may be missing."""
    from phono3py import Phono3py  # loads slowly
    from phonopy.structure.cells import guess_primitive_matrix

    every = [size for size in (small, large) if size is not None]
    cell = _phonopy_cell(collected.unit_cell)
    lattice = Phono3py(
        cell,
        supercell_matrix=every[0].matrix,
        phonon_supercell_matrix=None if large is None else large.matrix,
        primitive_matrix=guess_primitive_matrix(cell),
        log_level=0,
    )
    if small is not None:
        lattice.dataset = small.dataset()
    if large is not None:
        lattice.phonon_dataset = large.dataset()
    return _with_charges(lattice, lattice.phonon_primitive, lattice.phonon_supercell, collected.header)


def _with_charges(lattice: Any, primitive: Any, supercell: Any, header: Mapping[str, Any]) -> Any:
    polar = header.get("polar")
    if polar:
        rows = [supercell.u2u_map[supercell.s2u_map[site]] for site in primitive.p2s_map]
        lattice.nac_params = {
            "born": np.array(polar["born_charges"])[rows],
            "dielectric": np.array(polar["dielectric"]),
        }
    return lattice


def write_forces(path: Path, frames: Iterable[Frame], header: Mapping[str, Any]) -> list[str]:
    """Write FORCE_SETS, FORCES_FC2 or FORCES_FC3 with the displacement file it needs beside it.

    Raises:
        InputError: when the unit cell is not known, or the frames are of several sizes of supercells.
    """
    from phonopy.file_IO import get_FORCE_SETS_lines  # loads slowly

    phono3py = "FORCE_SETS" not in path.name.upper()
    companion = path.with_name("phono3py_disp.yaml" if phono3py else "phonopy_disp.yaml")
    if companion.exists():
        raise InputError(
            f"{companion} exists, and {path.name} needs one of its own beside it",
            fix="write to an empty folder",
        )
    collected = _Collected(frames, header, path.name)
    sizes = collected.sorted_sizes()
    if len(sizes) > 1:
        raise InputError(
            f"the frames are of {len(sizes)} sizes of supercells, and {path.name} holds one",
            fix="write phono3py_params.yaml, which holds two",
        )
    if not phono3py:
        lattice = _phonopy(collected, sizes[0])
    elif "FC2" in path.name.upper():
        lattice = _phono3py(collected, None, sizes[0])
    else:
        lattice = _phono3py(collected, sizes[0], None)
    part = path.with_name(path.name + ".part")
    companion_part = companion.with_name(companion.name + ".part")
    try:
        part.write_text("\n".join(get_FORCE_SETS_lines(sizes[0].dataset())) + "\n", encoding="utf-8")
        lattice.save(companion_part, settings={"force_sets": False, "displacements": True})
        companion_part.replace(companion)
        _pack(part, path)
    finally:
        part.unlink(missing_ok=True)
        companion_part.unlink(missing_ok=True)
    energies = ["energies"] if any(energy is not None for energy in sizes[0].energies) else []
    return collected.sentences(plain_name(path), [*energies, *_lost_header(header)])
