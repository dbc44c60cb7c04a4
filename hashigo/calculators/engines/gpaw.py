"""GPAW inside the batch: plane waves, each rank by itself."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from hashigo.calculators.engines import Engine, Setting, Workspace
from hashigo.calculators.engines.frame_calculator import (
    SPIN,
    FrameCalculator,
    Outcome,
    check_positive,
    check_spin,
    converged,
    frame_mesh,
    is_free_atom,
    version,
)
from hashigo.calculators.engines.kpoints import KPOINT_SPACING, SHIFTED_MESH
from hashigo.errors import InputError

#: Variables by which GPAW sees that a launcher has started this process.
LAUNCHED = ("PMIX_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "I_MPI_MPIRUN")

#: Width of the smearing of a free atom, eV.
ATOM_SMEARING = 0.03


def kpoint_list(mesh: Sequence[int], shift: float) -> Any:
    """All k-points of a mesh, shape (n_points, 3), in units of the reciprocal vectors.

    Args:
        mesh: points along each reciprocal vector.
        shift: of the mesh, in steps, dimensionless.
    """
    axes = [[((i + shift) / n + 0.5) % 1 - 0.5 for i in range(n)] for n in mesh]
    return np.array(list(itertools.product(*axes)))


def parameters(atoms: Atoms, settings: Mapping[str, Any]) -> dict[str, Any]:
    """GPAW's parameters of a frame.

    Args:
        atoms: the frame.
        settings: complete.
    """
    free = is_free_atom(atoms)
    width = ATOM_SMEARING if free else settings["smearing"]
    return {
        "mode": {"name": "pw", "ecut": settings["cutoff"]},
        "xc": settings["xc"],
        "kpts": kpoint_list(*frame_mesh(atoms, settings)),
        "occupations": {"name": "fermi-dirac", "width": width},
        "setups": {"default": "paw", **settings["pseudopotentials"]},
        "convergence": {"energy": settings["scf_threshold"], "density": settings["density_threshold"]},
        "maxiter": int(settings["scf_steps"]),
        "txt": None,
    }


@contextmanager
def without_launcher() -> Iterator[None]:
    """Hide the MPI launcher of the batch: seeing it, GPAW refuses to be loaded for serial use."""
    hidden = {name: os.environ.pop(name) for name in LAUNCHED if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


class _Gpaw:
    """Computes frames; the density is kept while only positions change."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._atoms: Atoms | None = None

    def __call__(self, atoms: Atoms) -> Outcome:
        """Compute one frame."""
        with without_launcher():
            from gpaw import GPAW, KohnShamConvergenceError, __version__
            from gpaw.mpi import serial_comm

        if self._atoms is None or (self._atoms.cell.array != atoms.cell.array).any():
            # GPAW would share a frame among all ranks of the batch.
            calculator = GPAW(**parameters(atoms, self._settings), communicator=serial_comm)
            self._atoms = atoms.copy()
            self._atoms.calc = calculator
        self._atoms.positions[:] = atoms.positions
        try:
            results = {
                "free_energy": self._atoms.get_potential_energy(force_consistent=True),
                "forces": self._atoms.get_forces(),
            }
            if not is_free_atom(atoms):
                results["stress"] = self._atoms.get_stress()
            if atoms.get_initial_magnetic_moments().any():
                results["magmoms"] = self._atoms.get_magnetic_moments()
        except KohnShamConvergenceError:
            self._atoms = None
            return Outcome({}, __version__, False)
        return Outcome(results, __version__, True)


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> FrameCalculator:
    return FrameCalculator(_Gpaw(settings), settings["spin"])


def _folders() -> list[Path]:
    from importlib.util import find_spec  # the module itself takes seconds to load

    folders = [Path(folder) for folder in os.environ.get("GPAW_SETUP_PATH", "").split(os.pathsep) if folder]
    spec = find_spec("gpaw_data")
    if spec is not None and spec.origin:
        folders.append(Path(spec.origin).parent / "setups")
    return [folder for folder in folders if folder.is_dir()]


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    check_positive(
        "gpaw", settings, "cutoff", "kpoint_spacing", "scf_threshold", "density_threshold", "scf_steps"
    )
    check_spin(settings, elements)
    folders = _folders()
    if not folders:
        return  # GPAW finds its setups in places of its own too
    lacking = []
    for symbol in elements:
        name = settings["pseudopotentials"].get(symbol, "paw")
        start = f"{symbol}." if name == "paw" else f"{symbol}.{name}."
        if not any(path.name.startswith(start) for folder in folders for path in folder.iterdir()):
            lacking.append(symbol)
    if lacking:
        raise InputError(
            f"GPAW has no setup for {', '.join(lacking)} in {', '.join(map(str, folders))}",
            fix="set GPAW_SETUP_PATH to a folder that has it",
        )


ENGINE = Engine(
    name="gpaw",
    title="GPAW (plane waves)",
    first_principles=True,
    settings={
        "pseudopotentials": Setting({}, "Name of an element's setup, where it is not GPAW's usual one."),
        "xc": Setting("PBE", "Functional as GPAW or libxc names it, e.g. LDA, PBE, PBEsol."),
        "cutoff": Setting(400.0, "Plane-wave cut-off of the wavefunctions.", "eV"),
        "kpoint_spacing": KPOINT_SPACING,
        "shifted_mesh": SHIFTED_MESH,
        "smearing": Setting(
            0.0, "Width of the Fermi-Dirac smearing of a metal; 0: an insulator's occupations.", "eV"
        ),
        "scf_threshold": Setting(
            1e-6, "Energy change per valence electron at which self-consistency is reached.", "eV"
        ),
        "density_threshold": Setting(
            1e-6,
            "Change of the density, electrons per valence electron, at which self-consistency is reached.",
        ),
        "scf_steps": Setting(200, "Most steps of self-consistency.", physics=False),
        "spin": SPIN,
    },
    module="gpaw",
    extra="gpaw",
    obtain="It is compiled on installation: a C compiler, BLAS and libxc (Debian packages libopenblas-dev, libxc-dev).",
    calculator=_calculator,
    version=version,
    converged=converged,
    check=_check,
    cost=lambda n_atoms: float(n_atoms) ** 2,
)
