from __future__ import annotations

import numpy as np

from hashigo.calculators.workers.conductivity import check_settings
from hashigo.calculators.workers.lattice.mesh_run import Meshes, expected_meshes
from hashigo.calculators.workers.lattice.mesh_series import MeshSeries
from hashigo.calculators.workers.lattice.wave_vectors import Work
from hashigo.calculators.workers.saved import Saved


def run(settings, seconds, kappa, work=None):
    """Meshes asked for when a mesh costs some seconds and gives a conductivity, and what stopped them."""
    meshes = Meshes(check_settings({"meshes": "auto", **settings}), work or Work())
    done: list[int] = []
    series = None
    while mesh := meshes.following(series):
        done.append(mesh)
        meshes.spent(mesh, seconds(mesh))
        values = np.array([kappa(n) for n in done])[:, None, None, None] * np.eye(3)
        series = MeshSeries(np.array(done), values)
    return done, meshes.stopped


def line(mesh):
    return 150 - 400 / mesh


def test_meshes_rise_until_the_limit_is_known():
    done, stopped = run({"tolerance": 0.05}, lambda mesh: 0.0, line)
    assert done[:5] == [7, 9, 11, 13, 15]
    assert stopped == ""
    # A fifth of 400 / N is within 0.8 of 5 % of 150 from N = 13.3 on.
    assert done[-1] == 15
    scattered = run({"tolerance": 0.05}, lambda mesh: 0.0, lambda mesh: line(mesh) + 6 * (-1) ** (mesh // 2))
    assert scattered[0][-1] > 15


def test_the_largest_mesh_stops_them():
    done, stopped = run({"tolerance": 1e-6, "largest_mesh": 11}, lambda mesh: 0.0, line)
    assert done == [7, 9, 11]
    assert stopped == "conductivity.budget.largest_mesh is 11"


def test_the_budget_stops_before_it_is_spent():
    cost = lambda mesh: mesh**6 / 1e6  # noqa: E731
    hours = (cost(7) + cost(9) + cost(11) + 0.5 * cost(13)) / 3600
    done, stopped = run({"tolerance": 1e-6, "core_hours": hours}, cost, line)
    assert done == [7, 9, 11]
    assert stopped.startswith("mesh 13 would be beyond conductivity.budget.core_hours of")


def test_what_an_earlier_try_has_spent_counts(tmp_path):
    saved = Saved(tmp_path)
    first = run({"tolerance": 1e-6, "core_hours": 1.0}, lambda mesh: mesh**6 / 1e4, line, Work(saved=saved))
    again = run({"tolerance": 1e-6, "core_hours": 1.0}, lambda mesh: 0.0, line, Work(saved=saved))
    assert first == again
    assert first[1]


def test_meshes_that_were_given():
    done, stopped = run({"meshes": [3, 5, 8]}, lambda mesh: 1e9, line)
    assert (done, stopped) == ([3, 5, 8], "")
    assert expected_meshes(check_settings({"meshes": [3, 5, 8]})) == [3, 5, 8]
    assert max(expected_meshes(check_settings({"meshes": "auto", "largest_mesh": 11}))) == 11
