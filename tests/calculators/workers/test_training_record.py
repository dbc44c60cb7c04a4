"""What a result says of any potential, from numbers whose errors and coverage are known."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.calibration import Calibration
from hashigo.calculators.workers.fitting import ENERGY, FORCE
from hashigo.calculators.workers.training_record import (
    Said,
    Spread,
    calibration_note,
    write_gate,
    write_parity,
)

TRAIN, TEST = np.array([0, 1]), np.array([2])


def say(frames, kind, spread=True):
    """Ten force components of each frame, off by 1 to 10 meV/Å, and nothing else."""
    if kind != FORCE:
        return Said(np.zeros(0), np.zeros(0), Spread(np.zeros(0), np.zeros((2, 0))) if spread else None)
    errors = 1e-3 * np.tile(np.arange(1.0, 11.0), len(frames))
    widths = np.array([[7.5e-3], [9.5e-3]]) * np.ones(len(errors))
    return Said(
        1 + errors, np.ones(len(errors)), Spread(6.5e-3 * np.ones(len(errors)), widths) if spread else None
    )


def written(path, function):
    with ResultWriter(path, task="training", task_version=1) as writer:
        error = write_parity(writer, function, TRAIN, TEST)
        write_gate(writer, error, 1.0, "train longer")
    return error


def test_errors_are_those_of_the_frames_held_out(tmp_path):
    error = written(tmp_path / "result.h5", say)
    assert error == pytest.approx(1e-3 * np.sqrt(38.5))
    with ResultReader(tmp_path / "result.h5") as reader:
        assert reader.quantities() == ["force_error"]
        assert len(reader.array("parity/forces/train_reference")) == 20
        assert len(reader.array("parity/energy/spread")) == 0
        np.testing.assert_allclose(reader.array("parity/forces/interval_95"), 9.5e-3)


def test_without_a_committee_there_are_no_columns_of_it(tmp_path):
    written(tmp_path / "result.h5", lambda frames, kind: say(frames, kind, spread=False))
    with ResultReader(tmp_path / "result.h5") as reader:
        assert set(reader.file["data/parity/forces"]) == {
            f"{prefix}{name}" for prefix in ("", "train_") for name in ("reference", "predicted")
        }


def test_the_note_tells_what_members_and_intervals_cover():
    note = calibration_note(Calibration({}, 2.0), say, TEST, "by hand")
    assert set(note["held_out"]) == {"forces"}
    forces = note["held_out"]["forces"]
    assert (forces["rows"], forces["members_68"], forces["coverage"]) == (10, 0.6, [0.7, 0.9])
    assert (note["calibrated"], note["member_factor"], forces["scaled"]) == (True, 2.0, False)


def test_what_the_calibration_lacks_is_told_first():
    note = calibration_note(Calibration({}, lacking="too few frames"), say, TEST, "")
    assert (note["calibrated"], note["lacking"]) == (False, "too few frames")
    bare = calibration_note(Calibration({}), lambda frames, kind: say(frames, ENERGY), TEST, "")
    assert bare["lacking"] == "no frame held out has forces to judge it by"
