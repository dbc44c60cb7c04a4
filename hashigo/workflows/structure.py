"""Stage 1: the crystal in its standard cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ProcessSpec, WorkChain, calcfunction
from aiida.orm import Float, StructureData

from hashigo.study.structures import standardise
from hashigo.workflows.stage import Stage


@calcfunction
def standard_cell(structure: StructureData, tolerance: Float) -> StructureData:
    """The conventional standardised cell of a crystal."""
    return StructureData(ase=standardise(structure.get_ase(), tolerance.value))


class StructureWorkChain(WorkChain):
    """Standardise the study's structure."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs and outputs."""
        super().define(spec)
        spec.input("structure", valid_type=StructureData, help="As given by the user.")
        spec.input("tolerance", valid_type=Float, help="Distance within which symmetry is looked for, Å.")
        spec.output("result", valid_type=StructureData, help="Conventional standardised cell.")
        spec.outline(cls.standardise)

    def standardise(self) -> None:
        """Hand on the standardised cell."""
        self.out("result", standard_cell(self.inputs.structure, self.inputs.tolerance))


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    return {"tolerance": study["structure"]["tolerance"]}


STAGE = Stage(
    name="structure",
    title="Structure",
    process="hashigo.structure",
    files={},
    parameters=_parameters,
)
