"""What orchestration and provenance cost: the demo against the same numerics in one plain script, in one run."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from common import ROOT, report, timed


def jobs_cpu() -> float:
    """CPU time that the jobs of the database reported, s: they are no children that the run waits for."""
    from hashigo.workflows import profile

    profile.load(create=False)
    from aiida import orm

    jobs = orm.QueryBuilder().append(orm.CalcJobNode).all(flat=True)
    return sum(job.outputs.statistics["cpu_time_s"] for job in jobs)


def make_folder(parent: str, name: str) -> str:
    """A new folder."""
    path = Path(parent, name)
    path.mkdir()
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, default=ROOT / "examples" / "silicon" / "study.yaml")
    study = parser.parse_args().study.resolve()
    with tempfile.TemporaryDirectory() as folder:
        # AiiDA looks for its configuration when it is imported.
        os.environ["AIIDA_PATH"] = make_folder(folder, "aiida")
        report("overhead", measure(study, folder))


def measure(study: Path, folder: str) -> dict[str, float]:
    """Times of the plain script, of a run, and of a second run."""
    from hashigo.scheduler_profiles.computers import ALLOW_ROOT, find_launcher, mpi_works
    from hashigo.scheduler_profiles.model import load_site

    site = load_site("local")
    cores = site.n_cores()
    launcher = [str(find_launcher()), "-n", str(cores)] if cores > 1 and mpi_works(site) else []
    # The script has the environment of the jobs it is compared with.
    environment = {**os.environ, **ALLOW_ROOT, **site.environment}
    plain = [*launcher, sys.executable, str(Path(__file__).with_name("plain_chain.py")), str(study)]
    # The first time compiles and reads cold files; only the second is compared.
    timed([*plain, make_folder(folder, "warm-up")], env=environment)
    plain_wall, plain_cpu = timed([*plain, make_folder(folder, "plain")], env=environment)
    output = ["--quiet", "--output", str(Path(folder, "out"))]
    command = [sys.executable, "-m", "hashigo", "run", str(study), *output]
    run_wall, run_cpu = timed(command, env=environment)
    run_cpu += jobs_cpu()
    again_wall, again_cpu = timed(command, env=environment)
    return {
        "wall_ratio": round(run_wall / plain_wall, 3),
        "cpu_ratio": round(run_cpu / plain_cpu, 3),
        "run_wall_s": round(run_wall, 1),
        "run_cpu_s": round(run_cpu, 1),
        "plain_wall_s": round(plain_wall, 1),
        "plain_cpu_s": round(plain_cpu, 1),
        "second_run_wall_s": round(again_wall, 1),
        "second_run_cpu_s": round(again_cpu, 1),
        "cores": cores,
    }


if __name__ == "__main__":
    main()
