"""Small result files of every stage, and a browser that tells what went wrong on a page."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.learning import Round, write_rounds
from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers import component
from hashigo.calculators.workers.dynamics.h5md import CREATOR
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.elastic_properties import write_velocities
from hashigo.report.figures import Results

TEMPERATURES = [200.0, 300.0, 400.0]
SILICON = bulk("Si", "diamond", 5.43, cubic=True)


def cubic(c11, c12, c44):
    stiffness = np.diag([c11] * 3 + [c44] * 3).astype(float)
    stiffness[:3, :3] += c12 * (1 - np.eye(3))
    return stiffness


def write_potential(path):
    rng = np.random.default_rng(1)
    with ResultWriter(path, task="training", task_version=1) as writer:
        for kind, error, unit, value in (
            ("energy", "energy_error", "eV/atom", 4e-6),
            ("forces", "force_error", "eV/Å", 2e-3),
            ("stress", "stress_error", "GPa", 2e-3),
        ):
            writer.quantity(error, value)
            for prefix, count in (("", 40), ("train_", 90)):
                reference = rng.normal(size=count)
                for part, values in (
                    ("reference", reference),
                    ("predicted", reference + value * rng.normal(size=count)),
                    ("spread", np.full(count, value)),
                    ("interval_95", np.full(count, 1.96 * value)),
                ):
                    writer.array(f"parity/{kind}/{prefix}{part}", values, units=unit)
        writer.note("training", {"members": 4, "n_features": 141, "n_train": 23, "n_test": 6})
        found = {"rows": 40, "coverage": [0.7, 0.94], "terciles_68": [0.6, 0.7, 0.8], "scaled": True}
        writer.note("calibration", {"calibrated": True, "lacking": "", "held_out": {"forces": found}})
        writer.note(
            "gate",
            {"name": "held_out_error", "passed": True, "value": 2e-3, "limit": 0.05, "unit": "eV/Å"},
        )


def write_search(path):
    """Three models, the middle one chosen."""
    with ResultWriter(path, task="hyperparameters", task_version=1) as writer:
        values = {
            "cutoff": [4.0, 5.0, 6.0], "radial_functions": [5, 5, 5], "max_power": [2, 2, 2],
            "invariant_max_l": [[4, 4], [4, 4], [8, 8]], "n_features": [141, 141, 411],
            "cost": [1e4, 2e4, 6e4], "ridge": [1e-6] * 3,
            "weighted_error": [0.4, 0.21, 0.2], "weighted_error_standard_error": [0.02] * 3,
            "force_error": [3e-3, 1.3e-3, 1.25e-3], "force_error_standard_error": [1e-4] * 3,
        }  # fmt: skip
        for name, array in values.items():
            writer.array(f"search/{name}", array, units="eV/Å" if "force" in name else "dimensionless")
        parameters = {"cutoff": 5.0, "radial_functions": 5, "max_power": 2, "invariant_max_l": [4, 4]}
        note = {"chosen": 1, "best": 2, "candidates": 3, "folds": 5, "rule": "the cheapest of the best"}
        writer.note("search", {**note, "parameters": parameters})


def write_elasticity(path):
    members = np.array([[cubic(142 + d, 75, 69)] for d in (-1.0, 0.0, 1.0)])
    with ResultWriter(path, task="elasticity", task_version=1) as writer:
        spread = {"model": members[:, 0].std(axis=0, ddof=1)}
        writer.quantity("stiffness", cubic(142, 75, 69), members=members, components=spread)
        writer.quantity("lattice_parameters", [5.43] * 3, components={"model": [1e-4] * 3})
        write_velocities(
            writer, (cubic(142, 75, 69), SILICON), [(cubic(142 + d, 75, 69), SILICON) for d in (-1.0, 1.0)]
        )
        writer.note("born_stability", {"stable": True, "eigenvalues": [67.0, 292.0], "unstable_members": [1]})
        writer.note("gate", {"name": "born_stability", "passed": True})


def write_phonons(path):
    distance = np.concatenate([np.linspace(0, 0.2, 11), np.linspace(0.2, 0.4, 11)])
    frequency = np.abs(np.sin(np.pi * distance / 0.4))[:, None] * np.array([4.0, 8.0, 15.0])
    with ResultWriter(path, task="phonons", task_version=1) as writer:
        for name, scale in (("heat_capacity", 38.0), ("entropy", 30.0), ("helmholtz_energy", -3.0)):
            values = scale * np.array(TEMPERATURES) / 300
            writer.quantity(
                name, values, conditions=[{"temperature": t} for t in TEMPERATURES],
                components={"model": np.full(3, 0.01)},
            )  # fmt: skip
        for group, factor in (("", 1.0), ("symfc/", 1.01), ("reference_cell/", 1.02)):
            writer.array(f"{group}bands/distance", distance, units="1/Å")
            writer.array(f"{group}bands/frequency", factor * frequency, units="THz")
            writer.array(f"{group}dos/frequency", np.linspace(0, 16, 30), units="THz")
            writer.array(f"{group}dos/density", np.linspace(0, 1, 30) ** 2, units="1/THz")
        writer.array("bands/spread", np.full_like(frequency, 0.1), units="THz")
        writer.array("gruneisen/bands/frequency", frequency, units="THz")
        writer.array("gruneisen/bands/parameter", 0.1 * frequency, units="dimensionless")
        writer.quantity(
            "gruneisen_parameter", [0.7, 0.8, 0.9], conditions=[{"temperature": t} for t in TEMPERATURES],
            components={"mesh": np.full(3, 0.01)},
        )  # fmt: skip
        writer.array("modes/frequency", frequency, units="THz")
        writer.array("modes/velocity", np.ones((*frequency.shape, 3)), units="m/s")
        writer.array("modes/participation", np.ones_like(frequency), units="dimensionless")
        writer.array("projected_dos/frequency", np.linspace(0, 16, 30), units="THz")
        writer.array("projected_dos/density", np.ones((2, 30)), units="1/THz")
        writer.note("modes", {"sites": ["Na", "Cl"], "left_out": 1e-3, "mode_cutoff": 0.01})
        writer.note(
            "bands",
            {"labels": ["Γ", "U|K", "Γ"], "positions": [0.0, 0.2, 0.4], "segments": [[0, 11], [11, 22]]},
        )
        writer.note(
            "gate",
            {"name": "imaginary_mode", "passed": False, "minimum_frequency": -0.5, "qpoint": [0.5, 0, 0],
             "tolerance": -0.1, "unit": "THz", "failed_members": [0, 2]},
        )  # fmt: skip
        writer.note("comparison", {"maximum": 0.0016, "rms": 0.0006, "qpoints": 32, "frames": 10})


def write_conductivity(path):
    meshes = np.array([7, 9, 11])
    kappa = (250 - 300 / meshes)[:, None] * 300 / np.array(TEMPERATURES)
    tensors = kappa[..., None, None] * np.eye(3)
    with ResultWriter(path, task="conductivity", task_version=1) as writer:
        writer.quantity(
            "lattice_thermal_conductivity", tensors[-1], conditions=[{"temperature": t} for t in TEMPERATURES],
            components={"mesh": 0.1 * tensors[-1], "model": 0.01 * tensors[-1]}, converged=False,
        )  # fmt: skip
        writer.array("mesh/series", meshes, units="dimensionless")
        writer.array("mesh/kappa", tensors, units="W/(m K)")
        paths = np.geomspace(1, 1e4, 50)
        share = paths / (paths + 200)
        writer.array("cumulative/mean_free_path", paths, units="nm")
        writer.array("cumulative/kappa", kappa[-1][:, None] * share / share[-1], units="W/(m K)")
        limit = (250 * 300 / np.array(TEMPERATURES)).tolist()
        writer.note("mesh", {"extrapolated": limit, "error_is": "distance from a line"})
        writer.note(
            "cross_check",
            {"kappa_reference": [300.0, 200.0, 150.0], "kappa_potential": [297.0, 198.0, 149.0],
             "temperatures": TEMPERATURES, "unit": "W/(m K)", "mesh": 7, "frames": 10},
        )  # fmt: skip


def write_green_kubo(path):
    times, frequencies = np.linspace(0, 60, 200), np.linspace(0, 0.6, 100)
    told = {"conductivity": 50.0, "cutoff_time": 20.0, "cutoff_frequency": 0.15}
    with ResultWriter(path, task="green_kubo", task_version=1) as writer:
        for temperature in (300.0, 1000.0):
            group = f"{temperature:g}K/xyz"
            writer.array(f"{group}/times", times, units="ps")
            writer.array(f"{group}/running", 50 * (1 - np.exp(-times / 5)), units="W/(m K)")
            writer.array(f"{group}/running_error", 0.3 * times, units="W/(m K)")
            writer.array(f"{group}/frequencies", frequencies, units="THz")
            writer.array(f"{group}/periodogram", 50 / (1 + (frequencies / 0.03) ** 2), units="W/(m K)")
        rows = [{"thermostat": t, "drift": 0.0, "axes": {"xyz": told}} for t in (300.0, 1000.0)]
        writer.note("green_kubo", {"temperatures": rows})


def write_mesoscale(path):
    rng = np.random.default_rng(2)
    conditions = [{"temperature": 300.0, "grain_size": size} for size in (50.0, 500.0)]
    kappa = np.array([50.0, 150.0])[:, None, None] * np.eye(3)
    with ResultWriter(path, task="mesoscale", task_version=1) as writer:
        writer.quantity("effective_bulk_modulus", 97.7, components={"sampling": 1e-14, "model": 0.13})
        writer.quantity("effective_shear_modulus", 52.1, components={"sampling": 0.05, "model": 0.02})
        writer.quantity(
            "effective_thermal_conductivity", kappa, conditions=conditions,
            components={"mesh": 0.1 * kappa, "sampling": 0.01 * kappa}, converged=False,
        )  # fmt: skip
        for kind, values in (("bulk", [97.7] * 5), ("shear", [48.6, 51.5, 52.0, 52.4, 55.0])):
            names = ("reuss", "hashin_shtrikman_lower", "self_consistent", "hashin_shtrikman_upper", "voigt")
            for name, value in zip(names, values, strict=True):
                writer.array(f"bounds/{kind}/{name}", value, units="GPa")
        writer.array(
            "slice/grain_id", rng.integers(0, 5, (4, 4)).repeat(3, 0).repeat(3, 1), units="dimensionless"
        )
        writer.array("slice/von_mises", rng.random((12, 12)), units="GPa")
        writer.array("slice/heat_flux", 1e7 * rng.random((12, 12)), units="W/m^2")
        writer.array("slice/thermal_principal", rng.normal(0, 0.1, (12, 12)), units="GPa")
        for name in ("von_mises", "heat_flux"):
            writer.array(f"histogram/{name}/edges", np.linspace(0, 1, 6), units="GPa")
            writer.array(f"histogram/{name}/density", [0.5, 1.0, 2.0, 1.0, 0.5], units="1/GPa")
        writer.array("thermal_stress/probability", np.linspace(0, 1, 201), units="dimensionless")
        for name in ("von_mises", "principal"):
            writer.array(f"thermal_stress/{name}", np.sort(rng.random((3, 201)), axis=1), units="GPa")
        writer.note("thermal_stress", {"stress_free": 1000.0, "temperature": 300.0})
        writer.note("fields", {"edge": 150.0, "length_unit": "nm"})
        writer.array("statistics/diameter", rng.lognormal(-0.06, 0.35, 60), units="dimensionless")
        writer.array("statistics/neighbours", rng.integers(8, 20, 60), units="dimensionless")
        writer.note(
            "grains",
            {
                "grains": 60, "realisations": 3, "asked": {"size_spread": 0.35, "fraction of pore": 0.1},
                "diameter": {"log_normal": {"median": 0.94, "spread": 0.34}}, "neighbours": {"mean": 13.5},
                "voxels": {"mean": 600.0, "smallest": 20}, "fraction": {"crystal": 0.899, "pore": 0.101},
                "mean_intercept": {"x": 0.68, "y": 0.7, "z": None}, "mean_square_cosines": [[0.5, 0.25, 0.25]] * 3,
            },
        )  # fmt: skip
        for name, values in (("grains", [8, 16, 32]), ("realisations", [20, 10, 5])):
            writer.array(f"representative/{name}", values, units="dimensionless")
        writer.array("representative/mean", [[97.0, 52.0], [97.5, 52.4], [97.7, 52.3]], units="GPa")
        writer.array("representative/scatter", [[0, 0.02], [0, 0.015], [0, 0.01]], units="dimensionless")
        writer.note(
            "representative",
            {
                "property": "stiffness", "values": ["bulk modulus", "shear modulus"], "tolerance": 0.01,
                "converged": False, "scatter": 0.057, "grains": 32, "realisations": 5, "error": 0.0045,
                "drift": 0.002, "study": {"grains": 50, "realisations_needed": 1},
            },
        )  # fmt: skip
        margins = {"stiffness of realisation 1": {"voigt": 0.01, "reuss": -1e-16}}
        writer.note(
            "gate", {"name": "voigt_reuss_bounds", "passed": True, "tolerance": 1e-4, "margins": margins}
        )
        row = {"mean": 4.8, "max": 7.5, "grain_size": 50.0, "temperature": 300.0}
        writer.note("knudsen", {"values": [row]})


def write_component(path):
    """Of its own task, small."""
    material = {"conductivity": 100.0, "density": 2330.0, "heat_capacity": 700.0, "youngs_modulus": 160.0,
                "poisson_ratio": 0.22, "expansion": 2.6e-6}  # fmt: skip
    faces = {"x-": {"temperature": 400.0}, "x+": {"temperature": 300.0}}
    parameters = {"size": [8.0, 4.0, 1.0], "cells": [8, 4, 1], "duration": 2.0, "faces": faces, "material": material,
                  "stress_free_temperature": 300.0}  # fmt: skip
    component.run(Job("component", parameters, {}, path, scratch=path.parent / "scratch"))


def write_expansion(path):
    at = [{"temperature": t} for t in TEMPERATURES]
    with ResultWriter(path, task="expansion", task_version=1) as writer:
        alpha = np.array([np.diag([x, x, 2 * x]) for x in (1e-6, 2e-6, 3e-6)])
        parts = {"fit": 0.05 * alpha, "mesh": 0.01 * alpha}
        writer.quantity("thermal_expansion", alpha, conditions=at, components=parts, converged=True)
        for name, value in (("isobaric_heat_capacity", 40.0), ("quasiharmonic_bulk_modulus", 95.0)):
            row = np.full(3, value)
            writer.quantity(name, row, conditions=at, components={"fit": 0.01 * row}, converged=True)
        writer.note(
            "expansion",
            {
                "fit_residual": 0.04, "fit_residual_unit": "meV/atom", "absent": [2000.0],
                "absent_why": "the cell of least Gibbs energy lies outside the grid",
                "volumes_with_imaginary_modes": [170.0], "method": "quasi-harmonic",
                "cross_check": {
                    "temperatures": [200.0, 300.0, 400.0], "expansion_potential": [-1e-7, 1.7e-6, 2e-6],
                    "expansion_reference": [1e-7, 2.6e-6, 3e-6], "unit": "1/K", "volumes": 7,
                },
                "spot_check": {
                    "rms": 0.9, "unit": "meV/atom", "volumes": [0.94, 1.0, 1.06], "equilibrium_volume_ratio": 0.995,
                    "bulk_modulus_potential": 93.0, "bulk_modulus_reference": 94.0, "bulk_modulus_unit": "GPa",
                },
            },
        )  # fmt: skip
        writer.gate("thermal_minimum", "", fix="")


def write_thermoelasticity(path):
    at = [{"temperature": t} for t in TEMPERATURES]
    with ResultWriter(path, task="thermoelasticity", task_version=1) as writer:
        cold = np.array([cubic(160.0 - t / 100, 62.0 - t / 200, 78.0 - t / 200) for t in TEMPERATURES])
        for name, value in (("isothermal_stiffness", cold), ("adiabatic_stiffness", cold * 1.01)):
            writer.quantity(name, value, conditions=at, components={"model": 0.01 * cold}, converged=True)
        writer.note(
            "thermoelasticity",
            {
                "method": "quasi-harmonic", "derived": "moduli are adiabatic",
                "checks": {"bulk_modulus": 0.002, "expansion": 0.001, "correction": 1e-5},
            },
        )  # fmt: skip
        writer.gate("born_stability", "", fix="", eigenvalues=[66.0, 64.0], unit="GPa")


def write_dynamics(path):
    axis = np.linspace(0.05, 5.0, 60)
    with ResultWriter(path, task="dynamics", task_version=1) as writer:
        for name, shift in (("300K", 0.0), ("600K", 0.5)):
            volume = np.array([155.0, 158.0, 161.0])
            writer.array(f"equation_of_state/{name}/volume", volume, units="Å^3")
            writer.array(f"equation_of_state/{name}/pressure", (158 - volume) / 1.6 + shift, units="GPa")
            writer.array(f"equation_of_state/{name}/error", [0.02] * 3, units="GPa")
            writer.array(f"equation_of_state/{name}/fitted_volume", volume, units="Å^3")
            writer.array(
                f"equation_of_state/{name}/fitted_pressure", (158 - volume) / 1.6 + shift, units="GPa"
            )
            writer.array(f"radial/{name}/distance", axis, units="Å")
            writer.array(f"radial/{name}/Si-Si", 1 + np.sin(axis) / axis, units="dimensionless")
            writer.array(f"radial/{name}/Si-Si error", np.full(60, 0.01), units="dimensionless")
            writer.array(f"displacement/{name}/time", axis, units="ps")
            writer.array(f"displacement/{name}/Si", axis / (axis + 0.1), units="Å^2")
            writer.array(f"spectrum/{name}/frequency", 4 * axis, units="THz")
            writer.array(f"spectrum/{name}/resolution", 0.7, units="THz")
            writer.array(f"spectrum/{name}/density", np.exp(-((4 * axis - 15) ** 2)), units="1/THz")
        check = {
            "trajectory": "300K-1V-0",
            "wanted": 300.0,
            "temperature": 305.0,
            "error": 4.0,
            "drift": -0.02,
        }
        left = {"trajectory": "900K-1V-0", "after": 0.2, "why": "too hot"}
        writer.note(
            "dynamics",
            {
                "timestep": 2.0,
                "checks": [check],
                "left": [left],
                "scope": "classical",
                "model_part": "reweighted",
            },
        )
        writer.note("diffusion", {"Si at 300 K": "no atom moved farther than 0.30 Å, where a hop is 2.35 Å"})
        writer.note("equation_of_state", {"absent": {}, "pressure": 0.0, "deviation": 0.03})
        writer.note("gate", {"name": "trained_region", "passed": False, "message": "too hot", "frames": 1})
        for part in ("h5md/creator", "particles/atoms/position", "observables"):
            writer.file.create_group(f"trajectories/300K-1V-0/{part}")
        writer.file["trajectories/300K-1V-0/h5md/creator"].attrs["name"] = CREATOR


def write_learning(path):
    goal = {"thermal_conductivity": 0.05, "stiffness": 0.02}
    rounds = [
        Round(
            count, 1.0, 0.02 / count, {"thermal_conductivity": 250.0, "stiffness": 142.0},
            {"thermal_conductivity": 2.0 / count, "stiffness": 0.4 / count}, calibrated=count > 10,
        )
        for count in (10, 20, 40)
    ]  # fmt: skip
    with ResultWriter(path, task="learning", task_version=1) as writer:
        write_rounds(writer, rounds, goal, {"frames": 60, "core_hours": None})


WRITERS = {
    "potential": write_potential,
    "potential_search": write_search,
    "learning": write_learning,
    "elasticity": write_elasticity,
    "phonons": write_phonons,
    "conductivity": write_conductivity,
    "green_kubo": write_green_kubo,
    "component": write_component,
    "expansion": write_expansion,
    "thermoelasticity": write_thermoelasticity,
    "dynamics": write_dynamics,
    "mesoscale": write_mesoscale,
}


@pytest.fixture(scope="session")
def result_files(tmp_path_factory) -> dict[str, Path]:
    """A result file of every stage."""
    folder = tmp_path_factory.mktemp("results")
    for stage, write in WRITERS.items():
        write(folder / f"{stage}.h5")
    return {stage: folder / f"{stage}.h5" for stage in WRITERS}


@pytest.fixture
def results(result_files):
    """Open result files of every stage."""
    with ExitStack() as stack:
        yield Results({name: stack.enter_context(ResultReader(p)) for name, p in result_files.items()})


class Browser:
    """A page of headless Chromium, driven over the WebDriver protocol."""

    def __init__(self, port: int, chromium: str) -> None:
        self._base = f"http://127.0.0.1:{port}"
        options = {
            "binary": chromium,
            "args": ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1200,1600",
                     "--disable-dev-shm-usage"],
        }  # fmt: skip
        capabilities = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._send("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{made['sessionId']}"

    def _send(self, method: str, path: str, content: object = None) -> object:
        data = None if content is None else json.dumps(content).encode()
        header = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._base + path, data, header, method=method)
        # A proxy of the environment has no business on the loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=120) as answer:
            return json.loads(answer.read())["value"]

    def open(self, path: Path) -> None:
        self._send("POST", f"{self._session}/url", {"url": path.as_uri()})

    def script(self, text: str) -> object:
        return self._send("POST", f"{self._session}/execute/sync", {"script": text, "args": []})

    def log(self, kind: str) -> list[dict[str, object]]:
        return self._send("POST", f"{self._session}/se/log", {"type": kind})

    def requested(self) -> list[str]:
        """Addresses that the page asked for, itself among them."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def close(self) -> None:
        self._send("DELETE", self._session)


@pytest.fixture
def browser(require_program):
    """Headless Chromium."""
    chromium = require_program("chromium", "chromium")
    program = require_program("chromedriver", "chromium-driver")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        [program, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        page = Browser(port, chromium)
        yield page
        page.close()
    finally:
        driver.terminate()
        driver.wait(timeout=20)


def _wait_for(port: int) -> None:
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("chromedriver did not start within 30 s")
