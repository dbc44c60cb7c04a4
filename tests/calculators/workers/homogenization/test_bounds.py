from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization import bounds
from hashigo.calculators.workers.homogenization.bounds import Margin


def test_averages_of_two_phases():
    tensors = np.array([np.eye(3), 4.0 * np.eye(3)])
    fractions = np.array([0.25, 0.75])
    assert np.allclose(bounds.voigt_average(tensors, fractions), 3.25 * np.eye(3))
    assert np.allclose(bounds.reuss_average(tensors, fractions), np.eye(3) / (0.25 + 0.75 / 4))


def test_voids_leave_nothing_of_the_lower_average():
    tensors = np.array([np.eye(3), np.zeros((3, 3))])
    assert np.array_equal(bounds.reuss_average(tensors, np.array([0.9, 0.1])), np.zeros((3, 3)))
    # A phase without any voxel is no void.
    assert np.allclose(bounds.reuss_average(tensors, np.array([1.0, 0.0])), np.eye(3))


def test_gate_just_passes_and_just_fails():
    voigt, reuss = np.diag([2.0, 4.0, 10.0]), np.diag([1.0, 2.0, 5.0])
    inside = bounds.margin(np.diag([2.0 + 0.9e-3, 3.0, 6.0]), voigt, reuss)
    outside = bounds.margin(np.diag([2.0 + 1.1e-3, 3.0, 6.0]), voigt, reuss)
    assert inside.voigt == pytest.approx(-0.9e-4)
    assert bounds.violated_bound({"stiffness": inside}, 1e-4) == ""
    assert bounds.violated_bound({"stiffness": outside}, 1e-4) == (
        "gate 'voigt_reuss_bounds': the effective stiffness violates the Voigt bound of its own sample by 1.10e-04 "
        "of the largest eigenvalue, allowed are 1e-04"
    )


def test_gate_names_the_lower_bound():
    assert "Reuss bound" in bounds.violated_bound({"stiffness": Margin(voigt=0.1, reuss=-0.2)}, 1e-4)


def test_gate_is_a_matrix_inequality():
    voigt = np.diag([2.0, 2.0, 2.0])
    effective = np.diag([1.5, 1.5, 1.5])
    effective[0, 1] = effective[1, 0] = 0.6
    assert bounds.margin(effective, voigt, 0.1 * np.eye(3)).voigt == pytest.approx(-0.05)
