from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.frames import Frame, write_frames
from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers import handover
from hashigo.calculators.workers.handover_table import HandoverTable
from hashigo.calculators.workers.job import Job
from hashigo.errors import InputError

ALUMINIUM = bulk("Al", "fcc", 4.05, cubic=True)
KELVIN = [200.0, 300.0, 400.0]
CONDITIONS = [{"temperature": t} for t in KELVIN]
STIFFNESS = np.diag([110.0, 110.0, 110.0, 30.0, 30.0, 30.0])
STEPS = np.array([-1.0, 0.0, 1.0])


def members(value, size):
    value = np.asarray(value, dtype=float)
    return value + (size * STEPS).reshape(3, *(1,) * value.ndim)


def quantity(writer, name, value, size, conditions=CONDITIONS, **more):
    stack = members(value, size)
    writer.quantity(
        name, value, conditions=conditions, members=stack,
        components={"model": stack.std(axis=0, ddof=1)}, **more,
    )  # fmt: skip


@pytest.fixture
def inputs(tmp_path):
    """Results of the stages that every study runs, of a made-up aluminium."""
    with ResultWriter(tmp_path / "elasticity.h5", task="elasticity", task_version=1) as writer:
        for name, value, size in (
            ("stiffness", STIFFNESS, 2.0),
            ("lattice_parameters", [4.05] * 3, 0.01),
            ("density", 2700.0, 10.0),
        ):
            quantity(writer, name, np.asarray(value)[None], size, [{}], calibrated=True)
        writer.array("relaxed/cell", ALUMINIUM.cell.array, units="Å")
        writer.array("relaxed/positions", ALUMINIUM.get_scaled_positions(), units="dimensionless")
        writer.note("relaxed", {"symbols": ALUMINIUM.get_chemical_symbols()})
    with ResultWriter(tmp_path / "phonons.h5", task="phonons", task_version=1) as writer:
        quantity(writer, "heat_capacity", [21.0, 23.0, 24.0], 0.1)
    with ResultWriter(tmp_path / "conductivity.h5", task="conductivity", task_version=1) as writer:
        kappa = np.array([9.0, 6.0, 4.5])[:, None, None] * np.eye(3)
        quantity(writer, "lattice_thermal_conductivity", kappa, 0.1, converged=False)
    return {name: tmp_path / f"{name}.h5" for name in ("elasticity", "phonons", "conductivity")}


def frames(folder, header):
    cell = ALUMINIUM.cell.array
    frame = Frame(cell, ALUMINIUM.positions, tuple(ALUMINIUM.get_chemical_symbols()))
    write_frames(folder / "frames.h5", [frame], header)
    return folder / "frames.h5"


def run(inputs, folder, **parameters):
    given = {"temperatures": [300.0], **parameters}
    handover.run(Job("handover", given, inputs, folder / "table.h5"))
    return ResultReader(folder / "table.h5")


def test_a_plain_study_hands_on_what_it_has_and_says_so(inputs, tmp_path):
    with run(inputs, tmp_path, temperatures=[200.0, 400.0]) as reader:
        table = HandoverTable.read(reader)
        electrons = reader.note("electrons")
        assert reader.note("gate")["passed"]
    assert table.temperatures.tolist() == [200.0, 400.0]
    assert np.allclose(table.isothermal_stiffness.value, [STIFFNESS] * 2)
    assert table.isothermal_stiffness.fixed
    assert table.isothermal_stiffness.marks == ("of 0 K",)
    assert table.adiabatic_stiffness.origin == "elasticity, 0 K stiffness: no thermoelasticity in the study"
    assert table.isothermal_stiffness.calibrated
    assert table.isothermal_stiffness.components["model"].shape == (2, 6, 6)
    assert table.lattice_parameters.value.tolist() == [[4.05] * 3] * 2
    assert table.density.value.tolist() == [2700.0] * 2
    assert table.thermal_expansion is None
    # A mole of aluminium's primitive cells is 26.98 g.
    assert table.specific_heat.value == pytest.approx(np.array([21.0, 24.0]) / 26.9815385e-3)
    assert "harmonic, at constant volume" in table.specific_heat.marks
    assert table.specific_heat.members.shape == (3, 2)
    assert table.lattice_conductivity.value[:, 0, 0].tolist() == [9.0, 4.5]
    assert table.lattice_conductivity.converged is False
    assert electrons["metal"] is None
    assert table.electronic_conductivity is None
    assert table.total_conductivity.marks == ("electrons not known",)


def test_members_stay_aligned(inputs, tmp_path):
    with run(inputs, tmp_path, temperatures=[250.0, 300.0]) as reader:
        table = HandoverTable.read(reader)
    for column in table.columns:
        steps = column.members - column.members[1]
        assert (steps[0] < 0).all()
        assert (steps[2] > 0).all()


