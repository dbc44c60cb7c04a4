"""AiiDA computers and codes made from a site; made once, found again by their labels."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.manage.configuration.settings import AiiDAConfigDir

from hashigo.calculators.engines import Program
from hashigo.errors import MissingComponent
from hashigo.scheduler_profiles.model import Site

#: Least time between two questions to the scheduler, s; each costs a process and a dozen writes to the database.
POLL_INTERVAL = 0.5

#: OpenMPI refuses to start for root without these.
ALLOW_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

#: Ranks that start programs of their own must not be bound to a core (OpenMPI 4, and 5).
UNBOUND = {
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
}

#: One rank speaks: lines of two may be mixed.
_PROBE = "from mpi4py import MPI; world = MPI.COMM_WORLD; world.rank or print(world.size)"


def get_computer(site: Site) -> orm.Computer:
    """The AiiDA computer of a site, made on first use."""
    label = f"hashigo-{site.id}"
    try:
        computer = orm.load_computer(label)
    except NotExistent:
        computer = _make_computer(site, label)
    exports = "\n".join(
        f"export {name}={shlex.quote(value)}" for name, value in sorted(site.environment.items())
    )
    if computer.get_prepend_text() != exports:
        computer.set_prepend_text(exports)
    launcher = [find_launcher() or "mpirun", "-n", "{tot_num_mpiprocs}"]
    if computer.get_mpirun_command() != launcher:
        computer.set_mpirun_command(launcher)
    return computer


def _make_computer(site: Site, label: str) -> orm.Computer:
    scratch = Path(AiiDAConfigDir.get()) / "hashigo" / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    computer = orm.Computer(
        label=label,
        hostname="localhost",
        description=site.title,
        transport_type=site.transport,
        scheduler_type=site.scheduler,
        workdir=str(scratch),
    )
    computer.set_default_mpiprocs_per_machine(1)
    computer.set_use_double_quotes(False)
    computer.set_minimum_job_poll_interval(POLL_INTERVAL)
    computer.store()
    # A login shell costs 0.4 CPU-s for each job and brings nothing: jobs call their programs by full path.
    computer.configure(safe_interval=0.0, use_login_shell=False)
    return computer


def worker_code(site: Site) -> orm.InstalledCode:
    """The code that runs workers: this Python."""
    return _get_code(site, "hashigo-worker", sys.executable, "hashigo.worker")


def program_code(site: Site, program: Program) -> orm.InstalledCode:
    """The code of a program that an engine starts.

    Args:
        site: where it is installed.
        program: with the AiiDA plugin that drives it.

    Raises:
        MissingComponent: when it is not installed.
    """
    return _get_code(site, f"hashigo-{program.name}", _executable(site, program), program.plugin)


def _executable(site: Site, program: Program) -> str:
    # The whole path: `mpirun` puts the folder of its own installation before the PATH of its ranks.
    path = shutil.which(site.codes.get(program.name, program.name))
    if path is None:
        raise MissingComponent(
            f"program '{program.name}' is not on the PATH of site '{site.id}'",
            fix=f"install it ({program.package}), or name its path in the site's codes",
        )
    return path


def _get_code(site: Site, label: str, path: str, plugin: str) -> orm.InstalledCode:
    computer = get_computer(site)
    query = orm.QueryBuilder().append(orm.Computer, filters={"id": computer.pk}, tag="computer")
    query.append(orm.InstalledCode, with_computer="computer", filters={"label": {"like": f"{label}%"}})
    codes: list[Any] = query.all(flat=True)
    for code in codes:
        if str(code.filepath_executable) == path:
            return code
    # A code cannot be changed once it is used: another executable is another code.
    suffix = f"-{len(codes) + 1}" if codes else ""
    code = orm.InstalledCode(
        label=f"{label}{suffix}", computer=computer, filepath_executable=path, default_calc_job_plugin=plugin
    )
    return code.store()


def job_options(
    site: Site, ranks: int = 1, walltime: float | None = None, managed: bool = False
) -> dict[str, Any]:
    """Options of a job: resources, launcher, walltime and memory, as the site gives them.

    Args:
        site: where it runs.
        ranks: count of MPI ranks wanted; at most one for each core of the site, one where MPI does not work.
        walltime: longest time wanted, s; at most the site's, which is also the default.
        managed: whether one more rank is started beside several, which hands out the work and hardly computes.
    """
    ranks = min(ranks, site.n_cores())
    ranks = ranks if ranks > 1 and mpi_works(site) else 1
    environment = ALLOW_ROOT if os.geteuid() == 0 else {}
    if managed:
        environment = {**environment, **UNBOUND}
    options: dict[str, Any] = {
        "resources": {
            "num_machines": 1,
            "num_mpiprocs_per_machine": ranks + 1 if managed and ranks > 1 else ranks,
        },
        "withmpi": ranks > 1,
        "environment_variables": environment if ranks > 1 else {},
    }
    limits = [int(limit) for limit in (walltime, site.walltime) if limit is not None]
    if limits:
        options["max_wallclock_seconds"] = min(limits)
    if site.memory_mb is not None:
        options["max_memory_kb"] = site.memory_mb * 1024
    return options


def program_command(site: Site, program: Program, ranks: int = 1) -> list[str]:
    """How a rank of a batch starts a program, word by word.

    Args:
        site: where it is installed.
        program: the program.
        ranks: count of MPI ranks of its own.

    Raises:
        MissingComponent: when it, or a launcher for several ranks, is not there.
    """
    path = _executable(site, program)
    if ranks == 1:
        return [path]
    launcher = find_launcher()
    if launcher is None:
        raise MissingComponent(
            f"{ranks} ranks a frame were asked for, and there is no 'mpirun'",
            fix="install an MPI library, or ask for one rank",
        )
    # Each launcher by itself would bind its ranks to the first cores.
    unbound = [f"{name}={value}" for name, value in UNBOUND.items()]
    return ["env", *unbound, launcher, "-n", str(ranks), path]


def find_launcher() -> str | None:
    """Path of `mpirun`: the system's, or that of an MPI wheel installed beside this Python."""
    beside = Path(sys.executable).parent
    return shutil.which("mpirun") or shutil.which("mpirun", path=str(beside))


def mpi_works(site: Site) -> bool:
    """Whether `mpirun` starts two ranks that mpi4py sees as one world; tried once in a process.

    Args:
        site: where; its environment is used.
    """
    launcher = find_launcher()
    return launcher is not None and _try_mpi(launcher, tuple(sorted(site.environment.items())))


@cache
def _try_mpi(launcher: str, environment: tuple[tuple[str, str], ...]) -> bool:
    try:
        done = subprocess.run(
            [launcher, "-n", "2", sys.executable, "-c", _PROBE],
            env={**os.environ, **ALLOW_ROOT, **dict(environment)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and done.stdout.strip() == "2"
