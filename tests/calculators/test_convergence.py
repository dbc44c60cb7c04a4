"""Values that are tried, and the judgement on hand-made numbers."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.convergence import (
    Axis,
    Deviation,
    Sample,
    Tolerances,
    axes_of,
    converged_from,
    cutoff_axis,
    deviation,
    mesh_axis,
    varied,
)
from hashigo.calculators.convergence_search import Search
from hashigo.calculators.engines import engine_names, get_engine
from hashigo.calculators.engines.kpoints import kpoint_mesh

CUBIC = np.eye(3) * 5.4
TOLERANCES = Tolerances(force=0.01, stress=0.1)


def sample(error, stress=0.0):
    """Forces that differ by `error` from those of sample(0)."""
    return Sample(np.array([[1.0, 0, 0], [0, error, 0]]), np.array([[stress, 0, 0, 0, 0, 0]]))


def test_the_worst_atom_and_the_worst_component_count():
    apart = deviation(
        Sample(np.array([[3e-3, 4e-3, 0], [1e-3, 0, 0]]), np.array([[0, -0.2, 0, 0, 0, 0.1]])),
        Sample(np.zeros((2, 3)), np.zeros((1, 6))),
    )
    assert apart.force == pytest.approx(5e-3)
    assert apart.stress == pytest.approx(0.2)
    assert TOLERANCES.share(apart) == pytest.approx(2.0)
    assert TOLERANCES.share(Deviation(5e-3, None)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("shares", "first"),
    [
        ([], None),
        ([0.5], None),  # one value alone may be near by chance
        ([0.5, 0.4], 0),
        ([9, 2, 0.9, 0.1], 2),
        ([9, 0.9, 2, 0.9, 0.1], 3),  # one that was near by chance does not count
        ([9, 0.9, 0.1, 2], None),
        ([9, 2, 2, 0.9], None),
        ([1.0, 1.0], 0),
    ],
)
def test_converged_are_all_values_from_one_on(shares, first):
    assert converged_from(shares) == first


def test_cut_offs_are_short_numbers_around_the_studys_own():
    assert cutoff_axis(40.0, 8) == Axis("cutoff", (23.0, 28.0, 33.0, 40.0, 48.0, 58.0, 69.0, 83.0), 3)
    assert cutoff_axis(37.25, 3) == Axis("cutoff", (31.0, 37.25, 45.0), 1)


@pytest.mark.parametrize("own", [1.0, 0.6, 0.3, 0.15, 0.08])
@pytest.mark.parametrize("edges", [(5.4, 5.4, 5.4), (3.2, 3.2, 5.2), (3.0, 4.1, 11.0), (30.0, 30.0, 30.0)])
def test_every_spacing_gives_a_mesh_of_its_own(own, edges):
    cell = np.diag(edges)
    axis = mesh_axis(cell, own, 7)
    assert axis.values[axis.own] == own
    assert list(axis.values) == sorted(axis.values, reverse=True)
    points = [np.prod(kpoint_mesh(cell, spacing)) for spacing in axis.values]
    assert points == sorted(set(points))
    assert len(points) == 7
    # A small strain does not change the mesh of a value that was chosen here.
    for spacing in axis.values[: axis.own]:
        assert kpoint_mesh(cell * 1.005, spacing) == kpoint_mesh(cell, spacing)


def test_meshes_rise_one_by_one_first_and_faster_later():
    axis = mesh_axis(CUBIC, 0.3, 8)
    assert [kpoint_mesh(CUBIC, s)[0] for s in axis.values] == [2, 3, 4, 5, 6, 7, 9, 11]


def test_the_cut_off_of_the_density_keeps_its_ratio():
    axes = [cutoff_axis(40.0, 5)]
    settings = {"cutoff": 40.0, "density_cutoff": 320.0}
    assert varied(settings, axes, (58.0,)) == {"cutoff": 58.0, "density_cutoff": 464.0}
    assert varied(settings, axes, (40.0,)) == settings
    assert varied({**settings, "density_cutoff": 0.0}, axes, (58.0,))["density_cutoff"] == 0


def test_each_first_principles_engine_has_something_to_converge():
    engines = [get_engine(name) for name in engine_names()]
    for engine in (engine for engine in engines if engine.first_principles):
        settings = {name: setting.default for name, setting in engine.settings.items()}
        names = [axis.setting for axis in axes_of(settings, CUBIC, 8)]
        assert names == (["kpoint_spacing"] if engine.name == "fhi_aims" else ["cutoff", "kpoint_spacing"])


def run(search, error):
    """Compute what the search wants until it wants no more; `error` gives a sample, or None, of a point."""
    known = {}
    while todo := search.wanted(known):
        assert not set(todo) & set(known)
        known[todo[0]] = error(todo[0])
    return known


def search(count=6, spacings=(0.5, 0.4, 0.3, 0.2, 0.15, 0.1)):
    return Search([cutoff_axis(40.0, count), Axis("kpoint_spacing", spacings[:count], 2)], TOLERANCES)


def test_the_studys_own_values_come_first_and_both_finest_are_checked():
    # Errors fall with the cut-off, and with the spacing of k-points.
    errors = {23: 0.5, 28: 0.02, 33: 0.004, 40: 0.001, 48: 0.0}
    found = search()
    known = run(found, lambda p: sample(errors[p[0]] + (0.02 if p[1] > 0.35 else 0.003 * (p[1] > 0.25))))
    assert next(iter(known)) == (40.0, 0.3)
    assert found.series(0, known).recommended == 2
    assert found.series(1, known).points[-1] == (40.0, 0.15)
    check = found.check(known)
    assert check.finest == (48.0, 0.15)
    assert check.point == (33.0, 0.3)
    assert check.deviation.force == pytest.approx(0.007)
    # Values that nobody needs were not computed.
    assert max(p[0] for p in known) == 48.0
    assert min(p[1] for p in known) == 0.15


def test_a_series_that_never_settles_recommends_nothing_and_ends_with_its_budget():
    found = search()
    known = run(found, lambda p: sample(10.0 / p[0]))
    series = found.series(0, known)
    assert series.recommended is None
    assert [p[0] for p in series.points] == list(found.axes[0].values)
    assert found.series(1, known).recommended == 0
    assert found.check(known) is None


def test_a_value_near_the_finest_by_chance_is_not_recommended():
    errors = {23: 0.001, 28: 0.5, 33: 0.004, 40: 0.001, 48: 0.0}
    found = search()
    known = run(found, lambda p: sample(errors[p[0]]))
    assert found.series(0, known).points[found.series(0, known).recommended][0] == 33


def test_errors_that_add_up_raise_the_setting_with_the_largest_error():
    errors = {23: 0.5, 28: 0.009, 33: 0.001, 40: 0.0}
    found = search()
    known = run(found, lambda p: sample(errors[p[0]] + {0.5: 0.5, 0.4: 0.006, 0.3: 0.002}.get(p[1], 0.0)))
    assert found.series(0, known).points[found.series(0, known).recommended][0] == 28
    check = found.check(known)
    assert check.point == (33.0, 0.4)
    assert check.deviation.force == pytest.approx(0.007)


def test_together_out_of_tolerance_is_not_converged():
    found = search()
    known = run(found, lambda p: sample(0.0 if 40.0 in p[:1] or p[1] == 0.3 else 0.5 * p[0]))
    assert found.series(0, known).recommended == 0
    assert found.series(1, known).recommended == 0
    assert found.check(known).point is None


def test_coarse_values_that_fail_are_left_out_and_a_fine_one_ends_its_series():
    errors = {33: 0.5, 40: 0.5}
    found = search()
    known = run(found, lambda p: None if p[0] in (23.0, 48.0) else sample(errors.get(p[0], 0.1)))
    assert (48.0, 0.3) in known
    assert (58.0, 0.3) not in known
    assert found.series(0, known).recommended is None


def test_without_the_studys_own_values_nothing_is_tried():
    found = search()
    assert list(run(found, lambda p: None)) == [(40.0, 0.3)]
