"""The batch against a bare ASE loop: frames per second and core, speed-up on two ranks, memory, and what a kill loses.

Frames of 32-atom Al by EMT. The bare loop and the batch run in the same environment, one after the other, `--repeat`
times; the shortest of each counts, for other work on the machine can only slow them, and the largest memory. Times of
the batch are those of its job: start of Python, reading and writing are in them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from ase.build import bulk
from common import report

from hashigo.calculators.frames import Frame, iter_frames, write_frames
from hashigo.scheduler_profiles.computers import ALLOW_ROOT, UNBOUND, find_launcher
from hashigo.scheduler_profiles.model import load_site

#: The comparison: a script of ASE alone. It prints wall and CPU time of its loop, s.
BARE = """
import sys, time
import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
atoms = bulk("Al", cubic=True).repeat(2)
start, random = atoms.positions.copy(), np.random.default_rng(1)
atoms.calc = EMT(fixed_cutoff=True)
begin, cpu = time.perf_counter(), time.process_time()
for index in range(int(sys.argv[1])):
    atoms.positions = start + random.normal(scale=0.03, size=start.shape)
    atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
print(time.perf_counter() - begin, time.process_time() - cpu)
"""


def frames(count: int) -> Iterator[Frame]:
    """The same configurations as those of the bare loop."""
    atoms, random = bulk("Al", cubic=True).repeat(2), np.random.default_rng(1)
    for _ in range(count):
        positions = atoms.positions + random.normal(scale=0.03, size=(32, 3))
        yield Frame(atoms.cell.array, positions, tuple(atoms.symbols), settings="emt")


def environment() -> dict[str, str]:
    """That of a job of this computer."""
    return {**os.environ, **ALLOW_ROOT, **UNBOUND, **load_site("local").environment}


def make_job(folder: Path, count: int) -> Path:
    """A folder with the job of so many frames."""
    folder.mkdir()
    write_frames(folder / "frames.h5", frames(count), {"engine": "emt"})
    job = {
        "task": "forces", "parameters": {"engine": "emt", "settings": {}}, "inputs": {"frames": "frames.h5"},
        "output": "result.h5",
    }  # fmt: skip
    (folder / "job.json").write_text(json.dumps(job))
    return folder


def start(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    """Start a job; with several computing ranks there is one more that hands out the frames."""
    launcher = [str(find_launcher()), "-n", str(workers + 1)] if workers > 1 else []
    command = [*launcher, sys.executable, "-m", "hashigo.calculators.workers", "job.json"]
    return subprocess.Popen(command, cwd=folder, env=environment(), start_new_session=True)


def run_batch(folder: Path, workers: int) -> dict[str, Any]:
    """Run a job from nothing to its end: wall and CPU time, s, and largest resident memory of rank 0, MB."""
    shutil.rmtree(folder / "partial", ignore_errors=True)
    begin = time.perf_counter()
    process = start(folder, workers)
    largest = 0
    while process.poll() is None:
        largest = max(largest, peak_memory(process.pid))
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"the batch ended with {process.returncode}")
    statistics = json.loads((folder / "statistics.json").read_text())
    return {
        "wall": time.perf_counter() - begin, "job": statistics["wall_time_s"], "cpu": statistics["cpu_time_s"],
        "rss": largest / 1e6,
    }  # fmt: skip


def peak_memory(pid: int) -> int:
    """Largest resident memory of rank 0 of a job so far, bytes: the first rank is its launcher's first child."""
    try:
        leader = psutil.Process(pid)
        first = min((rank.pid for rank in leader.children()), default=pid)
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{first}/status").read_text())
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return 0
    return 1024 * int(found[1]) if found else 0


def lost_frames(folder: Path, workers: int) -> dict[str, int]:
    """Frames that a job had told to be done when it was killed, and those of them that are not found again."""
    shutil.rmtree(folder / "partial", ignore_errors=True)
    total = sum(1 for _ in iter_frames(folder / "frames.h5"))
    (folder / "progress.json").unlink(missing_ok=True)
    process = start(folder, workers)
    told = 0
    while told < total / 3:
        if process.poll() is not None:
            raise SystemExit(f"the batch ended with {process.returncode} before it was killed")
        time.sleep(0.05)
        if (folder / "progress.json").is_file():
            told = json.loads((folder / "progress.json").read_text())["done"]
    # The ranks are in groups of their own, and a dead launcher has no children.
    every = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in every:
        one.suspend()
    for one in every:
        one.kill()
    process.wait()
    psutil.wait_procs(every[1:])
    [kept] = (folder / "partial").glob("*/frames.h5")
    count = sum(1 for _ in iter_frames(kept))
    return {"told_frames": told, "kept_frames": count, "lost_frames": max(0, told - count)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    count = arguments.frames
    with tempfile.TemporaryDirectory() as name:
        folder, small = make_job(Path(name, "all"), count), make_job(Path(name, "tenth"), count // 10)
        bare, one, two = [], [], []
        for _ in range(arguments.repeat):
            done = subprocess.run(
                [sys.executable, "-c", BARE, str(count)],
                env=environment(),
                capture_output=True,
                text=True,
                check=True,
            )
            bare.append([float(word) for word in done.stdout.split()])
            one.append(run_batch(folder, 1))
            two.append(run_batch(folder, 2))
        tenth = [run_batch(small, workers)["rss"] for workers in (1, 2)]
        lost = lost_frames(folder, 2)
    bare_wall, bare_cpu = (min(times) for times in zip(*bare, strict=True))
    best = {key: [min(run[key] for run in runs) for runs in (one, two)] for key in ("wall", "job", "cpu")}
    memory = [max(run["rss"] for run in runs) for runs in (one, two)]
    report(
        "batch",
        {
            "frames": count,
            "bare_frames_per_s": round(count / bare_wall, 1),
            "rate_ratio_1": round(bare_wall / best["job"][0], 3),
            "rate_ratio_1_cpu": round(bare_cpu / best["cpu"][0], 3),
            "speedup_2": round(best["job"][0] / best["job"][1], 3),
            "speedup_2_with_launcher": round(best["wall"][0] / best["wall"][1], 3),
            "cpu_ratio_2": round(best["cpu"][0] / best["cpu"][1], 3),
            "rss_mb": {
                str(count // 10): [round(r) for r in tenth],
                str(count): [round(r) for r in memory],
            },
            **lost,
        },
    )


if __name__ == "__main__":
    main()
