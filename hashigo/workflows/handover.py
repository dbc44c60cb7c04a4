"""Stage 7: the crystal's properties at the mesoscale's temperatures as one table; no job of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiida.engine import ExitCode, ProcessSpec, WorkChain, calcfunction
from aiida.orm import Bool, Dict, Int, List, SinglefileData, Str

from hashigo.calculators.data import QuantitiesData
from hashigo.calculators.workers import handover
from hashigo.calculators.workers.job import Job
from hashigo.errors import InputError
from hashigo.workflows.stage import GATE_EXIT, Stage, broken_gate


@calcfunction
def handover_table(parameters: Dict, version: Int, **files: SinglefileData) -> QuantitiesData | ExitCode:
    """The table from the stages' results."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = {}
        for name, node in files.items():
            place = Path(folder) / name
            place.mkdir()
            inputs[name] = place / node.filename
            inputs[name].write_bytes(node.get_content(mode="rb"))
        output = Path(folder) / "result.h5"
        try:
            handover.run(Job(handover.TASK, parameters.get_dict(), inputs, output))
        except InputError as error:
            fix = f" (fix: {error.fix})" if error.fix else ""
            return ExitCode(410, f"{error.message}{fix}", invalidates_cache=True)
        return QuantitiesData(output)


class HandoverWorkChain(WorkChain):
    """Gather what the mesoscale takes from the crystal, with the gate on a metal's electrons."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input("parameters", valid_type=Dict, help="Plain values of this stage.")
        spec.input("site", valid_type=Str, help="Not used: no job is run.")
        spec.input("stop_at_gates", valid_type=Bool, default=lambda: Bool(True), help="Whether a gate stops.")
        spec.input(
            "judged_elsewhere", valid_type=List, default=lambda: List([]), help="Gates that do not stop it."
        )
        spec.input_namespace("files", valid_type=SinglefileData, dynamic=True, help="Results used.")
        spec.output("result", valid_type=QuantitiesData, required=False, help="The table.")
        spec.exit_code(400, "ERROR_TABLE", message="{message}")
        spec.exit_code(GATE_EXIT, "ERROR_GATE", message="{message}")
        spec.outline(cls.gather)

    def gather(self) -> ExitCode | None:
        """Hand on the table; its gate stops the climb, unless the study says otherwise."""
        result, node = handover_table.run_get_node(
            parameters=self.inputs.parameters, version=Int(handover.TASK_VERSION), **self.inputs.files
        )
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_TABLE.format(message=node.exit_message)
        self.out("result", result)
        broken = broken_gate(result, self.inputs.judged_elsewhere.get_list())
        if broken and self.inputs.stop_at_gates.value:
            return self.exit_codes.ERROR_GATE.format(message=broken)
        if broken:
            self.report(f"gate not held, going on as the study says: {broken}")
        return None


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    mesoscale = study["mesoscale"]
    return {
        "temperatures": mesoscale["temperatures"],
        "metal": study["structure"].get("metal", "auto"),
        "electronic": mesoscale.get("electronic"),
    }


STAGE = Stage(
    name="handover",
    title="Handover to the mesoscale",
    process="hashigo.handover",
    files={
        "frames": "reference",
        "elasticity": "elasticity",
        "phonons": "phonons",
        "conductivity": "conductivity",
    },
    optional={"expansion": "expansion", "thermoelasticity": "thermoelasticity"},
    parameters=_parameters,
    needs=lambda study: "a table of the crystal's properties",
)
