from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.lattice.mesh_series import MeshSeries, check_meshes, member_conductivity
from hashigo.errors import InputError


def series(values, meshes):
    return MeshSeries(np.array(meshes), np.array(values)[:, None, None, None] * np.eye(3)[None, None])


def test_a_line_in_the_inverse_mesh_is_extrapolated_exactly():
    meshes = [5, 7, 9, 11]
    # The first mesh is off the line, and is not used.
    found = series([1.0, *(150 - 300 / n for n in meshes[1:])], meshes)
    assert found.extrapolated()[0] == pytest.approx(150 * np.eye(3))
    assert found.finest[0] == pytest.approx((150 - 300 / 11) * np.eye(3))
    assert found.error()[0] == pytest.approx(300 / 11 * np.eye(3))


def test_least_squares_through_scatter():
    found = series([100.0, 103.0, 104.0], [7, 9, 11])
    slope, limit = np.polyfit([1 / 7, 1 / 9, 1 / 11], [100, 103, 104], 1)
    assert slope < 0
    assert found.extrapolated()[0, 1, 1] == pytest.approx(limit)


def test_a_limit_that_meets_the_finest_mesh_by_accident_is_no_convergence():
    found = series([100.0, 88.7, 104.0], [9, 11, 13])
    assert found.extrapolated()[0, 0, 0] == pytest.approx(104.0, abs=0.1)
    assert found.error()[0] == pytest.approx(15.3 * np.eye(3))
    assert found.relative_error() == pytest.approx([15.3 / 104.0])
    assert not found.converged(0.05)


def test_error_is_the_larger_one_component_by_component():
    values = np.array([np.diag(entries) for entries in ([100.0, 100.0], [88.7, 110.0], [104.0, 115.0])])
    found = MeshSeries(np.array([9, 11, 13]), values[:, None])
    limit = np.polyfit([1 / 9, 1 / 11, 1 / 13], [100.0, 110.0, 115.0], 1)[1]
    assert limit - 115.0 > 5.0
    assert found.error()[0] == pytest.approx(np.diag([15.3, limit - 115.0]), abs=1e-9)


def test_two_meshes_differ_and_one_tells_nothing():
    assert series([100.0, 103.0], [7, 9]).error()[0] == pytest.approx(3 * np.eye(3))
    alone = series([100.0], [7])
    assert alone.error() is None
    assert not alone.converged(1e9)


def test_convergence_at_its_limit():
    found = series([95.0, 100.0], [7, 9])
    assert found.converged(0.0501)
    assert not found.converged(0.0499)


def test_members_keep_the_form_of_the_tensor():
    fine, coarse = np.diag([100.0, 100.0, 50.0])[None], np.diag([80.0, 80.0, 40.0])[None]
    members = np.array([coarse, 1.1 * coarse])
    found = member_conductivity(fine, coarse, members)
    assert found[0] == pytest.approx(fine)
    assert found[1] == pytest.approx(1.1 * fine)


def test_meshes_are_sorted_and_checked():
    assert check_meshes([9, 7], "conductivity.meshes").tolist() == [7, 9]
    for bad in ([], [7, 7], [0, 7]):
        with pytest.raises(InputError, match=r"conductivity\.meshes"):
            check_meshes(bad, "conductivity.meshes")


def test_error_of_the_limit():
    line = series([150 - 300 / n for n in (7, 9, 11, 13)], [7, 9, 11, 13])
    # Lines through two, three and four meshes are one: a fifth of the way is left.
    assert line.limit_error()[0] == pytest.approx(0.2 * 300 / 13 * np.eye(3))
    assert line.limit_converged(0.031)
    assert not line.limit_converged(0.030)
    three = series([150 - 300 / n for n in (9, 11, 13)], [9, 11, 13])
    assert three.limit_error()[0] == pytest.approx(300 / 13 * np.eye(3))
    assert series([100.0, 103.0], [7, 9]).limit_error() is None
    assert not series([100.0, 103.0], [7, 9]).limit_converged(1e9)


#: At 300 K by phono3py, without isotopes: silicon (PBEsol, 111 supercells), and sodium chloride (100 supercells).
SILICON = {7: 81.30, 9: 106.75, 11: 109.00, 13: 113.52, 15: 117.95, 17: 120.92, 19: 124.41}
SALT = {7: 8.693, 9: 8.814, 11: 8.490, 13: 8.251, 15: 8.277}


def first(known, count):
    return series(list(known.values())[:count], list(known)[:count])


def test_the_limit_of_silicon_is_covered_where_its_meshes_are_not():
    truth = first(SILICON, 7).extrapolated()[0, 0, 0]
    assert truth == pytest.approx(148, abs=1)
    for count in range(4, 7):
        found = first(SILICON, count)
        assert found.finest[0, 0, 0] < 0.85 * truth
        assert abs(found.extrapolated()[0, 0, 0] - truth) < 1.5 * found.limit_error()[0, 0, 0]


def test_salt_converges_otherwise_and_its_limit_says_so():
    found = first(SALT, 5)
    assert abs(found.extrapolated()[0, 0, 0] - SALT[15]) < found.limit_error()[0, 0, 0]
    assert not found.limit_converged(0.05)
