"""The solver against exact results, and by the order in which it comes near those that a grid cannot have."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import ElasticMedium, ThermalMedium
from hashigo.calculators.workers.homogenization.tensors import (
    isotropic_moduli,
    rotate_conductivity,
    rotate_stiffness,
)
from hashigo.calculators.workers.job import SerialComm

#: Mandel components with a normal index along x, and those without.
NORMAL, TANGENT = [0, 4, 5], [1, 2, 3]
SCHEMES = ("rotated", "hexahedra")


def isotropic(bulk, shear):
    stiffness = 2.0 * shear * np.eye(6)
    stiffness[:3, :3] += bulk - 2.0 * shear / 3.0
    return stiffness


def triclinic(seed, scale=1.0):
    """Some positive definite stiffness without symmetry, GPa."""
    root = np.random.default_rng(seed).normal(size=(6, 6))
    return scale * (isotropic(100.0, 60.0) + 4.0 * root @ root.T)


def medium(kind, phase, table, **options):
    phase = np.ascontiguousarray(phase, dtype=np.int32)
    return kind(Slabs(phase.shape, SerialComm()), phase, np.array(table), [], **options)


def laminate(tensors, fractions, normal, tangent):
    """Exact effective tensor of layers: continuous normal flux and tangential gradient."""
    nn, nt = np.ix_(normal, normal), np.ix_(normal, tangent)
    tn, tt = np.ix_(tangent, normal), np.ix_(tangent, tangent)

    def mean(function):
        return sum(f * function(t) for f, t in zip(fractions, tensors, strict=True))

    stiff = np.linalg.inv(mean(lambda t: np.linalg.inv(t[nn])))
    coupled = mean(lambda t: np.linalg.solve(t[nn], t[nt]))
    rest = mean(lambda t: t[tt] - t[tn] @ np.linalg.solve(t[nn], t[nt]))
    effective = np.zeros_like(tensors[0])
    effective[nn], effective[nt] = stiff, stiff @ coupled
    effective[tn], effective[tt] = (stiff @ coupled).T, rest + coupled.T @ stiff @ coupled
    return effective


def radius(n):
    """Distance of each voxel's centre from that of the box, edges of the box."""
    axis = (np.arange(n) + 0.5) / n - 0.5
    return np.sqrt(sum(part**2 for part in np.meshgrid(axis, axis, axis, indexing="ij")))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_laminates_of_crystals_without_symmetry_are_exact(scheme, axis):
    """Layers normal to each axis: cyclic permutation of the axes takes one to another."""
    turn = np.roll(np.eye(3), axis, axis=0)
    counts, fractions = (2, 5, 4), np.array([2, 5, 4]) / 11
    shape = [4, 3, 2]
    shape[2 - axis] = 11
    line = np.repeat([0, 1, 2], counts)
    phase = np.broadcast_to(line.reshape([-1 if d == 2 - axis else 1 for d in range(3)]), shape)
    stiff = [triclinic(seed, scale) for seed, scale in ((0, 1.0), (1, 10.0), (2, 0.3))]
    exact = rotate_stiffness(laminate(stiff, fractions, NORMAL, TANGENT), turn[None])[0]
    turned = rotate_stiffness(np.array(stiff), np.array([turn] * 3))
    found = medium(ElasticMedium, phase, turned, scheme=scheme).effective(1e-9).tensor
    assert np.abs(found - exact).max() < 1e-10 * np.abs(exact).max()
    conduct = rotate_conductivity(
        np.array([np.diag([1.0, 2.0, 3.0]) * s for s in (1, 30, 0.2)]),
        Rotation.random(3, random_state=4).as_matrix(),
    )
    exact = turn @ laminate(conduct, fractions, [0], [1, 2]) @ turn.T
    found = medium(ThermalMedium, phase, turn @ conduct @ turn.T, scheme=scheme).effective(1e-9).tensor
    assert np.abs(found - exact).max() < 1e-10 * np.abs(exact).max()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_oblique_laminates_converge(scheme):
    """Layers with normal (1, 2, 0): the steps of their boundaries make an error of first order.

    With normal (1, 1, 0) the rotated scheme is exact.
    """
    turn = Rotation.from_euler("z", np.arctan(2.0)).as_matrix()
    stiff = rotate_stiffness(np.array([triclinic(0), triclinic(1, 5.0)]), np.array([turn.T, turn.T]))
    exact = rotate_stiffness(laminate(stiff, [0.5, 0.5], NORMAL, TANGENT), turn[None])[0]
    conduct = np.array([np.diag([1.0, 2.0, 3.0]), np.diag([20.0, 10.0, 5.0])])
    turned = turn.T @ conduct @ turn
    of_heat = turn @ laminate(turned, [0.5, 0.5], [0], [1, 2]) @ turn.T
    errors = []
    for n in (8, 16, 32):
        y, x = np.indices((n, n))
        phase = (((x + 2 * y) // (n // 2)) % 2)[None]
        found = medium(ElasticMedium, phase, [triclinic(0), triclinic(1, 5.0)], scheme=scheme).effective(1e-5)
        heat = medium(ThermalMedium, phase, conduct, scheme=scheme).effective(1e-5)
        errors.append(
            [
                np.abs(found.tensor - exact).max() / exact.max(),
                np.abs(heat.tensor - of_heat).max() / of_heat.max(),
            ]
        )
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders[-1] > 0.9).all(), (errors, orders)
    assert np.max(errors[-1]) < 0.03


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("kind", [ElasticMedium, ThermalMedium])
def test_manufactured_solution_converges_with_second_order(kind, scheme):
    """A smooth potential is chosen, and with it an eigenstrain that it relieves up to a given stress in balance."""
    errors = []
    for n in (6, 12, 24):
        centre = 2.0 * np.pi * (np.arange(n) + 0.5) / n
        corner = 2.0 * np.pi * np.arange(n) / n
        shape = (n, n, n)
        z, y, x = np.meshgrid(centre, centre, centre, indexing="ij")
        wave = 1.0 + 0.4 * np.sin(x) * np.cos(y + z)
        # Displacements in voxels: a wave of the box has n voxels, and its strain the factor 2π/n.
        components = kind.components
        factor = 2.0 * np.pi / n
        gradient = np.zeros((components, 3, *shape))
        for c in range(components):
            phase = x + (c + 1) * y - z + c
            for axis, slope in enumerate((1.0, c + 1.0, -1.0)):
                gradient[c, axis] = slope * np.cos(phase)
        if components == 3:
            strain = np.array(
                [
                    gradient[0, 0],
                    gradient[1, 1],
                    gradient[2, 2],
                    (gradient[1, 2] + gradient[2, 1]) / np.sqrt(2.0),
                    (gradient[0, 2] + gradient[2, 0]) / np.sqrt(2.0),
                    (gradient[0, 1] + gradient[1, 0]) / np.sqrt(2.0),
                ]
            )
            balanced = np.zeros((6, *shape))
            balanced[0], balanced[1] = 90.0 * np.sin(y), 60.0 * np.cos(z - x)
            base = triclinic(3)
        else:
            strain, balanced = gradient[0], np.array([np.sin(y), np.cos(z), np.sin(x + y)])
            base = np.array([[3.0, 0.5, 0.2], [0.5, 2.0, 0.1], [0.2, 0.1, 1.0]])
        table = wave.ravel()[:, None, None] * base
        flux = np.moveaxis(balanced, 0, -1).reshape(-1, kind.loads)
        relieved = np.moveaxis(strain, 0, -1).reshape(-1, kind.loads)
        eigenstrain = relieved - np.linalg.solve(table, flux[..., None])[..., 0]
        voxels = np.arange(n**3).reshape(shape)
        found = medium(kind, voxels, table, scheme=scheme).solve(
            np.zeros(kind.loads), 1e-8, eigenstrain=eigenstrain
        )
        zc, yc, xc = np.meshgrid(corner, corner, corner, indexing="ij")
        exact = np.array([np.sin(xc + (c + 1) * yc - zc + c) for c in range(components)]) / factor
        difference = (found.potential - exact) * factor
        difference -= difference.mean(axis=(1, 2, 3), keepdims=True)
        errors.append(np.sqrt((difference**2).mean()))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > 1.8).all(), (errors, orders)


