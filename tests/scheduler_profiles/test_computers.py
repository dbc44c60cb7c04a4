"""AiiDA's computers and codes come from the site, once."""

from __future__ import annotations

import sys

import pytest

from hashigo.calculators.engines import Program
from hashigo.errors import MissingComponent
from hashigo.scheduler_profiles import computers
from hashigo.scheduler_profiles.computers import (
    get_computer,
    job_options,
    mpi_works,
    program_code,
    worker_code,
)
from hashigo.scheduler_profiles.model import load_site


def test_computer_and_worker_code_are_made_once(aiida_profile):
    site = load_site("local")
    first, second = get_computer(site), get_computer(site)
    assert first.uuid == second.uuid
    assert first.get_minimum_job_poll_interval() == 0.5
    assert "export OMP_NUM_THREADS=1" in first.get_prepend_text()
    assert worker_code(site).uuid == worker_code(site).uuid
    assert str(worker_code(site).filepath_executable) == sys.executable


def test_a_changed_environment_is_taken_over(aiida_profile):
    site = load_site("local")
    get_computer(site.model_copy(update={"environment": {"A": "b c"}}))
    assert (
        get_computer(site.model_copy(update={"environment": {"A": "b c"}})).get_prepend_text()
        == "export A='b c'"
    )
    get_computer(site)


def test_a_missing_program_is_named(aiida_profile):
    with pytest.raises(MissingComponent, match=r"program 'no\.x' is not on the PATH of site 'local'"):
        program_code(load_site("local"), Program("no.x", "nobody", "core.arithmetic.add"))


def test_mpi_works_where_a_launcher_is(require_program, aiida_profile):
    require_program("mpirun", "openmpi-bin")
    assert mpi_works(load_site("local"))
    options = job_options(load_site("local").model_copy(update={"cores": 2}), 2)
    assert options["withmpi"] is True
    assert options["resources"]["num_mpiprocs_per_machine"] == 2
    serial = job_options(load_site("local"), 1)
    assert serial["withmpi"] is False


def test_a_changed_launcher_is_taken_over(aiida_profile, monkeypatch):
    site = load_site("local")
    monkeypatch.setattr(computers, "find_launcher", lambda: "/elsewhere/mpirun")
    assert get_computer(site).get_mpirun_command()[0] == "/elsewhere/mpirun"
    monkeypatch.undo()
    get_computer(site)
