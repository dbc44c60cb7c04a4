"""Our solver and muSpectre on the same microstructures."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.interface import HEXAHEDRA, PeriodicProblem, get_homogenizer
from hashigo.calculators.workers.homogenization.microstructure import voronoi_polycrystal
from hashigo.calculators.workers.homogenization.peers import muspectre, own
from hashigo.calculators.workers.homogenization.tensors import (
    rotate_conductivity,
    rotate_stiffness,
    voigt_to_mandel,
)
from hashigo.errors import InputError, MissingComponent, WorkerError

#: About the Voigt stiffness of quartz, trigonal, in GPa.
C11, C12, C13, C14, C33, C44 = 87.0, 7.0, 12.0, -18.0, 106.0, 58.0
QUARTZ = voigt_to_mandel(
    np.array(
        [
            [C11, C12, C13, C14, 0, 0],
            [C12, C11, C13, -C14, 0, 0],
            [C13, C13, C33, 0, 0, 0],
            [C14, -C14, 0, C44, 0, 0],
            [0, 0, 0, 0, C44, C14],
            [0, 0, 0, 0, C14, (C11 - C12) / 2],
        ]
    )
)


def polycrystal(grains, voxels, crystal):
    sample = voronoi_polycrystal(grains, voxels, 5)
    turn = rotate_stiffness if len(crystal) == 6 else rotate_conductivity
    return PeriodicProblem(sample.grain_id, turn(crystal, sample.rotations))


def difference(first, second):
    return np.abs(first - second).max() / np.abs(first).max()


def test_the_same_scheme_gives_the_same_stiffness(muspectre_python):
    # Rows that are no cube, and no axis like another, so that an exchange of axes would show.
    cut = polycrystal(6, 11, QUARTZ)
    problem = PeriodicProblem(np.ascontiguousarray(cut.phase[:5, :9]), cut.table)
    ours = own.solve(problem, 1e-10)
    theirs = muspectre.run(problem, 1e-10, muspectre_python, scheme="rotated", energies=True)
    assert difference(ours.tensor, theirs.energies) < 1e-12
    assert difference(ours.tensor, theirs.tensor) < 1e-9
    assert len(theirs.iterations) == len(theirs.wall) == len(theirs.cpu) == 6
    assert theirs.memory > theirs.memory_before > 1e7


@pytest.mark.parametrize("crystal", [QUARTZ, np.diag([1.0, 3.0, 9.0])], ids=["stiffness", "conductivity"])
def test_another_scheme_comes_nearer_with_the_grid(muspectre_python, crystal):
    found = []
    for voxels in (7, 21):
        problem = polycrystal(4, voxels, crystal)
        theirs = muspectre.run(problem, 1e-8, muspectre_python)
        found.append(difference(own.solve(problem, 1e-8).tensor, theirs.tensor))
    assert found[1] < 0.5 * found[0] < 0.02


@pytest.mark.parametrize("scheme", ["fourier", "rotated"])
def test_a_laminate_is_exact_in_both(muspectre_python, scheme):
    rotations = Rotation.random(2, random_state=3).as_matrix()
    table = rotate_stiffness(np.array([QUARTZ, 5.0 * QUARTZ]), rotations)
    phase = np.zeros((3, 5, 9), dtype=np.int32)
    phase[:, :, 4:] = 1
    problem = PeriodicProblem(phase, table)
    theirs = muspectre.run(problem, 1e-11, muspectre_python, scheme=scheme)
    assert difference(own.solve(problem, 1e-11).tensor, theirs.tensor) < 1e-9
    normal = [0, 4, 5]
    compliance = np.mean(
        [np.linalg.inv(t[np.ix_(normal, normal)]) for t in table[[0, 0, 0, 0, 1, 1, 1, 1, 1]]], axis=0
    )
    assert np.linalg.inv(theirs.tensor[np.ix_(normal, normal)]) == pytest.approx(
        compliance, rel=1e-9, abs=1e-13
    )


def test_eigenstrain_gives_the_same_stress(muspectre_python):
    problem = polycrystal(5, 7, QUARTZ)
    generator = np.random.default_rng(4)
    strained = dataclasses.replace(problem, eigenstrain=generator.normal(0.0, 1e-3, (5, 6)))
    ours = own.solve(strained, 1e-10)
    theirs = muspectre.run(strained, 1e-10, muspectre_python, scheme="rotated")
    assert difference(ours.held_stress, theirs.held_stress) < 1e-8
    assert own.solve(problem, 1e-6).held_stress is None


def test_a_void_is_the_same_in_the_same_scheme(muspectre_python):
    phase = np.zeros((7, 7, 7), dtype=np.int32)
    phase[2:5, 2:5, 1:4] = 1
    problem = PeriodicProblem(phase, np.array([QUARTZ, np.zeros((6, 6))]))
    ours = own.solve(problem, 1e-9, {"scheme": "rotated"})
    theirs = muspectre.run(problem, 1e-9, muspectre_python, scheme="rotated", energies=True)
    assert difference(ours.tensor, theirs.energies) < 1e-10
    # Full integration, which is ours where there are voids, is stiffer, and five tetrahedra are stiffer still.
    full = own.solve(problem, 1e-9)
    assert full.discretisation == HEXAHEDRA
    stiffest = muspectre.solve(problem, 1e-9, {"python": muspectre_python, "scheme": "tetrahedra"})
    for softer, stiffer in ((ours.tensor, full.tensor), (full.tensor, stiffest.energies)):
        assert np.linalg.eigvalsh(stiffer - softer).min() > -1e-9


def test_what_muspectre_cannot_do_is_said():
    elastic = polycrystal(2, 4, QUARTZ)
    heat = polycrystal(2, 4, np.eye(3))
    with pytest.raises(InputError, match="odd numbers of voxels, not 4"):
        muspectre.run(elastic, 1e-6)
    with pytest.raises(InputError, match="odd numbers of voxels, not 4"):
        muspectre.run(heat, 1e-6)
    with pytest.raises(InputError, match="no scheme 'rotated' for conductivity"):
        muspectre.run(heat, 1e-6, scheme="rotated")
    with pytest.raises(InputError, match="'spline' is not known"):
        muspectre.run(elastic, 1e-6, scheme="spline")
    rigid = PeriodicProblem(elastic.phase, np.array([QUARTZ, np.diag([np.inf] * 6)]))
    with pytest.raises(InputError, match="muSpectre cannot be given phase 1, which is rigid"):
        muspectre.run(rigid, 1e-6, scheme="tetrahedra")


def test_an_interpreter_without_it_is_named(monkeypatch, tmp_path):
    problem = polycrystal(2, 3, QUARTZ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(muspectre.VARIABLE, raising=False)
    with pytest.raises(
        MissingComponent, match=r"neither HASHIGO_MUSPECTRE_PYTHON nor \.venv-muspectre is there"
    ):
        muspectre.run(problem, 1e-6)
    with pytest.raises(MissingComponent, match="'nowhere' is no file"):
        muspectre.run(problem, 1e-6, "nowhere")
    monkeypatch.setenv(muspectre.VARIABLE, sys.executable)
    with pytest.raises(MissingComponent, match="does not serve for muSpectre: ModuleNotFoundError"):
        muspectre.run(problem, 1e-6)


def test_no_convergence_is_said(muspectre_python):
    phase = np.zeros((3, 3, 3), dtype=np.int32)
    phase[1, 1, 1] = 1
    problem = PeriodicProblem(phase, np.array([np.eye(6), -np.eye(6)]))
    with pytest.raises(WorkerError, match="muSpectre failed"):
        muspectre.run(problem, 1e-12, muspectre_python)


def test_the_entry_takes_the_scheme_that_fits(muspectre_python):
    problem = polycrystal(3, 5, np.diag([1.0, 2.0, 4.0]))
    found = get_homogenizer("muspectre").solve(problem, 1e-8, {"python": muspectre_python})
    assert difference(found.energies, found.tensor) < 1e-7
