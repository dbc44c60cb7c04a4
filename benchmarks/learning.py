"""Whether the calibrated spread of a polynomial potential covers its errors, on frames used for nothing else.

Each seed draws training frames from a pool, chooses the ridge penalty and calibrates by cross-fitting among them, and
is judged on all other frames of the pool: coverage of the 68 % and 95 % intervals over all rows and in each tercile of
predicted spread, and sharpness against one constant width that was calibrated on the same cross-fitted errors.

The pool is Tersoff's silicon (supercells of 64 atoms displaced by up to 0.15 Å, and strained cells; made here, so the
truth is known), and, with `--data DIR`, NaCl by DFT: DIR/NaCl-rd/phono3py_params_NaCl.yaml.xz of phono3py's examples.

Log-scores are differences of the mean negative log-likelihood of normal errors with the half-width of the 68 % interval
as standard deviation, constant minus calibrated: above 0 the calibrated spread is the sharper one. The interval score
is that of Gneiting & Raftery (2007) for the 95 % intervals, calibrated over constant: below 1 is sharper.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk
from common import report

from hashigo.calculators.engines.tersoff import silicon
from hashigo.calculators.formats import read_source
from hashigo.calculators.frames import Frame
from hashigo.calculators.sampling import random_directions, strained_cells
from hashigo.calculators.workers.calibration import (
    calibrate,
    constant_width,
    coverage,
    cross_fit,
    summary,
)
from hashigo.calculators.workers.fitting import (
    ENERGY,
    FORCE,
    RIDGES,
    STRESS,
    DesignMatrix,
    Ridge,
    atomic_energies,
    design_matrix,
    polymlp_parameters,
)
from hashigo.calculators.workers.potential import AseModel
from hashigo.calculators.workers.resampling import stratified_folds
from hashigo.calculators.workers.uncertainty import LinearPosterior

KINDS = {"energy": ENERGY, "force": FORCE, "stress": STRESS}
#: Aims: of the coverages over all rows, and in each tercile at 68 %.
AIMS = {"coverage_68": (0.60, 0.76), "coverage_95": (0.90, 0.98), "tercile": (0.55, 0.80)}
MODEL = {
    "cutoff": 5.0, "model_type": 3, "max_power": 2, "invariant_order": 3, "invariant_max_l": [4, 4],
    "radial_functions": 5,
}  # fmt: skip
#: Largest displacement of the atoms of a supercell, Å.
DISPLACEMENT = 0.15


def silicon_pool(count: int) -> list[Frame]:
    """Supercells with one displacement each, from small to large, and a third as many strained cells."""
    cell, model = bulk("Si", "diamond", 5.432, cubic=True), AseModel(silicon(), ["Si"])
    structures = []
    for index in range(count):
        generator = np.random.default_rng([0, index])
        atoms = cell.repeat(2)
        distance = generator.uniform(0.01, DISPLACEMENT)
        atoms.positions += random_directions(generator, len(atoms), distance)
        structures.append(("displaced", atoms))
    structures += [("strained", atoms) for atoms in strained_cells(cell, count // 3, 0.03, 0.05, 0)]
    known = model.evaluate([atoms for _, atoms in structures])
    return [
        Frame(
            cell=atoms.cell.array.copy(), positions=atoms.positions, symbols=tuple(atoms.symbols), kind=kind,
            energy=one.energy, forces=one.forces, stress=one.stress,
        )
        for (kind, atoms), one in zip(structures, known, strict=True)
    ]  # fmt: skip


def sodium_chloride_pool(data: Path, count: int) -> list[Frame]:
    """The first supercells of 64 atoms of phono3py's example."""
    source = read_source(data / "NaCl-rd" / "phono3py_params_NaCl.yaml.xz")
    return [frame for frame in source.frames if len(frame.symbols) == 64][:count]


def design_of(frames: list[Frame]) -> DesignMatrix:
    """Features of the pool, computed once for all seeds; energies count from their mean."""
    energies = atomic_energies(frames, [], {}, {})[0]
    parameters = polymlp_parameters(sorted(energies), MODEL, energies)
    return design_matrix(frames, parameters, {ENERGY: 1.0, FORCE: 1.0, STRESS: 1.0})


