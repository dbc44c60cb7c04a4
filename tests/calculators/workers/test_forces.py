"""The batch: every frame once, the same whatever the number of ranks."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from hashigo.calculators.engines import Workspace, get_engine
from hashigo.calculators.frames import read_frames, write_frames
from hashigo.calculators.sampling import sample
from hashigo.calculators.workers.forces import run
from hashigo.calculators.workers.job import Job
from hashigo.errors import WorkerError

SAMPLING = {
    "supercell": [1, 1, 1], "displaced": 3, "displacement": 0.03, "strained": 2, "strain": 0.01, "volumes": 0,
    "volume_range": 0.06,
}  # fmt: skip


@pytest.fixture
def sampled(tmp_path, diamond):
    write_frames(tmp_path / "frames.h5", sample(diamond, SAMPLING, 0, "s"), {"engine": "tersoff"})
    return tmp_path / "frames.h5"


def job_of(path, engine="tersoff"):
    return Job("forces", {"engine": engine, "settings": {}}, {"frames": path}, path.with_name("result.h5"))


def test_frames_get_energy_forces_stress_and_keep_identity(sampled):
    run(job_of(sampled))
    before, after = read_frames(sampled), read_frames(sampled.with_name("result.h5"))
    assert [f.identity for f in before] == [f.identity for f in after]
    calculator = get_engine("tersoff").calculator({}, Workspace())
    atoms = after[0].atoms()
    atoms.calc = calculator
    assert after[0].energy == atoms.get_potential_energy()
    np.testing.assert_array_equal(after[0].forces, atoms.get_forces())
    np.testing.assert_array_equal(after[0].stress, atoms.get_stress())
    assert after[-1].kind == "atom"
    assert after[-1].stress is None


def test_two_ranks_write_the_same_file(sampled, require_program):
    run(job_of(sampled))
    serial = sampled.with_name("result.h5").read_bytes()
    content = {"task": "forces", "parameters": {"engine": "tersoff", "settings": {}}}
    content |= {"inputs": {"frames": "frames.h5"}, "output": "two.h5"}
    sampled.with_name("job.json").write_text(json.dumps(content))
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = [require_program("mpirun", "openmpi-bin"), "-n", "2", "--oversubscribe", sys.executable, "-m"]
    subprocess.run(
        [*command, "hashigo.calculators.workers", "job.json"], cwd=sampled.parent, env=environment, check=True
    )
    assert sampled.with_name("two.h5").read_bytes() == serial


def test_a_frame_that_cannot_be_computed_is_named(sampled):
    with pytest.raises(WorkerError, match="No EMT-potential for Si"):
        run(job_of(sampled, engine="emt"))
    assert not sampled.with_name("result.h5").exists()
