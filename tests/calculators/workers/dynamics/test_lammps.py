"""Dynamics by LAMMPS: the engine's potential, a flux that is right, and trajectories that can be taken up."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
from ase.build import bulk
from ase.neighborlist import neighbor_list

from hashigo.calculators.engines import Workspace, get_engine
from hashigo.calculators.engines.tersoff_flux import KINETIC
from hashigo.calculators.workers.dynamics import lammps_files as files
from hashigo.calculators.workers.dynamics.lammps import find_program, pair_of, sample
from hashigo.calculators.workers.dynamics.schedule import FluxSchedule
from hashigo.calculators.workers.job import NotWritten
from hashigo.errors import WorkerError

CASES = {"tersoff": ("Si", "diamond", 5.432, 2), "lennard_jones": ("Ar", "fcc", 5.3, 4)}

SHORT = FluxSchedule(
    temperature=300.0,
    timestep=1.0,
    equilibration=0.05,
    duration=0.2,
    interval=5.0,
    segment=0.1,
    relaxation=0.1,
)


@pytest.fixture(autouse=True)
def _lammps(require_program):
    require_program("lmp", "lammps")


def engine_pair(name):
    engine = get_engine(name)
    return pair_of(engine, engine.complete({}))


def supercell(name):
    symbol, lattice, constant, repeat = CASES[name]
    return bulk(symbol, lattice, constant, cubic=True) * repeat


def run(folder, pair, atoms, lines):
    (folder / files.DATA).write_text(files.data_text(atoms, pair))
    for name, text in pair.files.items():
        (folder / name).write_text(text)
    (folder / files.SCRIPT).write_text("\n".join([*files.beginning(pair), *lines]) + "\n")
    command = [*find_program(), "-in", files.SCRIPT, "-log", files.LOG, "-screen", "none"]
    subprocess.run(command, cwd=folder, check=True)


@pytest.mark.parametrize("name", CASES)
def test_energy_forces_and_stress_are_the_engine_s(name, tmp_path):
    engine, pair, atoms = get_engine(name), engine_pair(name), supercell(name)
    atoms.rattle(0.1, seed=3)
    atoms.set_cell(atoms.cell.array @ np.diag([1.01, 0.99, 1.002]), scale_atoms=True)
    atoms.calc = engine.calculator(engine.complete({}), Workspace())
    run(tmp_path, pair, atoms, [
        "thermo_style custom step pe pxx pyy pzz pyz pxz pxy", "thermo_modify norm no format float %.17g",
        "dump frames all custom 1 snapshots.bin id x y z fx fy fz", "dump_modify frames sort id", "run 0",
    ])  # fmt: skip
    table = (tmp_path / files.LOG).read_text().split("Pxy")[1].split("Loop")[0].split()
    _, energy, *pressure = map(float, table)
    _, x, forces = files.read_snapshots(tmp_path / "snapshots.bin", after=-1)
    apart = x[0] - atoms.positions
    assert np.abs(apart - np.round(apart / atoms.cell.lengths()) * atoms.cell.lengths()).max() < 1e-12
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-8)
    assert np.abs(forces[0] - atoms.get_forces()).max() < 1e-8
    # Bar in eV/Å^3; both call tension positive stress.
    stress = -np.array(pressure) * 6.241509074e-7
    assert stress == pytest.approx(atoms.get_stress(), abs=1e-8)


def test_its_flux_of_pairs_is_the_rate_of_the_energy(tmp_path):
    """J = Σ v_i e_i + 1/4 Σ_ij r_ij f_ij·(v_i + v_j), each pair twice, from ASE's neighbours."""
    pair, atoms = engine_pair("lennard_jones"), supercell("lennard_jones")
    atoms.rattle(0.15, seed=3)
    run(tmp_path, pair, atoms, [
        "velocity all create 90 17 mom yes", "fix move all nve", *files.flux_of_pairs(replace(SHORT, interval=1.0)),
        "dump frames all custom 1 snapshots.bin id x y z vx vy vz", "dump_modify frames sort id", "run 0",
    ])  # fmt: skip
    (given,) = files.read_fluxes(tmp_path / files.FLUXES, after=-1)
    _, _, (v,) = files.read_snapshots(tmp_path / files.SNAPSHOTS, after=-1)
    settings = get_engine("lennard_jones").complete({})
    i, j, r, d = neighbor_list("ijdD", atoms, settings["cutoff"])

    def energy(r):
        inner, outer = (0.8 * settings["cutoff"]) ** 2, settings["cutoff"] ** 2
        x = (settings["sigma"] / r) ** 6
        fade = (outer - r**2) ** 2 * (outer + 2 * r**2 - 3 * inner) / (outer - inner) ** 3
        return 4 * settings["epsilon"] * (x**2 - x) * np.where(r**2 > inner, fade, 1)

    slope = (energy(r + 1e-5) - energy(r - 1e-5)) / 2e-5
    atomic = 0.5 * np.bincount(i, energy(r)) + 0.5 * KINETIC * atoms.get_masses() * np.sum(v**2, axis=1)
    # d points from i to j; the force on i from j is along it where the energy falls towards j.
    work = np.sum((v[i] + v[j]) * d, axis=1) * slope / r
    expected = atomic @ v - 0.25 * np.sum(d * work[:, None], axis=0)
    assert np.abs(expected).max() > 1e-3
    assert given == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_trajectory_that_was_ended_goes_on_as_if_it_had_not(name, tmp_path):
    pair, atoms = engine_pair(name), supercell(name)
    whole = sample(atoms, pair, SHORT, 5, tmp_path / "whole")
    asked = []

    def stopped():
        asked.append(None)
        return "a test" if done and len(asked) > 1 else ""

    done = []
    with pytest.raises(WorkerError, match="seed 5 was stopped: a test"):
        sample(atoms, pair, SHORT, 5, tmp_path / "parts", stopped=stopped,
               progress=lambda segments, total: done.append(None) if segments == 1 else None)  # fmt: skip
    parts = sample(atoms, pair, SHORT, 5, tmp_path / "parts")
    assert whole.flux.shape == (40, 3)
    assert np.array_equal(whole.flux, parts.flux)
    assert whole.flux.std(axis=0).min() > 0
    assert whole.drift < 0.01
    other = sample(atoms, pair, SHORT, 6, tmp_path / "parts")
    assert not np.allclose(other.flux, whole.flux)


