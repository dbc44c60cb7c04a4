"""The whole task, with an engine whose neighbour lists remember: restarts must not depend on them."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers import dynamics, elasticity
from hashigo.calculators.workers.dynamics import equation_of_state
from hashigo.calculators.workers.dynamics.averages import Estimate
from hashigo.calculators.workers.dynamics.result import MODEL_PART, Run, _write_states
from hashigo.calculators.workers.dynamics.settings import check_settings, planned, schedule, time_step
from hashigo.calculators.workers.dynamics.task import inputs_hash
from hashigo.calculators.workers.job import Job, PartialResult, SerialComm
from hashigo.calculators.workers.lattice.crystal import write_structure
from hashigo.calculators.workers.lattice.relaxed import read_relaxed
from hashigo.errors import InputError, WorkerError

EMT = {"potential": {"engine": "emt", "parameters": {}}}
SHORT = {
    **EMT, "supercell": [2, 1, 1], "volumes": [1.0], "timestep": 4.0, "equilibration": 0.8, "production": 4.0,
    "seeds": 1, "temperatures": [200.0],
}  # fmt: skip


@pytest.fixture(scope="module")
def aluminium(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Relaxed cell of aluminium by EMT."""
    folder = tmp_path_factory.mktemp("aluminium")
    write_structure(folder / "structure.json", bulk("Al", "fcc", 4.0, cubic=True))
    elasticity.run(Job("elasticity", EMT, {"structure": folder / "structure.json"}, folder / "elasticity.h5"))
    return folder / "elasticity.h5"


def job(folder: Path, relaxed: Path, **parameters: Any) -> Job:
    return Job("dynamics", {**SHORT, **parameters}, {"elasticity": relaxed}, folder / "dynamics.h5")


def test_equation_of_state_of_a_crystal_at_low_temperature_is_that_of_its_stiffness(
    tmp_path: Path, aluminium: Path
) -> None:
    task = job(tmp_path, aluminium, supercell=[2, 2, 2], volumes=[0.98, 1.0, 1.02], temperatures=[20.0],
               production=0.8, equilibration=0.4)  # fmt: skip
    dynamics.run(task)
    with ResultReader(aluminium) as static, ResultReader(task.output) as result:
        volume, modulus = (result.quantity(name) for name in ("thermal_volume", "isothermal_bulk_modulus"))
        assert volume.value[0] == pytest.approx(static.quantity("cell_volume").value[0], rel=3e-3)
        # A crystal expands: by α V ΔT with about 7e-5 / K by this potential.
        assert volume.value[0] > static.quantity("cell_volume").value[0]
        assert modulus.value[0] == pytest.approx(static.quantity("bulk_modulus").value[0], rel=0.06)
        assert volume.components["sampling"][0] < 1e-3 * volume.value[0]
        assert volume.members is None
        assert result.quantity("pressure").value.shape == (3,)
        assert result.quantity("self_diffusion_limit").conditions == [
            {"temperature": 20.0, "atomic_number": 13.0}
        ]
        assert "self_diffusion" not in result.quantities()
        checks = result.note("dynamics")["checks"]
        assert len(checks) == 3
        assert all(abs(check["drift"]) < 0.1 for check in checks)
    assert not list(task.partial_results.iterdir())


def test_a_cell_that_breathes_gives_volume_and_modulus_at_its_pressure(
    tmp_path: Path, aluminium: Path
) -> None:
    task = job(tmp_path, aluminium, ensemble="npt", pressure=2.0, temperatures=[50.0], production=1.2)
    dynamics.run(task)
    with ResultReader(aluminium) as static, ResultReader(task.output) as result:
        volume = result.quantity("thermal_volume")
        assert volume.conditions == [{"temperature": 50.0, "pressure": 2.0}]
        # Two GPa press aluminium by about 5 %.
        assert volume.value[0] / static.quantity("cell_volume").value[0] == pytest.approx(0.96, abs=0.03)
        assert result.quantity("isothermal_bulk_modulus").components["sampling"][0] > 0
        assert "pressure" not in result.quantities()
        box = next(iter(result.file["trajectories"].values()))["particles/atoms/box/edges/value"][()]
        assert np.ptp(box[:, 0, 0]) > 0


