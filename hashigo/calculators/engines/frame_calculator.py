"""An ASE calculator that sets its engine up for each frame: mesh, starting spin and files follow from the frame."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import ground_state_magnetic_moments

from hashigo.calculators.engines import Setting
from hashigo.calculators.engines.kpoints import kpoint_mesh
from hashigo.errors import InputError, WorkerError

#: A single atom that is farther than this from its images is a free atom, Å.
FREE_DISTANCE = 8.0

#: Takes a program's standard error.
ERRORS = "standard-error"

SPIN = Setting({}, "Collinear starting moment of each element's atoms, μB; empty: not spin-polarised.")


@dataclass(frozen=True)
class Outcome:
    """What a program says of one frame.

    Attributes:
        results: ASE's results: `energy` or `free_energy` [eV], `forces` [eV/Å], `stress` [eV/Å^3], `magmoms` [μB].
        version: of the program.
        converged: whether self-consistency was reached.
    """

    results: Mapping[str, Any]
    version: str
    converged: bool


class FrameCalculator(Calculator):
    """Computes energy, forces and stress of a frame at once.

    The energy is the one that the forces are derivatives of: with smearing, the free energy.

    Args:
        compute: from atoms with their starting moments.
        spin: starting moment of each element's atoms, μB; empty for none.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress", "magmoms"]

    def __init__(self, compute: Callable[[Atoms], Outcome], spin: Mapping[str, float]) -> None:
        super().__init__()
        compute_alone()
        self._compute = compute
        self._spin = spin
        #: Of the program, once a frame was computed.
        self.version = ""
        #: Whether the last frame's self-consistency was reached; None before the first.
        self.converged: bool | None = None

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = tuple(all_changes)
    ) -> None:
        """Compute all properties; ASE calls it when the atoms have changed."""
        super().calculate(atoms, properties, system_changes)
        self.converged = None
        ready = Atoms(self.atoms.numbers, self.atoms.positions, cell=self.atoms.cell, pbc=True)
        ready.set_initial_magnetic_moments(starting_moments(ready, self._spin))
        outcome = self._compute(ready)
        self.version, self.converged = outcome.version, bool(outcome.converged)
        if not self.converged:
            raise WorkerError("self-consistency was not reached")
        results = {key: value for key, value in outcome.results.items() if value is not None}
        energy = results.get("free_energy", results.get("energy"))
        self.results = {"energy": energy, "free_energy": energy}
        for name in ("forces", "stress", "magmoms"):
            if name in results:
                self.results[name] = np.array(results[name], dtype=float)


def compute_alone() -> None:
    """Have ASE take this process for the only one: under MPI its readers and writers wait for all ranks."""
    from ase import parallel

    parallel.world.comm = parallel.DummyMPI()


def version(calculator: FrameCalculator) -> str:
    """What the program calls itself."""
    return calculator.version


def converged(calculator: FrameCalculator) -> bool | None:
    """Whether self-consistency was reached."""
    return calculator.converged


def is_free_atom(atoms: Atoms) -> bool:
    """Whether these are a single atom far from its images: its energy is the zero of cohesive energies."""
    return len(atoms) == 1 and bool(np.linalg.norm(atoms.cell.array, axis=1).min() >= FREE_DISTANCE)


def starting_moments(atoms: Atoms, spin: Mapping[str, float]) -> list[float]:
    """Collinear moments to start from, one for each atom, μB.

    A free atom starts from the moment of its ground state, whatever the settings say of the crystal.

    Args:
        atoms: the frame.
        spin: starting moment of each element's atoms, μB.
    """
    if is_free_atom(atoms):
        return [float(ground_state_magnetic_moments[atoms.numbers[0]])]
    return [float(spin.get(symbol, 0.0)) for symbol in atoms.get_chemical_symbols()]


def frame_mesh(atoms: Atoms, settings: Mapping[str, Any]) -> tuple[list[int], float]:
    """Mesh of k-points, shape (3,), and the shift in steps of the mesh, dimensionless; Γ only for a free atom."""
    if is_free_atom(atoms):
        return [1, 1, 1], 0.0
    return kpoint_mesh(atoms.cell.array, settings["kpoint_spacing"]), 0.5 if settings["shifted_mesh"] else 0.0


def empty_folder(folder: Path) -> None:
    """Make an empty folder: a frame must never read what another has left."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def run_program(
    command: Sequence[str],
    folder: Path,
    output: str,
    stdin: str = "",
    why: Callable[[Path], str] | None = None,
) -> None:
    """Run a program to its end.

    Args:
        command: with its launcher, word by word.
        folder: where it runs.
        output: name of the file that takes its standard output.
        stdin: name of the file that it reads as standard input, "" for none.
        why: reads from the folder what the program says of its failure.

    Raises:
        WorkerError: with what the program says there, or else the last line of its standard error.
        CalledProcessError: when it says nothing, or was ended by a signal.
    """
    with (
        open(folder / output, "wb") as out,
        open(folder / ERRORS, "wb") as errors,
        open(folder / stdin if stdin else "/dev/null", "rb") as source,
    ):
        done = subprocess.run(list(command), cwd=folder, stdin=source, stdout=out, stderr=errors, check=False)
    if done.returncode == 0:
        return
    by_signal = done.returncode < 0 or done.returncode > 128
    text = "" if by_signal else (why(folder) if why else "") or _last_line(folder / ERRORS)
    if text:
        raise WorkerError(f"its program stopped: {text}")
    raise subprocess.CalledProcessError(done.returncode, list(command))


def _last_line(path: Path) -> str:
    """Last line of a text that has letters, "" for none; a launcher frames its words with dashes."""
    lines = path.read_text(encoding="utf-8", errors="replace")[-4000:].splitlines()
    return next((line.strip() for line in reversed(lines) if re.search(r"[A-Za-z]", line)), "")


def check_positive(engine: str, settings: Mapping[str, Any], *names: str) -> None:
    """Refuse numbers that are not above zero.

    Args:
        engine: its name.
        settings: complete.
        names: of the settings.

    Raises:
        InputError: names the setting.
    """
    for name in names:
        if not 0 < settings[name] < math.inf:
            raise InputError(
                f"reference.settings.{name} is {settings[name]:g}, and engine '{engine}' needs more than 0",
                fix="give a positive number",
            )
    if not 0 <= settings.get("smearing", 0.0) < math.inf:
        raise InputError(
            f"reference.settings.smearing is {settings['smearing']:g}",
            fix="give 0 for an insulator, or a width",
        )


def check_spin(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    """Refuse starting moments that no atom would get, or that are no numbers.

    Args:
        settings: complete.
        elements: of the crystal.

    Raises:
        InputError: names the element.
    """
    for symbol, moment in settings["spin"].items():
        if symbol not in elements:
            raise InputError(
                f"reference.settings.spin names {symbol}, which is not in the crystal",
                fix=f"its elements are: {', '.join(elements)}",
            )
        if not isinstance(moment, int | float) or not math.isfinite(moment):
            raise InputError(
                f"reference.settings.spin.{symbol} is {moment!r}", fix="give a number of μB, as in 2.0"
            )


def check_choice(settings: Mapping[str, Any], name: str, choices: Sequence[str]) -> None:
    """Refuse a value that is not among the choices.

    Raises:
        InputError: names the setting and the choices.
    """
    if settings[name] not in choices:
        raise InputError(
            f"reference.settings.{name} is {settings[name]!r}",
            fix=f"choose one of: {', '.join(choice or 'empty' for choice in choices)}",
        )