@pytest.mark.parametrize(("core", "most"), [(10.0, 0.006), (0.0, 0.006), (np.inf, 0.012)])
def test_coated_spheres_converge_to_hashins_neutral_inclusion(core, most):
    """A coated sphere, also an empty and a perfectly conducting one, that leaves the field outside undisturbed."""
    coating, share = 1.0, 0.3
    if np.isinf(core):
        outside = coating + share * 3.0 * coating / (1.0 - share)
    else:
        change = core - coating
        outside = coating + share * change * 3 * coating / (3 * coating + (1 - share) * change)
    errors = []
    for n in (16, 64):
        away = radius(n)
        phase = np.where(away < 0.45 * np.cbrt(share), 0, np.where(away < 0.45, 1, 2))
        table = [np.diag([value] * 3) for value in (core, coating, outside)]
        found = medium(ThermalMedium, phase, table, scheme="rotated").effective(1e-4)
        errors.append(abs(found.tensor[0, 0] / outside - 1.0))
    assert errors[1] < most
    assert errors[1] < 0.5 * errors[0], errors


@pytest.mark.parametrize("core", [0.0, 1.0])
def test_hollow_and_filled_spheres_have_hashins_bulk_modulus(core):
    """Hashin's composite sphere under pressure, J. Appl. Mech. 29, 143 (1962); the shear modulus outside is free."""
    share, bulk, shear = 0.4, 10.0, 6.0
    inner = 40.0 * core
    bulk_outside = bulk + share * (inner - bulk) / (
        1 + (1 - share) * (inner - bulk) / (bulk + 4.0 * shear / 3.0)
    )
    errors = []
    for n in (16, 32):
        away = radius(n)
        phase = np.where(away < 0.45 * np.cbrt(share), 0, np.where(away < 0.45, 1, 2))
        table = [isotropic(inner, 20.0 * core), isotropic(bulk, shear), isotropic(bulk_outside, 3.0)]
        found = medium(ElasticMedium, phase, table, scheme="hexahedra").effective(1e-4)
        errors.append(abs(isotropic_moduli(found.tensor)[0] / bulk_outside - 1.0))
    assert errors[1] < 0.006
    assert errors[1] < errors[0]


