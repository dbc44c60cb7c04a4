"""Convergence of a reference with cut-off and k-mesh: one reference stage for each value that is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from aiida.engine import ExitCode, ProcessSpec, WorkChain, calcfunction, while_
from aiida.orm import Dict, Float, Str, StructureData
from aiida.plugins import WorkflowFactory
from ase.units import GPa

from hashigo.calculators.convergence import Axis, Point, Sample, Tolerances, axes_of, varied
from hashigo.calculators.convergence_search import Search
from hashigo.calculators.data import FramesData
from hashigo.calculators.engines import get_engine
from hashigo.calculators.engines.kpoints import kpoint_mesh
from hashigo.scheduler_profiles.model import load_site
from hashigo.workflows.batches import runs_in_batch
from hashigo.workflows.convergence_record import record
from hashigo.workflows.frame_times import seconds_per_frame
from hashigo.workflows.inputs import Prepared
from hashigo.workflows.stage import job_failure
from hashigo.workflows.structure import standard_cell


class ConvergenceWorkChain(WorkChain):
    """Raise cut-off and k-mesh until forces and stress of a few deformed cells stay within their tolerances."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input("structure", valid_type=StructureData, help="The crystal as given.")
        spec.input("tolerance", valid_type=Float, help="Distance within which symmetry is looked for, Å.")
        spec.input(
            "parameters", valid_type=Dict, help="Engine, settings, sampling, seed, tolerances, max_steps."
        )
        spec.input("site", valid_type=Str, help="Where the engine runs.")
        spec.output(
            "result", valid_type=Dict, required=False, help="Series, what is recommended, error left."
        )
        spec.exit_code(410, "ERROR_FRAMES", message="the study's own settings give no frames: {message}")
        spec.exit_code(430, "ERROR_NOT_CONVERGED", message="{message}")
        spec.outline(cls.begin, while_(cls.goes_on)(cls.submit_points, cls.take_points), cls.conclude)

    def begin(self) -> None:
        """Standardise the cell and choose the values."""
        self.ctx.cell = standard_cell(self.inputs.structure, self.inputs.tolerance)
        self.ctx.points = []  # of those that have ended
        self.ctx.frames = {}  # label -> frames
        self.ctx.failed = {}  # label -> why its frames could not be computed

    def _search(self) -> Search:
        given = self.inputs.parameters.get_dict()
        return search(given, self.ctx.cell.cell)

    def _known(self) -> dict[Point, Sample | None]:
        points = enumerate(tuple(point) for point in self.ctx.points)
        return {point: self._sample(f"point_{index}") for index, point in points}

    def _sample(self, label: str) -> Sample | None:
        return read_sample(self.ctx.frames[label]) if label in self.ctx.frames else None

    def goes_on(self) -> bool:
        """Whether more values are to be tried."""
        self.ctx.next = self._search().wanted(self._known())[: self._at_once()]
        return bool(self.ctx.next)

    def _at_once(self) -> int:
        """Number of values that are computed side by side: jobs in flight stay within what the site allows."""
        given, site = self.inputs.parameters.get_dict(), load_site(self.inputs.site.value)
        if runs_in_batch(get_engine(given["engine"]), given["packed"], site):
            return 1  # it has all cores of the site
        jobs = site.n_in_flight(given["max_in_flight"], int(given["settings"].get("ranks", 1)))
        return max(1, jobs // int(given["sampling"]["strained"]))

    def submit_points(self) -> None:
        """Start the reference stage with the values of some points."""
        given = self.inputs.parameters.get_dict()
        axes = self._search().axes
        names = ("engine", "sampling", "seed", "max_in_flight", "packed")
        common = {name: given[name] for name in names} | {"polar": False}
        for index, point in enumerate(self.ctx.next, len(self.ctx.points)):
            settings = varied(given["settings"], axes, tuple(point))
            inputs = {
                "structure": self.ctx.cell,
                "parameters": Dict({**common, "settings": settings}),
                "site": self.inputs.site,
                "metadata": {"label": describe(given["engine"], axes, point, self.ctx.cell.cell)},
            }
            process = WorkflowFactory("hashigo.reference")
            self.to_context(**{f"point_{index}": self.submit(process, **inputs)})

    def take_points(self) -> None:
        """Keep the frames."""
        for point in self.ctx.next:
            label = f"point_{len(self.ctx.points)}"
            process = self.ctx[label]
            self.ctx.points.append(list(point))
            if process.is_finished_ok:
                self.ctx.frames[label] = process.outputs.result
            else:
                self.ctx.failed[label] = process.exit_message or job_failure(process)

    def conclude(self) -> ExitCode | None:
        """Hand on the series with what is recommended."""
        if not self.ctx.frames:
            return self.exit_codes.ERROR_FRAMES.format(message=self.ctx.failed["point_0"])
        found = {
            "cell": np.asarray(self.ctx.cell.cell).tolist(),
            "points": self.ctx.points,
            "failed": self.ctx.failed,
            "seconds": {label: seconds_per_frame(node) for label, node in self.ctx.frames.items()},
        }
        result = record_convergence(self.inputs.parameters, Dict(found), **self.ctx.frames)
        self.out("result", result)
        if not result["converged"]:
            return self.exit_codes.ERROR_NOT_CONVERGED.format(message=result["message"])
        return None


@calcfunction
def record_convergence(parameters: Dict, found: Dict, **frames: FramesData) -> Dict:
    """Both series with deviations, what is recommended and the error that is left; `found` has points and times."""
    given, content = parameters.get_dict(), found.get_dict()
    points = [tuple(point) for point in content["points"]]
    known = {
        point: read_sample(frames[f"point_{index}"]) if f"point_{index}" in frames else None
        for index, point in enumerate(points)
    }
    notes = {
        point: (content["seconds"].get(f"point_{index}"), content["failed"].get(f"point_{index}", ""))
        for index, point in enumerate(points)
    }
    return Dict(record(search(given, content["cell"]), known, notes, given, content["cell"]))


def start_inputs(prepared: Prepared, wanted: Mapping[str, Any], frames: int) -> dict[str, Any]:
    """Input nodes of a test of convergence.

    Args:
        prepared: the study.
        wanted: force_tolerance [eV/Å], stress_tolerance [GPa], max_steps.
        frames: count of deformed cells.
    """
    content = prepared.content
    sampling = {**content["reference"]["sampling"], "displaced": 0, "strained": frames, "volumes": 0}
    parameters = {
        "engine": content["reference"]["engine"],
        "settings": content["reference"]["settings"],
        "sampling": {**sampling, "free_atoms": False},
        "seed": content["seed"],
        "max_in_flight": content["max_in_flight"],
        "packed": content["reference"]["packed"],
        **wanted,
    }
    return {
        "structure": StructureData(ase=prepared.structure),
        "tolerance": Float(content["structure"]["tolerance"]),
        "parameters": Dict(parameters),
        "site": Str(content["site"]),
        "metadata": {"label": prepared.study.name, "description": f"{prepared.study.title}, convergence"},
    }


def search(given: Mapping[str, Any], cell: Any) -> Search:
    """The search that a study asks for.

    Args:
        given: parameters of the WorkChain.
        cell: lattice vectors of the conventional cell as rows, shape (3, 3), Å.
    """
    tolerances = Tolerances(given["force_tolerance"], given["stress_tolerance"])
    return Search(axes_of(given["settings"], cell, given["max_steps"]), tolerances)


def read_sample(frames: FramesData) -> Sample:
    """Forces and stress of all frames of a node."""
    read = frames.frames()
    stresses = [frame.stress for frame in read if frame.stress is not None]
    stress = np.array(stresses) / GPa if len(stresses) == len(read) else None
    return Sample(np.concatenate([frame.forces for frame in read if frame.forces is not None]), stress)


def describe(engine: str, axes: Sequence[Axis], point: Point, cell: Any) -> str:
    """The values of a point in words, e.g. "cutoff 24 Ry, mesh 4×4×4".

    Args:
        engine: its name.
        axes: what is varied.
        point: the values, in the units of their settings.
        cell: lattice vectors of the conventional cell as rows, shape (3, 3), Å.
    """
    words = []
    for axis, value in zip(axes, point, strict=True):
        if axis.setting == "kpoint_spacing":
            words.append(f"mesh {'×'.join(map(str, kpoint_mesh(cell, value)))}")
        else:
            words.append(f"{axis.setting} {value:g} {get_engine(engine).settings[axis.setting].unit}")
    return ", ".join(words)
