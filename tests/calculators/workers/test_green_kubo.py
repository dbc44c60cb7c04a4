"""Task "green_kubo" on crystals as small as they go; the numbers of such runs mean little."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import green_kubo
from hashigo.calculators.workers.dynamics.green_kubo import TO_WATT
from hashigo.calculators.workers.job import Job, PartialResult
from hashigo.calculators.workers.lattice.crystal import write_structure
from hashigo.errors import InputError

ARGON = {
    "engine": {"name": "lennard_jones", "settings": {"sigma": 3.4, "epsilon": 0.01034, "cutoff": 8.5}},
    "temperatures": [40.0], "supercell": [3, 3, 3], "seeds": 3, "timestep": 4.0, "interval": 20.0,
    "equilibration": 2.0, "duration": 20.0,
}  # fmt: skip


def job(folder, atoms, **parameters):
    write_structure(folder / "structure.json", atoms)
    return Job("green_kubo", parameters, {"structure": folder / "structure.json"}, folder / "green_kubo.h5")


def test_argon(tmp_path, require_program):
    require_program("lmp", "lammps")
    task = job(tmp_path, bulk("Ar", "fcc", 5.3, cubic=True), **ARGON)
    green_kubo.run(task)
    with ResultReader(task.output) as result:
        found = result.quantity("green_kubo_conductivity")
        note = result.note("green_kubo")
        running = result.array("40K/xyz/running")
    value = found.value[0]
    assert found.conditions == [{"temperature": 40.0}]
    # Of a cell of 108 atoms at 40 K: some tenths, as in Christen & Pollack, Phys. Rev. B 12, 3380 (1975).
    assert 0.1 < value[0, 0] < 1.5
    assert np.array_equal(value, np.eye(3) * value[0, 0])
    assert found.components["sampling"][0][0, 0] > 0.02 * value[0, 0]
    assert found.components["sampling"][0][0, 1] == 0
    assert note["atoms"] == 108
    assert note["lattice_constants"] == pytest.approx([5.24] * 3, abs=0.06)
    (told,) = note["temperatures"]
    assert told["axes"]["xyz"]["temperature"] == pytest.approx(40, abs=5)
    assert told["drift"] < 0.01
    assert running[0] == 0
    assert running.max() > 0.5 * value[0, 0]


def test_a_job_that_was_ended_goes_on(tmp_path, require_program, monkeypatch):
    require_program("lmp", "lammps")
    atoms = bulk("Ar", "fcc", 5.3, cubic=True)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    short = {**ARGON, "duration": 6.0, "equilibration": 0.5}
    task = job(whole, atoms, **short)
    green_kubo.run(task)

    def ended(*arguments, **named):
        if len(done) == 1:
            signal.raise_signal(signal.SIGUSR1)
        assert arguments[-1] == green_kubo.TASK_VERSION
        done.append(None)
        return sample(*arguments, **named)

    sample, done = green_kubo.sample, []
    again = job(parts, atoms, **short)
    with monkeypatch.context() as patched:
        patched.setattr(green_kubo, "sample", ended)
        with pytest.raises(PartialResult, match="2 of 3 trajectories are not finished: the job got SIGUSR1"):
            green_kubo.run(again)
    assert not again.output.exists()
    green_kubo.run(again)
    with ResultReader(task.output) as one, ResultReader(again.output) as other:
        assert np.array_equal(one.array("40K/xyz/running"), other.array("40K/xyz/running"))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"speed": 1}, r"green_kubo\.speed is not a parameter"),
        ({"engine": None}, "green_kubo needs an engine as the reference"),
        ({"temperatures": [-1.0]}, r"green_kubo\.temperatures is \[-1\.0\]"),
        ({"temperatures": []}, r"green_kubo\.temperatures is \[\]"),
        ({"interval": 7.0}, "every 7 fs is no multiple"),
        ({"engine": {"name": "emt", "settings": {}}}, "heat flux of engine 'emt' is not known"),
    ],
)
def test_senseless_parameters_are_refused(tmp_path, parameters, message):
    with pytest.raises(InputError, match=message):
        green_kubo.run(job(tmp_path, bulk("Ar", "fcc", 5.3, cubic=True), **{**ARGON, **parameters}))


def test_cubic_crystals_are_told_from_others():
    assert green_kubo.is_cubic(bulk("Si", "diamond", 5.4, cubic=True))
    stretched = bulk("Si", "diamond", 5.4, cubic=True)
    stretched.set_cell(stretched.cell.array @ np.diag([1, 1, 1.05]), scale_atoms=True)
    assert not green_kubo.is_cubic(stretched)
    assert not green_kubo.is_cubic(bulk("Mg", "hcp", 3.2, 5.2))


def test_unit_of_conductivity():
    assert pytest.approx(1602.176634) == TO_WATT
