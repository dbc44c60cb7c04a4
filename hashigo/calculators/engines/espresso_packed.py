"""Many frames of pw.x in one allocation: the inputs of single jobs, written and read through ASE."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ase import Atoms

from hashigo.calculators.engines import Workspace
from hashigo.calculators.engines.frame_calculator import (
    FrameCalculator,
    Outcome,
    empty_folder,
    frame_mesh,
    is_free_atom,
    run_program,
)
from hashigo.errors import WorkerError

INPUT, OUTPUT = "pw.in", "pw.out"

#: Tried once when self-consistency was not reached: slower mixing, and more steps of it.
REMEDY = {"mixing_beta": 0.3, "electron_maxstep": 300}

#: Polarisation from which a free atom starts, of its valence, dimensionless.
ATOM_POLARISATION = 0.5


def make_calculator(
    settings: Mapping[str, Any],
    workspace: Workspace,
    parameters: Callable[[Mapping[str, Any], str], dict[str, Any]],
    find: Callable[[str], Path],
) -> FrameCalculator:
    """A calculator that runs pw.x once a frame, and again with a remedy where it did not converge.

    Args:
        settings: complete.
        workspace: of this rank.
        parameters: pw.x's namelists, from (settings, kind of frame), as a single job has them.
        find: the file of an element's pseudopotential.
    """

    def compute(atoms: Atoms) -> Outcome:
        namelists = parameters(settings, "atom" if is_free_atom(atoms) else "displaced")
        outcome = _run(atoms, settings, workspace, namelists, find)
        if not outcome.converged:
            namelists["ELECTRONS"].update(REMEDY)
            outcome = _run(atoms, settings, workspace, namelists, find)
        return outcome

    return FrameCalculator(compute, {})


def _run(
    atoms: Atoms,
    settings: Mapping[str, Any],
    workspace: Workspace,
    namelists: Mapping[str, Mapping[str, Any]],
    find: Callable[[str], Path],
) -> Outcome:
    folder = workspace.folder
    empty_folder(folder)
    write_input(folder, atoms, settings, namelists, find)
    try:
        run_program((*workspace.command, "-in", INPUT), folder, OUTPUT, why=said)
    except (WorkerError, subprocess.CalledProcessError):
        # pw.x ends with a status of its own where self-consistency was not reached.
        if "convergence NOT achieved" not in _text(folder):
            raise
        return Outcome({}, version(folder), False)
    return read_output(folder)


def write_input(
    folder: Path,
    atoms: Atoms,
    settings: Mapping[str, Any],
    namelists: Mapping[str, Mapping[str, Any]],
    find: Callable[[str], Path],
) -> None:
    """Write pw.x's input, with links to the pseudopotentials beside it.

    Args:
        folder: where.
        atoms: the frame.
        settings: complete.
        namelists: pw.x's parameters.
        find: the file of an element's pseudopotential.
    """
    from ase.io.espresso import write_espresso_in  # ase.io loads slowly

    names = {}
    for symbol in set(atoms.get_chemical_symbols()):
        source = find(symbol).absolute()
        (folder / source.name).symlink_to(source)
        names[symbol] = source.name
    frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    if is_free_atom(frame):
        frame.set_initial_magnetic_moments(
            [ATOM_POLARISATION]
        )  # ASE writes it as it is: a share of the valence
    mesh, shift = frame_mesh(frame, settings)
    data = {name.lower(): dict(values) for name, values in namelists.items()}
    data["control"].update({"pseudo_dir": "./", "outdir": "./out"})
    with open(folder / INPUT, "w", encoding="utf-8") as file:
        write_espresso_in(
            file, frame, input_data=data, pseudopotentials=names, kpts=mesh, koffset=(1 if shift else 0,) * 3
        )


def read_output(folder: Path) -> Outcome:
    """Results of a finished run.

    Args:
        folder: where its output is.
    """
    from ase.io.espresso import read_espresso_out  # ase.io loads slowly

    with open(folder / OUTPUT, encoding="utf-8", errors="replace") as file:
        results = next(iter(read_espresso_out(file, index=slice(-1, None)))).calc.results
    return Outcome(results, version(folder), True)


def version(folder: Path) -> str:
    """What pw.x calls itself: the word after its name."""
    head = next((line for line in _text(folder).splitlines() if "Program PWSCF" in line), "")
    return head.partition("v.")[2].partition(" ")[0]


def said(folder: Path) -> str:
    """The lines between pw.x's rows of % signs: why it stopped; "" for none."""
    parts = _text(folder).split("%" * 20)
    words = [part.strip("% \n") for part in parts if part.strip("% \n")]
    return " ".join(words[1].split()) if len(words) > 1 else ""


def _text(folder: Path) -> str:
    path = folder / OUTPUT
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
