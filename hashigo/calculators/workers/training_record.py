"""What the result of a training says of a potential of any kind: parity, held-out errors, calibration, gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.units import GPa
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.calibration import (
    LEVELS,
    Calibration,
    coverage,
    summary,
    telling,
    why_not_credible,
)
from hashigo.calculators.workers.fitting import ENERGY, FORCE, STRESS
from hashigo.calculators.workers.resampling import Indices, groups

Floats = NDArray[np.float64]

#: Name, quantity, unit in the result file and the factor to it, of each kind of row.
PARITY = {
    ENERGY: ("energy", "energy_error", "eV/atom", 1.0),
    FORCE: ("forces", "force_error", "eV/Å", 1.0),
    STRESS: ("stress", "stress_error", "GPa", 1 / GPa),
}


@dataclass(frozen=True)
class Spread:
    """The uncertainty of rows of one kind.

    Attributes:
        committee: standard deviation of the members as they serve later stages, shape (n_rows,), eV/atom, eV/Å or
            eV/Å^3.
        half_widths: of the predictive intervals of `calibration.LEVELS`, shape (2, n_rows), same unit.
    """

    committee: Floats
    half_widths: Floats


@dataclass(frozen=True)
class Said:
    """Reference and prediction of rows of one kind.

    Attributes:
        reference: shape (n_rows,), eV/atom, eV/Å or eV/Å^3; energies from the free atoms.
        predicted: by the mean model, shape (n_rows,), same unit.
        spread: of the committee; None where there is none.
    """

    reference: Floats
    predicted: Floats
    spread: Spread | None


#: From (indices of frames, shape (n_frames,), dimensionless; number ENERGY, FORCE or STRESS).
Say = Callable[[Indices, int], Said]


def write_parity(writer: ResultWriter, say: Say, train: Indices, test: Indices) -> float | None:
    """Write errors on the frames held out, and reference and prediction of every frame.

    Args:
        writer: of the result.
        say: what the potential says.
        train: indices of the frames trained on, shape (n_train,), dimensionless.
        test: indices of the frames held out, shape (n_test,), dimensionless.

    Returns:
        Root-mean-square error of the forces on the frames held out, eV/Å; None where none has forces.
    """
    held_out: dict[int, float] = {}
    for kind, (name, quantity, unit, factor) in PARITY.items():
        for prefix, frames in (("", test), ("train_", train)):
            said = say(frames, kind)
            columns = {"reference": said.reference, "predicted": said.predicted}
            if said.spread is not None:
                columns["committee"] = said.spread.committee
                columns["spread"], columns["interval_95"] = said.spread.half_widths
            if not prefix and len(said.reference):
                held_out[kind] = float(np.sqrt(np.mean((said.reference - said.predicted) ** 2)) * factor)
                writer.quantity(quantity, held_out[kind])
            for what, values in columns.items():
                writer.array(f"parity/{name}/{prefix}{what}", values * factor, units=unit)
    return held_out.get(FORCE)


def calibration_note(calibration: Calibration, say: Say, judging: Indices, method: str) -> dict[str, Any]:
    """Whether and how the uncertainty is calibrated, and what it covers of frames used for nothing else.

    Args:
        calibration: of the committee.
        say: what the committee says.
        judging: indices of these frames, shape (n_frames,), dimensionless.
        method: of the calibration, in words.
    """
    found = {kind: _judged(say(judging, kind), kind, kind in calibration.scales) for kind in PARITY}
    judged = {kind: one for kind, one in found.items() if one is not None}
    lacking = calibration.lacking or why_not_credible(judged)
    return {
        "calibrated": not lacking,
        "lacking": lacking,
        "method": method,
        "member_factor": calibration.factor,
        "levels": list(LEVELS),
        "scales": summary(calibration.scales),
        "held_out": {PARITY[kind][0]: one for kind, one in judged.items()},
    }


def _judged(said: Said, kind: int, scaled: bool) -> dict[str, Any] | None:
    told = telling(np.full(len(said.reference), kind), said.reference)
    if said.spread is None or not told.any():
        return None
    errors = (said.reference - said.predicted)[told]
    widths = said.spread.half_widths[:, told]
    found = coverage(errors, widths, widths[0])
    return {
        "members_68": float(np.mean(np.abs(errors) <= said.spread.committee[told])),
        "rows": len(errors),
        "coverage": found["all"],
        "terciles_68": found["groups"],
        "scaled": scaled,
    }


def write_gate(writer: ResultWriter, error: float | None, limit: float | None, fix: str) -> None:
    """Write whether the potential is good enough.

    Args:
        writer: of the result.
        error: of forces on the frames held out, eV/Å; None where none has forces.
        limit: largest that is allowed, eV/Å; None for any.
        fix: what makes a better potential.
    """
    if limit is None or (error is not None and error <= limit):
        message = ""
    elif error is None:
        message = "no frame held out has forces to judge the potential by"
    else:
        message = (
            f"the potential's force error on held-out frames is {1e3 * error:.1f} meV/Å, "
            f"above the limit of {1e3 * limit:.1f} meV/Å"
        )
    fix = f"{fix}; or raise potential.max_force_error"
    writer.gate("held_out_error", message, fix=fix, value=error, limit=limit, unit="eV/Å")


def training_note(
    frames: Sequence[Frame], train: Indices, test: Indices, energies: Mapping[str, float], source: str
) -> dict[str, Any]:
    """What the note "training" holds for every kind of potential.

    Args:
        frames: all, those of free atoms set apart.
        train: indices of the frames trained on, shape (n_train,), dimensionless.
        test: indices of the frames held out, shape (n_test,), dimensionless.
        energies: of the free atoms by element, eV.
        source: where these are from, in words.
    """
    held_out = set(test.tolist())
    return {
        "n_train": len(train),
        "n_test": len(test),
        "elements": sorted(energies),
        "atomic_energies": dict(energies),
        "atomic_energies_source": source,
        "energies": "parity plots count energies from the free atoms",
        "frames": {
            kind: {
                "total": len(members),
                "held_out": len(held_out & set(members.tolist())),
                "without_energy": sum(frames[i].energy is None for i in members),
                "without_forces": sum(frames[i].forces is None for i in members),
                "without_stress": sum(frames[i].stress is None for i in members),
            }
            for kind, members in groups([frame.kind for frame in frames]).items()
        },
        # Indices, free atoms not counted: an identity is a hash by which a guessed frame is recognised.
        "held_out": test.tolist(),
    }
