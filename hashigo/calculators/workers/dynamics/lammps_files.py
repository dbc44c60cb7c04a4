"""The files of LAMMPS: script, structure, log, snapshots and fluxes."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.engines.lammps_pair import LammpsPair
from hashigo.calculators.workers.dynamics.schedule import FluxSchedule
from hashigo.errors import InputError, WorkerError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DATA, SCRIPT, LOG, ERRORS = "structure.data", "in.lammps", "log.lammps", "output.txt"
SNAPSHOTS, FLUXES = "snapshots.bin", "fluxes.txt"

#: Energies and temperatures are written at every so many heat fluxes.
_THERMO = 5
_COLUMNS = ("Step", "Temp", "PotEng", "TotEng")


def restart(folder: Path, number: int) -> Path:
    """Restart file after a segment.

    Args:
        folder: of the trajectory.
        number: of segments done, 0 after the thermostat.
    """
    return folder / f"restart.{number}"


def check_cell(atoms: Atoms) -> None:
    """Refuse cells that LAMMPS would have to turn.

    Raises:
        InputError: when the cell is not periodic, or not orthogonal and along the axes.
    """
    cell = atoms.cell.array
    if not atoms.pbc.all() or np.abs(cell - np.diag(np.diag(cell))).max() > 1e-8 or np.diag(cell).min() <= 0:
        raise InputError(
            "the heat flux by LAMMPS needs a periodic, orthogonal cell along the axes x, y and z",
            fix="give the conventional cell",
        )


def data_text(atoms: Atoms, pair: LammpsPair) -> str:
    """The structure as a data file.

    Args:
        atoms: of one element, lengths in Å.
        pair: the potential; it tells whether atoms have charges.
    """
    lines = ["one kind of atom", "", f"{len(atoms)} atoms", "1 atom types", ""]
    for axis, edge in zip("xyz", atoms.cell.lengths(), strict=True):
        lines.append(f"0.0 {edge:.17g} {axis}lo {axis}hi")
    lines += ["", "Masses", "", f"1 {atoms.get_masses()[0]:.17g}", "", "Atoms", ""]
    charge = "0.0 " if pair.charged else ""
    for number, position in enumerate(atoms.get_positions(wrap=True), start=1):
        lines.append(f"{number} 1 {charge}" + " ".join(f"{value:.17g}" for value in position))
    return "\n".join(lines) + "\n"


def beginning(pair: LammpsPair) -> list[str]:
    """Lines that read the structure and set the potential.

    Args:
        pair: the potential.
    """
    style = "charge" if pair.charged else "atomic"
    return ["units metal", f"atom_style {style}", "boundary p p p", f"read_data {DATA}", *_potential(pair)]


def _potential(pair: LammpsPair) -> list[str]:
    return [
        " ".join(("pair_style", *pair.style)),
        " ".join(("pair_coeff", *pair.coefficients)),
        "neighbor 1.0 bin",
        "neigh_modify delay 0 every 1 check yes",
    ]


def _output(schedule: FluxSchedule) -> list[str]:
    return [
        f"timestep {schedule.timestep / 1000!r}",
        f"thermo {_THERMO * schedule.every}",
        "thermo_style custom step temp pe etotal",
        "thermo_modify norm no format float %.17g",
    ]


def equilibration(pair: LammpsPair, schedule: FluxSchedule, seed: int) -> list[str]:
    """Script of the thermostat; it ends with a momentum of zero and the first restart file.

    Args:
        pair: the potential.
        schedule: of the trajectory.
        seed: of first velocities and of the thermostat.
    """
    temperature = repr(schedule.temperature)
    return [
        *beginning(pair),
        *_output(schedule),
        f"velocity all create {temperature} {seed} mom yes rot no dist gaussian loop all",
        f"fix bath all langevin {temperature} {temperature} {schedule.relaxation!r} {seed} zero yes",
        "fix move all nve",
        f"run {schedule.equilibration_steps}",
        "unfix bath",
        "velocity all zero linear",
        "write_restart restart.0",
    ]


def segment(pair: LammpsPair, schedule: FluxSchedule, number: int) -> list[str]:
    """Script of a segment at constant energy, from one restart file to the next.

    Args:
        pair: the potential.
        schedule: of the trajectory.
        number: of segments that are done.
    """
    return [
        f"read_restart restart.{number}",
        *_potential(pair),
        *_output(schedule),
        "fix move all nve",
        *(_snapshots(schedule) if pair.flux else flux_of_pairs(schedule)),
        f"run {schedule.segment_steps}",
        f"write_restart restart.{number + 1}",
    ]


def _snapshots(schedule: FluxSchedule) -> list[str]:
    return [
        f"dump frames all custom {schedule.every} {SNAPSHOTS} id x y z vx vy vz",
        "dump_modify frames sort id",
    ]


def flux_of_pairs(schedule: FluxSchedule) -> list[str]:
    """Lines that have LAMMPS compute the heat flux itself: right for pairs, wrong for more (see `LammpsPair`).

    Args:
        schedule: of the trajectory.
    """
    every = schedule.every
    return [
        "compute kinetic all ke/atom",
        "compute potential all pe/atom",
        "compute virial all stress/atom NULL virial",
        "compute flux all heat/flux kinetic potential virial",
        f"fix fluxes all ave/time {every} 1 {every} c_flux[1] c_flux[2] c_flux[3] file {FLUXES} format ' %.17g'",
    ]


def last_words(folder: Path) -> str:
    """What LAMMPS says of its failure, "" for nothing.

    Args:
        folder: where it ran.
    """
    text = ""
    for name in (LOG, ERRORS):
        if (folder / name).is_file():
            text += (folder / name).read_text(encoding="utf-8", errors="replace")[-20000:]
    errors = re.findall(r"^ERROR[^:\n]*: *(.+)$", text, flags=re.MULTILINE)
    if errors:
        # The place in its source says nothing to a user.
        return re.sub(r"\s*\([\w/.]+:\d+\)\s*$", "", errors[-1]).strip()
    lines = [line.strip() for line in text.splitlines() if re.search(r"[A-Za-z]", line)]
    return lines[-1] if lines else ""


def read_log(path: Path) -> Floats:
    """Steps and energies of a log.

    Args:
        path: of the log.

    Returns:
        Shape (n_rows, 4): step (count), temperature (K), potential and total energy (eV).

    Raises:
        WorkerError: when it has no such table.
    """
    rows: list[list[float]] = []
    inside = False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if tuple(words) == _COLUMNS:
            inside = True
        elif inside:
            try:
                row = [float(word) for word in words]
            except ValueError:
                # Warnings may stand between rows; the table ends with the time it took.
                inside = not line.startswith("Loop time")
                continue
            if len(row) == len(_COLUMNS):
                rows.append(row)
    if not rows:
        raise WorkerError(f"{path.name} of LAMMPS has no table of energies")
    return np.array(rows)


def read_fluxes(path: Path, after: int) -> Floats:
    """Heat fluxes that LAMMPS itself computed.

    Args:
        path: of the table.
        after: the step, a count, after which they are wanted.

    Returns:
        Shape (n_samples, 3), eV Å/ps.
    """
    table = np.loadtxt(path, ndmin=2)
    return np.asarray(table[table[:, 0] > after, 1:4])


def read_snapshots(path: Path, after: int) -> tuple[Integers, Floats, Floats]:
    """Snapshots of a binary dump, atoms in order.

    Args:
        path: of the dump; columns id x y z vx vy vz.
        after: the step, a count, after which they are wanted.

    Returns:
        Steps, shape (n_frames,), counts; positions, shape (n_frames, n_atoms, 3), Å; velocities, shape
        (n_frames, n_atoms, 3), Å/ps.

    Raises:
        WorkerError: when the file is cut or of another format.
    """
    steps, tables = [], []
    content = memoryview(path.read_bytes())
    at = 0
    try:
        while at < len(content):
            step, table, at = _snapshot(content, at)
            if step > after:
                steps.append(step)
                tables.append(table)
    except (struct.error, ValueError, IndexError) as error:
        raise WorkerError(f"{path.name} of LAMMPS is cut or of an unknown format: {error}") from None
    frames = np.array(tables).reshape(len(steps), -1, 7)
    return np.array(steps, dtype=np.int64), frames[..., 1:4], frames[..., 4:7]


def _snapshot(content: memoryview, at: int) -> tuple[int, Floats, int]:
    """Step, table and end of a snapshot of the format that LAMMPS writes since December 2020 (src/dump_custom.cpp)."""

    def take(kinds: str) -> tuple[Any, ...]:
        nonlocal at
        values = struct.unpack_from(f"={kinds}", content, at)
        at += struct.calcsize(f"={kinds}")
        return values

    (length,) = take("q")
    if not -100 < length < 0:
        raise ValueError("no magic word")
    at -= length  # the magic word
    _, revision, step, n_atoms, triclinic = take("iiqqi")
    take("6i6d")
    if triclinic or revision < 2:
        raise ValueError("a turned cell, or an old format")
    (columns,) = take("i")
    (units,) = take("i")
    at += units
    (timed,) = take("b")
    if timed:
        take("d")
    (names,) = take("i")
    at += names
    (chunks,) = take("i")
    values = []
    for _ in range(chunks):
        (count,) = take("i")
        values.append(np.frombuffer(content, dtype=float, count=count, offset=at))
        at += 8 * count
    return step, np.concatenate(values).reshape(n_atoms, columns), at
