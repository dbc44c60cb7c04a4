"""A polynomial potential as a linear model: design matrix of frames and ridge regression."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.polynomial import missing_library, stress_from_virial, to_polymlp
from hashigo.calculators.workers.resampling import Indices
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: What a row of the design matrix is about.
ENERGY, FORCE, STRESS = 0, 1, 2

#: An error of this size in a row of weight 1 counts as much as one in any other: eV/atom, eV/Å, eV/Å^3.
SCALES = {ENERGY: 1e-3, FORCE: 1e-2, STRESS: 6.25e-4}

#: Strengths of the ridge penalty that are tried, relative to the mean square of a scaled feature.
RIDGES = np.logspace(-12, -2, 21)

#: Frames of one call of the library, so that progress shows and memory stays small.
_CHUNK = 4


@dataclass(frozen=True)
class DesignMatrix:
    """Features and targets of all frames; energies are counted from the free atoms.

    Attributes:
        features: shape (n_rows, n_features), eV/atom, eV/Å or eV/Å^3 over a coefficient's eV.
        targets: shape (n_rows,), eV/atom, eV/Å or eV/Å^3.
        weights: what a row is multiplied with in the fit, shape (n_rows,), inverse of the target's unit.
        frame: index of the frame of each row, shape (n_rows,), dimensionless.
        kind: ENERGY, FORCE or STRESS of each row, shape (n_rows,), dimensionless.
    """

    features: Floats
    targets: Floats
    weights: Floats
    frame: Indices
    kind: Indices

    def rows(self, frames: Sequence[int] | Indices, kind: int | None = None) -> Indices:
        """Find the rows of some frames.

        Args:
            frames: indices of frames, shape (n_frames,), dimensionless.
            kind: number ENERGY, FORCE or STRESS; all kinds by default.

        Returns:
            Indices of rows, shape (n_found,), dimensionless.
        """
        mask = np.isin(self.frame, frames)
        if kind is not None:
            mask &= self.kind == kind
        return np.flatnonzero(mask)


def polymlp_parameters(
    elements: Sequence[str], model: Mapping[str, Any], atomic_energies: Mapping[str, float]
) -> Any:
    """Set up pypolymlp's parameters.

    Args:
        elements: chemical symbols.
        model: cutoff [Å], model_type, max_power, invariant_order, invariant_max_l, radial_functions.
        atomic_energies: energy of a free atom of each element, eV.

    Raises:
        MissingComponent: when pypolymlp is not installed.
    """
    try:
        from pypolymlp.core.params import PolymlpParams  # optional package
        from pypolymlp.core.params_utils import set_all_params
    except ImportError as error:
        raise missing_library(error) from None
    cutoff = float(model["cutoff"])
    single = set_all_params(
        elements=list(elements),
        include_force=True,
        include_stress=True,
        cutoff=cutoff,
        model_type=int(model["model_type"]),
        max_p=int(model["max_power"]),
        gtinv_order=int(model["invariant_order"]),
        gtinv_maxl=tuple(int(value) for value in model["invariant_max_l"]),
        # The radial functions are Gaussians whose centres reach to 1 Å below the cut-off.
        gaussian_params2=(0.0, cutoff - 1.0, int(model["radial_functions"])),
        atomic_energy=tuple(float(atomic_energies[symbol]) for symbol in elements),
    )
    return PolymlpParams(single)


def atomic_energies(
    frames: Sequence[Frame], atoms: Sequence[Frame], given: Mapping[str, float], header: Mapping[str, Any]
) -> tuple[dict[str, float], str]:
    """Energies of the free atoms, from which the potential counts.

    Args:
        frames: frames to train on.
        atoms: frames of one free atom each.
        given: energy by chemical symbol, eV; may be empty.
        header: of the frames file; may have "atomic_energies", eV.

    Returns:
        Energy of each element of the frames, eV, and a sentence that says where it is from.

    Raises:
        InputError: when `given` lacks an element of the frames.
    """
    elements = sorted({symbol for frame in frames for symbol in frame.symbols})
    missing = sorted(set(elements) - set(given))
    if given and missing:
        raise InputError(
            f"potential.atomic_energies has no {missing[0]}, which the reference frames contain",
            fix="give the free atom's energy of every element, or of none",
        )
    computed = {f.symbols[0]: f.energy for f in atoms if len(f.symbols) == 1 and f.energy is not None}
    for source, energies in (
        ("potential.atomic_energies of the study", given),
        ("header of the frames", header.get("atomic_energies") or {}),
        ("frames of free atoms", computed),
    ):
        if set(elements) <= set(energies):
            return {symbol: float(energies[symbol]) for symbol in elements}, source
    with_energy = [frame for frame in frames if frame.energy is not None]
    counts = np.array([[frame.symbols.count(symbol) for symbol in elements] for frame in with_energy])
    if not with_energy:
        return dict.fromkeys(elements, 0.0), "none: no frame has an energy"
    fitted = np.linalg.lstsq(counts.astype(float), np.array([f.energy for f in with_energy]), rcond=None)[0]
    return dict(zip(elements, map(float, fitted), strict=True)), (
        "least squares on the frames, not energies of free atoms: cohesive energies have no meaning"
    )


def design_matrix(
    frames: Sequence[Frame],
    parameters: Any,
    weights: Mapping[int, float],
    progress: Callable[[int], None] = lambda done: None,
) -> DesignMatrix:
    """Compute the features of frames; a value that a frame does not have gives no row.

    Args:
        frames: configurations with what was computed of them.
        parameters: of `polymlp_parameters`.
        weights: relative weight of ENERGY, FORCE and STRESS rows, dimensionless.
        progress: told the number of frames done.
    """
    parts: list[tuple[int, int, Floats, Floats, float]] = []
    for start in range(0, len(frames), _CHUNK):
        chunk = frames[start : start + _CHUNK]
        for offset, blocks in enumerate(_features(chunk, parameters)):
            frame = chunk[offset]
            for kind, target in _targets(frame, parameters).items():
                weight = weights[kind] / SCALES[kind] * frame.weight
                parts.append((start + offset, kind, blocks[kind], target, weight))
        progress(start + len(chunk))
    counts = [len(target) for _, _, _, target, _ in parts]
    return DesignMatrix(
        features=np.concatenate([block for _, _, block, _, _ in parts]),
        targets=np.concatenate([target for _, _, _, target, _ in parts]),
        weights=np.repeat([weight for *_, weight in parts], counts),
        frame=np.repeat([index for index, *_ in parts], counts),
        kind=np.repeat([kind for _, kind, *_ in parts], counts),
    )


def _features(frames: Sequence[Frame], parameters: Any) -> list[dict[int, Floats]]:
    from pypolymlp.mlp_dev.core.features import Features  # optional package

    cells = [to_polymlp(frame.atoms(), parameters.elements) for frame in frames]
    computed = Features(parameters, structures=cells, print_memory=False)
    matrix = computed.x
    _, force_start, stress_start = computed.first_indices[0]
    out = []
    for index, frame in enumerate(frames):
        n_atoms = len(frame.symbols)
        stress = matrix[stress_start + 6 * index : stress_start + 6 * index + 6]
        out.append(
            {
                ENERGY: matrix[index : index + 1] / n_atoms,
                FORCE: matrix[force_start : force_start + 3 * n_atoms],
                STRESS: stress_from_virial(stress, abs(np.linalg.det(frame.cell))),
            }
        )
        force_start += 3 * n_atoms
    return out


def _targets(frame: Frame, parameters: Any) -> dict[int, Floats]:
    out = {}
    if frame.energy is not None:
        free = dict(zip(parameters.elements, parameters.atomic_energy, strict=True))
        cohesive = frame.energy - sum(free[symbol] for symbol in frame.symbols)
        out[ENERGY] = np.array([cohesive / len(frame.symbols)])
    if frame.forces is not None:
        out[FORCE] = np.ravel(frame.forces)
    if frame.stress is not None:
        out[STRESS] = np.asarray(frame.stress)
    return out


class Ridge:
    """Weighted ridge regression on scaled features, for one set of frames and resamples of it.

    Args:
        design: rows of all frames.
        frames: indices of the frames to fit, shape (n_frames,), dimensionless.
    """

    def __init__(self, design: DesignMatrix, frames: Sequence[int] | Indices) -> None:
        rows = design.rows(frames)
        matrix = design.features[rows] * design.weights[rows, None]
        scale = np.sqrt(np.mean(matrix**2, axis=0))
        # Features that vanish in all frames get no coefficient.
        self._scale = np.where(scale > 1e-12 * max(scale.max(), 1e-300), scale, np.inf)
        self._matrix = matrix / self._scale
        self._targets = design.targets[rows] * design.weights[rows]
        self._frame = design.frame[rows]

    def _normal(self, counts: Floats) -> tuple[Floats, Floats, float]:
        weighted = self._matrix * counts[:, None]
        return weighted.T @ self._matrix, weighted.T @ self._targets, float(counts.sum())

    def fit(self, ridge: float, frames: Sequence[int] | Indices | None = None) -> Floats:
        """Fit the coefficients.

        Args:
            ridge: strength of the penalty, dimensionless.
            frames: indices of frames, with repetition, out of those of the constructor, shape (n_drawn,),
                dimensionless; by default those.

        Returns:
            Coefficients of the unscaled features, shape (n_features,), eV.
        """
        counts = np.ones(len(self._frame))
        if frames is not None:
            counts = np.bincount(frames, minlength=self._frame.max() + 1)[self._frame].astype(float)
        normal, right, rows = self._normal(counts)
        penalised = normal + ridge * rows * np.eye(len(normal))
        try:
            solution = cho_solve(cho_factor(penalised), right)
        except np.linalg.LinAlgError:
            # Rounding made it indefinite, as it can with thousands of features and a weak penalty.
            solution = _spectral_solve(normal, right, np.array([ridge * rows]))[:, 0]
        return np.asarray(solution / self._scale)

    def cross_validate(self, folds: Sequence[Indices], ridges: Floats = RIDGES) -> Floats:
        """Score each strength of the penalty on frames left out of the fit.

        Args:
            folds: indices of the frames left out in turn, each of shape (n_fold,), dimensionless.
            ridges: strengths, shape (n_ridges,), dimensionless.

        Returns:
            Weighted root-mean-square error over all left-out rows, shape (n_ridges,), dimensionless.
        """
        squares = np.zeros(len(ridges))
        for fold in folds:
            out = np.isin(self._frame, fold)
            normal, right, rows = self._normal((~out).astype(float))
            solutions = _spectral_solve(normal, right, ridges * rows)
            residuals = self._targets[out, None] - self._matrix[out] @ solutions
            squares += np.sum(residuals**2, axis=0)
        return np.asarray(np.sqrt(squares / len(self._frame)))


def _spectral_solve(normal: Floats, right: Floats, penalties: Floats) -> Floats:
    """One column of coefficients for each penalty."""
    values, vectors = np.linalg.eigh(normal)
    filtered = (vectors.T @ right)[:, None] / (np.maximum(values, 0)[:, None] + penalties)
    return np.asarray(vectors @ filtered)
