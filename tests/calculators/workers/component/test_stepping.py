"""Temperatures in time against exact solutions of the equation of heat; orders of convergence in space and time.

Sources: Carslaw & Jaeger, Conduction of Heat in Solids (1959), sections 2.9, 3.3, 3.4, 3.11.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erfc

from hashigo.calculators.workers.component.grid import Grid
from hashigo.calculators.workers.component.heat import Condition, HeatProblem
from hashigo.calculators.workers.component.material import Curve, Material, constant
from hashigo.calculators.workers.component.stepping import State, Stepper, steady_state
from hashigo.errors import WorkerError

LENGTH = 0.01
#: Diffusivity of the plain material, m^2/s.
DIFFUSIVITY = 2.0 / 3e6
START = 300.0
HEAT_PLAIN = 3e6


def slab(cells, faces, material, power=0.0, length=LENGTH):
    grid = Grid.box(np.array([length, 1e-3, 1e-3]), (cells, 1, 1))
    return HeatProblem(grid, {1: material}, faces, {1: power})


def follow(problem, duration, tolerance, start=START):
    stepper = Stepper(problem, tolerance)
    state = stepper.start(np.full(problem.grid.n_cells, start), duration)
    count = 0
    while state.time < duration:
        state, count = stepper.advance(state, duration, duration, True), count + 1
    return state, count


def order(errors, steps):
    """Slope of errors over steps in logarithms."""
    return np.polyfit(np.log(steps), np.log(errors), 1)[0]


def fixed_slab(x, time):
    """Ends suddenly at 400 K and kept at 300 K."""
    modes = np.arange(1, 400)
    decay = np.exp(-DIFFUSIVITY * (modes * np.pi / LENGTH) ** 2 * time)
    waves = np.sin(np.outer(x, modes) * np.pi / LENGTH) / modes
    return START + 100 * (1 - x / LENGTH) - 200 / np.pi * waves @ decay


def test_a_slab_between_fixed_temperatures_is_of_second_order_in_its_cells(plain):
    faces = {"x-": Condition(temperature=400.0), "x+": Condition(temperature=300.0)}
    errors = []
    for cells in (10, 20, 40):
        problem = slab(cells, faces, plain)
        state, _ = follow(problem, 20.0, 2e-6)
        errors.append(np.abs(state.temperature - fixed_slab(problem.grid.centres[:, 0], 20.0)).max())
    assert order(errors, [4, 2, 1]) == pytest.approx(2.0, abs=0.1)
    assert errors[-1] < 2e-2


def test_a_half_space_heated_by_a_flux(plain):
    flux, time = 2e4, 2.0
    problem = slab(100, {"x-": Condition(flux=flux)}, plain, length=LENGTH)
    state, _ = follow(problem, time, 1e-5)
    x, spread = problem.grid.centres[:, 0], 2 * np.sqrt(DIFFUSIVITY * time)
    exact = START + flux / 2.0 * (
        spread / np.sqrt(np.pi) * np.exp(-((x / spread) ** 2)) - x * erfc(x / spread)
    )
    assert state.temperature == pytest.approx(exact, abs=2e-2)
    surface = START + flux / 2.0 * spread / np.sqrt(np.pi)
    assert problem.surfaces(state.temperature)["x-"] == pytest.approx(surface, abs=2e-2)


def test_a_slab_cooled_by_convection(plain):
    """Eigenvalues of ζ tan ζ = Bi; hot at first, insulated at x-."""
    coefficient, time, ambient = 400.0, 30.0, 350.0
    biot = coefficient * LENGTH / 2.0
    roots = np.array(
        [brentq(lambda z: z * np.sin(z) - biot * np.cos(z), n * np.pi, (n + 0.5) * np.pi) for n in range(50)]
    )
    weights = 4 * np.sin(roots) / (2 * roots + np.sin(2 * roots))
    errors = []
    for cells in (10, 20, 40):
        problem = slab(cells, {"x+": Condition(coefficient=coefficient, ambient=ambient)}, plain)
        state, _ = follow(problem, time, 2e-6)
        x = problem.grid.centres[:, 0] / LENGTH
        decay = np.exp(-(roots**2) * DIFFUSIVITY * time / LENGTH**2)
        exact = ambient + (START - ambient) * np.cos(np.outer(x, roots)) @ (weights * decay)
        errors.append(np.abs(state.temperature - exact).max())
    assert order(errors, [4, 2, 1]) == pytest.approx(2.0, abs=0.15)
    assert errors[-1] < 2e-2


def test_three_dimensions_are_the_product_of_one(plain):
    """A cube whose faces are suddenly at 400 K."""
    faces = {name: Condition(temperature=400.0) for name in ("x-", "x+", "y-", "y+", "z-", "z+")}
    odd = np.arange(1, 200, 2)
    decay = np.exp(-DIFFUSIVITY * (odd * np.pi / LENGTH) ** 2 * 5.0)
    errors = []
    for cells in (6, 12):
        problem = HeatProblem(Grid.box(np.full(3, LENGTH), (cells,) * 3), {1: plain}, faces, {})
        state, _ = follow(problem, 5.0, 1e-5)
        waves = np.sin(np.outer(problem.grid.centres.ravel(), odd) * np.pi / LENGTH) / odd
        exact = 400 - 100 * (4 / np.pi * waves @ decay).reshape(-1, 3).prod(axis=1)
        errors.append(np.abs(state.temperature - exact).max())
    assert 3.5 < errors[0] / errors[1] < 4.5
    assert errors[1] < 1.0


def test_time_is_of_second_order_against_the_exact_decay_of_a_wave(plain):
    """cos(πx/L) is an eigenvector of the cells too, with eigenvalue 4/h² sin²(πh/2L)."""
    cells, duration = 10, 30.0
    problem = slab(cells, {}, plain)
    width = LENGTH / cells
    rate = DIFFUSIVITY * 4 / width**2 * np.sin(np.pi / 2 / cells) ** 2
    wave = np.cos(np.pi * problem.grid.centres[:, 0] / LENGTH)
    errors = []
    for count in (10, 20, 40):
        stepper = Stepper(problem, 1e3)  # any step is good enough: all are as long as told
        state = stepper.start(400 + 50 * wave, duration)
        for step in range(1, count + 1):
            state.step = duration
            state = stepper.advance(state, duration * step / count, duration, True)
        errors.append(np.abs(state.temperature - 400 - 50 * np.exp(-rate * duration) * wave).max())
    assert order(errors, [4, 2, 1]) == pytest.approx(2.0, abs=0.1)
    assert errors[-1] < 2e-3


def test_space_is_of_second_order_by_a_manufactured_solution():
    """T = 400 + 50 sin(πx/L) sin(πy/L), k = 2 + (T - 400) / 100, with the source that makes it steady."""
    ends = np.array([300.0, 500.0])
    material = Material(Curve(ends, np.array([[1.0] * 3, [3.0] * 3])), constant(HEAT_PLAIN))
    faces = {name: Condition(temperature=400.0) for name in ("x-", "x+", "y-", "y+")}
    errors = []
    for cells in (8, 16, 32):
        grid = Grid.box(np.array([LENGTH, LENGTH, 1e-3]), (cells, cells, 1))
        problem = HeatProblem(grid, {1: material}, faces, {})
        x, y = np.pi * grid.centres[:, 0] / LENGTH, np.pi * grid.centres[:, 1] / LENGTH
        exact = 400 + 50 * np.sin(x) * np.sin(y)
        slope = 50 * np.pi / LENGTH * np.array([np.cos(x) * np.sin(y), np.sin(x) * np.cos(y)])
        laplace = -2 * (np.pi / LENGTH) ** 2 * (exact - 400)
        problem.power = -grid.volume * ((2 + (exact - 400) / 100) * laplace + (slope**2).sum(axis=0) / 100)
        errors.append(np.abs(steady_state(problem, np.full(grid.n_cells, 400.0), True) - exact).max())
    assert order(errors, [4, 2, 1]) == pytest.approx(2.0, abs=0.05)


def test_time_is_of_second_order_with_varying_properties(hot):
    """Against the same cells followed with far smaller steps."""
    faces = {"x-": Condition(flux=2e4), "x+": Condition(coefficient=300.0, ambient=320.0)}
    problem = slab(8, faces, hot, power=2e6)
    exact, _ = follow(problem, 20.0, 1e-8, 400.0)
    errors, steps = [], []
    for tolerance in (1e-3, 1e-4, 1e-5):
        state, count = follow(problem, 20.0, tolerance, 400.0)
        errors.append(np.abs(state.temperature - exact.temperature).max())
        steps.append(1 / count)
    assert order(errors, steps) == pytest.approx(2.0, abs=0.35)


def test_heat_is_kept_to_rounding(hot):
    faces = {"x-": Condition(temperature=420.0), "z+": Condition(coefficient=500.0, ambient=310.0)}
    problem = HeatProblem(Grid.box(np.array([1e-2, 8e-3, 6e-3]), (6, 5, 4)), {1: hot}, faces, {1: 3e6})
    state, _ = follow(problem, 10.0, 1e-3, 400.0)
    stored = problem.enthalpy(state.temperature, 400.0).sum()
    came = state.given + sum(state.entered.values())
    assert abs(stored - came) < 1e-11 * (abs(state.given) + sum(map(abs, state.entered.values())))
    assert state.given == pytest.approx(3e6 * 1e-2 * 8e-3 * 6e-3 * 10.0)


def test_many_cells_are_solved_by_iteration_to_the_same_temperatures(hot, monkeypatch):
    faces = {"x-": Condition(temperature=420.0), "z+": Condition(coefficient=500.0, ambient=310.0)}
    problem = HeatProblem(Grid.box(np.array([1e-2, 8e-3, 6e-3]), (6, 5, 4)), {1: hot}, faces, {1: 3e6})
    direct, _ = follow(problem, 5.0, 1e-3, 400.0)
    monkeypatch.setattr("hashigo.calculators.workers.component.stepping._DIRECT", 0)
    iterated, _ = follow(problem, 5.0, 1e-3, 400.0)
    assert iterated.temperature == pytest.approx(direct.temperature, abs=1e-7)


def test_a_steady_source_makes_a_parabola(plain):
    power = 5e6
    errors = []
    for cells in (8, 16, 32):
        ends = {"x-": Condition(temperature=300.0), "x+": Condition(temperature=300.0)}
        problem = slab(cells, ends, plain, power)
        x = problem.grid.centres[:, 0]
        exact = 300 + power / 2 / 2.0 * x * (LENGTH - x)
        errors.append(np.abs(steady_state(problem, np.full(cells, 300.0), True) - exact).max())
    assert order(errors, [4, 2, 1]) == pytest.approx(2.0, abs=0.01)


def test_steady_with_varying_conductivity_is_kirchhoffs_transform(hot):
    """No error of the cells at all: the flux between them is that of the exact integral."""
    problem = slab(7, {"x-": Condition(temperature=480.0), "x+": Condition(temperature=320.0)}, hot)
    found = steady_state(problem, np.full(7, 400.0), True)

    def transform(kelvin):  # k = 2 - (T - 300) / 200
        return 2 * (kelvin - 300) - (kelvin - 300) ** 2 / 400

    x = problem.grid.centres[:, 0] / LENGTH
    exact = transform(480.0) + x * (transform(320.0) - transform(480.0))
    assert transform(found) == pytest.approx(exact, rel=1e-10)


def test_a_state_goes_on_to_the_same_bits_from_what_is_kept_of_it(hot):
    problem = slab(20, {"x-": Condition(flux=2e4)}, hot, power=1e6)
    stepper = Stepper(problem, 1e-4)
    state = stepper.start(np.full(20, 400.0), 10.0)
    for _ in range(5):
        state = stepper.advance(state, 10.0, 10.0, True)
    other = State.of(state.arrays(), list(problem.faces))
    for _ in range(5):
        state, other = (stepper.advance(one, 10.0, 10.0, True) for one in (state, other))
    assert np.array_equal(state.temperature, other.temperature)
    assert (state.time, state.step, state.entered) == (other.time, other.step, other.entered)


def test_a_step_ends_where_it_must_and_the_next_is_no_shorter_for_it(plain):
    problem = slab(10, {"x-": Condition(flux=1.0)}, plain)
    stepper = Stepper(problem, 1e-3)
    state = stepper.start(np.full(10, START), 100.0)
    state.step = 10.0
    cut = stepper.advance(state, 0.5, 100.0, True)
    assert cut.time == 0.5
    assert cut.step >= 10.0


def test_nothing_that_holds_has_no_steady_state(plain):
    problem = slab(5, {"x-": Condition(flux=1.0)}, plain)
    assert not problem.holds
    with pytest.raises((WorkerError, RuntimeError)):
        steady_state(problem, np.full(5, START), True)


def test_a_material_may_be_anisotropic():
    """Fifty times better along y: heat that enters at y- goes through, that at x- does not."""
    material = Material(constant([1.0, 50.0, 1.0]), Curve(np.array([300.0]), np.array([1e6]), True))
    found = []
    for face in ("x-", "y-"):
        grid = Grid.box(np.full(3, 1e-2), (6, 6, 1))
        problem = HeatProblem(grid, {1: material}, {face: Condition(flux=1e4)}, {})
        state, _ = follow(problem, 5.0, 1e-3)
        found.append(np.ptp(state.temperature))
    assert found[0] / found[1] > 5