def test_between_temperatures_is_interpolated_and_told(inputs, tmp_path):
    with run(inputs, tmp_path, temperatures=[250.0]) as reader:
        table = HandoverTable.read(reader)
    kappa = table.lattice_conductivity
    assert 6.0 < kappa.value[0, 0, 0] < 7.5
    assert "monotone cubic" in kappa.origin
    assert kappa.components["resolution"][0, 0, 0] == pytest.approx(7.5 - kappa.value[0, 0, 0])
    assert kappa.standard_uncertainty[0, 0, 0] == pytest.approx(
        np.hypot(0.1, kappa.components["resolution"][0, 0, 0])
    )


def test_nothing_is_extrapolated(inputs, tmp_path):
    with pytest.raises(
        InputError, match="of conductivity is known from 200 to 400 K, not at 500 K"
    ) as caught:
        run(inputs, tmp_path, temperatures=[500.0])
    assert caught.value.fix == "add it to conductivity.temperatures"
    assert not (tmp_path / "table.h5").exists()


def test_stages_at_temperature_are_preferred(inputs, tmp_path):
    with ResultWriter(tmp_path / "expansion.h5", task="expansion", task_version=1) as writer:
        rows = np.array([1.0, 1.01, 1.02])
        quantity(writer, "thermal_lattice_parameters", 4.05 * rows[:, None] * np.ones(3), 0.01)
        quantity(writer, "thermal_density", 2700.0 / rows**3, 10.0)
        quantity(writer, "thermal_expansion", 2e-5 * rows[:, None, None] * np.eye(3), 1e-7)
        quantity(writer, "specific_heat", 900.0 * rows, 1.0)
    with ResultWriter(tmp_path / "thermoelasticity.h5", task="thermoelasticity", task_version=1) as writer:
        quantity(writer, "isothermal_stiffness", STIFFNESS * (1 / rows)[:, None, None], 2.0)
        quantity(writer, "adiabatic_stiffness", 1.05 * STIFFNESS * (1 / rows)[:, None, None], 2.0)
    more = {name: tmp_path / f"{name}.h5" for name in ("expansion", "thermoelasticity")}
    with run({**inputs, **more}, tmp_path) as reader:
        table = HandoverTable.read(reader)
    assert table.thermal_expansion.value[0, 0, 0] == pytest.approx(2.02e-5)
    assert table.specific_heat.value[0] == pytest.approx(909.0)
    assert table.specific_heat.marks == ()
    assert table.density.value[0] == pytest.approx(2700 / 1.01**3)
    assert not table.isothermal_stiffness.fixed
    assert np.allclose(table.adiabatic_stiffness.value, 1.05 * table.isothermal_stiffness.value)
    assert table.isothermal_stiffness.origin == "thermoelasticity"


def test_a_metal_goes_no_further_without_its_electrons(inputs, tmp_path):
    given = {**inputs, "frames": frames(tmp_path, {"engine": "emt"})}
    with run(given, tmp_path) as reader:
        gate, table = reader.note("gate"), HandoverTable.read(reader)
    assert (gate["name"], gate["passed"]) == ("electronic_part", False)
    assert gate["message"] == (
        "Al4 is a metal (engine emt is for metals alone), and of its thermal conductivity the lattice's part alone is "
        "known"
    )
    assert "mesoscale.electronic" in gate["fix"]
    # With stop_at_gates false the climb goes on with what there is, and says so.
    assert table.total_conductivity is None
    assert table.lattice_conductivity.marks == ("lattice only",)
    with run(given, tmp_path, metal=False) as reader:
        assert reader.note("gate")["passed"]
        assert HandoverTable.read(reader).total_conductivity.marks == ()


def test_a_metal_with_its_electrons(inputs, tmp_path):
    given = {**inputs, "frames": frames(tmp_path, {"engine": "emt"})}
    electronic = {"conductivity": {"300.0": 230.0}, "uncertainty": 0.02}
    with run(given, tmp_path, electronic=electronic) as reader:
        table = HandoverTable.read(reader)
        assert reader.note("gate")["passed"]
    total = table.total_conductivity
    assert total.value[0, 0, 0] == 236.0
    assert total.components["electronic"][0, 0, 0] == pytest.approx(4.6)
    assert total.standard_uncertainty[0, 0, 0] == pytest.approx(np.hypot(4.6, 0.1))
    assert total.members[:, 0, 0, 0].tolist() == pytest.approx([235.9, 236.0, 236.1])
    assert table.lattice_conductivity.marks == ()
    with run(given, tmp_path, electronic={"conductivity": {"300.0": 230.0}}) as reader:
        total = HandoverTable.read(reader).total_conductivity
    assert total.standard_uncertainty is None
    assert total.marks == ("uncertainty of the electronic part not given",)


def test_a_missing_input_is_named(inputs, tmp_path):
    del inputs["phonons"]
    with pytest.raises(InputError, match="no input 'phonons'"):
        run(inputs, tmp_path)
