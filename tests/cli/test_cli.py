"""Every command as a new user would call it; every mistake is one sentence and exit code 2."""

from __future__ import annotations

import json
import re
import subprocess
import time

import pytest

from hashigo import __version__


def test_the_small_study_runs_to_its_end(finished):
    assert finished.done.returncode == 0, finished.done.stdout + finished.done.stderr
    assert "made the AiiDA profile" in finished.done.stdout
    assert "Mesoscale: done" in finished.done.stdout
    assert "report:" in finished.done.stdout
    assert "\x1b" not in finished.done.stdout
    assert finished.done.stderr == ""
    folder = finished.workplace.folder / "study-results"
    assert {"report.html", "results.json", "reference.h5", "microstructure.vtkhdf"} <= {
        path.name for path in folder.iterdir()
    }


def test_results_as_json_have_every_key(finished):
    done = finished.workplace.run("results", "--json")
    content = json.loads(done.stdout)
    assert content["study"]["title"] == "Small silicon"
    quantities = {row["quantity"] for row in content["results"]}
    assert {
        "force_error", "lattice_parameters", "stiffness", "optical_frequency_gamma", "lattice_thermal_conductivity",
        "effective_stiffness", "effective_thermal_conductivity",
    } <= quantities  # fmt: skip
    keys = {
        "quantity", "symbol", "conditions", "value", "standard_uncertainty", "components", "calibrated", "converged",
        "unit", "node",
    }  # fmt: skip
    for row in content["results"]:
        assert keys <= set(row)
    kappa = next(row for row in content["results"] if row["quantity"] == "lattice_thermal_conductivity")
    assert kappa["converged"] is False
    assert kappa["calibrated"] is False
    assert {"model", "mesh"} <= set(kappa["components"])


def test_unconverged_is_said_wherever_the_number_is(finished):
    table = finished.workplace.run("results").stdout
    line = next(line for line in table.splitlines() if "κ_xx" in line)
    assert "not converged" in line
    assert "not converged" in (finished.workplace.folder / "study-results" / "report.html").read_text()


def test_a_second_run_is_taken_from_the_cache(finished):
    begin = time.monotonic()
    done = finished.workplace.run("run", "study.yaml", "--output", "second")
    seconds = time.monotonic() - begin
    assert done.returncode == 0
    stages = [line for line in done.stdout.splitlines() if ": done" in line]
    assert len(stages) == 8
    # Structure and handover have no job.
    assert sum("from the cache" in line for line in stages) == 6
    # The promise is 10 s on a quiet machine; several times that is something else.
    assert seconds < 60


def test_status_and_help(finished):
    status = finished.workplace.run("status").stdout
    assert "Small silicon — finished" in status
    assert "Thermal conductivity" in status
    assert finished.workplace.run("--version").stdout.strip() == f"hashigo, version {__version__}"
    overview = finished.workplace.run("--help").stdout
    for command in ("init", "plan", "run", "status", "results", "report", "export", "resume"):
        assert command in overview
        assert finished.workplace.run(command, "--help").returncode == 0


def test_report_and_export(finished):
    done = finished.workplace.run("report", "-o", "page.html")
    assert done.returncode == 0, done.stderr
    assert "<svg" in (finished.workplace.folder / "page.html").read_text()
    done = finished.workplace.run("export", "--as", "crate", "-o", "package")
    assert done.returncode == 0, done.stderr
    assert (finished.workplace.folder / "package" / "ro-crate-metadata.json").is_file()
    again = finished.workplace.run("export", "--as", "crate", "-o", "package")
    assert again.returncode == 2
    assert "package" in again.stderr


def test_init_plan_and_schema(workplace):
    done = workplace.run("init", "silicon.cif", "-o", "own.yaml")
    assert done.returncode == 0, done.stderr
    assert "is there already" in workplace.run("init", "silicon.cif", "-o", "own.yaml").stderr
    assert json.loads(workplace.run("schema").stdout)["title"] == "Study"
    assert not (workplace.folder / "aiida").exists(), "these commands need no database"
    plan = workplace.run("plan", "study.yaml")
    assert plan.returncode == 0, plan.stderr
    assert "Thermal conductivity" in plan.stdout
    rows = json.loads(workplace.run("plan", "study.yaml", "--json").stdout)["stages"]
    assert [row["jobs"] for row in rows] == [0, 1, 1, 1, 1, 1, 0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml does not exist"),
        (["run", "silicon.cif"], "study file silicon.cif"),
        (["run", "."], "is a folder"),
        (["plan", "nowhere.yaml"], "does not exist"),
        (["init", "nowhere.cif"], "nowhere.cif does not exist"),
        (["init", "silicon.cif", "-o", "no/where.yaml"], "lies in a folder that does not exist"),
        (["init", "silicon.cif", "-o", "."], "is a folder"),
        (["run", "study.yaml", "-o", "silicon.cif"], "silicon.cif is a file"),
        (["results"], "no AiiDA profile yet"),
        (["status"], "no AiiDA profile yet"),
        (["export", "--as", "floppy"], "no export format 'floppy'"),
        (["export"], "--as"),
        (["nonsense"], "No such command 'nonsense'"),
    ],
)
def test_mistakes_are_one_sentence(workplace, arguments, message):
    done = workplace.run(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (workplace.folder / "study-results").exists()


def test_unknown_run_is_named(finished):
    # Node 1 is something else than a run.
    for command in (["results", "999999"], ["status", "nonsense"], ["report", "999999"], ["results", "1"]):
        done = finished.workplace.run(*command)
        assert done.returncode == 2
        assert "there is no run" in done.stderr


def test_debug_shows_the_traceback(workplace):
    done = workplace.run("run", "nowhere.yaml", "--debug")
    assert "Traceback" in done.stderr


def test_a_closed_pipe_is_no_error(finished):
    place = finished.workplace
    writer = subprocess.Popen(
        place.command("results", "--json"),
        cwd=place.folder,
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout.readline().strip() == "{"
    writer.stdout.close()
    assert writer.wait(60) == 0
    assert writer.stderr.read() == ""


def test_a_failed_gate_keeps_what_was_computed_and_names_the_gate(workplace):
    study = (workplace.folder / "study.yaml").read_text()
    (workplace.folder / "strict.yaml").write_text(
        study.replace("members: 2", "members: 2, max_force_error: 1e-9")
    )
    done = workplace.run("run", "strict.yaml")
    assert done.returncode == 3
    assert "stage 'potential' was stopped by a gate" in done.stderr
    assert "ΔF" in done.stdout
    loose = (
        study.replace("members: 2", "members: 2, max_force_error: 1e-9")
        + "stop_at_gates: false\nuntil: elasticity\n"
    )
    (workplace.folder / "loose.yaml").write_text(loose)
    loosened = workplace.run("run", "loose.yaml")
    assert loosened.returncode == 0
    # The gate is judged anew, the potential is not trained anew.
    assert re.search(r"^Potential: done.*from the cache", loosened.stdout, flags=re.M)


def test_the_same_from_python(workplace):
    code = (
        "import hashigo\n"
        "study = hashigo.Study(structure='silicon.cif', reference={'engine': 'tersoff',"
        " 'sampling': {'displaced': 3, 'strained': 4, 'volumes': 3}}, potential={'members': 2}, until='elasticity')\n"
        "run = hashigo.run(study)\n"
        "print(run.succeeded, [row.value[0] for row in run.results() if row.quantity == 'lattice_parameters'])\n"
    )
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=workplace.folder, env=workplace.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True [5.43")
