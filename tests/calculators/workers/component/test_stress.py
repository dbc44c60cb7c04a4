"""Thermal stress against exact solutions.

Source: Timoshenko & Goodier, Theory of Elasticity (1970), sections 149-152.
"""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.component.grid import FACES, Grid
from hashigo.calculators.workers.component.hexahedron import Brick, condensed
from hashigo.calculators.workers.component.material import Curve, Material, constant
from hashigo.calculators.workers.component.stress import ElasticBody, Supports
from hashigo.errors import InputError

YOUNG, POISSON, EXPANSION = 200.0, 0.3, 1e-5  # as the plain material's
FREE = Supports({}, {})
BOX = np.array([0.01, 0.012, 0.008])


def body(material, supports=FREE, cells=(6, 5, 4), box=BOX):
    grid = Grid.box(box, cells)
    return grid, ElasticBody(grid, {1: material}, 300.0, supports)


def heated(grid, by=100.0):
    return np.full(grid.n_cells, 300.0 + by), np.zeros((grid.n_cells, 3))


def test_free_heating_makes_no_stress_but_strain(plain):
    grid, elastic = body(plain)
    found = elastic.solve(*heated(grid))
    assert np.abs(found.at_places).max() < 1e-7 * YOUNG * EXPANSION * 100
    lengths = found.displacement[-1, -1, -1] - found.displacement[0, 0, 0]
    assert lengths == pytest.approx(EXPANSION * 100 * BOX, rel=1e-6)


def test_a_linear_temperature_in_a_free_body_makes_no_stress(plain):
    grid, elastic = body(plain)
    slope = np.array([1e4, 2e4, -1e4])
    found = elastic.solve(300 + grid.centres @ slope, np.tile(slope, (grid.n_cells, 1)))
    assert np.abs(found.at_places).max() < 1e-6 * YOUNG * EXPANSION * 300


def test_what_is_held_all_around_is_under_pressure(plain):
    grid, elastic = body(plain, Supports(dict.fromkeys(FACES, "roller"), {}))
    found = elastic.solve(*heated(grid))
    exact = -YOUNG * EXPANSION * 100 / (1 - 2 * POISSON)
    assert found.at_places == pytest.approx(
        np.broadcast_to([exact] * 3 + [0.0] * 3, found.at_places.shape), rel=1e-9, abs=1e-12
    )


def test_a_bar_between_walls_and_a_plate_in_a_frame(plain):
    for held, exact in (
        ({"x-": "roller", "x+": "roller"}, [-YOUNG * EXPANSION * 100, 0, 0, 0, 0, 0]),
        (
            dict.fromkeys(("x-", "x+", "y-", "y+"), "roller"),
            [-YOUNG * EXPANSION * 100 / (1 - POISSON)] * 2 + [0] * 4,
        ),
    ):
        grid, elastic = body(plain, Supports(held, {}))
        found = elastic.solve(*heated(grid))
        assert found.stress == pytest.approx(np.tile(exact, (grid.n_cells, 1)), rel=1e-7, abs=1e-8)


def test_pressure_is_the_stress_across(plain):
    grid, elastic = body(plain, Supports({}, {"x-": 0.1, "x+": 0.1}))
    found = elastic.solve(*heated(grid, 0.0))
    assert found.stress == pytest.approx(np.tile([-0.1, 0, 0, 0, 0, 0], (grid.n_cells, 1)), abs=1e-8)


def test_pressure_that_moves_a_free_body_is_refused(plain):
    grid, elastic = body(plain, Supports({"y-": "roller"}, {"x-": 0.1}))
    with pytest.raises(InputError, match="the pressure on the component moves it"):
        elastic.solve(*heated(grid, 0.0))


def test_a_parabola_across_a_free_plate(plain):
    """σ = E α / (1 - ν) (mean - T) away from the edges, and of second order; exact stress at the surface too."""
    errors, surfaces = [], []
    thickness = 0.01
    for cells in (4, 8, 16):
        box = np.array([thickness, 8 * thickness, 8 * thickness])
        grid, elastic = body(plain, cells=(cells, 16, 16), box=box)
        place = 2 * grid.centres[:, 0] / thickness - 1
        kelvin, slope = 400 - 100 * place**2, np.zeros((grid.n_cells, 3))
        slope[:, 0] = -200 * place * 2 / thickness
        found = elastic.solve(kelvin, slope)
        line = grid.number[8, 8]
        exact = YOUNG * EXPANSION / (1 - POISSON) * (300 + 200 / 3 - kelvin[line])
        errors.append(np.abs(found.stress[line, 1] - exact).max())
        surfaces.append(abs(found.at_places[line[0], 1, 1] - YOUNG * EXPANSION / (1 - POISSON) * 200 / 3))
    for each in (errors, surfaces):
        assert np.polyfit(np.log([4, 2, 1]), np.log(each), 1)[0] == pytest.approx(2.0, abs=0.25)
    assert errors[-1] < 3e-3 * YOUNG * EXPANSION * 100


def test_stiffness_follows_the_temperature(plain):
    """Held all around, a hot cell is under the pressure of its own stiffness."""
    stiffness = Curve(
        np.array([300.0, 400.0]), np.array([plain.stiffness.values[0], 0.5 * plain.stiffness.values[0]])
    )
    material = Material(plain.conductivity, plain.heat, stiffness, plain.expansion)
    grid, elastic = body(material, Supports(dict.fromkeys(FACES, "roller"), {}))
    found = elastic.solve(*heated(grid))
    assert found.stress[:, 0] == pytest.approx(-0.5 * YOUNG * EXPANSION * 100 / (1 - 2 * POISSON), rel=1e-9)


