"""Read phono3py's own files, in their simplest form."""

from __future__ import annotations

from pathlib import Path

import phono3py

from hashigo.calculators.workers.lattice.transport import mode_properties
from hashigo.errors import InputError


def conductivity_from_phono3py(
    directory: Path, mesh: int, temperature: float, *, isotopes: bool = False
) -> float:
    """Lattice thermal conductivity from finite displacements and their forces.

    Args:
        directory: holds phono3py_disp.yaml and FORCES_FC3.
        mesh: count of wave vectors along each reciprocal vector.
        temperature: K.
        isotopes: whether the natural mix of isotopes scatters.

    Returns:
        A third of the trace, relaxation-time approximation, W/(m K).

    Raises:
        InputError: when a file is missing or is not phono3py's.
    """
    disp, forces = Path(directory) / "phono3py_disp.yaml", Path(directory) / "FORCES_FC3"
    for file in (disp, forces):
        if not file.is_file():
            raise InputError(f"{directory} has no file {file.name}", fix="give a folder of phono3py's files")
    try:
        crystal = phono3py.load(
            str(disp), forces_fc3_filename=str(forces), fc_calculator="traditional", log_level=0
        )
    except (ValueError, KeyError, IndexError, TypeError, RuntimeError) as error:
        raise InputError(f"the phono3py files in {directory} cannot be read: {error}") from error
    modes = mode_properties(crystal, mesh, [temperature], isotopes=isotopes)
    return float(modes.conductivity()[0].trace() / 3)
