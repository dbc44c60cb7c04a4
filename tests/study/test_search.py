from __future__ import annotations

import pytest

from hashigo.errors import InputError
from hashigo.study import study_from
from hashigo.study.search import DEFAULT_GRID, GRID, Search, search_grid


def grid(**potential):
    study = study_from({"structure": "a.cif", "reference": "r.h5", "potential": potential})
    return search_grid(study.model_dump(mode="json")["potential"])


def test_the_study_may_give_a_list_for_each_parameter_of_the_grid():
    assert set(Search.model_fields) == set(GRID)


def test_no_search_by_default():
    assert grid() is None
    assert grid(search=False) is None


def test_true_is_the_default_grid():
    assert grid(search=True) == grid(search={}) == DEFAULT_GRID


def test_the_default_grid_leaves_angular_numbers_of_another_order():
    found = grid(search=True, invariant_order=2, invariant_max_l=[6])
    assert found == {**DEFAULT_GRID, "invariant_max_l": [[6]]}


def test_what_is_not_searched_keeps_the_models_value():
    found = grid(search={"cutoff": [4, 5, 5.0]}, radial_functions=7)
    assert found == {
        "cutoff": [4.0, 5.0], "radial_functions": [7], "invariant_max_l": [[8, 8]], "max_power": [2],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("search", "match"),
    [
        ({"cutoff": []}, "cutoff"),
        ({"cutoff": 5}, "potential.search.cutoff"),
        ({"cutoff": [0.5]}, "cutoff"),
        ({"max_power": [4]}, "max_power"),
        ({"colour": ["red"]}, "unknown key 'potential.search.colour'"),
        ({"invariant_max_l": [[4]]}, "need 2 numbers"),
        ({"radial_functions": list(range(1, 300))}, "more than 200"),
        ("often", "search"),
    ],
)
def test_grids_that_are_wrong(search, match):
    with pytest.raises(InputError, match=match) as error:
        grid(search=search)
    assert "\n" not in str(error.value)
