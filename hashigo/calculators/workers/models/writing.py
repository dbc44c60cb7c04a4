"""The result file of a training: models, errors on held-out frames, parity, calibration, gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.calibration import (
    LEVELS,
    MIN_ROWS,
    CrossFit,
    Scale,
    calibrate,
    coverage,
    covering_factor,
    summary,
    telling,
    why_not_credible,
)
from hashigo.calculators.workers.extrapolation import trained_region
from hashigo.calculators.workers.fitting import FORCE
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import read_structure
from hashigo.calculators.workers.models import Kind
from hashigo.calculators.workers.models.rows import Rows
from hashigo.calculators.workers.resampling import Indices, groups, split
from hashigo.calculators.workers.training import TASK_VERSION
from hashigo.calculators.workers.training_result import PARITY, write_gate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """What a training has come to.

    Attributes:
        frames: all frames.
        train: indices of those trained on, shape (n_train,), dimensionless.
        test: indices of those held out, shape (n_test,), dimensionless.
        rows: reference and predictions of all frames.
        blobs: the mean model and the members as bytes.
        energies: of a free atom of each element, eV.
        source: a sentence on where these are from.
    """

    frames: Sequence[Frame]
    train: Indices
    test: Indices
    rows: Rows
    blobs: Sequence[bytes]
    energies: Mapping[str, float]
    source: str


_METHOD = (
    "scaled on one half of the held-out frames and judged on the other; the members' distance from the mean is scaled "
    "so that it covers 68.3 % of the force errors of the first half"
)


@dataclass(frozen=True)
class Spread:
    """The uncertainty of a committee, scaled on one half of the held-out frames, and its worth on the other.

    Attributes:
        scales: by ENERGY, FORCE or STRESS; a kind with too few rows has none.
        factor: what a member's distance from the mean is multiplied with, dimensionless.
        parts: of `uncertainty.PARTS` for all rows, shape (3, n_rows), eV/atom, eV/Å or eV/Å^3.
        judged: number of rows and coverage of the intervals on the other half, by kind.
        lacking: why it is not calibrated; empty when it is.
    """

    scales: dict[int, Scale]
    factor: float
    parts: Floats
    judged: dict[int, dict[str, Any]]
    lacking: str

    def half_widths(self, where: Indices, kind: int) -> Floats:
        """Half-widths of the intervals of `calibration.LEVELS`; where a kind has no scale, those of the members.

        Args:
            where: indices of rows, shape (n_rows,), dimensionless.
            kind: number ENERGY, FORCE or STRESS.

        Returns:
            Shape (2, n_rows), eV/atom, eV/Å or eV/Å^3.
        """
        if kind in self.scales:
            return self.scales[kind].half_widths(self.parts[:, where])
        return np.outer([1.0, 1.96], np.sqrt(np.sum(self.parts[:, where] ** 2, axis=0)))


def spread_of(trained: Trained, seed: int) -> Spread | None:
    """Scale and judge the spread of a committee; None where there is no committee.

    The spread of the members is the epistemic part, the error on the training frames the noise; a network has no part
    of its own for misfit.

    Args:
        trained: the committee.
        seed: of the halving.
    """
    rows = trained.rows
    if len(rows.votes) < 2:
        return None
    noise = np.zeros(len(rows.kind))
    for kind in PARITY:
        seen = rows.of(trained.train, kind)
        noise[rows.kind == kind] = _rms(rows.mean[seen] - rows.targets[seen])
    parts = np.array([rows.votes.std(axis=0, ddof=1), np.zeros(len(noise)), noise])
    kinds = [trained.frames[index].kind for index in trained.test]
    scaled, judging = (trained.test[half] for half in split(kinds, 0.5, np.random.default_rng(seed)))
    forces = rows.of(scaled, FORCE)
    if np.sum(telling(rows.kind[forces], rows.targets[forces])) < MIN_ROWS or not len(
        rows.of(judging, FORCE)
    ):
        return Spread(
            {}, 1.0, parts, {}, "too few held-out frames to scale it on some and judge it on others"
        )
    told = telling(rows.kind, rows.targets)
    first = np.isin(rows.frame, scaled) & told
    errors = rows.targets - rows.mean
    own_forces = forces[told[forces]]
    member_factor = covering_factor(errors[own_forces], parts[0, own_forces])
    scales = calibrate(CrossFit(rows.kind[first], errors[first], parts[:, first]))
    judged: dict[int, dict[str, Any]] = {}
    for kind, scale in scales.items():
        where = rows.of(judging, kind)
        where = where[told[where]]
        if len(where):
            own = parts[:, where]
            found = coverage(errors[where], scale.half_widths(own), scale.spread(own))
            judged[kind] = {
                "rows": len(where),
                "members_68": float(np.mean(np.abs(errors[where]) <= member_factor * parts[0, where])),
                "coverage": found["all"],
                "terciles_68": found["groups"],
                "scaled": True,
            }
    lacking = why_not_credible(judged)
    return Spread(scales, member_factor, parts, judged, lacking)


def write(
    job: Job, kind: Kind, trained: Trained, section: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    """Write the result of a training.

    Args:
        job: whose output it is.
        kind: of the potential.
        trained: what the training has come to.
        section: the study's section, complete.
        settings: of the kind, complete.
    """
    found = spread_of(trained, section["seed"])
    errors = {one: _held_out_error(trained, one) for one in PARITY}
    fix = "add reference frames, or train longer (potential.settings.epochs)"
    if not len(trained.train):
        fix = "train a potential on the frames"
    with ResultWriter(job.output, task="training", task_version=TASK_VERSION) as writer:
        for index, blob in enumerate(trained.blobs):
            name = f"potential/members/{index - 1}" if index else "potential/mean"
            writer.array(name, np.frombuffer(blob, dtype=np.uint8), units="dimensionless")
        _write_parity(writer, trained, errors, found)
        writer.note("training", _summary(kind, trained, section, settings))
        writer.note("calibration", _calibration_note(found))
        if len(trained.train):
            structure = read_structure(job.inputs["structure"]) if "structure" in job.inputs else None
            writer.note("region", asdict(trained_region(trained.frames, structure)))
        write_gate(writer, errors[FORCE], section["max_force_error"], fix)


def _held_out_error(trained: Trained, kind: int) -> float | None:
    where = trained.rows.of(trained.test, kind)
    if not len(where):
        return None
    return _rms(trained.rows.mean[where] - trained.rows.targets[where]) * PARITY[kind][3]


def _write_parity(
    writer: ResultWriter, trained: Trained, errors: Mapping[int, float | None], found: Spread | None
) -> None:
    rows = trained.rows
    for kind, (name, quantity, unit, factor) in PARITY.items():
        error = errors[kind]
        if error is not None:
            writer.quantity(quantity, error)
        for prefix, frames in (("", trained.test), ("train_", trained.train)):
            where = rows.of(frames, kind)
            columns = {"reference": rows.targets[where], "predicted": rows.mean[where]}
            if found is not None:
                widths = found.half_widths(where, kind)
                columns["committee"] = found.factor * found.parts[0, where]
                columns["spread"], columns["interval_95"] = widths
            for what, values in columns.items():
                writer.array(f"parity/{name}/{prefix}{what}", values * factor, units=unit)


def _calibration_note(found: Spread | None) -> dict[str, Any]:
    if found is None:
        return {"calibrated": False, "lacking": "the potential has no committee", "held_out": {}}
    return {
        "calibrated": not found.lacking,
        "lacking": found.lacking,
        "method": _METHOD,
        "member_factor": found.factor,
        "levels": list(LEVELS),
        "scales": summary(found.scales),
        "held_out": {PARITY[kind][0]: judged for kind, judged in found.judged.items()},
    }


def _summary(
    kind: Kind, trained: Trained, section: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    members = len(trained.blobs) - 1
    committee = (
        "other random numbers for each member, and bootstrap over frames within each kind"
        if members
        else "none: the potential is used as it is, not calibrated"
    )
    held_out = set(trained.test.tolist())
    return {
        "model": kind.name,
        "n_train": len(trained.train),
        "n_test": len(trained.test),
        "members": members,
        "committee": committee,
        "elements": sorted(trained.energies),
        "atomic_energies": dict(trained.energies),
        "atomic_energies_source": trained.source,
        "energies": "parity plots count energies from the free atoms",
        "settings": {
            "members": members,
            "held_out": section["held_out"],
            "seed": section["seed"],
            **settings,
        },
        "frames": {
            name: {"total": len(own), "held_out": len(held_out & set(own.tolist()))}
            for name, own in groups([frame.kind for frame in trained.frames]).items()
        },
        "held_out": trained.test.tolist(),
    }


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else 0.0
