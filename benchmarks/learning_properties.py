"""Whether the uncertainty of conductivity and stiffness is true, and what learning in rounds saves.

The reference is Tersoff's silicon, whose own conductivity and stiffness, by the same steps, are the truth. Each part is
made of the workers' own tasks: training, elasticity, conductivity, choice of candidates.

`coverage`: potentials trained on random subsets of a pool; how often the truth lies within one standard uncertainty
(`coverage_68_kappa`, `coverage_68_stiffness`) and within 1.96 (`coverage_95_…`).

`goal`: learning in rounds until κ is known to 5 % and the stiffness to 2 %, by seed: frames labelled when it stops
(`frames_to_goal`, median), whether the true error is below the goal then (`stop_truth`, share of the seeds), the error
of κ beside that of a potential trained on a fixed random set of the same size (`fixed_set`), of symfc on as many
supercells displaced at random (`symfc`), and of phono3py's finite displacements: their number
(`finite_displacements`) and error.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from common import report

from hashigo.calculators.engines.tersoff import silicon
from hashigo.calculators.frames import Frame, read_frames, write_frames
from hashigo.calculators.learning import FIRST, read_round, shares, why_stop
from hashigo.calculators.results import ResultReader
from hashigo.calculators.sampling import sample
from hashigo.calculators.workers import candidates, conductivity, elasticity, training
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import write_structure
from hashigo.calculators.workers.lattice.force_constants import (
    Fit,
    ForceConstants,
    build_lattice,
    model_dataset,
)
from hashigo.calculators.workers.lattice.mesh_run import coarse_modes, isotropic
from hashigo.calculators.workers.lattice.transport import build_anharmonic
from hashigo.calculators.workers.potential import AseModel, Committee

CELL = bulk("Si", "diamond", 5.432, cubic=True)
TRUTH = AseModel(silicon(), ["Si"])
SAMPLING = {
    "supercell": [2, 2, 2], "displacement": 0.03, "strain": 0.015, "volume_range": 0.06, "free_atoms": False,
}  # fmt: skip


def labelled(frames: Sequence[Frame]) -> list[Frame]:
    """Frames with energy, forces and stress of the truth."""
    told = TRUTH.evaluate([frame.atoms() for frame in frames])
    return [
        replace(frame, energy=one.energy, forces=one.forces, stress=one.stress)
        for frame, one in zip(frames, told, strict=True)
    ]


def sampled(displaced: int, strained: int, volumes: int, seed: int) -> list[Frame]:
    """Random frames as a study without learning has them, labelled."""
    counts = {"displaced": displaced, "strained": strained, "volumes": volumes}
    return labelled(sample(CELL, SAMPLING | counts, seed, "tersoff"))


class Ladder:
    """Training, elasticity and conductivity of one set of frames in a folder.

    Args:
        folder: for the files.
        options: of the command line.
    """

    def __init__(self, folder: Path, options: Any) -> None:
        self.folder = folder
        self.model = {} if options.model == "default" else {
            "cutoff": 5.0, "radial_functions": 5, "invariant_max_l": [4, 4],
        }  # fmt: skip
        self.model["members"] = options.members
        self.mesh = options.mesh
        write_structure(folder / "structure.json", CELL)

    def _run(self, task: Any, name: str, parameters: dict[str, Any], **inputs: str) -> Path:
        files = {key: self.folder / file for key, file in inputs.items()}
        job = Job(
            name,
            parameters,
            {"structure": self.folder / "structure.json", **files},
            self.folder / f"{name}.h5",
        )
        task.run(job)
        return job.output

    def climb(self, frames: Sequence[Frame], seed: int) -> None:
        """Compute everything of a set of frames; results are files of the folder."""
        write_frames(self.folder / "frames.h5", frames, {"atomic_energies": {"Si": 0.0}, "engine": "tersoff"})
        self._run(training, "training", {**self.model, "seed": seed}, frames="frames.h5")
        self._run(elasticity, "elasticity", {}, potential="training.h5")
        settings = {"meshes": [self.mesh], "coarse_mesh": self.mesh, "temperatures": [300.0], "snapshots": 12}
        settings["cutoff"] = None
        files = {"potential": "training.h5", "elasticity": "elasticity.h5"}
        self._run(conductivity, "conductivity", settings, **files)

    def choose(self, supercells: int, strained: int, seed: int) -> list[Frame]:
        """Frames that the committee would have labelled next."""
        settings = {"supercells": supercells, "strained": strained, "seed": seed}
        return read_frames(
            self._run(candidates, "candidates", settings, potential="training.h5", frames="frames.h5")
        )

    def reader(self, name: str) -> ResultReader:
        """A result file."""
        return ResultReader(self.folder / f"{name}.h5")

    def round(self, frames: int) -> Any:
        """What the results say."""
        with (
            self.reader("training") as one,
            self.reader("conductivity") as two,
            self.reader("elasticity") as three,
        ):
            return read_round(frames, None, one, {"thermal_conductivity": two, "stiffness": three})

    def numbers(self) -> dict[str, Any]:
        """κ with its uncertainty, W/(m K), and C11, C12, C44 with theirs, GPa; whether they are calibrated."""
        with self.reader("conductivity") as reader:
            record = reader.quantity("lattice_thermal_conductivity")
            kappa = np.trace(record.value[0]) / 3
            spread = (np.trace(record.members[:, 0], axis1=1, axis2=2) / 3).std(ddof=1)
        with self.reader("elasticity") as reader:
            record = reader.quantity("stiffness")
            pick = [(0, 0), (0, 1), (3, 3)]
            constants = [float(record.value[0][at]) for at in pick]
            spreads = [float(record.components["model"][0][at]) for at in pick]
        return {
            "kappa": float(kappa), "kappa_spread": float(spread), "constants": constants, "spreads": spreads,
            "calibrated": record.calibrated,
        }  # fmt: skip


def truth(mesh: int) -> dict[str, Any]:
    """The reference's own numbers by the same steps."""
    crystal = elasticity.compute(CELL, Committee(TRUTH), elasticity.check_settings({}))
    assert crystal is not None
    matrix = crystal.mean.stiffness
    kappa = by_symfc(crystal.mean.atoms, 12, 0, mesh, paired=True)
    return {"kappa": kappa, "constants": [float(matrix[at]) for at in ((0, 0), (0, 1), (3, 3))]}


