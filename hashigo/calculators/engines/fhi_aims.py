"""FHI-aims inside the batch: all-electron, input and output by ASE. Program and species files are licensed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.data import atomic_numbers

from hashigo.calculators.engines import Engine, Program, Setting, Workspace
from hashigo.calculators.engines.file_store import link, place_of
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
from hashigo.calculators.engines.input_files import sha256
from hashigo.calculators.engines.kpoints import KPOINT_SPACING, SHIFTED_MESH
from hashigo.errors import InputError

XC = {"LDA": "pw-lda", "PBE": "pbe", "PBEsol": "pbesol"}

#: Width of the Gaussian smearing where the settings give none: it keeps an insulator's occupations, eV.
INSULATOR_WIDTH = 0.01


BASIS = "light"

FIX = "set reference.settings.species_folder, or AIMS_SPECIES_DIR, to FHI-aims' folder of species defaults"


def species_folder(settings: Mapping[str, Any]) -> Path | None:
    """Folder of the species files: as the study brought it along, or named; None when nothing names one."""
    kept = place_of(settings["species_sha256"], settings["basis_set"]) if settings["species_sha256"] else None
    if kept is not None and kept.is_dir():
        return kept
    named = settings["species_folder"] or os.environ.get("AIMS_SPECIES_DIR", "")
    return Path(named).expanduser() / settings["basis_set"] if named else None


def species_file(symbol: str) -> str:
    """Name of an element's species file."""
    return f"{atomic_numbers[symbol]:02d}_{symbol}_default"


def parameters(atoms: Atoms, settings: Mapping[str, Any]) -> dict[str, Any]:
    """control.in of a frame, in FHI-aims' words.

    Args:
        atoms: the frame, with starting moments.
        settings: complete.
    """
    mesh, shift = frame_mesh(atoms, settings)
    smearing = 0.0 if is_free_atom(atoms) else settings["smearing"]
    out: dict[str, Any] = {
        "xc": XC[settings["xc"]],
        "relativistic": "atomic_zora scalar",
        "spin": "collinear" if atoms.get_initial_magnetic_moments().any() else "none",
        "k_grid": mesh,
        "k_offset": [shift / n for n in mesh],
        "occupation_type": f"gaussian {smearing or INSULATOR_WIDTH:g}",
        "sc_accuracy_rho": settings["scf_threshold"],
        "sc_iter_limit": int(settings["scf_steps"]),
        "compute_forces": True,
        "species_dir": str(species_folder(settings)),
    }
    if not is_free_atom(atoms):
        out["compute_analytical_stress"] = True
    return out


def write_input(folder: Path, atoms: Atoms, settings: Mapping[str, Any]) -> None:
    """Write geometry.in and control.in.

    Args:
        folder: where.
        atoms: the frame, with starting moments.
        settings: complete.
    """
    from ase.calculators.aims import AimsProfile, AimsTemplate

    AimsTemplate().write_input(AimsProfile("aims.x"), folder, atoms, parameters(atoms, settings), [])


def read_output(path: Path) -> Outcome:
    """Results of a finished run.

    Args:
        path: of the standard output.
    """
    from ase.io import read

    text = path.read_text(encoding="utf-8", errors="replace")
    name = re.search(r"FHI-aims version\s*:\s*(\S+)", text)
    release = name[1] if name else ""
    # ASE refuses to read what did not converge, with a message of its own.
    if "Self-consistency cycle converged." not in text:
        return Outcome({}, release, False)
    results = dict(read(path, format="aims-output", index=-1).calc.results)
    return Outcome(results, release, True)


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> FrameCalculator:
    def compute(atoms: Atoms) -> Outcome:
        empty_folder(workspace.folder)
        try:
            write_input(workspace.folder, atoms, settings)
            run_program(workspace.command, workspace.folder, "aims.out")
            return read_output(workspace.folder / "aims.out")
        finally:
            # The input holds the species files, and the output repeats the input.
            empty_folder(workspace.folder)

    return FrameCalculator(compute, settings["spin"])


def _resolve(
    settings: Mapping[str, Any], folder: Path, elements: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings in which a digest stands for the folder, which is relative to the study: a path is its user's own."""
    given, basis = settings.get("species_folder"), settings.get("basis_set", BASIS)
    if not given or not isinstance(given, str) or not isinstance(basis, str):
        return dict(settings), {}
    place = (folder / Path(given).expanduser() / basis).resolve()
    lacking = [symbol for symbol in elements if not (place / species_file(symbol)).is_file()]
    if lacking:
        raise InputError(f"FHI-aims has no species files for {', '.join(lacking)} in {place}", fix=FIX)
    digest = _folder_hash(place)
    if settings.get("species_sha256", "") not in ("", digest):
        raise _other_files(place)
    link(place, digest, basis)
    return {**settings, "species_folder": "", "species_sha256": digest}, {}


def _fill(settings: Mapping[str, Any]) -> dict[str, Any]:
    folder = species_folder(settings)
    if folder is None or not folder.is_dir() or settings["species_sha256"]:
        return dict(settings)
    return {**settings, "species_sha256": _folder_hash(folder)}


def _folder_hash(folder: Path) -> str:
    parts = [f"{path.name} {sha256(path)}" for path in sorted(folder.glob("*_default"))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    check_positive("fhi_aims", settings, "kpoint_spacing", "scf_threshold", "scf_steps")
    check_spin(settings, elements)
    check_choice(settings, "xc", tuple(XC))
    folder = species_folder(settings)
    if folder is None:
        raise InputError(
            f"FHI-aims has no species files for {', '.join(elements)}: no folder is named", fix=FIX
        )
    lacking = [symbol for symbol in elements if not (folder / species_file(symbol)).is_file()]
    if lacking:
        raise InputError(f"FHI-aims has no species files for {', '.join(lacking)} in {folder}", fix=FIX)
    if settings["species_sha256"] != _folder_hash(folder):
        raise _other_files(folder)


def _other_files(folder: Path) -> InputError:
    return InputError(
        f"the species files in {folder} are not those whose SHA-256 the settings give",
        fix="put back the files, or correct reference.settings.species_sha256",
    )


ENGINE = Engine(
    name="fhi_aims",
    title="FHI-aims",
    first_principles=True,
    settings={
        "basis_set": Setting(BASIS, "Subfolder of the species files, e.g. light or tight."),
        "species_folder": Setting(
            "",
            "Folder of the species defaults, relative to the study; empty: that of the variable AIMS_SPECIES_DIR.",
            physics=False,
        ),
        "species_sha256": Setting(
            "", "SHA-256 of all species files of the basis; filled in, and compared where given."
        ),
        "xc": Setting("PBE", f"Functional, one of {', '.join(XC)}."),
        "kpoint_spacing": KPOINT_SPACING,
        "shifted_mesh": SHIFTED_MESH,
        "smearing": Setting(
            0.0, "Width of the Gaussian smearing of a metal; 0: an insulator's occupations.", "eV"
        ),
        "scf_threshold": Setting(1e-6, "Change of the density, e, at which self-consistency is reached."),
        "scf_steps": Setting(200, "Most steps of self-consistency.", physics=False),
        "spin": SPIN,
    },
    program=Program("aims.x", "FHI-aims is licensed: see fhi-aims.org"),
    obtain="Program and species files need a licence of MS1P e.V.; they are never stored or exported.",
    calculator=_calculator,
    version=version,
    converged=converged,
    check=_check,
    resolve=_resolve,
    fill=_fill,
    cost=lambda n_atoms: float(n_atoms) ** 2,
)