def test_lammps_ends_with_the_worker(tmp_path):
    """A worker that is killed leaves no LAMMPS behind that would write into the next one's files."""
    code = (
        "from ase.build import bulk; from pathlib import Path; from hashigo.calculators.engines import get_engine\n"
        "from hashigo.calculators.workers.dynamics.lammps import pair_of, sample\n"
        "from hashigo.calculators.workers.dynamics.schedule import FluxSchedule\n"
        "sample(bulk('Si', 'diamond', 5.432, cubic=True) * 2, pair_of(get_engine('tersoff'), {}),"
        f" FluxSchedule(300.0, equilibration=1e4), 1, Path({str(tmp_path)!r}))\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code])
    try:
        end, lammps = time.monotonic() + 60, []
        while not lammps and time.monotonic() < end:
            time.sleep(0.1)
            lammps = [one for one in psutil.Process(worker.pid).children() if one.name() == "lmp"]
        assert lammps
    finally:
        worker.kill()
        worker.wait()
    end = time.monotonic() + 10
    while any(is_alive(one) for one in lammps) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(is_alive(one) for one in lammps)


def is_alive(process):
    # Whoever inherits a dead process may take its time to see it off.
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_longer_trajectory_begins_with_the_shorter_one(tmp_path):
    pair, atoms = engine_pair("tersoff"), supercell("tersoff")
    short = sample(atoms, pair, replace(SHORT, duration=0.1), 1, tmp_path)
    longer = sample(atoms, pair, SHORT, 1, tmp_path)
    assert (len(short.flux), len(longer.flux)) == (20, 40)
    assert np.array_equal(longer.flux[:20], short.flux)
    assert np.array_equal(sample(atoms, pair, replace(SHORT, duration=0.1), 1, tmp_path).flux, short.flux)


def test_two_jobs_do_not_write_one_trajectory_and_a_full_disk_is_told(tmp_path, monkeypatch):
    pair, atoms, short = engine_pair("tersoff"), supercell("tersoff"), replace(SHORT, duration=0.1)
    sample(atoms, pair, short, 1, tmp_path)
    (folder,) = tmp_path.iterdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(WorkerError, match="another job runs the trajectory of seed 1"):
            sample(atoms, pair, SHORT, 1, tmp_path)

    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", full)
        with pytest.raises(NotWritten, match="seed 1 by LAMMPS cannot be written: No space left"):
            sample(atoms, pair, SHORT, 1, tmp_path)
    assert len(sample(atoms, pair, SHORT, 1, tmp_path).flux) == 40


def test_what_a_crash_has_cut_and_what_another_version_kept_is_computed_anew(tmp_path):
    pair, atoms, short = engine_pair("tersoff"), supercell("tersoff"), replace(SHORT, duration=0.1)
    whole = sample(atoms, pair, short, 1, tmp_path, version=1)
    (kept,) = tmp_path.glob("*/flux.npz")
    content = kept.read_bytes()
    for cut in (b"", content[: len(content) // 2], content[10:]):
        kept.write_bytes(cut)
        assert np.array_equal(sample(atoms, pair, short, 1, tmp_path, version=1).flux, whole.flux)
    sample(atoms, pair, short, 1, tmp_path, version=2)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_step_too_long_is_told(tmp_path):
    with pytest.raises(WorkerError, match=r"total energy of seed 1 has changed|LAMMPS stopped in seed 1"):
        sample(supercell("tersoff"), engine_pair("tersoff"), replace(SHORT, timestep=10.0, interval=10.0, duration=2.0,
               temperature=2000.0), 1, tmp_path)  # fmt: skip


def test_what_lammps_says_last_is_passed_on(tmp_path):
    broken = replace(engine_pair("tersoff"), coefficients=("*", "*", "absent.tersoff", "Si"))
    with pytest.raises(
        WorkerError, match=r"LAMMPS stopped in seed 1 at 300 K: cannot open .*absent\.tersoff"
    ):
        sample(supercell("tersoff"), broken, SHORT, 1, tmp_path)


def test_another_potential_s_flux_is_refused(tmp_path):
    pair = engine_pair("tersoff")

    def flux(x, v, cell, masses):
        energies, fluxes = pair.flux(x, v, cell, masses)
        return energies + 1e-3, fluxes

    with pytest.raises(WorkerError, match=r"potential energy at step \d+ is 0.001 eV from that of LAMMPS"):
        sample(supercell("tersoff"), replace(pair, flux=flux), SHORT, 1, tmp_path)
