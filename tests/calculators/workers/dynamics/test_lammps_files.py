"""Files of LAMMPS that are cut or not as expected, and input that it could not use: no LAMMPS is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ase.build import bulk

from hashigo.calculators.engines import get_engine
from hashigo.calculators.workers.dynamics import lammps_files as files
from hashigo.calculators.workers.dynamics.lammps import find_program, pair_of
from hashigo.calculators.workers.dynamics.schedule import FluxSchedule
from hashigo.errors import InputError, MissingComponent, WorkerError

SCHEDULE = FluxSchedule(temperature=1000.0, timestep=1.5, equilibration=20, duration=500, interval=12)


def tersoff():
    engine = get_engine("tersoff")
    return pair_of(engine, engine.complete({}))


def test_script_of_a_segment():
    assert files.segment(tersoff(), SCHEDULE, 3) == [
        "read_restart restart.3",
        "pair_style tersoff",
        "pair_coeff * * silicon.tersoff Si",
        "neighbor 1.0 bin",
        "neigh_modify delay 0 every 1 check yes",
        "timestep 0.0015",
        "thermo 40",
        "thermo_style custom step temp pe etotal",
        "thermo_modify norm no format float %.17g",
        "fix move all nve",
        "dump frames all custom 8 snapshots.bin id x y z vx vy vz",
        "dump_modify frames sort id",
        "run 13336",
        "write_restart restart.4",
    ]
    assert SCHEDULE.segments == 25


def test_senseless_schedules_are_refused():
    with pytest.raises(InputError, match="with duration -1: it must be positive"):
        replace(SCHEDULE, duration=-1)
    with pytest.raises(InputError, match=r"every 10 fs is no multiple of the time step of 1\.5 fs"):
        replace(SCHEDULE, interval=10)


def test_turned_cells_and_engines_without_flux_are_refused():
    with pytest.raises(InputError, match="periodic, orthogonal cell"):
        files.check_cell(bulk("Si", "diamond", 5.4))
    slab = bulk("Si", "diamond", 5.4, cubic=True)
    slab.pbc = (True, True, False)
    with pytest.raises(InputError, match="periodic, orthogonal cell"):
        files.check_cell(slab)
    with pytest.raises(InputError, match="heat flux of engine 'emt' is not known"):
        pair_of(get_engine("emt"), {})


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(MissingComponent, match="program 'no-such-lmp'") as caught:
        find_program(("no-such-lmp",))
    assert "Debian package lammps" in caught.value.fix


def test_a_log_is_read_between_its_warnings(tmp_path):
    log = tmp_path / "log.lammps"
    log.write_text(
        "run 10\n   Step          Temp          PotEng         TotEng\n"
        "  0 1000.5 -10.25 -3.0\nWARNING: something (src/x.cpp:1)\n  5 990 -10 -3\n"
        "Loop time of 1 on 1 procs\n 7 7 7 7\n"
    )
    assert files.read_log(log).tolist() == [[0, 1000.5, -10.25, -3], [5, 990, -10, -3]]
    log.write_text("nothing\n")
    with pytest.raises(WorkerError, match=r"log\.lammps of LAMMPS has no table"):
        files.read_log(log)


def test_a_dump_that_is_cut_is_told(tmp_path):
    dump = tmp_path / "snapshots.bin"
    dump.write_bytes(b"\xf6\xff\xff\xff\xff\xff\xff\xffDUMPCUSTOM\x01\x00")
    with pytest.raises(WorkerError, match=r"snapshots\.bin of LAMMPS is cut or of an unknown format"):
        files.read_snapshots(dump, 0)


def test_last_words(tmp_path):
    (tmp_path / files.LOG).write_text(
        "run 5\nERROR: Lost atoms: original 64 current 63 (src/thermo.cpp:438)\nLast\n"
    )
    assert files.last_words(tmp_path) == "Lost atoms: original 64 current 63"
    (tmp_path / files.LOG).write_text("")
    (tmp_path / files.ERRORS).write_text("lmp: cannot open shared object file\n---\n")
    assert files.last_words(tmp_path) == "lmp: cannot open shared object file"
    (tmp_path / files.ERRORS).write_text("")
    assert files.last_words(tmp_path) == ""
