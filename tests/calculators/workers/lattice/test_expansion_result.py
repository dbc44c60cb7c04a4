from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from hashigo.calculators.workers.lattice.expansion_result import fit_error, solved
from hashigo.calculators.workers.lattice.quasiharmonic import Grid

CELL = Atoms("Al", cell=[4.0] * 3, pbc=True)
TEMPERATURES = np.array([0.0, 300.0])


def grid(n_parameters=1):
    """Static energies and vibrations that are polynomials of the degrees that are fitted."""
    line = np.linspace(-0.04, 0.05, 9 if n_parameters == 1 else 5)
    points = line[:, None] if n_parameters == 1 else np.array([(a, c) for a in line for c in line])
    stretch = np.exp(points[:, [0, 0, 0]] / 3 if n_parameters == 1 else points[:, [0, 0, 1]])
    total = points.sum(axis=1)
    static = 30 * (points**2).sum(axis=1) - 40 * total**3
    thermal = np.array([0.0, 1e-4])
    return Grid(
        points, 4.0 * stretch[:, :, None] * np.eye(3), static, TEMPERATURES,
        -np.outer(total, 300 * thermal), np.outer(total, thermal), np.outer(np.ones(len(points)), thermal),
    )  # fmt: skip


@pytest.mark.parametrize("n_parameters", [1, 2])
def test_a_fit_that_is_exact_has_no_error(n_parameters):
    for value in fit_error(grid(n_parameters), CELL, 0.0).values():
        assert np.isfinite(value).all()
    alpha = solved(grid(n_parameters), CELL, 0.0)[1]["thermal_expansion"]
    assert (
        np.abs(fit_error(grid(n_parameters), CELL, 0.0)["thermal_expansion"]).max()
        < 1e-6 * np.abs(alpha).max()
    )


@pytest.mark.parametrize("n_parameters", [1, 2])
def test_the_error_of_the_fit_is_the_scatter_by_noise_of_energies(n_parameters):
    clean, random = grid(n_parameters), np.random.default_rng(0)
    noisy = [
        replace(clean, static=clean.static + 1e-4 * random.standard_normal(len(clean.points)))
        for _ in range(12)
    ]
    for name in ("thermal_density", "thermal_lattice_parameters"):
        scatter = np.std([solved(one, CELL, 0.0)[1][name] for one in noisy], axis=0)
        error = np.sqrt(np.mean([fit_error(one, CELL, 0.0)[name] ** 2 for one in noisy], axis=0))
        assert (error / scatter).min() > 0.7
        assert (error / scatter).max() < 2.5


def test_a_cell_that_is_lost_with_the_last_point_does_not_hide_the_error():
    warm = grid()
    warm = replace(warm, helmholtz=warm.helmholtz * 82)
    found, _ = solved(warm, CELL, 0.0)
    edge = float(np.log(found.volume[1] / 64))
    assert warm.points[-2, 0] < edge < warm.points[-1, 0]
    assert np.isfinite(fit_error(warm, CELL, 0.0)["thermal_density"]).all()
