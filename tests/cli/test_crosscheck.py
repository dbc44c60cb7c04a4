from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.homogenization.interface import PeriodicProblem
from hashigo.calculators.workers.homogenization.microstructure import voronoi_polycrystal
from hashigo.calculators.workers.homogenization.peers import own
from hashigo.calculators.workers.homogenization.peers.muspectre import ENVIRONMENT, VARIABLE
from hashigo.calculators.workers.homogenization.problem_file import write_problem
from hashigo.calculators.workers.homogenization.tensors import (
    mandel_to_voigt,
    rotate_conductivity,
    rotate_stiffness,
    voigt_to_mandel,
)
from hashigo.calculators.workers.homogenization.vtkhdf import write_image
from hashigo.cli import main

VOXELS = 7


def write_result(path, *, task="mesoscale", keep=True):
    """A result of the mesoscale as far as a cross-check reads it."""
    sample = voronoi_polycrystal(4, VOXELS, 2)
    cubic = np.diag([40.0, 40.0, 40.0, 70.0, 70.0, 70.0])
    cubic[:3, :3] += 120.0
    tables = {
        "stiffness": rotate_stiffness(voigt_to_mandel(cubic), sample.rotations),
        "conductivity": rotate_conductivity(np.diag([1.0, 1.0, 4.0]), sample.rotations),
    }
    with ResultWriter(path, task=task, task_version=1) as writer:
        write_image(writer.file, {"grain_id": sample.grain_id}, 1.0)
        writer.array("grains/orientation", sample.quaternions, units="dimensionless")
        for name, table in tables.items():
            found = own.solve(PeriodicProblem(sample.grain_id, table), 1e-8).tensor
            found = mandel_to_voigt(found) if name == "stiffness" else found
            writer.array(f"realisations/{name}", found[None, None], units="GPa")
            if keep:
                write_problem(writer, name, table)
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return write_result(tmp_path_factory.mktemp("result") / "microstructure.vtkhdf")


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Call the command in an empty folder: exit code, standard output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["crosscheck", *map(str, arguments)])
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


@pytest.fixture
def muspectre(monkeypatch, repository):
    import os

    path = repository / ENVIRONMENT / "bin" / "python"
    if VARIABLE not in os.environ:
        if not path.is_file():
            pytest.skip(f"muSpectre is missing: make peers, or name an interpreter that has it in {VARIABLE}")
        monkeypatch.setenv(VARIABLE, str(path))


