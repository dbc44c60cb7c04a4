"""The numerics of a study in one plain script: the workers one after another, no AiiDA, files in one folder.

Started by overhead.py, under the same MPI launcher as the workers of the run it is compared with.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from hashigo.calculators.frames import read_header
from hashigo.calculators.workers.job import Job, SerialComm, world
from hashigo.study import load_study
from hashigo.study.structures import (
    read_structure_file,
    standardise,
    structure_content,
    structure_from_content,
)
from hashigo.workflows.inputs import prepare


def main(study_path: Path, folder: Path) -> None:
    """Run every worker task of the study on the frames that it names."""
    comm = world()
    study = load_study(study_path)
    content = prepare(study).content
    frames = study.path(study.reference.data)
    # Every rank reads: under MPI, ASE's reader is a collective call.
    crystal = standardise(read_structure_file(study.path(study.structure.file)))
    if comm.rank == 0:
        reference = structure_from_content(read_header(frames)["structure"])
        (folder / "structure.json").write_text(json.dumps(structure_content(crystal)))
        (folder / "cell.json").write_text(json.dumps(structure_content(reference)))
    files = {
        name: folder / f"{name}.h5"
        for name in ("potential", "elasticity", "phonons", "conductivity", "handover")
    }
    seed = {"seed": study.seed}
    # Keys that the stage reads, and not the worker.
    chosen = ("model", "settings", "search")
    potential = {key: value for key, value in content["potential"].items() if key not in chosen}
    everything = {
        "structure": folder / "cell.json",
        "frames": frames,
        **{k: files[k] for k in ("potential", "elasticity")},
    }
    conduct = dict(content["conductivity"])
    conduct |= conduct.pop("budget")
    tasks: list[tuple[str, dict[str, Any], dict[str, Path], Path, bool]] = [
        ("training", potential | seed, {"frames": frames}, files["potential"], False),
        (
            "elasticity", content["elasticity"],
            {"structure": folder / "structure.json", "frames": frames, "potential": files["potential"]},
            files["elasticity"], True,
        ),
        ("phonons", content["phonons"] | seed, everything, files["phonons"], True),
        ("conductivity", conduct | seed, everything, files["conductivity"], True),
        (
            "handover",
            {key: content["mesoscale"][key] for key in ("temperatures", "electronic")},
            {"frames": frames, **{k: files[k] for k in ("elasticity", "phonons", "conductivity")}},
            files["handover"], False,
        ),
        (
            "mesoscale",
            {k: v for k, v in content["mesoscale"].items() if k not in ("temperatures", "electronic")} | seed,
            {k: files[k] for k in ("handover", "conductivity")}, folder / "mesoscale.h5", True,
        ),
    ]  # fmt: skip
    for task, parameters, inputs, output, parallel in tasks:
        _wait(comm, folder / f"{task}.go")
        if comm.rank == 0 or parallel:
            job = Job(task, parameters, inputs, output, comm=comm if parallel else SerialComm())
            importlib.import_module(f"hashigo.calculators.workers.{task}").run(job)


def _wait(comm: Any, flag: Path) -> None:
    """Keep all ranks in step without spinning: rank 0 writes a flag when it gets here."""
    if comm.rank == 0:
        flag.touch()
    while not flag.exists():
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
