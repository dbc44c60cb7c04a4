"""Conductivity of silicon: one crystal on one and two ranks, beside plain phono3py on one and two threads; a committee.

The force constants are those of Tersoff's silicon, or of --constants, an .npz file with fc2 and fc3 in phono3py's
compact form for 2x2x2 conventional cells (as of a first-principles calculation). What is timed is κ from force
constants, wave vectors kept for a next try as in a job; each run is a process of its own, and of several the quickest
counts. The committee of eight is trained on frames of the same potential: its cost is the CPU time of the stage's
computation with it over that without it. With --full every member is computed on --full-mesh too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, report

TEMPERATURES = [100.0, 300.0, 1000.0]
LATTICE_CONSTANT = 5.432  # Å


def silicon(constant: float = LATTICE_CONSTANT) -> Any:
    """Conventional cell."""
    from ase.build import bulk

    return bulk("Si", "diamond", constant, cubic=True)


def make_constants(path: Path) -> None:
    """Force constants of Tersoff's silicon, by symfc from 20 supercells of 64 atoms."""
    from hashigo.calculators.engines.tersoff import silicon as tersoff
    from hashigo.calculators.workers.lattice.force_constants import Fit, build_lattice, random_dataset
    from hashigo.calculators.workers.potential import AseModel

    lattice = build_lattice(silicon(), [2, 2, 2])
    dataset = random_dataset(AseModel(tersoff(), ["Si"]), lattice, 20, 0.03, seed=0, paired=True)
    found = Fit(lattice, 3).solve(dataset)
    np.savez(path, fc2=found.second, fc3=found.third)


def crystal(path: Path) -> Any:
    """Silicon with its force constants."""
    from hashigo.calculators.workers.lattice.force_constants import ForceConstants
    from hashigo.calculators.workers.lattice.transport import build_anharmonic

    with np.load(path) as file:
        return build_anharmonic(silicon(), [2, 2, 2], ForceConstants(file["fc2"], file["fc3"]))


def ours(path: Path, mesh: int) -> dict[str, Any]:
    """κ by this package, on the ranks that there are."""
    from hashigo.calculators.workers.job import world
    from hashigo.calculators.workers.lattice.wave_vectors import Work, mode_properties
    from hashigo.calculators.workers.saved import Saved

    comm, made = world(), crystal(path)
    comm.allgather(None)
    begin, used = time.perf_counter(), time.process_time()
    with Saved(path.with_name("partial"), comm) as saved:
        modes = mode_properties(made, mesh, TEMPERATURES, work=Work(comm, saved))
        comm.allgather(None)
    wall, each = time.perf_counter() - begin, comm.allgather(time.process_time() - used)
    kappa = modes.conductivity()[:, 0, 0].tolist()
    return {"wall": wall, "cpu": sum(each), "kappa": kappa} if comm.rank == 0 else {}


def plain(path: Path, mesh: int) -> dict[str, Any]:
    """κ by phono3py itself."""
    made = crystal(path)
    begin, used = time.perf_counter(), time.process_time()
    made.mesh_numbers = [mesh] * 3
    made.init_phph_interaction()
    made.run_thermal_conductivity(temperatures=TEMPERATURES, is_isotope=True, log_level=0)
    wall, cpu = time.perf_counter() - begin, time.process_time() - used
    return {"wall": wall, "cpu": cpu, "kappa": made.thermal_conductivity.kappa[0, :, 0].tolist()}


