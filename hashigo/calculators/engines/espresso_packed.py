"""Many frames of pw.x in one allocation: the inputs of single jobs, written and read through ASE."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ase import Atoms

from hashigo.calculators.engines import Workspace
from hashigo.calculators.engines.espresso_magnetism import card, system, version_for
from hashigo.calculators.engines.espresso_output import (
    OUTPUT,
    bands_wanted,
    read_output,
    said,
    text_of,
    version,
)
from hashigo.calculators.engines.frame_calculator import (
    FrameCalculator,
    Outcome,
    empty_folder,
    frame_mesh,
    is_free_atom,
    run_program,
)
from hashigo.errors import WorkerError

INPUT = "pw.in"

#: Tried once when self-consistency was not reached: slower mixing, and more steps of it.
REMEDY = {"mixing_beta": 0.3, "electron_maxstep": 300}


def make_calculator(
    settings: Mapping[str, Any],
    workspace: Workspace,
    parameters: Callable[[Mapping[str, Any], str], dict[str, Any]],
    find: Callable[[str], Path],
) -> FrameCalculator:
    """A calculator that runs pw.x once a frame, and again with a remedy where there is one.

    Args:
        settings: complete.
        workspace: of this rank.
        parameters: pw.x's namelists, from (settings, kind of frame), as a single job has them.
        find: the file of an element's pseudopotential.
    """

    def compute(atoms: Atoms) -> Outcome:
        kind = "atom" if is_free_atom(atoms) else "displaced"
        namelists = parameters(settings, kind)
        elements = list(dict.fromkeys(atoms.get_chemical_symbols()))
        release = version_for(settings, workspace.command)
        namelists["SYSTEM"].update(system(settings, kind, elements, release))
        cards = card(settings, elements, release)

        def run() -> Outcome:
            return _run(atoms, settings, workspace, namelists, cards, find)

        try:
            outcome = run()
        except subprocess.CalledProcessError as error:
            if not _by_signal(error):
                raise
            outcome = run()
        if not outcome.converged:
            namelists["ELECTRONS"].update(REMEDY)
            outcome = run()
        bands = bands_wanted(workspace.folder) if namelists["SYSTEM"]["occupations"] == "smearing" else 0
        if outcome.converged and bands:
            namelists["SYSTEM"]["nbnd"] = bands
            outcome = run()
        return outcome

    return FrameCalculator(compute, {})


def _by_signal(error: subprocess.CalledProcessError) -> bool:
    """Whether a program was ended by a signal; a launcher or a shell says 128 + n of signal n."""
    return error.returncode < 0 or error.returncode > 128


def _run(
    atoms: Atoms,
    settings: Mapping[str, Any],
    workspace: Workspace,
    namelists: Mapping[str, Mapping[str, Any]],
    cards: list[str],
    find: Callable[[str], Path],
) -> Outcome:
    folder = workspace.folder
    empty_folder(folder)
    write_input(folder, atoms, settings, namelists, cards, find)
    try:
        run_program((*workspace.command, "-in", INPUT), folder, OUTPUT, why=said)
    except (WorkerError, subprocess.CalledProcessError):
        # pw.x ends with a status of its own where self-consistency was not reached.
        if "convergence NOT achieved" not in text_of(folder):
            raise
        return Outcome({}, version(folder), False)
    return read_output(folder)


def write_input(
    folder: Path,
    atoms: Atoms,
    settings: Mapping[str, Any],
    namelists: Mapping[str, Mapping[str, Any]],
    cards: list[str],
    find: Callable[[str], Path],
) -> None:
    """Write pw.x's input, with links to the pseudopotentials beside it.

    Args:
        folder: where.
        atoms: the frame.
        settings: complete.
        namelists: pw.x's parameters, those of an element as mappings.
        cards: lines that follow all that ASE writes.
        find: the file of an element's pseudopotential.
    """
    from ase.io.espresso import write_espresso_in  # ase.io loads slowly

    names = {}
    for symbol in set(atoms.get_chemical_symbols()):
        source = find(symbol).absolute()
        (folder / source.name).symlink_to(source)
        names[symbol] = source.name
    frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    mesh, shift = frame_mesh(frame, settings)
    data = {name.lower(): dict(values) for name, values in namelists.items()}
    start = data["system"].pop("starting_magnetization", {})
    if start:
        # ASE writes them as they are: shares of the valence.
        frame.set_initial_magnetic_moments([start[symbol] for symbol in frame.get_chemical_symbols()])
    # As ASE does, pw.x's types of atoms are numbered in the order of their first atoms.
    order = list(dict.fromkeys(frame.get_chemical_symbols()))
    for symbol, value in data["system"].pop("hubbard_u", {}).items():
        data["system"][f"hubbard_u({order.index(symbol) + 1})"] = value
    data["control"].update({"pseudo_dir": "./", "outdir": "./out"})
    with open(folder / INPUT, "w", encoding="utf-8") as file:
        write_espresso_in(
            file, frame, input_data=data, pseudopotentials=names, kpts=mesh, koffset=(1 if shift else 0,) * 3,
            additional_cards=cards,
        )  # fmt: skip
