"""Simple materials and bodies, whose temperatures and stress are known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.component.material import Curve, Material, constant

YOUNG, POISSON, EXPANSION = 200.0, 0.3, 1e-5
CONDUCTIVITY, HEAT = 2.0, 3e6


def isotropic(young: float = YOUNG, poisson: float = POISSON):
    """Stiffness of an isotropic body, Voigt, GPa."""
    shear = young / 2 / (1 + poisson)
    stiffness = np.diag([2 * shear] * 3 + [shear] * 3)
    stiffness[:3, :3] += young * poisson / (1 + poisson) / (1 - 2 * poisson)
    return stiffness


@pytest.fixture
def plain() -> Material:
    """The same at every temperature."""
    strain = [EXPANSION] * 3 + [0.0] * 3
    return Material(constant([CONDUCTIVITY] * 3), constant(HEAT), constant(isotropic()), constant(strain))


@pytest.fixture
def hot() -> Material:
    """Conductivity falls and heat capacity rises from 300 to 500 K; anisotropic."""
    ends = np.array([300.0, 500.0])
    return Material(
        Curve(ends, np.array([[2.0, 3.0, 4.0], [1.0, 2.0, 3.0]])), Curve(ends, np.array([3e6, 4e6]))
    )


@pytest.fixture
def ladder(tmp_path):
    """Results of "handover" and "mesoscale" at 300, 350 and 400 K, with three members."""
    kelvin = [300.0, 350.0, 400.0]
    conditions = [{"temperature": t} for t in kelvin]
    at = np.array([100.0, 90.0, 80.0])[:, None, None] * np.eye(3)
    spread = np.array([0.9, 1.0, 1.1])

    def members(value):
        return np.multiply.outer(spread, value)

    cubic = np.diag([160.0] * 3 + [80.0] * 3)
    cubic[:3, :3] += 60 * (1 - np.eye(3))
    columns = {
        "thermal_lattice_parameters": np.full((3, 3), 5.43),
        "thermal_density": np.full(3, 2330.0),
        "isothermal_stiffness": np.array([cubic] * 3),
        "adiabatic_stiffness": np.array([cubic] * 3),
        "lattice_thermal_conductivity": at,
        "total_thermal_conductivity": at,
        "specific_heat": np.array([700.0, 730.0, 760.0]),
        "thermal_expansion": np.array([2.5e-6 * np.eye(3)] * 3),
    }
    with ResultWriter(tmp_path / "handover.h5", task="handover", task_version=1) as writer:
        writer.array("temperatures", kelvin, units="K")
        for name, value in columns.items():
            mesh = {"mesh": 0.1 * value} if "conductivity" in name else {}
            writer.quantity(
                name, value, conditions=conditions, members=members(value), calibrated=True, converged=True,
                components={"model": 0.1 * np.abs(value), **mesh},
            )  # fmt: skip
        notes = {name: {"origin": "a test", "fixed": name.endswith("stiffness")} for name in columns}
        writer.note("columns", notes)
    grains = [{**c, "grain_size": s} for c in conditions for s in (100.0, 1000.0)]
    value = np.array([0.4 * at[i] if s == 0 else at[i] for i in range(3) for s in range(2)])
    with ResultWriter(tmp_path / "mesoscale.h5", task="mesoscale", task_version=1) as writer:
        writer.quantity(
            "effective_thermal_conductivity", value, conditions=grains, members=members(value),
            components={"model": 0.1 * value, "mesh": 0.1 * value}, calibrated=True, converged=True,
        )  # fmt: skip
        writer.quantity(
            "effective_stiffness", cubic, members=members(cubic), components={"model": 0.1 * np.abs(cubic)}
        )
    return {"handover": tmp_path / "handover.h5", "mesoscale": tmp_path / "mesoscale.h5"}
