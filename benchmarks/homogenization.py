"""The homogenisation solver beside muSpectre, beside the Fourier transforms it cannot do without, and on two cores.

The microstructure is a periodic Voronoi polycrystal of copper (elastic) or of a layered crystal (thermal). Every
measurement is a process of its own, after a short solution that loads the compiled code; of several the quickest
counts. muSpectre runs in an environment of its own (`make peers`). Each code's error is that of its effective stiffness
against its own solution at 1e-12; times are compared where the errors are equal, by interpolation between tolerances.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, report

GRAINS = 100
COPPER = (168.4, 121.4, 75.4)  # C11, C12, C44, GPa
LAYERED = (10.0, 10.0, 1.0)  # W/(m K)
TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def problem(kind: str, voxels: int, planes: slice = slice(None)) -> tuple[Any, Any, Any]:
    """Medium class, phases and table."""
    from hashigo.calculators.workers.homogenization.microstructure import voronoi_polycrystal
    from hashigo.calculators.workers.homogenization.solver import ElasticMedium, ThermalMedium
    from hashigo.calculators.workers.homogenization.tensors import (
        rotate_conductivity,
        rotate_stiffness,
        voigt_to_mandel,
    )

    sample = voronoi_polycrystal(GRAINS, voxels, 1, planes=planes)
    if kind == "thermal":
        return ThermalMedium, sample.grain_id, rotate_conductivity(np.diag(LAYERED), sample.rotations)
    c11, c12, c44 = COPPER
    crystal = np.diag([c11 - c12] * 3 + [c44] * 3)
    crystal[:3, :3] += c12
    return ElasticMedium, sample.grain_id, rotate_stiffness(voigt_to_mandel(crystal), sample.rotations)


def peak(reset: bool = False) -> int:
    """Most memory that this process held, bytes; of Linux. With `reset` it is counted anew from here."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])


def part(arguments: argparse.Namespace) -> None:
    """One measurement, in a process (or two ranks) of its own."""
    from hashigo.calculators.workers.homogenization.slabs import Slabs
    from hashigo.calculators.workers.job import world

    comm, n = world(), arguments.voxels
    slabs = Slabs((n, n, n), comm, arguments.threads, arguments.precision)
    kind, phase, table = problem(arguments.part, n)
    medium = kind(slabs, phase[slabs.planes], table, [])
    del phase
    medium.effective(0.5)
    before = peak(reset=True)
    out = []
    for tolerance in arguments.tolerances:
        walls = []
        for _ in range(arguments.repeat):
            comm.allgather(None)
            begin, used = time.perf_counter(), time.process_time()
            found = medium.effective(tolerance)
            comm.allgather(None)
            walls.append((time.perf_counter() - begin, time.process_time() - used))
        out.append(
            {
                "tolerance": tolerance,
                "wall": min(walls)[0],
                "cpu": sum(comm.allgather(min(walls)[1])),
                "iterations": found.iterations,
                "tensor": found.tensor.tolist(),
            }
        )
        del found
    memory = sum(comm.allgather(peak() - before))
    check = 28 if slabs.precision == np.float32 else 0
    told = medium.together * medium.bytes_per_voxel + (medium.loads * 8 + check) * medium.components
    if comm.rank == 0:
        print(json.dumps({"runs": out, "bytes_per_voxel": memory / n**3, "told": told}))


