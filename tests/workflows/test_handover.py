"""The table is made without a job, once; a metal without its electrons ends the climb there."""

from __future__ import annotations

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from ase.build import bulk

from hashigo.calculators.data import FramesData, QuantitiesData
from hashigo.calculators.frames import Frame, write_frames
from hashigo.calculators.results import ResultWriter
from hashigo.errors import InputError
from hashigo.report.handover import handover_csv
from hashigo.workflows.handover import STAGE, HandoverWorkChain
from hashigo.workflows.stage import was_bad_input

COPPER = bulk("Cu", "fcc", 3.6, cubic=True)


@pytest.fixture
def files(aiida_profile, tmp_path):
    """What the stages before it computed, as nodes."""
    with ResultWriter(tmp_path / "elasticity.h5", task="elasticity", task_version=1) as writer:
        writer.quantity("stiffness", np.eye(6))
        writer.quantity("lattice_parameters", [3.6] * 3)
        writer.quantity("density", 8900.0)
        writer.array("relaxed/cell", COPPER.cell.array, units="Å")
        writer.array("relaxed/positions", COPPER.get_scaled_positions(), units="dimensionless")
        writer.note("relaxed", {"symbols": COPPER.get_chemical_symbols()})
    conditions = [{"temperature": 300.0}]
    with ResultWriter(tmp_path / "phonons.h5", task="phonons", task_version=1) as writer:
        writer.quantity("heat_capacity", [24.0], conditions=conditions)
    with ResultWriter(tmp_path / "conductivity.h5", task="conductivity", task_version=1) as writer:
        writer.quantity("lattice_thermal_conductivity", 17 * np.eye(3)[None], conditions=conditions)
    frame = Frame(COPPER.cell.array, COPPER.positions, ("Cu",) * 4)
    write_frames(tmp_path / "frames.h5", [frame], {"engine": "emt"})
    results = {n: QuantitiesData(tmp_path / f"{n}.h5") for n in ("elasticity", "phonons", "conductivity")}
    return {name: node.store() for name, node in results.items()} | {
        "frames": FramesData(tmp_path / "frames.h5").store()
    }


def run(files, *, stop=True, temperatures=(300.0,), electronic=None, metal="auto"):
    study = {
        "structure": {"metal": metal},
        "mesoscale": {"temperatures": list(temperatures), "electronic": electronic},
    }
    return run_get_node(
        HandoverWorkChain,
        parameters=orm.Dict(STAGE.parameters(study)),
        site=orm.Str("local"),
        stop_at_gates=orm.Bool(stop),
        files=files,
    )


def test_a_metal_without_electrons_is_stopped_unless_told_otherwise(files):
    _, stopped = run(files)
    assert stopped.exit_status == 430
    assert stopped.exit_message.startswith(
        "Cu4 is a metal (engine emt is for metals alone), and of its thermal"
    )
    assert "mesoscale.electronic" in stopped.exit_message
    outputs, went_on = run(files, stop=False)
    assert went_on.is_finished_ok
    with outputs["result"].reader() as reader:
        assert reader.quantity("lattice_thermal_conductivity").marks == ("lattice only",)


def test_with_electrons_it_goes_on_and_is_not_made_twice(files):
    electronic = {"resistivity": {"300.0": 1.725e-8}, "uncertainty": 0.05}
    with enable_caching():
        (first, node), (second, again) = (run(files, electronic=electronic) for _ in range(2))
    assert node.is_finished_ok
    assert [one.process_label for one in node.called] == ["handover_table"]
    assert again.called[0].base.caching.is_created_from_cache
    assert first["result"].base.caching.get_hash() == second["result"].base.caching.get_hash()
    with first["result"].reader() as reader:
        assert reader.quantity("total_thermal_conductivity").value[0, 0, 0] == pytest.approx(441.9, abs=0.1)


def test_what_is_out_of_reach_is_bad_input(files):
    _, node = run(files, temperatures=[400.0], metal=False)
    assert node.exit_status == 400
    assert "known at 300 K only, not at 400 K" in node.exit_message
    assert was_bad_input(node)


class Run:
    """As much of a run as the table needs."""

    def __init__(self, **stages):
        self.pk = 1
        self.outputs = _Outputs(stages=stages)


class _Outputs(dict):
    @property
    def stages(self):
        return self["stages"]


def test_the_table_for_a_spreadsheet(files):
    outputs, _ = run(files, electronic={"conductivity": {"300.0": 390}})
    lines = [line.split(",") for line in handover_csv(Run(handover=outputs["result"])).splitlines()]
    assert lines[0][:6] == [
        "temperature_K", "quantity", "component", "value", "standard_uncertainty", "unit",
    ]  # fmt: skip
    rows = {(line[1], line[2]): line for line in lines[1:]}
    assert rows["total_thermal_conductivity", "xx"][3:6] == ["407", "", "W/(m K)"]
    assert rows["isothermal_stiffness", "44"][0::3][:2] == ["300", "1"]
    assert rows["thermal_lattice_parameters", "a"][3] == "3.6"
    assert sum(line[1] == "adiabatic_stiffness" for line in lines) == 21
    with pytest.raises(InputError, match="run 1 has no table"):
        handover_csv(Run())