def started(part: str, path: Path, mesh: int, ranks: int, threads: int) -> dict[str, Any]:
    """Run a part in processes of its own."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": "1"}
    environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    launcher = [shutil.which("mpirun") or "mpirun", "-n", str(ranks), "--oversubscribe"] if ranks > 1 else []
    command = [
        *launcher,
        sys.executable,
        __file__,
        "--part",
        part,
        "--constants",
        str(path),
        "--mesh",
        str(mesh),
    ]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(
        next(line for line in done.stdout.splitlines() if line.startswith('{"wall'))
    )
    print(
        f"{part}, {ranks} ranks, {threads} threads: {found['wall']:.2f} s, CPU {found['cpu']:.2f} s",
        flush=True,
    )
    return found


def speed(path: Path, mesh: int, repeat: int) -> dict[str, Any]:
    """Times of all four."""
    cases = {
        "one": ("ours", 1, 1),
        "two": ("ours", 2, 1),
        "plain": ("plain", 1, 1),
        "plain_2": ("plain", 1, 2),
    }
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    for _ in range(repeat):
        for name, (part, ranks, threads) in cases.items():
            runs[name].append(started(part, path, mesh, ranks, threads))
    wall = {name: min(run["wall"] for run in some) for name, some in runs.items()}
    kappa = np.array([some[0]["kappa"] for some in runs.values()])
    return {
        "mesh": mesh,
        "wall_s": {name: round(value, 2) for name, value in wall.items()},
        "cpu_s": {name: round(min(run["cpu"] for run in some), 2) for name, some in runs.items()},
        "speedup_2": round(wall["one"] / wall["two"], 3),
        "time_ratio": round(wall["one"] / wall["plain"], 3),
        "time_ratio_2": round(wall["two"] / wall["plain_2"], 3),
        "kappa_300K": round(float(kappa[0, 1]), 3),
        "ranks_differ_by": float(np.abs(kappa[1] / kappa[0] - 1).max()),
        "phono3py_differs_by": float(np.abs(kappa[0] / kappa[2] - 1).max()),
    }


def trained(folder: Path, members: int) -> Any:
    """A committee trained on frames of Tersoff's silicon."""
    from dataclasses import replace

    from hashigo.calculators.engines.tersoff import silicon as tersoff
    from hashigo.calculators.frames import write_frames
    from hashigo.calculators.sampling import sample
    from hashigo.calculators.workers import training
    from hashigo.calculators.workers.job import Job
    from hashigo.calculators.workers.polynomial import committee_for
    from hashigo.calculators.workers.potential import AseModel

    sampling = {
        "supercell": (2, 2, 2), "displaced": 10, "displacement": 0.03,
        "strained": 8, "strain": 0.02, "volumes": 5, "volume_range": 0.06,
    }  # fmt: skip
    model, frames = AseModel(tersoff(), ["Si"]), []
    for frame in sample(silicon(), sampling, seed=1, settings="tersoff"):
        if frame.kind != "atom":
            known = model.evaluate([frame.atoms()])[0]
            frames.append(replace(frame, energy=known.energy, forces=known.forces, stress=known.stress))
    write_frames(folder / "frames.h5", frames, {"atomic_energies": {"Si": 0.0}})
    potential = folder / "potential.h5"
    training.run(Job("training", {"members": members}, {"frames": folder / "frames.h5"}, potential))
    return committee_for({"potential": potential}, None, ["Si"])


def committee(folder: Path, meshes: list[int], members: int, full: int) -> dict[str, Any]:
    """What the members cost beside one value, and how good their ratios at the coarse mesh are."""
    from hashigo.calculators.workers import conductivity
    from hashigo.calculators.workers.lattice.relaxed import RelaxedCells
    from hashigo.calculators.workers.potential import Committee

    found, cell = trained(folder, members), silicon()
    settings = conductivity.check_settings(
        {"meshes": meshes, "snapshots": 20, "cutoff": None, "temperatures": TEMPERATURES}
    )

    def computed(some: Any, settings: Any) -> tuple[Any, float]:
        begin = time.process_time()
        cells = RelaxedCells(cell, (cell,) * len(some.members))
        return conductivity.compute(some, cells, settings), time.process_time() - begin

    alone, one = computed(Committee(found.mean), settings)
    whole, all_of_them = computed(found, settings)
    figures = {
        "members": members,
        "committee_meshes": meshes,
        "value_cpu_s": round(one, 1),
        "with_committee_cpu_s": round(all_of_them, 1),
        "committee_cost": round(all_of_them / one, 3),
        "value_changes_by": float(np.abs(whole.series.finest / alone.series.finest - 1)[:, 0, 0].max()),
    }
    if full:
        only = {**settings, "meshes": [full], "coarse_mesh": full}
        fine = computed(found, only)[0]
        exact = np.array([modes.conductivity()[:, 0, 0] for modes in fine.members])
        ratios = np.array([modes.conductivity()[:, 0, 0] for modes in whole.members])
        ratios *= fine.coarse.conductivity()[:, 0, 0] / whole.coarse.conductivity()[:, 0, 0]
        figures["full"] = {
            "mesh": full,
            "temperatures": TEMPERATURES,
            "relative_spread_full": (exact.std(axis=0, ddof=1) / exact.mean(axis=0)).round(5).tolist(),
            "relative_spread_ratios": (ratios.std(axis=0, ddof=1) / ratios.mean(axis=0)).round(5).tolist(),
            "largest_difference": np.abs(ratios / exact - 1).max(axis=0).round(5).tolist(),
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mesh", type=int, default=19)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--constants", type=Path, help="fc2 and fc3 of silicon; by default Tersoff's")
    parser.add_argument("--members", type=int, default=8, help="of the committee; 0 leaves it out")
    parser.add_argument(
        "--meshes", type=int, nargs="+", default=[7, 9, 11, 13, 15], help="with the committee"
    )
    parser.add_argument("--full", type=int, default=0, help="mesh on which every member is computed too")
    parser.add_argument("--part", choices=("ours", "plain"), help="one run, for the benchmark itself")
    options = parser.parse_args()
    if options.part:
        found = {"ours": ours, "plain": plain}[options.part](options.constants, options.mesh)
        if found:
            print(json.dumps(found), flush=True)
        return
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        folder = Path(name)
        constants = options.constants or folder / "constants.npz"
        if options.constants is None:
            make_constants(constants)
        else:
            constants = Path(shutil.copy(constants, folder / "constants.npz"))
        figures = speed(constants, options.mesh, options.repeat)
        if options.members:
            figures |= committee(folder, options.meshes, options.members, options.full)
    report("conductivity", figures)


if __name__ == "__main__":
    main()