def by_symfc(atoms: Atoms, snapshots: int, seed: int, mesh: int, *, paired: bool = False) -> float:
    """κ from the reference's own forces on randomly displaced supercells, W/(m K)."""
    from hashigo.calculators.sampling import displaced_supercells
    from hashigo.calculators.workers.lattice.force_constants import ideal_supercell, random_dataset

    lattice = build_lattice(atoms, [2, 2, 2])
    if paired:
        dataset = random_dataset(TRUTH, lattice, snapshots, 0.03, seed, paired=True)
    else:
        ideal = ideal_supercell(lattice)
        moved = displaced_supercells(ideal, (1, 1, 1), snapshots, 0.03, seed)
        dataset = model_dataset(TRUTH, lattice, np.array([one.positions - ideal.positions for one in moved]))
    return _kappa(atoms, Fit(lattice, 3).solve(dataset), mesh)


def _kappa(atoms: Atoms, constants: ForceConstants, mesh: int) -> float:
    settings = conductivity.check_settings(
        {"coarse_mesh": mesh, "meshes": [mesh], "temperatures": [300.0], "snapshots": 20, "cutoff": None}
    )
    return float(isotropic(coarse_modes(build_anharmonic(atoms, [2, 2, 2], constants), settings))[0])


def finite_displacements(mesh: int) -> tuple[int, float]:
    """Number of phono3py's supercells with finite displacements, and κ from them, W/(m K)."""
    from phono3py import Phono3py

    from hashigo.calculators.workers.lattice.force_constants import phonopy_cell

    ph3 = Phono3py(phonopy_cell(CELL), supercell_matrix=[2, 2, 2], primitive_matrix="F", log_level=0)
    ph3.generate_displacements()
    cells = [
        Atoms(c.symbols, cell=c.cell, positions=c.positions, pbc=True)
        for c in ph3.supercells_with_displacements
    ]
    ph3.forces = np.array([one.forces for one in TRUTH.evaluate(cells)])
    ph3.produce_fc2()
    ph3.produce_fc3()
    constants = ForceConstants(ph3.fc2, ph3.fc3)
    return len(cells), _kappa(CELL, constants, mesh)


