"""SIESTA inside the batch: numerical atomic orbitals, input and output by ASE, one run a frame."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ase import Atoms
from ase.units import Ry

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
    version,
)
from hashigo.calculators.engines.input_files import ElementFiles
from hashigo.calculators.engines.kpoints import KPOINT_SPACING, SHIFTED_MESH

XC = {"LDA": ("LDA", "PW92"), "PBE": ("GGA", "PBE"), "PBEsol": ("GGA", "PBEsol")}
BASES = ("SZ", "SZP", "DZ", "DZP", "TZP")

#: Electronic temperature where the settings give none: it keeps an insulator's occupations, eV.
INSULATOR_WIDTH = 0.01

FILES = ElementFiles("siesta", "SIESTA_PP_PATH", example="{}.psml")


def arguments(atoms: Atoms, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What ASE's calculator has no parameter of its own for, in SIESTA's words.

    Args:
        atoms: the frame.
        settings: complete.
    """
    mesh, shift = frame_mesh(atoms, settings)
    rows = [(*(mesh[i] if i == j else 0 for j in range(3)), shift) for i in range(3)]
    smearing = 0.0 if is_free_atom(atoms) else settings["smearing"]
    return {
        "kgrid_Monkhorst_Pack": rows,
        "MaxSCFIterations": int(settings["scf_steps"]),
        "SCF.DM.Tolerance": settings["scf_threshold"],
        "ElectronicTemperature": (smearing or INSULATOR_WIDTH, "eV"),
        "MD.Steps": 0,
        "WriteForces": True,
    }


def calculator(atoms: Atoms, settings: Mapping[str, Any], workspace: Workspace) -> Any:
    """ASE's calculator.

    Args:
        atoms: the frame, with starting moments.
        settings: complete.
        workspace: where it runs, and how.
    """
    from ase.calculators.calculator import StandardProfile
    from ase.calculators.siesta import Siesta
    from ase.calculators.siesta.parameters import Species

    symbols = dict.fromkeys(atoms.get_chemical_symbols())
    files = {symbol: FILES.find(symbol, settings) for symbol in symbols}
    return Siesta(
        profile=StandardProfile(shlex.join(workspace.command)),
        directory=str(workspace.folder),
        label="siesta",
        xc=XC[settings["xc"]],
        basis_set=settings["basis_set"],
        mesh_cutoff=settings["cutoff"] * Ry,
        energy_shift=settings["energy_shift"],
        spin="collinear" if atoms.get_initial_magnetic_moments().any() else "non-polarized",
        species=[
            Species(symbol=symbol, basis_set=settings["basis_set"], pseudopotential=str(file.absolute()))
            for symbol, file in files.items()
        ],
        pseudo_path=str(next(iter(files.values())).parent),
        fdf_arguments=arguments(atoms, settings),
    )


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> FrameCalculator:
    def compute(atoms: Atoms) -> Outcome:
        empty_folder(workspace.folder)
        inner = calculator(atoms, settings, workspace)
        inner.calculate(atoms, ["energy", "forces", "stress"])
        text = (workspace.folder / "siesta.out").read_text(encoding="utf-8", errors="replace")
        name = re.search(r"^(?:Siesta )?Version\s*:\s*(\S+)", text, flags=re.M | re.I)
        return Outcome(dict(inner.results), name[1] if name else "", "SCF_NOT_CONV" not in text)

    return FrameCalculator(compute, settings["spin"])


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    check_positive(
        "siesta", settings, "cutoff", "energy_shift", "kpoint_spacing", "scf_threshold", "scf_steps"
    )
    check_spin(settings, elements)
    check_choice(settings, "xc", tuple(XC))
    check_choice(settings, "basis_set", BASES)
    FILES.check(settings, elements)


ENGINE = Engine(
    name="siesta",
    title="SIESTA",
    first_principles=True,
    settings={
        **FILES.settings(),
        "basis_set": Setting("DZP", f"Size of the basis, one of {', '.join(BASES)}."),
        "energy_shift": Setting(0.1, "Energy by which confinement raises the orbitals.", "eV"),
        "xc": Setting("PBE", f"Functional, one of {', '.join(XC)}."),
        "cutoff": Setting(200.0, "Cut-off of the real-space mesh.", "Ry"),
        "kpoint_spacing": KPOINT_SPACING,
        "shifted_mesh": SHIFTED_MESH,
        "smearing": Setting(
            0.0, "Electronic temperature of a metal, as an energy; 0: an insulator's occupations.", "eV"
        ),
        "scf_threshold": Setting(1e-5, "Largest change of the density matrix, dimensionless."),
        "scf_steps": Setting(200, "Most steps of self-consistency.", physics=False),
        "spin": SPIN,
    },
    program=Program("siesta", "conda-forge package siesta, or siesta-project.org", version=("--version",)),
    calculator=_calculator,
    version=version,
    converged=converged,
    check=_check,
    resolve=FILES.resolve,
    fill=FILES.fill,
    cost=lambda n_atoms: float(n_atoms) ** 2,
)
