"""The batch: every frame once, the same whatever the number of ranks; nothing is lost when it is ended."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hashigo.calculators.engines import Workspace, get_engine
from hashigo.calculators.frames import iter_frames, read_frames, read_header, write_frames
from hashigo.calculators.sampling import sample
from hashigo.calculators.workers.forces import rate_text, run
from hashigo.calculators.workers.job import FramesFailed, Job
from hashigo.scheduler_profiles.computers import ALLOW_ROOT
from hashigo.scheduler_profiles.model import load_site

SAMPLING = {
    "supercell": [1, 1, 1], "displaced": 3, "displacement": 0.03, "strained": 2, "strain": 0.01, "volumes": 0,
    "volume_range": 0.06,
}  # fmt: skip

_spec = importlib.util.spec_from_file_location("trouble", Path(__file__).parents[2] / "trouble.py")
trouble = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(trouble)


@pytest.fixture
def sampled(tmp_path, diamond):
    write_frames(tmp_path / "frames.h5", sample(diamond, SAMPLING, 0, "s"), {"engine": "tersoff"})
    return tmp_path / "frames.h5"


def job_of(path, engine="tersoff"):
    return Job("forces", {"engine": engine, "settings": {}}, {"frames": path}, path.with_name("result.h5"))


class Batch:
    """A batch of frames in a folder, run as a scheduler would.

    Args:
        folder: of its job.
        python_path: where its engine is.
        launcher: path of mpirun.
    """

    def __init__(self, folder, python_path, launcher):
        self.folder, self.launcher = folder, launcher
        self.environment = {
            **os.environ,
            **ALLOW_ROOT,
            **load_site("local").environment,
            "PYTHONPATH": python_path,
        }

    def prepare(self, frames, engine="trouble", **content):
        """Write the frames and the job file; what is not told of the engine is its default."""
        settings = (
            {"troubles": {}, "seconds": 0.0, **content.pop("settings", {})} if engine == "trouble" else {}
        )
        write_frames(self.folder / "frames.h5", frames, {"engine": engine})
        job = {
            "task": "forces", "parameters": {"engine": engine, "settings": settings},
            "inputs": {"frames": "frames.h5"}, "output": "result.h5", **content,
        }  # fmt: skip
        (self.folder / "job.json").write_text(json.dumps(job))
        return self

    def start(self, ranks=1, prefix=()):
        """Start it; one rank is started without a launcher."""
        mpi = [self.launcher, "-n", str(ranks)] if ranks > 1 else []
        command = [*prefix, *mpi, sys.executable, "-m", "hashigo.calculators.workers", "job.json"]
        (self.folder / "error.json").unlink(missing_ok=True)
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def run(self, ranks=1, prefix=()):
        """Run it to its end; returns the exit status of the launcher."""
        process = self.start(ranks, prefix)
        self.said = process.communicate(timeout=40)
        return process.returncode

    def wait_for(self, count):
        """Wait until so many frames are behind it."""
        last = time.monotonic() + 60
        while self.progress < count:
            assert time.monotonic() < last
            time.sleep(0.02)

    @property
    def progress(self):
        """Number of frames that it has told to be done."""
        try:
            return json.loads((self.folder / "progress.json").read_text())["done"]
        except OSError:
            return 0

    @property
    def error(self):
        """What it ended with."""
        return json.loads((self.folder / "error.json").read_text())

    @property
    def energies(self):
        """Energies of the result, eV: in a result of 'trouble' these are the numbers of the frames."""
        return [frame.energy for frame in iter_frames(self.folder / "result.h5")]

    @property
    def kept(self):
        """Number of frames that the next try finds."""
        [path] = (self.folder / "partial").glob("*/frames.h5")
        return sum(1 for _ in iter_frames(path))

    @property
    def log(self):
        """Records of all tries."""
        with gzip.open(self.folder / "log.jsonl.gz", "rt") as lines:
            return [json.loads(line) for line in lines]


@pytest.fixture
def batch(tmp_path, trouble_path, require_program):
    (tmp_path / "job").mkdir()
    return Batch(tmp_path / "job", trouble_path, require_program("mpirun", "openmpi-bin"))


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


def test_an_engine_without_the_elements_fails_every_frame_with_its_own_words(sampled):
    with pytest.raises(FramesFailed, match=r"6 of 6 frames failed; the first: frame 0: .*No EMT"):
        run(job_of(sampled, engine="emt"))
    assert not sampled.with_name("result.h5").exists()


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_do_not_change_the_result(batch, diamond, ranks):
    frames = sample(diamond, {**SAMPLING, "displaced": 20}, 0, "s")
    results = []
    for count in (1, ranks, ranks):
        assert batch.prepare(frames, "tersoff").run(count) == 0, batch.said
        results.append((batch.folder / "result.h5").read_bytes())
        shutil.rmtree(batch.folder / "partial")
    assert len(set(results)) == 1
    assert json.loads((batch.folder / "statistics.json").read_text())["ranks"] == ranks
    assert not list(batch.folder.glob("rank-*"))


def test_one_rank_needs_no_mpi_library(batch, diamond):
    # Any import of mpi4py would fail.
    (Path(batch.environment["PYTHONPATH"]) / "mpi4py.py").write_text("raise ImportError('no MPI library')\n")
    assert batch.prepare(sample(diamond, SAMPLING, 0, "s"), "tersoff").run() == 0, batch.said
    assert len(batch.energies) == 6


@pytest.mark.parametrize("ranks", [1, 3])
def test_frames_that_fail_are_left_out_and_logged(batch, ranks):
    troubles = {"2": "raise", "3": "nan", "5": "unconverged", "7": "signal"}
    assert batch.prepare(trouble.make_frames(12), settings={"troubles": troubles}).run(ranks) == 0
    assert batch.error["kind"] == "FramesFailed"
    assert batch.error["message"].startswith(
        "4 of 12 frames failed; the first: frame 2: RuntimeError: no luck in ./"
    )
    assert batch.energies == [0, 1, 4, 6, 8, 9, 10, 11]
    log = {record["index"]: record for record in batch.log}
    assert len(log) == 12
    assert log[3]["error"] == "its forces are not finite"
    assert log[5]["error"] == "self-consistency was not reached"
    assert log[5]["converged"] is False
    assert log[7]["error"] == "its program was ended by SIGKILL"
    assert log[0] == {**log[0], "version": "1.0", "converged": True, "error": "", "n_atoms": 2}
    assert log[0]["identity"] == trouble.make_frames(1)[0].identity
    assert read_frames(batch.folder / "result.h5")[0].origin == "Trouble 1.0"


def test_a_frame_that_takes_its_rank_down_costs_only_itself(batch):
    batch.prepare(trouble.make_frames(8), settings={"troubles": {"3": "crash"}, "seconds": 0.05})
    statuses = [batch.run() for _ in range(2)]
    assert statuses == [-signal.SIGSEGV, 0]
    assert batch.error["kind"] == "FramesFailed"
    assert "frame 3: the engine took its process down: Segmentation fault" in batch.error["message"]
    assert batch.energies == [0, 1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_what_is_there(batch, ranks, number):
    batch.prepare(trouble.make_frames(400), settings={"seconds": 0.02})
    process = batch.start(ranks)
    batch.wait_for(20)
    begin = time.monotonic()
    process.send_signal(number)
    batch.said = process.communicate(timeout=60)
    assert time.monotonic() - begin < 10
    assert batch.error["kind"] == "PartialResult", batch.said
    assert f"the job got {number.name}" in batch.error["message"]
    done = batch.energies
    assert 20 <= len(done) < 400
    assert done == sorted(set(done))
    # A try with the same inputs goes on.
    assert batch.prepare(trouble.make_frames(400), settings={"seconds": 0.02}, walltime=1e4).run(3) == 0, (
        batch.said
    )
    assert batch.energies == list(range(400))
    assert len(batch.log) == 400


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_walltime_ends_a_batch_in_time(batch, ranks):
    batch.prepare(
        trouble.make_frames(1000), settings={"seconds": 0.05, "troubles": {"40": "slow"}}, walltime=6
    )
    begin = time.monotonic()
    assert batch.run(ranks) == 0
    assert time.monotonic() - begin < 9
    assert batch.error["kind"] == "PartialResult", batch.said
    assert "its walltime of 6 s is nearly over" in batch.error["message"]
    assert len(batch.energies) >= 40
    assert 40 not in batch.energies


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_kill_loses_only_frames_in_flight(batch, ranks):
    batch.prepare(trouble.make_frames(300), settings={"seconds": 0.02})
    process = batch.start(ranks)
    batch.wait_for(60)
    told = batch.progress
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = batch.kept
    assert kept >= told
    assert batch.run(ranks) == 0, batch.said
    assert batch.energies == list(range(300))
    # What was kept was not computed again.
    assert sorted(record["index"] for record in batch.log) == list(range(300))


def test_two_jobs_at_once_do_not_mix(batch):
    batch.prepare(trouble.make_frames(2000), settings={"seconds": 0.02})
    process = batch.start()
    batch.wait_for(5)
    try:
        assert batch.run() == 4
        assert "another job computes the same frames" in batch.error["message"]
    finally:
        process.kill()
        process.communicate()


def test_a_file_without_room_is_a_sentence_and_keeps_what_was_flushed(batch):
    batch.prepare(trouble.make_frames(3000))
    # RLIMIT_FSIZE, in blocks of 1024 bytes: room for the first frames only.
    assert batch.run(prefix=["bash", "-c", 'ulimit -f 300; exec "$0" "$@"']) == 4
    assert batch.error["kind"] == "NotWritten", batch.said
    assert "there is no room for the results" in batch.error["message"]
    kept = batch.kept
    assert 0 < kept < 3000
    assert batch.run() == 0
    assert len(batch.energies) == 3000
    assert len({record["index"] for record in batch.log}) == 3000


def test_a_program_inside_a_rank_is_not_taken_for_a_rank(batch):
    script = batch.folder / "program"
    script.write_text(f"#!/bin/sh\nset > {batch.folder}/seen-${{OMPI_COMM_WORLD_SIZE:-none}}\n")
    script.chmod(0o755)
    for program in ([str(script)], [batch.launcher, "-n", "2", str(script)]):
        shutil.rmtree(batch.folder / "partial", ignore_errors=True)
        batch.prepare(trouble.make_frames(3), settings={"troubles": {"1": "program"}}, program=program)
        assert batch.run(3) == 0, batch.said
        assert not (batch.folder / "error.json").exists(), batch.error
    assert {path.name for path in batch.folder.glob("seen-*")} == {"seen-none", "seen-2"}
    assert "PMIX_RANK" not in (batch.folder / "seen-none").read_text()


def test_header_of_the_input_is_kept_and_equal_frames_are_computed_once(batch):
    frames = trouble.make_frames(3)
    assert batch.prepare([*frames, frames[1]]).run() == 0
    assert batch.energies == [0, 1, 2]
    assert read_header(batch.folder / "result.h5") == {"engine": "trouble"}


def test_speed_is_told_as_people_read_it():
    assert [rate_text(rate) for rate in (214.4, 0.5, 0.002, 0.0)] == [", 214/s", ", 30/min", ", 7.2/h", ""]