def test_muspectre_solves_the_same_equations(call, result, muspectre):
    code, out, err = call(result, "--with", "muspectre", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["largest_relative_difference"] < 1e-9
    assert found["voxels"] == [VOXELS] * 3
    assert found["discretisation"]["hashigo"] == found["discretisation"]["muspectre"]
    assert np.shape(found["hashigo"]) == np.shape(found["muspectre"]) == (6, 6)
    code, out, _ = call(result.parent, "--with", "muspectre", "--scheme", "fourier")
    assert code == 0
    assert "stiffness of 4 grains on 7 × 7 × 7 voxels" in out
    assert "shrink with the grid" in out
    assert out.count("C") >= 6


def test_a_conductivity_is_compared(call, result, muspectre):
    code, out, err = call(result, "--with", "muspectre", "--property", "conductivity")
    assert code == 0, err
    assert "κ11" in out
    assert "muSpectre: trigonometric polynomials" in out


def test_a_code_that_runs_elsewhere_gets_files_and_is_read(call, result, tmp_path):
    even = write_result_of_even_grid(tmp_path / "even.h5")
    code, out, err = call(even, "--with", "fans")
    assert code == 0, err
    assert "in crosscheck-fans: mpiexec -n 1 FANS input.json results.h5; then give this command again" in out
    content = json.loads((tmp_path / "crosscheck-fans" / "input.json").read_text())
    properties = content["materials"][0]["material_properties"]
    with h5py.File(tmp_path / "crosscheck-fans" / "results.h5", "w") as file:
        for load in range(6):
            group = file.create_group(f"phase_results/load{load}/time_step0")
            group["strain_average"] = np.eye(6)[load]
            # One crystal without a fluctuation, and softer by a thousandth.
            row = [properties[f"C_{min(load, j) + 1}{max(load, j) + 1}"][0] for j in range(6)]
            group["stress_average"] = 0.999 * np.array(row)
            group["absolute_error"] = [1.0, 0.0]
    code, out, err = call(even, "--with", "fans", "--json")
    assert code == 0, err
    assert json.loads(out)["largest_relative_difference"] == pytest.approx(1e-3)
    assert json.loads(out)["iterations"] == [1] * 6
    code, out, _ = call(even, "--with", "fans")
    assert "largest difference, relative to the largest entry: 1.0e-03" in out
    code, _, err = call(result, "--with", "damask", "--folder", "crosscheck-fans")
    assert code == 2
    assert "crosscheck-fans holds files of another problem or solver" in err


def write_result_of_even_grid(path):
    grain = np.zeros((4, 4, 4), dtype=np.int32)
    stiffness = np.diag([40.0, 40.0, 40.0, 70.0, 70.0, 70.0])
    stiffness[:3, :3] += 120.0
    with ResultWriter(path, task="mesoscale", task_version=1) as writer:
        write_image(writer.file, {"grain_id": grain}, 1.0)
        writer.array("grains/orientation", [[0.0, 0.0, 0.0, 1.0]], units="dimensionless")
        writer.array("realisations/stiffness", stiffness[None, None], units="GPa")
        write_problem(writer, "stiffness", voigt_to_mandel(stiffness)[None])
    return path


def test_mistakes_are_one_sentence(call, result, tmp_path):
    write_result(tmp_path / "old.h5", keep=False)
    write_result(tmp_path / "phonons.h5", task="phonons")
    write_result_of_even_grid(tmp_path / "cold.h5")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("nothing")
    cases = [
        ((result, "--with", "abaqus"), "--with 'abaqus' is no other solver"),
        ((result, "--with", "hashigo"), "choose one of: damask, fans, muspectre"),
        ((result,), "--with"),
        (("old.h5", "--with", "damask"), "does not keep the stiffness of its phases"),
        (("phonons.h5", "--with", "damask"), "stage 'phonons' holds no microstructure"),
        (("cold.h5", "--with", "fans", "--property", "conductivity"), "holds no conductivity"),
        (("empty", "--with", "damask"), "empty holds no microstructure.vtkhdf"),
        (("text", "--with", "damask"), "text cannot be read as HDF5"),
        ((result, "--with", "damask", "--folder", "text"), "text is a file"),
        ((result, "--with", "damask", "--property", "conductivity"), "no mean gradient"),
        ((result, "--with", "damask", "--scheme", "fourier"), "DAMASK has no option 'scheme'"),
        ((result, "--with", "muspectre", "--python", "nowhere"), "'nowhere' is no file"),
        ((result, "--with", "muspectre", "--tolerance", "2"), "--tolerance"),
        ((result, "--with", "fans"), "an even number along x or z, not 7 and 7"),
    ]
    for arguments, message in cases:
        code, _, err = call(*arguments)
        assert code == 2, arguments
        assert message in err, arguments
        assert "Traceback" not in err


def test_the_latest_run_and_its_results_folder(finished):
    done = finished.workplace.run("crosscheck", "--with", "fans")
    assert done.returncode == 0, done.stderr
    assert "FANS input.json results.h5" in done.stdout
    done = finished.workplace.run("crosscheck", "study-results", "--with", "damask")
    assert done.returncode == 0, done.stderr
    material = (finished.workplace.folder / "crosscheck-damask" / "material.yaml").read_text()
    assert material.count("lattice: cF") == 1
    assert material.count("phase: crystal_1") == 4
