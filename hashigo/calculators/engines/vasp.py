"""VASP inside the batch: input by ASE. Its POTCAR files are licensed: they are copied for the run of a frame only."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

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

#: VASP's names of the functionals; "" leaves the choice to the POTCAR files.
XC = {"": None, "LDA": "CA", "PBE": "PE", "PBEsol": "PS"}

#: Width of the Gaussian smearing where the settings give none: it keeps an insulator's occupations, eV.
INSULATOR_WIDTH = 0.01

FILES = ElementFiles("vasp", "VASP_PP_PATH", inside="POTCAR", example="{}_pv")


def parameters(atoms: Atoms, settings: Mapping[str, Any]) -> dict[str, Any]:
    """INCAR of a frame, in ASE's names.

    Args:
        atoms: the frame.
        settings: complete.
    """
    smearing = 0.0 if is_free_atom(atoms) else settings["smearing"]
    out = {
        "prec": "Accurate",
        "encut": settings["cutoff"],
        "ediff": settings["scf_threshold"],
        "nelm": int(settings["scf_steps"]),
        # Methfessel and Paxton of first order for a metal, Gaussian else.
        "ismear": 1 if smearing else 0,
        "sigma": smearing or INSULATOR_WIDTH,
        "ibrion": -1,
        "nsw": 0,
        "isif": 2,
        "lreal": False,
        "lwave": False,
        "lcharg": False,
    }
    if atoms.get_initial_magnetic_moments().any():
        out["lorbit"] = 11  # writes the moment of each atom
    if XC[settings["xc"]]:
        out["gga"] = XC[settings["xc"]]
    return out


def calculator(atoms: Atoms, settings: Mapping[str, Any], workspace: Workspace) -> Any:
    """ASE's calculator with the named POTCAR files, a mesh of our density, and the signal that ended it.

    Args:
        atoms: the frame.
        settings: complete.
        workspace: where it runs, and how.
    """
    from ase.calculators.vasp import Vasp

    mesh, shift = frame_mesh(atoms, settings)

    class Calculator(Vasp):
        """Takes files and mesh from the settings."""

        def _build_pp_list(self, atoms: Any, setups: Any = None, special_setups: Any = ()) -> list[str]:
            symbols = dict.fromkeys(atoms.get_chemical_symbols())
            return [str(FILES.find(symbol, settings)) for symbol in symbols]

        def write_kpoints(self, atoms: Any = None, directory: str = "./", **options: Any) -> None:
            """Write a mesh around Γ, shifted in its own steps."""
            lines = ["mesh", "0", "Gamma", " ".join(map(str, mesh)), " ".join([f"{shift:.1f}"] * 3)]
            (Path(directory) / "KPOINTS").write_text("\n".join(lines) + "\n", encoding="utf-8")

        def _run(self, command: Any = None, out: Any = None, directory: Any = None) -> tuple[int, str]:
            with open(Path(workspace.folder) / "vasp.out", "wb") as output:
                done = subprocess.run(
                    shlex.split(command), cwd=workspace.folder, stdout=output, stderr=subprocess.DEVNULL,
                    check=False,
                )  # fmt: skip
            if done.returncode:
                raise subprocess.CalledProcessError(done.returncode, shlex.split(command))
            return 0, ""

    return Calculator(
        directory=str(workspace.folder),
        command=shlex.join(workspace.command) or "none",
        txt=None,
        pp="PBE",  # asked for by ASE, and not used: the files are named above
        **parameters(atoms, settings),
    )


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> FrameCalculator:
    def compute(atoms: Atoms) -> Outcome:
        empty_folder(workspace.folder)
        inner = calculator(atoms, settings, workspace)
        try:
            inner.calculate(atoms, ["energy", "forces", "stress"])
        finally:
            # POTCAR is licensed, and OUTCAR, vasprun.xml and vaspout.h5 repeat it or parts of it.
            empty_folder(workspace.folder)
        results = dict(inner.results)
        if not atoms.get_initial_magnetic_moments().any():
            results.pop("magmoms", None)
        return Outcome(results, str(inner.version or ""), bool(inner.converged))

    return FrameCalculator(compute, settings["spin"])


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    check_positive("vasp", settings, "cutoff", "kpoint_spacing", "scf_threshold", "scf_steps")
    check_spin(settings, elements)
    check_choice(settings, "xc", tuple(XC))
    FILES.check(settings, elements)


ENGINE = Engine(
    name="vasp",
    title="VASP",
    first_principles=True,
    settings={
        **FILES.settings(),
        "xc": Setting(
            "", f"Functional, one of {', '.join(filter(None, XC))}; empty: the pseudopotentials' own."
        ),
        "cutoff": Setting(400.0, "Plane-wave cut-off of the wavefunctions.", "eV"),
        "kpoint_spacing": KPOINT_SPACING,
        "shifted_mesh": SHIFTED_MESH,
        "smearing": Setting(
            0.0, "Width of the Methfessel-Paxton smearing of a metal; 0: an insulator's occupations.", "eV"
        ),
        "scf_threshold": Setting(1e-8, "Energy change at which self-consistency is reached.", "eV"),
        "scf_steps": Setting(100, "Most steps of self-consistency.", physics=False),
        "spin": SPIN,
    },
    program=Program("vasp_std", "VASP is licensed: see vasp.at"),
    obtain="Program and POTCAR files need a licence of VASP Software GmbH; they are never stored or exported.",
    calculator=_calculator,
    version=version,
    converged=converged,
    check=_check,
    resolve=FILES.resolve,
    fill=FILES.fill,
    cost=lambda n_atoms: float(n_atoms) ** 2,
)
