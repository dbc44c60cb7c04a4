from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.fitting import (
    ENERGY,
    FORCE,
    STRESS,
    DesignMatrix,
    Ridge,
    atomic_energies,
    design_matrix,
    polymlp_parameters,
)
from hashigo.calculators.workers.training import DEFAULTS
from hashigo.errors import InputError


def linear_model(noise: float, n_frames: int = 12) -> tuple[DesignMatrix, np.ndarray]:
    """Rows of a known linear model; two features differ in size by 1e6 and one is always zero."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(n_frames * 5, 4)) * [1, 1e3, 1e-3, 0]
    truth = np.array([2.0, -1e-3, 500.0, 0.0])
    return (
        DesignMatrix(
            features=features,
            targets=features @ truth + noise * generator.normal(size=len(features)),
            weights=np.ones(len(features)),
            frame=np.repeat(np.arange(n_frames), 5),
            kind=np.full(len(features), FORCE),
        ),
        truth,
    )


def test_a_weak_penalty_finds_the_truth_and_gives_a_dead_feature_nothing() -> None:
    design, truth = linear_model(0.0)
    np.testing.assert_allclose(Ridge(design, range(12)).fit(1e-12), truth, rtol=1e-8, atol=1e-12)


def test_fitting_some_frames_twice_is_fitting_their_rows_twice() -> None:
    design, _ = linear_model(0.3)
    drawn = np.array([0, 0, 3, 5, 5, 5, 7])
    rows = np.concatenate([design.rows([frame]) for frame in drawn])
    expected = np.linalg.lstsq(design.features[rows][:, :3], design.targets[rows], rcond=None)[0]
    np.testing.assert_allclose(Ridge(design, range(12)).fit(1e-14, drawn)[:3], expected, rtol=1e-6)


def test_cross_validation_is_the_error_of_fits_without_the_fold() -> None:
    design, _ = linear_model(0.3)
    regression, folds = Ridge(design, range(12)), [np.arange(0, 6), np.arange(6, 12)]
    score = regression.cross_validate(folds, np.array([1e-3]))[0]
    residuals = []
    for fold, rest in (folds, folds[::-1]):
        coefficients = regression.fit(1e-3, rest)
        rows = design.rows(fold)
        residuals.append(design.targets[rows] - design.features[rows] @ coefficients)
    assert score == pytest.approx(np.sqrt(np.mean(np.concatenate(residuals) ** 2)), rel=1e-9)


def test_values_that_a_frame_lacks_give_no_rows(tersoff_frames: list[Frame]) -> None:
    full = next(frame for frame in tersoff_frames if frame.kind == "strained")
    frames = [full, replace(full, stress=None), replace(full, energy=None)]
    parameters = polymlp_parameters(["Si"], DEFAULTS, {"Si": 0.0})
    design = design_matrix(frames, parameters, {ENERGY: 1, FORCE: 1, STRESS: 1})
    counts = [[len(design.rows([frame], kind)) for kind in (ENERGY, FORCE, STRESS)] for frame in range(3)]
    assert counts == [[1, 24, 6], [1, 24, 0], [0, 24, 6]]


def test_weights_of_frames_and_kinds_multiply(tersoff_frames: list[Frame]) -> None:
    frame = replace(tersoff_frames[-1], weight=3.0)
    parameters = polymlp_parameters(["Si"], DEFAULTS, {"Si": 0.0})
    design = design_matrix([frame], parameters, {ENERGY: 1, FORCE: 2, STRESS: 0})
    assert set(design.weights[design.rows([0], ENERGY)]) == {3e3}
    assert set(design.weights[design.rows([0], FORCE)]) == {6e2}
    assert set(design.weights[design.rows([0], STRESS)]) == {0.0}


def free_atom(symbol: str, energy: float) -> Frame:
    return Frame(np.eye(3) * 10, np.zeros((1, 3)), (symbol,), energy, kind="atom")


def cluster(sodium: int, chlorine: int) -> Frame:
    symbols = ("Na",) * sodium + ("Cl",) * chlorine
    return Frame(np.eye(3) * 5, np.zeros((len(symbols), 3)), symbols, -2.0 * sodium - 3.0 * chlorine)


def test_energies_of_free_atoms_come_from_the_study_the_header_the_frames_or_a_fit() -> None:
    frames = [cluster(1, 1), cluster(2, 1), cluster(1, 2)]
    given, header = {"Na": -1.0, "Cl": -1.5}, {"atomic_energies": {"Na": -1.1, "Cl": -1.6, "K": 0.0}}
    atoms = [free_atom("Na", -1.2), free_atom("Cl", -1.7)]
    assert atomic_energies(frames, atoms, given, header)[0] == {"Cl": -1.5, "Na": -1.0}
    assert atomic_energies(frames, atoms, {}, header)[0] == {"Cl": -1.6, "Na": -1.1}
    assert atomic_energies(frames, atoms, {}, {})[0] == {"Cl": -1.7, "Na": -1.2}
    fitted, source = atomic_energies(frames, [], {}, {})
    assert fitted == pytest.approx({"Cl": -3.0, "Na": -2.0})
    assert "not energies of free atoms" in source


def test_a_missing_free_atom_is_named() -> None:
    with pytest.raises(InputError, match=r"potential\.atomic_energies has no Cl"):
        atomic_energies([cluster(1, 1)], [], {"Na": -1.0}, {})
