"""Finite volumes: what flows is exact between cells of one material, and what is stored is what came."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.component.grid import FACES, Grid
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
