"""Search of hyperparameters: the rule, the choice's independence of ranks and times, and grids that are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.frames import write_frames
from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import hyperparameters, training
from hashigo.calculators.workers.hyperparameters import (
    candidates_of,
    choose,
    evaluation_cost,
    folds_of,
    mean_and_error,
)
from hashigo.calculators.workers.job import Job
from hashigo.errors import InputError

SMALL = {
    "cutoff": [3.0, 5.0],
    "radial_functions": [3],
    "invariant_max_l": [[2, 2], [4, 4]],
    "max_power": [1, 2],
}


@pytest.fixture(scope="module")
def frames_file(tersoff_frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "frames.h5"
    # The large cells take most of the time, and two of a kind are enough to fold.
    write_frames(path, tersoff_frames[4:], {"atomic_energies": {"Si": 0.0}})
    return path


def search(frames_file, output, comm=None, **parameters):
    more = {} if comm is None else {"comm": comm}
    job = Job("hyperparameters", {"grid": SMALL, **parameters}, {"frames": frames_file}, output, **more)
    hyperparameters.run(job)
    return output


@pytest.fixture(scope="module")
def searched(frames_file, tmp_path_factory):
    """Result of a search over eight small models."""
    return search(frames_file, tmp_path_factory.mktemp("search") / "search.h5")


def content(path):
    """Arrays and choice of a result."""
    with ResultReader(path) as reader:
        names = [f"search/{name}" for name in reader.file["data/search"]]
        return {name: reader.array(name) for name in names}, reader.note("search")


def test_every_candidate_has_its_errors_and_cost(searched):
    arrays, note = content(searched)
    assert note["candidates"] == 8 == len(arrays["search/cutoff"])
    for name in ("weighted_error", "force_error", "energy_error", "stress_error"):
        assert np.all(arrays[f"search/{name}"] > 0)
        assert np.all(arrays[f"search/{name}_standard_error"] > 0)
    # Candidates that follow each other differ in their power.
    assert np.all(np.diff(arrays["search/n_features"][:2]) > 0)
    assert note["parameters"]["cutoff"] in (3.0, 5.0)


def test_the_choice_is_the_cheapest_within_one_standard_error(searched):
    arrays, note = content(searched)
    error, standard, cost = (
        arrays[f"search/{name}"] for name in ("weighted_error", "weighted_error_standard_error", "cost")
    )
    limit = error[note["best"]] + standard[note["best"]]
    assert error[note["best"]] == error.min()
    assert error[note["chosen"]] <= limit
    assert not [i for i in range(8) if error[i] <= limit and cost[i] < cost[note["chosen"]]]


def test_the_rule():
    errors, costs = np.array([1.0, 1.05, 1.2, 3.0]), np.array([9.0, 5.0, 4.0, 1.0])
    assert choose(errors, np.full(4, 0.1), costs) == (1, 0)
    assert choose(errors, np.full(4, 0.25), costs) == (2, 0)
    assert choose(errors, np.zeros(4), costs) == (0, 0)
    # Only the standard error of the best one counts.
    assert choose(errors, np.array([0.0, 9, 9, 9]), costs) == (0, 0)
    # Of two that cost the same the better one.
    assert choose(np.array([1.0, 1.2, 1.1]), np.full(3, 1.0), np.array([2.0, 1.0, 1.0])) == (2, 0)


def test_mean_and_standard_error_over_folds():
    mean, error = mean_and_error(np.array([[1.0, 2.0, 3.0], [5.0, np.nan, 7.0], [np.nan] * 3]))
    np.testing.assert_allclose(mean[:2], [2.0, 6.0])
    np.testing.assert_allclose(error[:2], [1 / np.sqrt(3), 1.0])
    assert np.isnan(mean[2])


def test_errors_are_those_of_fits_without_the_fold(tersoff_frames, searched):
    """The numbers of one candidate, made again by hand."""
    from hashigo.calculators.workers.fitting import FORCE, Ridge, design_matrix, polymlp_parameters

    arrays, _ = content(searched)
    frames = tersoff_frames[4:]
    settings = {**training.DEFAULTS, **dict(zip(hyperparameters.GRID, (5.0, 3, [4, 4], 2), strict=True))}
    design = design_matrix(
        frames, polymlp_parameters(["Si"], settings, {"Si": 0.0}), {0: 1.0, 1: 1.0, 2: 1.0}
    )
    train, folds = folds_of(frames, settings)
    ridge = arrays["search/ridge"][-1]
    errors = []
    for fold in folds:
        fit = Ridge(design, train).fit(ridge, np.setdiff1d(train, fold))
        rows = design.rows(fold, FORCE)
        errors.append(np.sqrt(np.mean((design.features[rows] @ fit - design.targets[rows]) ** 2)))
    assert arrays["search/force_error"][-1] == pytest.approx(np.mean(errors), rel=1e-6)
    spread = np.std(errors, ddof=1) / np.sqrt(len(folds))
    assert arrays["search/force_error_standard_error"][-1] == pytest.approx(spread, rel=1e-6)


def test_frames_held_out_from_the_training_take_no_part(tersoff_frames, frames_file, tmp_path, searched):
    parameters = {"members": 2, "cutoff": 3.0, "radial_functions": 3, "invariant_max_l": [2, 2]}
    training.run(Job("training", parameters, {"frames": frames_file}, tmp_path / "potential.h5"))
    with ResultReader(tmp_path / "potential.h5") as reader:
        held_out = reader.note("training")["held_out"]
    frames = tersoff_frames[4:]
    train, folds = folds_of(frames, training.DEFAULTS)
    assert sorted([*train, *held_out]) == list(range(len(frames)))
    assert sorted(np.concatenate(folds)) == sorted(train)


class TwoRanks:
    """Rank 0 of two, which knows what rank 1 found."""

    rank, size = 0, 2

    def __init__(self, other):
        self.other = other

    def gather(self, value, root=0):
        return [value, self.other]


def test_ranks_share_the_candidates_and_change_nothing(frames_file, searched, tmp_path):
    class Second(TwoRanks):
        rank = 1

        def gather(self, value, root=0):
            self.found = value

    second = Second(None)
    search(frames_file, tmp_path / "none.h5", second)
    assert not (tmp_path / "none.h5").exists()
    assert 2 <= len(second.found) <= 6
    both = search(frames_file, tmp_path / "both.h5", TwoRanks(second.found))
    ours, known = content(both), content(searched)
    assert ours[1] == known[1]
    for name, values in known[0].items():
        np.testing.assert_array_equal(ours[0][name], values)
    # Nothing that was measured is in the file.
    assert both.read_bytes() == searched.read_bytes()


def test_cost_grows_with_cutoff_and_features():
    settings = {"cutoff": 5.0, "radial_functions": 10, "invariant_max_l": [8, 4]}
    cost = evaluation_cost(100, settings, 0.05)
    assert cost == pytest.approx(0.05 * 4 / 3 * np.pi * 125 * 10 * 81 + 100 * 100)
    assert evaluation_cost(101, settings, 0.05) > cost
    assert evaluation_cost(100, {**settings, "cutoff": 6.0}, 0.05) > cost


@pytest.mark.parametrize(
    ("grid", "match"),
    [
        ({**SMALL, "cutoff": []}, "no values of cutoff"),
        ({"cutoff": [5.0]}, "no values of radial_functions"),
        ({**SMALL, "colour": ["red"]}, "colour is not searched"),
        ({**SMALL, "cutoff": [0.5]}, "0.5 Å, too short"),
        ({**SMALL, "invariant_max_l": [[4]]}, "need 2"),
        ({**SMALL, "radial_functions": list(range(1, 200))}, "more than 200"),
    ],
)
def test_grids_that_are_wrong(grid, match):
    with pytest.raises(InputError, match=match):
        candidates_of({"grid": grid})
