"""CP2K inside the batch: Gaussian and plane waves (GPW) through ASE's calculator, one process kept between frames."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.units import Rydberg, kB

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
from hashigo.calculators.engines.kpoints import KPOINT_SPACING, SHIFTED_MESH
from hashigo.errors import InputError, WorkerError

#: Functionals: CP2K's section, and the pseudopotentials that were made with it.
XC = {
    "LDA": ("&PADE\n&END PADE", "GTH-PADE"),
    "PBE": ("&PBE\n&END PBE", "GTH-PBE"),
    "PBEsol": ("&PBE\nPARAMETRIZATION PBESOL\n&END PBE", "GTH-PBE"),
}

#: Where Debian puts the tables of basis sets and pseudopotentials.
DATA_FOLDER = "/usr/share/cp2k"

#: Electronic temperature of a free atom: it shares an open shell's electrons among its orbitals, eV.
ATOM_SMEARING = 0.03


def names(symbol: str, settings: Mapping[str, Any]) -> tuple[str, str]:
    """Basis set and pseudopotential of an element.

    Args:
        symbol: of the element.
        settings: complete.
    """
    potential = settings["pseudopotentials"].get(symbol, XC[settings["xc"]][1])
    return settings["basis_sets"].get(symbol, settings["basis_set"]), potential


def template(atoms: Atoms, settings: Mapping[str, Any]) -> str:
    """What ASE's calculator does not write by itself: mesh, self-consistency, functional, kinds.

    Args:
        atoms: the frame, with starting moments.
        settings: complete.
    """
    free = is_free_atom(atoms)
    smearing = ATOM_SMEARING if free else settings["smearing"]
    mesh, shift = frame_mesh(atoms, settings)
    # CP2K counts a mesh from its middle: the shift of half a step is there already when the number of points is even.
    moved = [(shift - (0.0 if n % 2 else 0.5)) / n for n in mesh]
    lines = ["&FORCE_EVAL", "&DFT"]
    if max(mesh) > 1 or shift:
        scheme = " ".join([*map(str, mesh), *(f"{value:.12f}" for value in moved)])
        lines += ["&KPOINTS", f"SCHEME MACDONALD {scheme}", "SYMMETRY OFF", "&END KPOINTS"]
    lines += ["&MGRID", f"REL_CUTOFF {settings['relative_cutoff']:.6f}", "&END MGRID"]
    lines += ["&QS", f"EPS_DEFAULT {min(1e-12, settings['scf_threshold'] ** 2):.3e}", "&END QS"]
    lines += ["&SCF", f"EPS_SCF {settings['scf_threshold']:.3e}", "SCF_GUESS ATOMIC"]
    lines += ["&MIXING", "METHOD BROYDEN_MIXING", "ALPHA 0.4", "&END MIXING"]
    if smearing:
        lines += [
            "ADDED_MOS 20",
            "&SMEAR",
            "METHOD FERMI_DIRAC",
            f"ELECTRONIC_TEMPERATURE [K] {smearing / kB:.6f}",
        ]
        lines += ["FIXED_MAGNETIC_MOMENT -1.0"] * (not free) + ["&END SMEAR"]
    lines += ["&END SCF", "&XC", "&XC_FUNCTIONAL", XC[settings["xc"]][0], "&END XC_FUNCTIONAL", "&END XC"]
    lines += ["&END DFT", "&SUBSYS"]
    moments = dict(zip(atoms.get_chemical_symbols(), atoms.get_initial_magnetic_moments(), strict=True))
    for symbol in sorted(moments):
        basis, potential = names(symbol, settings)
        lines += [f"&KIND {symbol}", f"BASIS_SET {basis}", f"POTENTIAL {potential}"]
        lines += [f"MAGNETIZATION {moments[symbol]:.6f}"] * bool(moments[symbol]) + ["&END KIND"]
    return "\n".join([*lines, "&END SUBSYS", "&END FORCE_EVAL"])


class _Cp2k:
    """Computes frames; the process is kept while only positions change."""

    def __init__(self, settings: Mapping[str, Any], workspace: Workspace) -> None:
        self._settings = settings
        self._workspace = workspace
        self._calculator: Any = None
        self._made_for: Atoms | None = None
        self._begun = False

    def __call__(self, atoms: Atoms) -> Outcome:
        """Compute one frame."""
        if self._calculator is None or not self._serves(atoms):
            self.close()
            self._start(atoms)
        wanted = ["energy", "forces"] if is_free_atom(atoms) else ["energy", "forces", "stress"]
        try:
            self._calculator.calculate(atoms, wanted, ["positions"] if self._begun else ["numbers"])
            self._begun = True
        except (AssertionError, ValueError, BrokenPipeError):
            self._fail()
        text = (self._workspace.folder / "cp2k.out").read_text(encoding="utf-8", errors="replace")
        name = re.search(r"CP2K\| version string:\s*(?:CP2K version )?(\S+)", text)
        # One file for all frames of this process: the last word on convergence is this frame's.
        reached = re.findall(r"SCF run (NOT )?converged", text)
        return Outcome(dict(self._calculator.results), name[1] if name else "", reached[-1:] == [""])

    def close(self) -> None:
        """End the process."""
        if self._calculator is not None:
            self._calculator.close()
            self._calculator = None

    def _serves(self, atoms: Atoms) -> bool:
        # A process made for another cell keeps that cell's grids: a frame's numbers would depend on its forerunners.
        made = self._made_for
        return made is not None and bool((made.cell.array == atoms.cell.array).all())

    def _start(self, atoms: Atoms) -> None:
        from ase.calculators.cp2k import CP2K

        folder = self._workspace.folder
        empty_folder(folder)
        moment = float(atoms.get_initial_magnetic_moments().sum())
        spin = bool(atoms.get_initial_magnetic_moments().any())
        self._calculator = CP2K(
            command=f"cd {shlex.quote(str(folder.absolute()))} && exec {shlex.join(self._workspace.command)} -s",
            label="cp2k", inp=template(atoms, self._settings), basis_set=None, pseudo_potential=None, xc=None,
            basis_set_file=self._settings["basis_set_file"], potential_file="GTH_POTENTIALS",
            cutoff=self._settings["cutoff"] * Rydberg, max_scf=int(self._settings["scf_steps"]),
            stress_tensor=True, uks=spin, multiplicity=round(abs(moment)) + 1 if spin else None,
            poisson_solver=None, print_level="LOW",
        )  # fmt: skip
        self._made_for = atoms.copy()
        self._begun = False

    def _fail(self) -> None:
        """Raise what the process says of its end."""
        shell = self._calculator._shell
        try:
            status = shell._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = None
            shell._child.kill()
        shell._child, shell.isready = None, False
        self._calculator._shell = None
        self._calculator = None
        if status is not None and (status < 0 or status > 128):
            raise subprocess.CalledProcessError(status, list(self._workspace.command)) from None
        output = self._workspace.folder / "cp2k.out"
        text = output.read_text(encoding="utf-8", errors="replace") if output.is_file() else ""
        found = re.search(r"\[ABORT\].*?\n(.*?)\n *\*{20}", text, flags=re.S)
        reason = " ".join(re.sub(r"[*\\/|_O]{1,}", " ", found[1]).split()) if found else f"status {status}"
        raise WorkerError(f"its program stopped: {reason}") from None


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> FrameCalculator:
    return FrameCalculator(_Cp2k(settings, workspace), settings["spin"])


def _known(file: str, symbol: str) -> set[str] | None:
    """Names that a table of CP2K has for an element; None where the table is not at hand."""
    path = Path(os.environ.get("CP2K_DATA_DIR", DATA_FOLDER)) / file
    if not path.is_file():
        return None
    found: set[str] = set()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if words[:1] == [symbol]:
            found.update(words[1:])
    return found


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    check_positive(
        "cp2k", settings, "cutoff", "relative_cutoff", "kpoint_spacing", "scf_threshold", "scf_steps"
    )
    check_spin(settings, elements)
    check_choice(settings, "xc", tuple(XC))
    for place, file, what, key in (
        (0, settings["basis_set_file"], "basis set", "basis_sets"),
        (1, "GTH_POTENTIALS", "pseudopotential", "pseudopotentials"),
    ):
        known = {symbol: _known(file, symbol) for symbol in elements}
        lacking = [
            symbol
            for symbol, have in known.items()
            if have is not None and names(symbol, settings)[place] not in have
        ]
        if lacking:
            name = names(lacking[0], settings)[place]
            raise InputError(
                f"CP2K's table {file} has no {what} '{name}' for {', '.join(lacking)}",
                fix=f"name another in reference.settings.{key}, as in {lacking[0]}: "
                + (sorted(known[lacking[0]] or {"…"})[0]),
            )


ENGINE = Engine(
    name="cp2k",
    title="CP2K (GPW)",
    first_principles=True,
    settings={
        "pseudopotentials": Setting(
            {}, "Name of an element's Goedecker-Teter-Hutter pseudopotential; others: GTH-PBE or GTH-PADE, by xc."
        ),
        "basis_set": Setting("DZVP-MOLOPT-SR-GTH", "Basis set of elements that basis_sets does not name."),
        "basis_sets": Setting({}, "Name of an element's basis set."),
        "basis_set_file": Setting("BASIS_MOLOPT", "CP2K's table of basis sets."),
        "xc": Setting("PBE", f"Functional, one of {', '.join(XC)}."),
        "cutoff": Setting(400.0, "Plane-wave cut-off of the finest grid of the density.", "Ry"),
        "relative_cutoff": Setting(60.0, "Cut-off that decides which grid takes a Gaussian.", "Ry"),
        "kpoint_spacing": KPOINT_SPACING,
        "shifted_mesh": SHIFTED_MESH,
        "smearing": Setting(
            0.0, "Electronic temperature of a metal, as an energy; 0: an insulator's occupations.", "eV"
        ),
        "scf_threshold": Setting(1e-7, "Largest change of the density matrix (EPS_SCF), dimensionless."),
        "scf_steps": Setting(100, "Most steps of self-consistency.", physics=False),
        "spin": SPIN,
    },
    program=Program("cp2k.psmp", "Debian package cp2k", version=("--version",)),
    calculator=_calculator,
    version=version,
    converged=converged,
    check=_check,
    cost=lambda n_atoms: float(n_atoms) ** 2,
)  # fmt: skip
