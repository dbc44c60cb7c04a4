"""The result file of a potential that is not polynomial: networks, or an engine as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.calibration import (
    MIN_ROWS,
    Calibration,
    CrossFit,
    calibrate,
    covering_factor,
    telling,
)
from hashigo.calculators.workers.extrapolation import trained_region
from hashigo.calculators.workers.fitting import FORCE
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import read_structure
from hashigo.calculators.workers.models import Kind
from hashigo.calculators.workers.models.rows import Rows
from hashigo.calculators.workers.resampling import Indices, split
from hashigo.calculators.workers.training import TASK_VERSION
from hashigo.calculators.workers.training_record import (
    PARITY,
    Said,
    Say,
    Spread,
    calibration_note,
    training_note,
    write_gate,
    write_parity,
)

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
#: Note of a potential that is one model.
_NO_COMMITTEE: dict[str, Any] = {
    "calibrated": False,
    "lacking": "the potential has no committee",
    "held_out": {},
}


@dataclass(frozen=True)
class Scaled:
    """The uncertainty of a committee, scaled on one half of the held-out frames.

    Attributes:
        calibration: by that half; its scales are empty where there are too few rows.
        parts: of `uncertainty.PARTS` for all rows, shape (3, n_rows), eV/atom, eV/Å or eV/Å^3.
        judging: indices of the frames of the other half, shape (n_frames,), dimensionless.
    """

    calibration: Calibration
    parts: Floats
    judging: Indices


def scaled_spread(trained: Trained, seed: int) -> Scaled | None:
    """Scale the spread of a committee; None where there is no committee.

    The spread of the members is the epistemic part, the error on the training frames the noise; a network has no part
    of its own for misfit.

    Args:
        trained: the committee.
        seed: of the halving.
    """
    rows = trained.rows
    if len(rows.votes) < 2:
        return None
    errors = rows.targets - rows.mean
    noise = np.zeros(len(rows.kind))
    for kind in PARITY:
        noise[rows.kind == kind] = _rms(errors[rows.of(trained.train, kind)])
    parts = np.array([rows.votes.std(axis=0, ddof=1), np.zeros(len(noise)), noise])
    kinds = [trained.frames[index].kind for index in trained.test]
    half, judging = (trained.test[part] for part in split(kinds, 0.5, np.random.default_rng(seed)))
    told = np.isin(rows.frame, half) & telling(rows.kind, rows.targets)
    forces = told & (rows.kind == FORCE)
    if forces.sum() < MIN_ROWS or not len(rows.of(judging, FORCE)):
        lacking = "too few held-out frames to scale it on some and judge it on others"
        return Scaled(Calibration({}, lacking=lacking), parts, judging[:0])
    scales = calibrate(CrossFit(rows.kind[told], errors[told], parts[:, told]))
    factor = covering_factor(errors[forces], parts[0, forces])
    return Scaled(Calibration(scales, factor), parts, judging)


def _say(rows: Rows, scaled: Scaled | None) -> Say:
    def say(frames: Indices, kind: int) -> Said:
        where = rows.of(frames, kind)
        spread = None
        if scaled is not None:
            parts, calibration = scaled.parts[:, where], scaled.calibration
            spread = Spread(calibration.factor * parts[0], calibration.half_widths(parts, kind))
        return Said(rows.targets[where], rows.mean[where], spread)

    return say


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
    scaled = scaled_spread(trained, section["seed"])
    say = _say(trained.rows, scaled)
    note = _NO_COMMITTEE
    if scaled is not None:
        note = calibration_note(scaled.calibration, say, scaled.judging, _METHOD)
    fix = "add reference frames, or train longer (potential.settings.epochs)"
    if not len(trained.train):
        fix = "train a potential on the frames"
    with ResultWriter(job.output, task="training", task_version=TASK_VERSION) as writer:
        for index, blob in enumerate(trained.blobs):
            name = f"potential/members/{index - 1}" if index else "potential/mean"
            writer.array(name, np.frombuffer(blob, dtype=np.uint8), units="dimensionless")
        error = write_parity(writer, say, trained.train, trained.test)
        writer.note("training", _summary(kind, trained, section, settings))
        writer.note("calibration", note)
        if len(trained.train):
            structure = read_structure(job.inputs["structure"]) if "structure" in job.inputs else None
            writer.note("region", asdict(trained_region(trained.frames, structure)))
        write_gate(writer, error, section["max_force_error"], fix)


def _summary(
    kind: Kind, trained: Trained, section: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    members = len(trained.blobs) - 1
    committee = (
        "other random numbers for each member, and bootstrap over frames within each kind"
        if members
        else "none: the potential is used as it is, not calibrated"
    )
    common = training_note(trained.frames, trained.train, trained.test, trained.energies, trained.source)
    given = {"members": members, "held_out": section["held_out"], "seed": section["seed"]}
    return {
        **common,
        "model": kind.name,
        "members": members,
        "committee": committee,
        "settings": {**given, **settings},
    }


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else 0.0
