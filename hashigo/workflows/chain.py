"""The whole ladder: each stage as soon as the results it takes are there."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, ProcessSpec, WorkChain, while_
from aiida.orm import Bool, Data, Dict, Float, List, SinglefileData, Str, StructureData
from aiida.plugins import WorkflowFactory

from hashigo.calculators.data import FramesData
from hashigo.workflows.stage import Stage, job_failure, stages, stages_of


class MultiscaleWorkChain(WorkChain):
    """From a structure and a reference up to the study's last stage."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input("study", valid_type=Dict, help="The study, complete and checked.")
        spec.input("structure", valid_type=StructureData, help="The crystal as given.")
        spec.input(
            "frames", valid_type=FramesData, required=False, help="Reference frames computed elsewhere."
        )
        spec.input(
            "microstructure",
            valid_type=SinglefileData,
            required=False,
            help="Grains and orientations read from files.",
        )
        spec.input("body", valid_type=SinglefileData, required=False, help="Voxels of the component.")
        spec.output_namespace(
            "stages", valid_type=Data, dynamic=True, help="Result of each stage by its name."
        )
        spec.exit_code(410, "ERROR_STAGE", message="stage '{stage}' failed: {message}")
        spec.exit_code(430, "ERROR_GATE", message="stage '{stage}' was stopped by a gate: {message}")
        spec.outline(cls.prepare, while_(cls.stages_left)(cls.climb, cls.take))

    def prepare(self) -> None:
        """Nothing has run yet."""
        self.ctx.finished = []
        self.ctx.started = []

    def _ladder(self) -> list[Stage]:
        return stages_of(self.inputs.study.get_dict())

    def stages_left(self) -> bool:
        """Whether stages wait to be run."""
        return len(self.ctx.finished) < len(self._ladder())

    def climb(self) -> None:
        """Start every stage whose results are there."""
        finished = set(self.ctx.finished)
        ladder = self._ladder()
        names = {stage.name for stage in ladder}
        ready = [s for s in ladder if s.name not in finished and s.after | (s.not_before & names) <= finished]
        self.ctx.started = [stage.name for stage in ready]
        for stage in ready:
            inputs = self._inputs(stage)
            inputs["metadata"] = {"label": stage.name, "call_link_label": stage.name}
            self.to_context(**{stage.name: self.submit(WorkflowFactory(stage.process), **inputs)})

    def _inputs(self, stage: Stage) -> dict[str, Any]:
        study = self.inputs.study.get_dict()
        parameters = stage.parameters(study)
        if stage.name == "structure":
            return {"structure": self.inputs.structure, "tolerance": Float(parameters["tolerance"])}
        files = {name: self._result(source) for name, source in stage.files.items()}
        for name, source in stage.optional.items():
            if source.partition(".")[0] in self.ctx.finished:
                files[name] = self._result(source)
        files.update({name: self.inputs[name] for name in stage.given if name in self.inputs})
        common = {"parameters": Dict(parameters), "site": Str(study["site"])}
        if stage.name in ("reference", "learning"):
            given = {"frames": self.inputs.frames} if "frames" in self.inputs else {}
            return {**common, **files, **given}
        return {
            **common,
            "files": files,
            "stop_at_gates": Bool(study["stop_at_gates"]),
            "judged_elsewhere": List(list(stage.judged_elsewhere(study))),
        }

    def _result(self, source: str) -> Data:
        stage, _, output = source.partition(".")
        return self.ctx[stage].outputs[output or "result"]

    def take(self) -> ExitCode | None:
        """Hand on the results; stop at the first stage that failed."""
        failed = None
        for name in self.ctx.started:
            process = self.ctx[name]
            if "result" in process.outputs:
                self.out(f"stages.{name}", process.outputs.result)
            for output in stages()[name].further:
                if output in process.outputs:
                    self.out(f"stages.{name}_{output}", process.outputs[output])
            if process.is_finished_ok:
                self.ctx.finished.append(name)
            else:
                failed = failed or (name, process)
        if failed is None:
            return None
        name, process = failed
        codes = self.exit_codes
        code = codes.ERROR_GATE if process.exit_status == codes.ERROR_GATE.status else codes.ERROR_STAGE
        return code.format(stage=name, message=process.exit_message or job_failure(process))
