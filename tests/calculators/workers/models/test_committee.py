"""The committee of any kind: dispatch, format, calibration, divergence; with a kind that needs no package."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import training
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.polynomial import load_committee
from hashigo.errors import InputError, WorkerError


@pytest.fixture
def springs(register, train):
    register("springs", "stub_springs:KIND")

    def make(name="potential.h5", frames=None, settings=None, **section):
        return train("springs", name, frames, settings=settings or {}, **{"members": 4, **section})

    return make


def test_the_task_hands_the_job_to_the_kind_and_its_files_become_models_again(springs, small_frames):
    path = springs()
    with ResultReader(path) as result:
        note = result.note("training")
        assert (note["model"], note["members"], note["n_test"]) == ("springs", 4, 5)
        assert note["settings"]["error"] == 0.02
        votes = [bytes(result.array(f"potential/members/{index}")) for index in range(4)]
        predicted = result.array("parity/forces/predicted")
        held_out = [small_frames[index] for index in note["held_out"]]
    committee = load_committee(path)
    assert len(committee.members) == 4
    assert len(set(votes)) == 4
    said = committee.mean.evaluate([frame.atoms() for frame in held_out])
    np.testing.assert_allclose(np.concatenate([one.forces.ravel() for one in said]), predicted)


def test_the_spread_is_scaled_on_one_half_of_the_held_out_frames_and_judged_on_the_other(springs):
    path = springs(members=6, held_out=0.5)
    with ResultReader(path) as result:
        note = result.note("calibration")
        names = ("reference", "predicted", "committee", "spread", "interval_95")
        reference, predicted, committee, spread, wide = (result.array(f"parity/forces/{n}") for n in names)
        frames = len(result.note("training")["held_out"])
    assert note["calibrated"]
    assert note["held_out"]["forces"]["rows"] < len(reference)
    assert note["held_out"]["forces"]["coverage"] == pytest.approx([0.683, 0.95], abs=0.12)
    errors = np.abs(reference - predicted)
    assert (errors <= spread).mean() == pytest.approx(0.683, abs=0.1)
    assert (errors <= wide).mean() == pytest.approx(0.95, abs=0.05)
    assert (errors <= committee).mean() == pytest.approx(0.683, abs=0.1)
    # The intervals follow the members: where these disagree, they are wide.
    assert np.corrcoef(spread, committee)[0, 1] > 0.9
    assert frames > 10


def test_later_stages_get_members_at_the_calibrated_distance(springs, small_frames):
    path = springs(members=6, held_out=0.5)
    with ResultReader(path) as result:
        indices = result.note("training")["held_out"]
        assert result.note("calibration")["member_factor"] != 1
        told = result.array("parity/forces/committee")
    atoms = [small_frames[index].atoms() for index in indices]
    committee = load_committee(path)
    votes = [member.evaluate(atoms) for member in committee.members]
    forces = np.array([np.concatenate([one.forces.ravel() for one in vote]) for vote in votes])
    np.testing.assert_allclose(forces.std(axis=0, ddof=1), told, atol=1e-12)
    together = committee.evaluate_all(atoms)
    for index, one in enumerate(together):
        np.testing.assert_allclose(one.forces[1:], [vote[index].forces for vote in votes])
        np.testing.assert_allclose(one.stresses[1:], [vote[index].stress for vote in votes])
        np.testing.assert_allclose(one.energies[1:], [vote[index].energy for vote in votes])
        assert one.mean.energy == committee.mean.evaluate([atoms[index]])[0].energy


def test_with_too_few_held_out_frames_the_spread_stays_uncalibrated(springs, small_frames):
    with ResultReader(springs(frames=small_frames[:4])) as result:
        note = result.note("calibration")
        assert (note["calibrated"], note["member_factor"]) == (False, 1.0)
        assert "too few held-out frames" in note["lacking"]
        assert len(result.array("parity/forces/spread")) == 24


def test_a_result_says_the_same_things_as_that_of_a_polynomial_potential(springs, tersoff_potential):
    with ResultReader(springs()) as ours, ResultReader(tersoff_potential) as theirs:
        for name in ("energy", "forces", "stress"):
            columns = [set(reader.file[f"data/parity/{name}"]) for reader in (ours, theirs)]
            assert columns[0] == columns[1]
        calibration, known = (reader.note("calibration") for reader in (ours, theirs))
        assert set(calibration) == set(known)
        assert set(calibration["held_out"]) == set(known["held_out"]) == {"energy", "forces", "stress"}
        assert set(calibration["held_out"]["energy"]) == set(known["held_out"]["energy"])
        kinds, others = (reader.note("training")["frames"] for reader in (ours, theirs))
        assert set(kinds["displaced"]) == set(others["displaced"])
        # A kind with too few rows to be scaled has the intervals of a normal distribution.
        assert not calibration["held_out"]["energy"]["scaled"]
        ratio = ours.array("parity/energy/interval_95") / ours.array("parity/energy/spread")
        np.testing.assert_allclose(ratio, 1.959964, atol=1e-5)


def test_without_training_all_frames_judge_and_there_is_no_spread(springs, small_frames):
    path = springs(settings={"epochs": 0})
    with ResultReader(path) as result:
        note = result.note("training")
        assert (note["members"], note["n_train"], note["n_test"]) == (0, 0, len(small_frames))
        assert "not calibrated" in note["committee"]
        assert not result.has("parity/forces/spread")
        assert result.quantity("force_error").value[0] == pytest.approx(0, abs=1e-12)
    assert load_committee(path).members == ()


def test_the_same_seed_gives_the_same_file_and_another_another(springs):
    first = springs("first.h5").read_bytes()
    assert springs("second.h5").read_bytes() == first
    assert springs("third.h5", seed=1).read_bytes() != first


class TwoRanks:
    """One of two ranks that run one after the other, the first rank last."""

    size = 2

    def __init__(self, rank, sent):
        self.rank, self.sent = rank, sent

    def gather(self, value, root):
        if self.rank != root:
            self.sent.append(value)
            return None
        return [value, *self.sent]


def test_ranks_share_the_members_and_the_file_is_the_same(springs, tmp_path):
    alone = springs("alone.h5").read_bytes()
    sent, shared = [], tmp_path / "shared.h5"
    for rank in (1, 0):
        parameters = {"model": "springs", "members": 4, "settings": {}}
        job = Job(
            "training", parameters, {"frames": tmp_path / "frames.h5"}, shared, comm=TwoRanks(rank, sent)
        )
        training.run(job)
        assert shared.exists() == (rank == 0)
    assert sorted(sent[0]) == [1, 3]
    assert shared.read_bytes() == alone


@pytest.mark.parametrize("name", ["the mean model", "member 2"])
def test_a_network_worse_than_none_has_diverged(springs, name):
    with pytest.raises(WorkerError, match=rf"the training of {name} diverged: its force error") as caught:
        springs(settings={"spoilt": name})
    assert "learning_rate" in caught.value.fix


def test_the_gate_judges_held_out_forces(springs):
    with ResultReader(springs(max_force_error=1e-6)) as result:
        gate = result.note("gate")
        assert not gate["passed"]
        assert gate["value"] == result.quantity("force_error").value[0]
        assert "potential.settings.epochs" in gate["fix"]


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"members": 1}, r"potential\.members is 1, and a committee needs at least 2"),
        ({"held_out": 1.0}, r"potential\.held_out is 1\.0"),
        ({"cutoff": 5.0}, r"potential\.cutoff is not a parameter of model 'springs'"),
        ({"settings": {"epoch": 3}}, r"potential\.settings\.epoch is no setting of model 'springs'"),
        ({"settings": {"error": "much"}}, r"potential\.settings\.error"),
    ],
)
def test_bad_parameters_are_named(springs, section, sentence):
    with pytest.raises(InputError, match=sentence):
        springs(**section)