def test_checkerboard_converges_to_the_geometric_mean():
    """Keller, J. Math. Phys. 5, 548 (1964); contrast 10: the singular corners forbid more."""
    errors = []
    for n in (16, 32, 64, 128):
        y, x = np.indices((n, n))
        phase = ((x // (n // 2) + y // (n // 2)) % 2)[None]
        found = medium(ThermalMedium, phase, [np.eye(3), 10.0 * np.eye(3)]).effective(1e-5)
        assert found.tensor[0, 0] == pytest.approx(found.tensor[1, 1], rel=1e-9)
        assert found.tensor[2, 2] == pytest.approx(5.5, rel=1e-9)
        errors.append(found.tensor[0, 0] / np.sqrt(10.0) - 1.0)
    assert abs(errors[-1]) < 1e-3
    assert all(abs(after) < abs(before) for before, after in pairwise(errors))


def test_two_phases_in_a_plane_are_dual():
    """Keller's theorem for any geometry: κ(a, b) times κ(b, a), turned by a right angle, is a b."""
    blocks = np.random.default_rng(0).integers(0, 2, (8, 8))
    a, b = np.eye(3), 10.0 * np.eye(3)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    errors = []
    for n in (16, 32, 64, 128):
        phase = np.kron(blocks, np.ones((n // 8, n // 8), dtype=int))[None]
        one = medium(ThermalMedium, phase, [a, b]).effective(1e-5).tensor[:2, :2]
        other = medium(ThermalMedium, phase, [b, a]).effective(1e-5).tensor[:2, :2]
        errors.append(np.abs(one @ turn @ other @ turn.T / 10.0 - np.eye(2)).max())
    assert errors[-1] < 0.01
    assert all(after < before for before, after in pairwise(errors))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_eshelby_s_inclusion_with_its_periodic_images(scheme):
    """A sphere that wants to strain, in the same material: the mean strain in it is a sum over waves.

    Mura, Micromechanics of Defects in Solids (1987), section 1: ε(k) = Γ(k) : C : ε*(k), here with the exact transform
    of a sphere; far images leave Eshelby's tensor.
    """
    bulk, shear, size = 10.0, 6.0, 0.3
    stiffness = isotropic(bulk, shear)
    wanted = np.array([0.01, 0.0, 0.0, 0.0, 0.0, 0.005])
    stress = stiffness @ wanted
    tensor = np.array(
        [
            [stress[0], stress[5], stress[4]],
            [stress[5], stress[1], stress[3]],
            [stress[4], stress[3], stress[2]],
        ]
    )
    tensor[~np.eye(3, dtype=bool)] /= np.sqrt(2.0)
    # The sum converges like the inverse of its number of waves.
    exact = 2.0 * _lattice_sum(tensor, bulk, shear, size, 40) - _lattice_sum(tensor, bulk, shear, size, 20)
    errors = []
    for n in (15, 47):
        phase = (radius(n) < size).astype(int)
        problem = medium(ElasticMedium, phase, [stiffness, stiffness], scheme=scheme)
        eigenstrain = np.array([np.zeros(6), wanted])
        found = problem.solve(np.zeros(6), 1e-4, eigenstrain=eigenstrain)
        strain = problem.strain(found.potential, np.zeros(6))
        errors.append(np.abs(strain[:, phase == 1].mean(axis=1) - exact).max() / np.abs(exact).max())
    assert errors[1] < (0.01 if scheme == "rotated" else 0.035)
    assert errors[1] < 0.7 * errors[0]


def _lattice_sum(stress, bulk, shear, size, most):
    """Mean Mandel strain in the sphere from a stress that the sphere exerts, images included."""
    axis = np.arange(-most, most + 1)
    k = 2.0 * np.pi * np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    k = k[(k**2).sum(axis=1) > 0]
    length = np.linalg.norm(k, axis=1)
    n = k / length[:, None]
    kr = length * size
    shape = 4.0 * np.pi * size**3 * (np.sin(kr) - kr * np.cos(kr)) / kr**3
    share = 4.0 * np.pi * size**3 / 3.0
    pull = n @ stress
    lame = bulk - 2.0 * shear / 3.0
    along = np.einsum("ki,ki->k", n, pull) * (lame + shear) / (lame + 2.0 * shear)
    u = (pull - along[:, None] * n) / shear
    strain = 0.5 * (u[:, :, None] * n[:, None] + n[:, :, None] * u[:, None])
    mean = np.einsum("k,kij->ij", shape**2 / share, strain)
    root = np.sqrt(2.0)
    return np.array(
        [mean[0, 0], mean[1, 1], mean[2, 2], root * mean[1, 2], root * mean[0, 2], root * mean[0, 1]]
    )