def trial(design: DesignMatrix, kinds: list[str], n_train: int, seed: int, options: Any) -> dict[str, Any]:
    """Train on some frames of the pool, calibrate on the same, judge on the others.

    Args:
        design: rows of the pool.
        kinds: kind of each frame of the pool.
        n_train: number of frames to train on.
        seed: of the choice of frames and folds.
        options: folds, and members of the bootstrap (0 for the Bayesian posterior).
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(kinds))
    train, test = np.sort(order[:n_train]), np.sort(order[n_train:])
    folds = stratified_folds(kinds, train, options.folds, generator)
    ridge = float(RIDGES[np.argmin(Ridge(design, train).cross_validate(folds))])
    seen = cross_fit(design, folds, ridge, kinds, options.members, generator)
    scales = calibrate(seen)
    model = LinearPosterior(design, train, ridge)
    members = model.bootstrap(kinds, options.members, generator) if options.members else None
    figures = {}
    for name, kind in KINDS.items():
        rows = design.rows(test, kind)
        if kind not in scales or not len(rows):
            continue
        features = design.features[rows]
        errors = design.targets[rows] - model.predict(features)
        parts = model.parts(features, design.kind[rows], members)
        widths = scales[kind].half_widths(parts)
        constant = constant_width(seen.errors[seen.kind == kind])
        figures[name] = judged(errors, parts, widths, constant)
    return {"ridge": ridge, "scales": summary(scales), "kinds": figures}


def judged(errors: Any, parts: Any, widths: Any, constant: Any) -> dict[str, Any]:
    """Coverage and sharpness of one kind of row of one seed."""
    found = coverage(errors, widths, widths[0])
    flat = np.broadcast_to(constant[:, None], widths.shape)
    return {
        "rms_error": float(np.sqrt(np.mean(errors**2))),
        "coverage_68": found["all"][0],
        "coverage_95": found["all"][1],
        "terciles_68": found["groups"],
        "uncalibrated_68": [float(np.mean(np.abs(errors) <= part)) for part in parts],
        "constant_68": coverage(errors, flat, widths[0])["all"][0],
        "constant_terciles_68": coverage(errors, flat, widths[0])["groups"],
        "spread_ratio": float(np.quantile(widths[0], 0.9) / np.quantile(widths[0], 0.1)),
        "log_score_gain": log_score(errors, flat[0]) - log_score(errors, widths[0]),
        "interval_score_ratio": interval_score(errors, widths[1]) / interval_score(errors, flat[1]),
    }


def log_score(errors: Any, deviation: Any) -> float:
    """Mean negative log-likelihood of normal errors, less a constant."""
    return float(np.mean(np.log(deviation) + 0.5 * (errors / deviation) ** 2))


def interval_score(errors: Any, half_width: Any) -> float:
    """Mean score of 95 % intervals: their width, and 40 times what an error reaches beyond them."""
    return float(np.mean(2 * half_width + 40 * np.maximum(np.abs(errors) - half_width, 0)))


def gathered(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over the seeds, the lowest and highest seed, and whether the mean keeps the aims."""
    out: dict[str, Any] = {}
    for name in trials[0]["kinds"]:
        rows = [one["kinds"][name] for one in trials if name in one["kinds"]]
        stacked = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        mean = {key: np.round(values.mean(axis=0), 6).tolist() for key, values in stacked.items()}
        low, high = AIMS["tercile"]
        kept = [AIMS[key][0] <= mean[key] <= AIMS[key][1] for key in ("coverage_68", "coverage_95")]
        kept += [all(low <= value <= high for value in mean["terciles_68"]), mean["log_score_gain"] > 0]
        out[name] = mean | {
            "coverage_68_seeds": [float(stacked["coverage_68"].min()), float(stacked["coverage_68"].max())],
            "coverage_95_seeds": [float(stacked["coverage_95"].min()), float(stacked["coverage_95"].max())],
            "terciles_68_seeds": [float(stacked["terciles_68"].min()), float(stacked["terciles_68"].max())],
            "aims_kept": dict(zip(("coverage_68", "coverage_95", "terciles", "sharper"), kept, strict=True)),
        }
    return out


def case(name: str, frames: list[Frame], options: Any) -> list[dict[str, Any]]:
    """All sizes of training set of one pool."""
    begin = time.process_time()
    design, kinds = design_of(frames), [frame.kind for frame in frames]
    features = time.process_time() - begin
    out = []
    for n_train in options.train:
        begin = time.process_time()
        trials = [
            trial(design, kinds, n_train, seed, options)
            for seed in range(options.first_seed, options.first_seed + options.seeds)
        ]
        out.append(
            {
                "case": name,
                "n_train": n_train,
                "n_test": len(frames) - n_train,
                "seeds": options.seeds,
                "n_features": design.features.shape[1],
                "epistemic": f"bootstrap of {options.members}" if options.members else "posterior",
                "features_cpu_s": round(features, 1),
                "trial_cpu_s": round((time.process_time() - begin) / options.seeds, 2),
                "scales_of_first_seed": trials[0]["scales"],
                **gathered(trials),
            }
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with NaCl-rd/")
    parser.add_argument("--train", type=int, nargs="+", default=[20, 40], help="numbers of training frames")
    parser.add_argument("--pool", type=int, default=90, help="number of supercells of the pool")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--members", type=int, default=0, help="bootstrap members; 0: Bayesian posterior")
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    cases = case("silicon, Tersoff", silicon_pool(options.pool), options)
    if options.data:
        cases += case("NaCl, DFT", sodium_chloride_pool(options.data, options.pool), options)
    report("learning", {"aims": AIMS, "cases": cases})


if __name__ == "__main__":
    main()
