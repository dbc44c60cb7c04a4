"""ABINIT inside the batch: input by ASE, one run of `abinit` a frame."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from ase.units import Hartree

from hashigo.calculators.engines import Engine, Program, Setting, Workspace
from hashigo.calculators.engines.frame_calculator import (
    SPIN,
    FrameCalculator,
    Outcome,
    check_choice,
    check_positive,
    check_spin,
    converged,
    empty_folder,
    frame_mesh,
    is_free_atom,
    run_program,
    version,
)
from hashigo.calculators.engines.input_files import ElementFiles
from hashigo.calculators.engines.kpoints import KPOINT_SPACING, SHIFTED_MESH
from hashigo.errors import InputError

#: ABINIT's numbers of the functionals; "" leaves the choice to the pseudopotentials.
XC = {"": 0, "LDA": 7, "PZ": 2, "PBE": 11, "PBEsol": -116133}

#: Endings of files of the projector-augmented wave method.
PAW = (".xml", ".paw", ".abinit")

#: Smearing of a free atom: it shares the electrons of an open shell evenly among its orbitals, hartree.
ATOM_SMEARING = 0.001

FILES = ElementFiles("abinit", "ABINIT_PP_PATH", ("/usr/share/abinit/psp",), example="{}.psp8")


def parameters(atoms: Atoms, settings: Mapping[str, Any]) -> dict[str, Any]:
    """ABINIT's input variables, lengths and energies in the units that ASE's writer takes.

    Args:
        atoms: the frame.
        settings: complete.
    """
    mesh, shift = frame_mesh(atoms, settings)
    out: dict[str, Any] = {
        "ecut": settings["cutoff"] * Hartree,
        "toldfe": settings["scf_threshold"] * Hartree,
        "nstep": int(settings["scf_steps"]),
        "optforces": 1,
        "optstress": 1,
        "kptopt": 1,
        "ngkpt": mesh,
        "nshiftk": 1,
        "shiftk": [shift] * 3,
        # The mesh of the crystal serves its displaced and strained supercells, whose symmetry is another.
        "chksymbreak": 0,
        "chksymtnons": 0,
        # With the default of 1e-5 ABINIT would move atoms that are nearly on symmetric places.
        "tolsym": 1e-8,
        "prtwf": 0,
        "prtden": 0,
        "prtebands": 0,
        "pps": "pawxml",  # keeps ASE from writing a functional of its own
    }
    if settings["xc"]:
        out["ixc"] = XC[settings["xc"]]
    smearing = ATOM_SMEARING if is_free_atom(atoms) else settings["smearing"]
    # 4: the cold smearing of Marzari; 7: Gaussian; 1: an insulator's occupations.
    out["occopt"] = 7 if is_free_atom(atoms) else 4 if smearing else 1
    if smearing:
        out["tsmear"] = smearing * Hartree
    if any(
        settings["pseudopotentials"][symbol].endswith(PAW) for symbol in set(atoms.get_chemical_symbols())
    ):
        out["pawecutdg"] = (settings["density_cutoff"] or 2 * settings["cutoff"]) * Hartree
    return out


def write_input(folder: Path, atoms: Atoms, settings: Mapping[str, Any], files: Sequence[str]) -> None:
    """Write abinit.in.

    Args:
        folder: where.
        atoms: the frame, with starting moments.
        settings: complete.
        files: pseudopotential of each element, in the order of atomic numbers.
    """
    from ase.io.abinit import write_abinit_in

    with open(folder / "abinit.in", "w", encoding="utf-8") as file:
        write_abinit_in(file, atoms, param=parameters(atoms, settings), pseudos=files)


def read_output(folder: Path) -> Outcome:
    """Results of a finished run.

    Args:
        folder: where abinit.abo and abinito_EIG are.
    """
    from ase.io.abinit import read_abinit_outputs

    text = (folder / "abinit.abo").read_text(encoding="utf-8", errors="replace")
    # ASE looks for this sentence as older versions wrote it.
    reached = "was not enough scf cycles" not in text.lower()
    results = read_abinit_outputs(folder, "abinit")
    return Outcome(results, results["version"], reached)


def _why(folder: Path) -> str:
    log = (folder / "abinit.log").read_text(encoding="utf-8", errors="replace")
    # The check of the input prints its reason before the message that ends the run.
    found = re.search(r"^ chkinp: ERROR -\n(.*?)\n *\n", log, flags=re.S | re.M) or re.search(
        r"^--- !ERROR\n.*?message: \|\n(.*?)^\.\.\.", log, flags=re.S | re.M
    )
    return " ".join(found[1].split()) if found else ""


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> FrameCalculator:
    from ase.data import atomic_numbers

    def compute(atoms: Atoms) -> Outcome:
        empty_folder(workspace.folder)
        symbols = sorted(set(atoms.get_chemical_symbols()), key=lambda symbol: int(atomic_numbers[symbol]))
        files = [str(FILES.find(symbol, settings)) for symbol in symbols]
        write_input(workspace.folder, atoms, settings, files)
        run_program((*workspace.command, "abinit.in"), workspace.folder, "abinit.log", why=_why)
        return read_output(workspace.folder)

    return FrameCalculator(compute, settings["spin"])


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    check_positive("abinit", settings, "cutoff", "kpoint_spacing", "scf_threshold", "scf_steps")
    check_spin(settings, elements)
    check_choice(settings, "xc", tuple(XC))
    FILES.check(settings, elements)
    for symbol in elements:
        path = FILES.find(symbol, settings)
        number = _atomic_number(path)
        if number not in (0, atomic_numbers[symbol]):
            raise InputError(
                f"reference.settings.pseudopotentials gives {path.name} for {symbol}, and it is a pseudopotential of "
                f"{chemical_symbols[number]}",
                fix=f"give one of {symbol}",
            )


def _atomic_number(path: Path) -> int:
    """Atomic number in the second line of a psp file, 0 where there is none, as in PAW's XML."""
    with open(path, encoding="utf-8", errors="replace") as file:
        file.readline(1000)
        words = file.readline(1000).split()
    try:
        number = round(float(words[0]))
    except (IndexError, ValueError, OverflowError):
        return 0
    return number if 0 < number < len(chemical_symbols) else 0


ENGINE = Engine(
    name="abinit",
    title="ABINIT",
    first_principles=True,
    settings={
        **FILES.settings(),
        "xc": Setting(
            "", f"Functional, one of {', '.join(filter(None, XC))}; empty: the pseudopotentials' own."
        ),
        "cutoff": Setting(20.0, "Plane-wave cut-off of the wavefunctions.", "hartree"),
        "density_cutoff": Setting(
            0.0, "Cut-off of the fine grid of PAW; 0: twice that of the wavefunctions.", "hartree"
        ),
        "kpoint_spacing": KPOINT_SPACING,
        "shifted_mesh": SHIFTED_MESH,
        "smearing": Setting(
            0.0, "Width of the cold smearing of a metal; 0: an insulator's occupations.", "hartree"
        ),
        "scf_threshold": Setting(1e-10, "Energy change at which self-consistency is reached.", "hartree"),
        "scf_steps": Setting(100, "Most steps of self-consistency.", physics=False),
        "spin": SPIN,
    },
    program=Program("abinit", "Debian package abinit", version=("--version",)),
    calculator=_calculator,
    version=version,
    converged=converged,
    check=_check,
    resolve=FILES.resolve,
    fill=FILES.fill,
    cost=lambda n_atoms: float(n_atoms) ** 2,
)
