"""Finite volumes: what flows is exact between cells of one material, and what is stored is what came."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from hashigo.calculators.workers.component.grid import FACES, INNER, Grid
from hashigo.calculators.workers.component.heat import Condition, HeatProblem
from hashigo.calculators.workers.component.material import Material, constant

BOX = np.array([3e-3, 4e-3, 5e-3])


def rough(grid):
    return 400 + 80 * np.random.default_rng(0).uniform(-1, 1, grid.n_cells)


def problem(material, cells=(3, 4, 5), faces=None, power=0.0):
    grid = Grid.box(BOX, cells)
    return HeatProblem(grid, {1: material}, faces or {}, {1: power})


def test_what_leaves_a_cell_enters_its_neighbour(hot):
    heat = problem(hot)
    flow = heat.conducted(rough(heat.grid))
    assert abs(flow.sum()) < 1e-12 * np.abs(flow).sum()


def test_all_that_enters_comes_through_faces(hot):
    faces = {
        "x-": Condition(temperature=350.0),
        "y+": Condition(flux=2e5),
        "z-": Condition(coefficient=100.0, ambient=320.0),
    }
    heat = problem(hot, faces=faces)
    kelvin = rough(heat.grid)
    entering = sum(flow.sum() for flow in heat.entering(kelvin).values())
    assert heat.conducted(kelvin).sum() == pytest.approx(entering, rel=1e-12)
    assert heat.entering(kelvin)["y+"].sum() == pytest.approx(2e5 * BOX[0] * BOX[2])


@pytest.mark.parametrize("face", FACES)
def test_the_slope_is_the_derivative(hot, face):
    for condition in (Condition(temperature=350.0), Condition(coefficient=1e-3, ambient=320.0)):
        heat = problem(hot, faces={face: condition})
        kelvin, move = rough(heat.grid), np.random.default_rng(1).normal(size=heat.grid.n_cells)
        step = 1e-3
        change = (heat.conducted(kelvin + step * move) - heat.conducted(kelvin - step * move)) / (2 * step)
        assert heat.slope(kelvin) @ move == pytest.approx(change, rel=1e-6, abs=1e-6 * np.abs(change).max())


def test_enthalpy_is_the_integral_of_the_capacity(hot):
    heat = problem(hot)
    kelvin = rough(heat.grid)
    change = (heat.enthalpy(kelvin + 1e-3, 300.0) - heat.enthalpy(kelvin - 1e-3, 300.0)) / 2e-3
    assert heat.capacity(kelvin) == pytest.approx(change, rel=1e-8)


def test_layers_of_two_materials_are_resistances_in_series():
    grid = Grid(np.repeat([1, 1, 2, 2], 1)[None, None, :].astype(np.int64), np.full(3, 1e-3))
    materials = {n: Material(constant([k] * 3), constant(1e6)) for n, k in ((1, 1.0), (2, 4.0))}
    ends = {"x-": Condition(temperature=400.0), "x+": Condition(temperature=300.0)}
    heat = HeatProblem(grid, materials, ends, {})
    flux = 100 / (2e-3 / 1.0 + 2e-3 / 4.0)
    left = 400 - flux * np.array([0.5, 1.5]) * 1e-3
    right = 300 + flux / 4 * np.array([1.5, 0.5]) * 1e-3
    kelvin = np.concatenate([left, right])
    assert np.abs(heat.conducted(kelvin)).max() < 1e-12 * flux
    assert heat.entering(kelvin)["x-"] == pytest.approx(flux * 1e-6)


def test_surfaces_and_gradients_of_a_linear_temperature_are_exact(plain):
    ends = {"y-": Condition(temperature=300.0), "y+": Condition(temperature=400.0)}
    heat = problem(plain, faces=ends)
    kelvin = 300 + 100 * heat.grid.centres[:, 1] / BOX[1]
    assert heat.gradient(kelvin) == pytest.approx(np.tile([0, 100 / BOX[1], 0], (heat.grid.n_cells, 1)))
    flux = {"y+": Condition(flux=2.0 * 100 / BOX[1])}
    surface = problem(plain, faces=flux).surfaces(kelvin)["y+"]
    assert surface == pytest.approx(400.0)


def test_cells_outside_the_body_take_no_part(plain):
    region = np.ones((1, 3, 3), dtype=np.int64)
    region[0, 1, 1] = 0
    heat = HeatProblem(Grid(region, np.full(3, 1e-3)), {1: plain}, {"x-": Condition(temperature=400.0)}, {})
    assert heat.grid.n_cells == 8
    assert np.abs(heat.conducted(np.full(8, 400.0))).max() == 0.0
    assert len(heat.entering(np.full(8, 400.0))["x-"]) == 3


def ball(n, radius, refine=1):
    """A sphere of some radius in a box of edge 1, n voxels along it."""
    axis = (np.arange(n) + 0.5) / n - 0.5
    distance = np.sqrt(sum(part**2 for part in np.meshgrid(axis, axis, axis, indexing="ij")))
    return Grid((distance < radius).astype(np.int64), np.full(3, 1.0 / n)).refined(refine)


@pytest.mark.parametrize("refine", [1, 2])
def test_a_sphere_of_voxels_has_the_surface_of_a_sphere(refine):
    plain = Material(constant([5.0] * 3), constant(1e6))
    errors = []
    for n in (12, 24):
        grid = ball(n, 0.4, refine)
        heat = HeatProblem(grid, {1: plain}, dict.fromkeys(INNER, Condition(flux=3.0)), {})
        entering = sum(flow.sum() for flow in heat.entering(np.full(grid.n_cells, 300.0)).values())
        errors.append(abs(entering / (3.0 * 4 * np.pi * 0.4**2) - 1))
    assert max(errors) < 0.03  # the stairs have half as much again


def test_a_sphere_with_a_source_is_cooled_by_convection_at_its_surface():
    """T = T_ambient + q R / (3 h) + q (R² - r²) / (6 k), as a steady state of the linear problem."""
    radius, power, coefficient, conductivity = 0.4, 50.0, 2.0, 5.0
    plain = Material(constant([conductivity] * 3), constant(1e6))
    errors = []
    for n in (12, 24):
        grid = ball(n, radius)
        faces = dict.fromkeys(INNER, Condition(coefficient=coefficient, ambient=300.0))
        heat = HeatProblem(grid, {1: plain}, faces, {1: power})
        start = np.full(grid.n_cells, 300.0)
        found = start - spsolve(heat.slope(start).tocsc(), heat.conducted(start) + heat.power)
        away = np.linalg.norm(grid.centres - 0.5, axis=1)
        exact = 300 + power * radius / (3 * coefficient) + power * (radius**2 - away**2) / (6 * conductivity)
        errors.append(np.abs(found - exact).max() / (exact.max() - 300.0))
    assert errors[1] < 0.04
    assert errors[1] < errors[0]


def test_inner_surfaces_conserve_and_their_slope_is_the_derivative(hot):
    grid = ball(7, 0.4)
    for condition in (
        Condition(temperature=350.0),
        Condition(coefficient=1e-3, ambient=320.0),
        Condition(flux=1e3),
    ):
        heat = HeatProblem(grid, {1: hot}, dict.fromkeys(INNER, condition), {})
        kelvin, move = rough(grid), np.random.default_rng(1).normal(size=grid.n_cells)
        entering = sum(flow.sum() for flow in heat.entering(kelvin).values())
        assert heat.conducted(kelvin).sum() == pytest.approx(entering, rel=1e-9)
        change = (heat.conducted(kelvin + 1e-3 * move) - heat.conducted(kelvin - 1e-3 * move)) / 2e-3
        assert heat.slope(kelvin) @ move == pytest.approx(change, rel=1e-6, abs=1e-6 * np.abs(change).max())


def test_a_full_box_has_no_inner_surface():
    grid = Grid.box(BOX, (3, 4, 5))
    assert not any(len(grid.at_face(name)) for name in INNER)
    assert sum(len(grid.at_face(name)) for name in FACES) == 2 * (12 + 15 + 20)