def started(
    kind: str, voxels: int, tolerances: Any, repeat: int = 1, ranks: int = 1, threads: int = 1, **options: Any
) -> dict[str, Any]:
    """Run `part` in processes of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    launcher = [shutil.which("mpirun") or "mpirun", "-n", str(ranks)] if ranks > 1 else []
    command = [*launcher, sys.executable, __file__, "--part", kind, "--voxels", str(voxels)]
    command += ["--repeat", str(repeat), "--threads", str(threads), "--tolerances", *map(str, tolerances)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for run in found["runs"]:
        print(
            f"{kind} {voxels}^3, {ranks} ranks, {threads} threads, {run['tolerance']:.0e}: {run['wall']:.3f} s, "
            f"iterations {max(run['iterations'])}",
            flush=True,
        )
    return found


def errors(runs: list[dict[str, Any]], exact: Any) -> list[float]:
    """Largest error of each tensor, relative to the largest entry."""
    exact = np.array(exact)
    return [float(np.abs(np.array(run["tensor"]) - exact).max() / np.abs(exact).max()) for run in runs]


def time_at(error: float, found: list[float], values: list[float]) -> float:
    """A time, or another cost, where the error is as given: straight between points in the logarithm of the error."""
    order = np.argsort(found)
    return float(np.interp(np.log(error), np.log(np.array(found)[order]), np.array(values)[order]))


def muspectre(voxels: int, python: str | None, repeat: int) -> dict[str, Any]:
    """Equal errors of the effective stiffness, one core each."""
    from hashigo.calculators.workers.homogenization.interface import PeriodicProblem
    from hashigo.calculators.workers.homogenization.peers import muspectre as peer

    _, phase, table = problem("elastic", voxels)
    posed = PeriodicProblem(phase, table)
    ours = started("elastic", voxels, (1e-12, *TOLERANCES), repeat)
    exact, *runs = ours["runs"]
    out: dict[str, Any] = {
        "voxels": voxels,
        "hashigo": {
            "errors": errors(runs, exact["tensor"]),
            "walls": [run["wall"] for run in runs],
            "iterations": [max(run["iterations"]) for run in runs],
            "bytes_per_voxel": ours["bytes_per_voxel"],
        },
        "targets": {},
    }
    own = out["hashigo"]
    for scheme in ("rotated", "fourier"):
        solved = {
            tolerance: peer.run(posed, tolerance, python, scheme=scheme, energies=True)
            for tolerance in (1e-12, *TOLERANCES)
        }
        for tolerance, outcome in solved.items():
            print(
                f"muSpectre {scheme}, {tolerance:.0e}: {sum(outcome.wall):.2f} s, iterations "
                f"{max(outcome.iterations)}",
                flush=True,
            )
        best = solved.pop(1e-12)
        figures: dict[str, Any] = {
            "walls": [sum(outcome.wall) for outcome in solved.values()],
            "iterations": [max(outcome.iterations) for outcome in solved.values()],
            "bytes_per_voxel": (best.memory - best.memory_before) / voxels**3,
        }
        for name, pick in (("mean_flux", "tensor"), ("energies", "energies")):
            reference = getattr(best, pick)
            figures[f"errors_{name}"] = errors(
                [{"tensor": getattr(outcome, pick)} for outcome in solved.values()], reference
            )
        out[f"muspectre_{scheme}"] = figures
        for name in ("mean_flux", "energies"):
            for error in (1e-4, 1e-6):
                theirs = time_at(error, figures[f"errors_{name}"], figures["walls"])
                steps = time_at(error, figures[f"errors_{name}"], figures["iterations"])
                ours_at = time_at(error, own["errors"], own["walls"])
                out["targets"][f"{scheme} {name} {error:.0e}"] = {
                    "time_ratio": round(ours_at / theirs, 4),
                    "iterations_ratio": round(time_at(error, own["errors"], own["iterations"]) / steps, 3),
                }
        out["targets"][f"{scheme} memory_ratio"] = round(
            own["bytes_per_voxel"] / figures["bytes_per_voxel"], 3
        )
    return out


def transforms(voxels: int, repeat: int) -> dict[str, Any]:
    """An iteration against the transforms it needs at least: one there and one back for each component.

    The limit is taken in double precision, and, as the solver's preconditioner works in single, in single too.
    """
    import scipy.fft

    def quickest(function: Any) -> float:
        walls = []
        for _ in range(5 * repeat):
            begin = time.perf_counter()
            function()
            walls.append(time.perf_counter() - begin)
        return min(walls)

    out: dict[str, Any] = {"voxels": voxels}
    pairs = {}
    for precision in ("float64", "float32"):
        field = np.random.default_rng(0).random((voxels,) * 3).astype(precision)
        spectrum = scipy.fft.rfftn(field)
        forward = quickest(lambda: scipy.fft.rfftn(field))  # noqa: B023 - called at once
        pairs[precision] = forward + quickest(lambda: scipy.fft.irfftn(spectrum, s=field.shape))  # noqa: B023
        out[f"pair_of_transforms_{precision}_s"] = pairs[precision]
    for kind, components in (("thermal", 1), ("elastic", 3)):
        short, long = started(kind, voxels, (1e-2, 1e-8), repeat)["runs"]
        steps = sum(long["iterations"]) - sum(short["iterations"])
        each = (long["wall"] - short["wall"]) / steps
        out[kind] = {
            "iteration_s": each,
            "fft_limit_ratio": round(each / (components * pairs["float64"]), 3),
            "fft_limit_ratio_single": round(each / (components * pairs["float32"]), 3),
        }
    return out


def scaling(sizes: dict[str, int], repeat: int) -> dict[str, Any]:
    """Two cores by ranks and by threads."""
    out = {}
    for kind, voxels in sizes.items():
        one = started(kind, voxels, (1e-4,), repeat)["runs"][0]["wall"]
        ranks = started(kind, voxels, (1e-4,), repeat, ranks=2)["runs"][0]["wall"]
        threads = started(kind, voxels, (1e-4,), repeat, threads=2)["runs"][0]["wall"]
        out[f"{kind} {voxels}"] = {
            "wall_s": one,
            "speedup_2_ranks": round(one / ranks, 3),
            "speedup_2_threads": round(one / threads, 3),
        }
    return out


def contrast(voxels: int) -> list[dict[str, Any]]:
    """Iterations to 1e-6 for a sphere of 11 % in a medium, from 10 to rigid and to void."""
    from hashigo.calculators.workers.homogenization.slabs import Slabs
    from hashigo.calculators.workers.homogenization.solver import ElasticMedium, ThermalMedium
    from hashigo.calculators.workers.job import SerialComm

    axis = (np.arange(voxels) + 0.5) / voxels - 0.5
    radius = np.sqrt(sum(part**2 for part in np.meshgrid(axis, axis, axis, indexing="ij")))
    phase = (radius < 0.3).astype(np.int32)
    soft = np.diag([2.0] * 6)  # Mandel, GPa
    soft[:3, :3] += 1.0
    slabs, out = Slabs(phase.shape, SerialComm()), []
    for scheme in ("rotated", "hexahedra"):
        for name, factor in (
            ("10", 10.0),
            ("1e3", 1e3),
            ("1e6", 1e6),
            ("rigid", np.inf),
            ("1e-1", 0.1),
            ("1e-3", 1e-3),
            ("1e-6", 1e-6),
            ("void", 0.0),
        ):
            row: dict[str, Any] = {"scheme": scheme, "inclusion": name}
            for kind, base in ((ThermalMedium, np.eye(3)), (ElasticMedium, soft)):
                other = np.diag(np.full(len(base), np.inf)) if np.isinf(factor) else factor * base
                found = kind(slabs, phase, np.array([base, other]), [], scheme=scheme).effective(1e-6)
                row["thermal" if kind is ThermalMedium else "elastic"] = max(found.iterations)
            out.append(row)
    return out


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="interpreter that has muSpectre; without one it is left out")
    parser.add_argument("--voxels", type=int, default=63)
    parser.add_argument("--large", type=int, nargs="*", default=[128, 256])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--part", choices=("elastic", "thermal"), help=argparse.SUPPRESS)
    parser.add_argument("--tolerances", type=float, nargs="*", default=[1e-4])
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="float64", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if arguments.part:
        part(arguments)
        return
    figures: dict[str, Any] = {}
    if arguments.python:
        figures["muspectre"] = muspectre(arguments.voxels, arguments.python, arguments.repeat)
    figures["transforms"] = transforms(arguments.voxels, arguments.repeat)
    figures["contrast"] = contrast(min(32, arguments.voxels))
    figures["scaling"] = scaling(
        {"elastic": arguments.voxels, "thermal": 2 * arguments.voxels + 2}, arguments.repeat
    )
    figures["large"] = []
    for voxels in arguments.large:
        for precision in ("float64", "float32"):
            found = started("thermal", voxels, (1e-4,), precision=precision)
            run = found["runs"][0]
            figures["large"].append(
                {
                    "voxels": voxels,
                    "precision": precision,
                    "wall_s": round(run["wall"], 3),
                    "iterations": max(run["iterations"]),
                    "voxel_iterations_per_s": round(voxels**3 * sum(run["iterations"]) / run["wall"]),
                    "bytes_per_voxel": round(found["bytes_per_voxel"], 1),
                    "bytes_per_voxel_told": found["told"],
                }
            )
    report("homogenization", figures)


if __name__ == "__main__":
    main()