def test_pressures_that_no_equation_of_state_fits_cost_it_alone(
    tmp_path: Path, aluminium: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_done(*_: Any, **__: Any) -> None:
        raise RuntimeError("Number of calls to function has reached maxfev")

    monkeypatch.setattr(equation_of_state, "curve_fit", never_done)
    task = job(tmp_path, aluminium, volumes=[0.98, 1.0, 1.02], production=0.8, equilibration=0.1)
    dynamics.run(task)
    with ResultReader(task.output) as result:
        assert "maxfev" in result.note("equation_of_state")["absent"]["200"]
        assert not {"thermal_volume", "isothermal_bulk_modulus"} & set(result.quantities())
        assert result.quantity("pressure").value.shape == (3,)
        for name in ("radial/200K/distance", "displacement/200K/Al", "spectrum/200K/density"):
            assert result.has(name)
        assert list(result.file["trajectories"]) == ["200K-1V-0"]


def test_what_no_member_was_asked_about_is_not_calibrated(tmp_path: Path, aluminium: Path) -> None:
    cell, settings = read_relaxed(aluminium).mean, check_settings({**SHORT, "ensemble": "npt"})
    asked, other = Estimate(66.0, 0.1, np.array([65.0, 67.0])), Estimate(76.0, 5.0, None)
    with ResultWriter(tmp_path / "r.h5", task="dynamics", task_version=1) as writer:
        _write_states(writer, Run(cell, settings, 4.0, True, [], []), {300.0: (asked, other)})
    with ResultReader(tmp_path / "r.h5") as result:
        assert result.quantity("thermal_volume").calibrated
        assert not result.quantity("isothermal_bulk_modulus").calibrated
        assert set(result.quantity("isothermal_bulk_modulus").components) == {"sampling"}
    assert "of bulk moduli from fluctuations of the volume" in MODEL_PART


class OtherRank(SerialComm):
    """The second of two, which is told what the first one says."""

    rank, size = 1, 2

    def __init__(self, said: WorkerError | None) -> None:
        self.said = said

    def bcast(self, value: Any, root: int = 0) -> Any:
        return self.said


def test_no_rank_works_in_a_folder_that_another_job_holds(tmp_path: Path, aluminium: Path) -> None:
    first = job(tmp_path, aluminium)
    root = first.partial_results / inputs_hash(first)
    root.mkdir(parents=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(WorkerError, match="another job computes the same trajectories") as refused:
            dynamics.run(first)
    first.comm = OtherRank(refused.value)
    with pytest.raises(WorkerError, match="another job computes the same trajectories"):
        dynamics.run(first)
    assert [path.name for path in root.iterdir()] == ["lock"]


def run_worker(folder: Path, relaxed: Path, **parameters: Any) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    (folder / "elasticity.h5").write_bytes(relaxed.read_bytes())
    content = {"task": "dynamics", "parameters": {**SHORT, **parameters}, "inputs": {"elasticity": "elasticity.h5"},
               "output": "result.h5", "scratch": "partial"}  # fmt: skip
    (folder / "job.json").write_text(json.dumps(content))
    command = [sys.executable, "-m", "hashigo.calculators.workers", str(folder / "job.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_that_was_stopped_goes_on_to_the_same_bits(
    tmp_path: Path, aluminium: Path, how: signal.Signals
) -> None:
    whole = run_worker(tmp_path / "whole", aluminium)
    cut = run_worker(tmp_path / "cut", aluminium)
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "cut").glob("partial/*/*/*.npz"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    cut.send_signal(how)
    said = cut.communicate()[1].decode()
    assert not (tmp_path / "cut" / "result.h5").exists()
    if how == signal.SIGTERM:
        assert "they go on where they ended" in said
    kept = list((tmp_path / "cut").glob("partial/*/*/*.npz"))
    before = {path.name: path.stat().st_mtime_ns for path in kept}
    assert 3 <= len(before) < 6
    again = run_worker(tmp_path / "cut", aluminium)
    assert again.wait() == 0
    assert whole.wait() == 0
    assert (tmp_path / "cut" / "result.h5").read_bytes() == (tmp_path / "whole" / "result.h5").read_bytes()


def test_the_walltime_ends_a_job_with_a_sentence_and_the_next_goes_on(
    tmp_path: Path, aluminium: Path
) -> None:
    task = job(tmp_path, aluminium)
    task.walltime = 0.1
    with pytest.raises(PartialResult, match=r"1 of 1 trajectories are not finished: its walltime of 0.1 s"):
        dynamics.run(task)
    assert not task.output.exists()


def test_members_move_volume_and_modulus(tmp_path: Path, tersoff_potential: Path, diamond: Any) -> None:
    write_structure(tmp_path / "structure.json", diamond)
    inputs = {"structure": tmp_path / "structure.json", "potential": tersoff_potential}
    elasticity.run(Job("elasticity", {}, inputs, tmp_path / "elasticity.h5"))
    parameters = {"supercell": [1, 1, 1], "volumes": [0.98, 1.0, 1.02], "timestep": 4.0, "interval": 8.0,
                  "production": 0.4, "equilibration": 0.04, "trajectories": "none"}  # fmt: skip
    inputs = {"elasticity": tmp_path / "elasticity.h5", "potential": tersoff_potential}
    dynamics.run(Job("dynamics", parameters, inputs, tmp_path / "dynamics.h5"))
    with ResultReader(tmp_path / "dynamics.h5") as result:
        volume = result.quantity("thermal_volume")
        assert volume.members is not None
        assert volume.members.shape == (4, 1)
        assert volume.components["model"][0] == pytest.approx(volume.members[:, 0].std(ddof=1))
        assert 0 < volume.components["model"][0] < 0.02 * volume.value[0]
        assert volume.standard_uncertainty is not None
        assert volume.standard_uncertainty[0] ** 2 == pytest.approx(
            sum(part[0] ** 2 for part in volume.components.values())
        )
        assert "trajectories" not in result.file


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"speed": 1}, "dynamics.speed is not a parameter"),
        ({"temperatures": [0.0]}, "above 0 K"),
        ({"volumes": [0.2, 1.0]}, "near 1"),
        ({"seeds": 0}, "dynamics.seeds is 0"),
        ({"timestep": 10.0}, "dynamics.timestep is 10 fs, and the fastest phonon takes 66.7 fs"),
        ({"interval": 40.0}, "too long to see the fastest phonon"),
        ({"production": 0.1}, "too few to tell an error from"),
    ],
)
def test_senseless_settings_are_refused_with_a_sentence(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        steps(wrong)


def steps(parameters: dict[str, Any]) -> None:
    settings = check_settings(parameters)
    schedule(settings, time_step(settings, 15.0), 15.0, followed=True)


def test_steps_follow_from_the_phonons() -> None:
    settings = check_settings({})
    step = time_step(settings, 15.3)
    assert step == 2.0
    followed, other = (schedule(settings, step, 15.3, followed=f) for f in (True, False))
    assert (followed.every, followed.frames_every) == (4, 4)
    assert (other.every, other.frames_every) == (4, 48)
    assert followed.equilibration == 250
    assert followed.production == 1500
    assert followed.segment % followed.frames_every == other.segment % other.frames_every == 0


def test_every_temperature_has_a_followed_trajectory_at_the_volume_nearest_to_one() -> None:
    found = planned(
        check_settings({"temperatures": [300.0, 600.0], "volumes": [0.96, 0.99, 1.03], "seeds": 2})
    )
    assert len(found) == 12
    assert [(t.temperature, t.volume) for t in found if t.followed] == 2 * [(300.0, 0.99)] + 2 * [
        (600.0, 0.99)
    ]
    assert found[0].followed
    assert len({t.name for t in found}) == 12