def test_two_materials_side_by_side_pull_at_each_other(plain):
    """Two layers far wider than thick: forces in the plane balance, and the strip bends; classic bimetal.

    Source: Timoshenko, J. Opt. Soc. Am. 11, 233 (1925).
    """
    other = Material(plain.conductivity, plain.heat, plain.stiffness, plain.expansion.scaled(2.0))
    region = np.ones((8, 2, 40), dtype=np.int64)
    region[4:] = 2
    grid = Grid(region, np.array([5e-4, 5e-4, 1.25e-4]))
    found = ElasticBody(grid, {1: plain, 2: other}, 300.0, FREE).solve(*heated(grid))
    height = found.displacement[4, 1, :, 2]
    x = np.arange(41) * 5e-4
    middle = slice(10, 31)
    curvature = 2 * np.polyfit(x[middle], height[middle], 2)[0]
    # Layers of equal thickness and stiffness: 3/2 Δα ΔT / h with the thickness h of both.
    assert abs(curvature) == pytest.approx(1.5 * EXPANSION * 100 / 1e-3, rel=0.03)


def test_a_body_that_has_cooled_to_its_stress_free_temperature_has_no_stress(plain):
    """Its forces are rounding; the displacements of when it was hot are no start."""
    grid, elastic = body(plain)
    place = grid.centres[:, 0] / BOX[0]
    hot = elastic.solve(300 + 100 * place**2, np.zeros((grid.n_cells, 3)))
    noise = 1e-11 * np.random.default_rng(0).normal(size=grid.n_cells)
    found = elastic.solve(300 + noise, np.zeros((grid.n_cells, 3)), hot.displacement)
    assert np.abs(found.at_places).max() < 1e-12
    assert found.iterations < 10


def test_a_body_with_holes_is_solved(plain):
    region = np.ones((4, 4, 4), dtype=np.int64)
    region[1:3, 1:3, :] = 0
    grid = Grid(region, np.full(3, 1e-3))
    found = ElasticBody(grid, {1: plain}, 300.0, FREE).solve(*heated(grid))
    assert np.abs(found.at_places).max() < 1e-7 * YOUNG * EXPANSION * 100


def test_an_element_bends_as_a_beam_does():
    """Bending energy of one brick: exact with the modes, far too much without."""
    spacing = np.array([0.02, 0.005, 0.01])
    modulus = np.diag([YOUNG] * 3 + [YOUNG / 2] * 3)  # no contraction across
    small, _ = condensed(Brick.of(spacing).matrices(modulus[None]), np.zeros((1, 33)))
    curvature = 0.1
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij")).reshape(3, 8).T * spacing / 2
    moved = np.zeros((8, 3))
    moved[:, 0] = -curvature * corners[:, 0] * corners[:, 2]
    moved[:, 2] = curvature * corners[:, 0] ** 2 / 2
    energy = 0.5 * moved.ravel() @ small[0] @ moved.ravel()
    exact = 0.5 * YOUNG * spacing[1] * spacing[2] ** 3 / 12 * curvature**2 * spacing[0]
    assert energy == pytest.approx(exact, rel=1e-10)


def test_the_solution_agrees_with_scikit_fem():
    """Elements of second order of another program, on a body with strong and weak cells, held at one face."""
    skfem = pytest.importorskip("skfem")
    from skfem.helpers import ddot, sym_grad, trace

    def stiffness(young):
        shear = young / 2 / (1 + POISSON)
        out = np.diag([2 * shear] * 3 + [shear] * 3)
        out[:3, :3] += young * POISSON / (1 + POISSON) / (1 - 2 * POISSON)
        return constant(out)

    strain = constant([EXPANSION] * 3 + [0.0] * 3)
    materials = {
        n: Material(constant([1.0] * 3), constant(1.0), stiffness(y), strain)
        for n, y in ((1, 200.0), (2, 50.0))
    }
    region = np.ones((4, 4, 4), dtype=np.int64)
    region[2:, :, :] = 2
    grid = Grid(region, np.full(3, 0.25)).refined(2)
    found = ElasticBody(grid, materials, 300.0, Supports({"z-": "fixed"}, {})).solve(*heated(grid))

    mesh = skfem.MeshHex.init_tensor(*(np.linspace(0, 1, 5),) * 3)
    basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementHex2()), intorder=4)
    young = np.where(mesh.p[2, mesh.t].mean(axis=0) > 0.5, 50.0, 200.0)[:, None]
    lame, shear = young * POISSON / (1 + POISSON) / (1 - 2 * POISSON), young / 2 / (1 + POISSON)

    @skfem.BilinearForm
    def elastic(u, v, _):
        return lame * trace(sym_grad(u)) * trace(sym_grad(v)) + 2 * shear * ddot(sym_grad(u), sym_grad(v))

    @skfem.LinearForm
    def thermal(v, _):
        return (3 * lame + 2 * shear) * EXPANSION * 100 * trace(sym_grad(v))

    held = basis.get_dofs(lambda x: np.isclose(x[2], 0.0))
    solution = skfem.solve(*skfem.condense(elastic.assemble(basis), thermal.assemble(basis), D=held))
    top = basis.probes(np.array([[1.0], [1.0], [1.0]])) @ solution
    own = found.displacement[-1, -1, -1]
    assert own == pytest.approx(top, rel=5e-3)