def coverage(options: Any, known: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Random subsets of a pool: how often the truth is within the uncertainty."""
    ladder = Ladder(folder, options)
    pool = sampled(40, 48, 12, 1000)
    kinds = np.array([frame.kind for frame in pool])
    rows = []
    for seed in range(options.seeds):
        generator = np.random.default_rng(seed)
        chosen = [
            *generator.permutation(np.flatnonzero(kinds == "displaced"))[: options.displaced],
            *generator.permutation(np.flatnonzero(kinds == "strained"))[: options.strained],
        ]
        ladder.climb([pool[index] for index in chosen], seed)
        rows.append(ladder.numbers())
        print(json.dumps({"coverage seed": seed, **rows[-1]}), flush=True)
    ratio = np.array([(one["kappa"] - known["kappa"]) / one["kappa_spread"] for one in rows])
    constants = np.array([(np.array(one["constants"]) - known["constants"]) / one["spreads"] for one in rows])
    return {
        "subsets": len(rows),
        "frames": options.displaced + options.strained,
        "calibrated": float(np.mean([one["calibrated"] for one in rows])),
        "coverage_68_kappa": float(np.mean(np.abs(ratio) <= 1)),
        "coverage_95_kappa": float(np.mean(np.abs(ratio) <= 1.96)),
        "coverage_68_stiffness": float(np.mean(np.abs(constants) <= 1)),
        "coverage_95_stiffness": float(np.mean(np.abs(constants) <= 1.96)),
        "coverage_68_of_c11_c12_c44": np.mean(np.abs(constants) <= 1, axis=0).tolist(),
        "kappa_relative_rms_error": _rms([one["kappa"] / known["kappa"] - 1 for one in rows]),
        "kappa_relative_mean_error": float(np.mean([one["kappa"] / known["kappa"] - 1 for one in rows])),
        "kappa_relative_spread": _rms([one["kappa_spread"] / known["kappa"] for one in rows]),
    }


def goal_of(options: Any) -> dict[str, float]:
    """Relative uncertainties at which learning stops, dimensionless."""
    return {"thermal_conductivity": options.kappa_goal, "stiffness": options.stiffness_goal}


def learned(ladder: Ladder, seed: int, options: Any) -> tuple[int, Any]:
    """One seed of learning: frames labelled, and the last round."""
    frames = sampled(FIRST["displaced"], FIRST["strained"], FIRST["volumes"], seed)
    rounds: list[Any] = []
    wanted = goal_of(options)
    budget = {"frames": options.budget}
    while not why_stop(rounds, wanted, budget):
        if rounds:
            count = min(options.batch, options.budget - len(frames))
            frames += labelled(ladder.choose(*shares(rounds[-1], wanted, count), seed + 7919 * len(rounds)))
        ladder.climb(frames, seed)
        rounds.append(ladder.round(len(frames)))
    return len(frames), rounds[-1]


def goal(options: Any, known: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Learning by seed, beside sets of the same size that nobody chose."""
    ladder, wanted = Ladder(folder, options), goal_of(options)
    rows = []
    for seed in range(options.seeds):
        count, last = learned(ladder, seed, options)
        found = ladder.numbers()
        share = FIRST["displaced"] / sum(FIRST.values())
        displaced = round(share * count)
        ladder.climb(sampled(displaced, count - displaced - 3, 3, 500 + seed), seed)
        fixed = ladder.numbers()
        stiffness = np.abs(np.array(found["constants"]) / known["constants"] - 1)
        row = {
            "frames": count,
            "reached": last.reached(wanted),
            "kappa_error": found["kappa"] / known["kappa"] - 1,
            "stiffness_error": float(stiffness.max()),
            "said": dict(last.uncertainties),
            "fixed_set_kappa_error": fixed["kappa"] / known["kappa"] - 1,
            "symfc_kappa_error": by_symfc(CELL, count, seed, options.mesh) / known["kappa"] - 1,
        }
        rows.append(row)
        print(json.dumps({"goal seed": seed, **row}), flush=True)
    supercells, kappa = finite_displacements(options.mesh)
    stopped = [one for one in rows if one["reached"]]
    true = [
        abs(one["kappa_error"]) <= wanted["thermal_conductivity"]
        and one["stiffness_error"] <= wanted["stiffness"]
        for one in stopped
    ]
    return {
        "seeds": len(rows),
        "goal": wanted,
        "reached": len(stopped) / len(rows),
        # A seed that has not reached it counts as infinitely many.
        "frames_to_goal": _finite(np.median([one["frames"] if one["reached"] else np.inf for one in rows])),
        "frames_of_seeds": [one["frames"] for one in rows],
        "stop_truth": float(np.mean(true)) if true else None,
        "kappa_rms_error": _rms([one["kappa_error"] for one in rows]),
        "fixed_set_kappa_rms_error": _rms([one["fixed_set_kappa_error"] for one in rows]),
        "symfc_kappa_rms_error": _rms([one["symfc_kappa_error"] for one in rows]),
        "finite_displacements": supercells,
        "finite_displacements_kappa_error": kappa / known["kappa"] - 1,
    }


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["coverage", "goal"], choices=["coverage", "goal"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--model", default="default", choices=["default", "small"])
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--mesh", type=int, default=7)
    parser.add_argument("--displaced", type=int, default=8, help="supercells of a subset")
    parser.add_argument("--strained", type=int, default=12, help="strained cells of a subset")
    parser.add_argument("--kappa-goal", type=float, default=0.05, help="relative uncertainty of κ")
    parser.add_argument(
        "--stiffness-goal", type=float, default=0.02, help="relative uncertainty of the stiffness"
    )
    parser.add_argument("--budget", type=int, default=40, help="frames of a seed at most")
    parser.add_argument("--batch", type=int, default=4, help="frames of a round")
    options = parser.parse_args()
    begin = time.process_time()
    known = truth(options.mesh)
    figures: dict[str, Any] = {"reference": "Tersoff silicon", "model": options.model, "mesh": options.mesh,
                               "members": options.members, "truth": known}  # fmt: skip
    for part in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            figures[part] = {"coverage": coverage, "goal": goal}[part](options, known, Path(folder))
    report("learning_properties", {**figures, "cpu_s": round(time.process_time() - begin, 1)})


if __name__ == "__main__":
    main()
