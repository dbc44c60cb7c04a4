"""What a stage is, and the WorkChain that most of them are: one worker job with a gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any, ClassVar

from aiida.engine import ExitCode, ProcessSpec, ToContext, WorkChain
from aiida.orm import Bool, CalcJobNode, Dict, Int, List, SinglefileData, Str, StructureData

from hashigo.calculators.calculation import WorkerCalculation, task_version
from hashigo.calculators.data import QuantitiesData
from hashigo.calculators.results import GATES
from hashigo.errors import HashigoError
from hashigo.scheduler_profiles.computers import job_options, worker_code
from hashigo.scheduler_profiles.model import load_site

GATE_EXIT = 430
#: The calcfunction that does as a worker does.
HANDOVER = "handover_table"


@dataclass(frozen=True)
class Stage:
    """One rung of the ladder.

    Attributes:
        name: key of its section in the study.
        title: as printed.
        process: entry point of its WorkChain in `aiida.workflows`.
        files: results it takes: name of the job's input file -> "stage" or "stage.output".
        parameters: picks the plain values its jobs need from the study (as a mapping) and those only, so that a
            change elsewhere does not compute it again.
        task: worker task it runs, for `plan`; "" where it runs none.
        needs: what it will need, in words, for `plan`.
        gates: further stages that must have held before it is worth starting.
        wanted: whether a study (as a mapping) asks for it; None where every study does.
        jobs: count of worker jobs it runs for a study (as a mapping), where it runs any.
        further: outputs that are handed on beside its result, as STAGE_OUTPUT.
        optional: results it takes where the study runs their stage, like `files`.
        judged_elsewhere: names of its gates that another stage of a study (as a mapping) judges: they do not stop it.
        serves: whether it is not worth running but for those that may take its result.
        given: inputs of the run that it takes where the study's files give them, like `files`.
    """

    name: str
    title: str
    process: str
    files: Mapping[str, str]
    parameters: Callable[[Mapping[str, Any]], dict[str, Any]]
    task: str = ""
    needs: Callable[[Mapping[str, Any]], str] = lambda study: ""
    gates: tuple[str, ...] = ()
    wanted: Callable[[Mapping[str, Any]], bool] | None = None
    jobs: Callable[[Mapping[str, Any]], int] = lambda study: 1
    further: tuple[str, ...] = ()
    optional: Mapping[str, str] = field(default_factory=dict)
    judged_elsewhere: Callable[[Mapping[str, Any]], tuple[str, ...]] = lambda study: ()
    serves: bool = False
    given: tuple[str, ...] = ()

    @property
    def after(self) -> set[str]:
        """Names of the stages that come before it."""
        return {source.partition(".")[0] for source in self.files.values()} | set(self.gates)

    @property
    def not_before(self) -> set[str]:
        """Names of the stages that come before it where a study runs them."""
        return {source.partition(".")[0] for source in self.optional.values()}


@cache
def stages() -> dict[str, Stage]:
    """All registered stages by name, each after those whose results it takes."""
    found: dict[str, Stage] = {point.name: point.load() for point in entry_points(group="hashigo.stages")}
    ordered: dict[str, Stage] = {}
    while len(ordered) < len(found):
        ready = [
            s
            for name, s in sorted(found.items())
            if name not in ordered and s.after | (s.not_before & set(found)) <= set(ordered)
        ]
        if not ready:
            raise HashigoError(f"stages wait for each other: {', '.join(sorted(set(found) - set(ordered)))}")
        ordered.update({stage.name: stage for stage in ready})
    return ordered


def stages_of(study: Mapping[str, Any]) -> list[Stage]:
    """The stages that a study runs: the last one it names and all that this takes, directly or not.

    An optional stage runs when the study asks for it and what it takes is run; one that only serves others runs for
    them.

    Args:
        study: the study as plain values.
    """
    ladder = stages()
    needed = {study["until"]}
    while more := {name for stage in needed for name in ladder[stage].after} - needed:
        needed |= more
    chosen: dict[str, Stage] = {}
    for name, stage in ladder.items():
        asked = name in needed or (stage.wanted is not None and stage.wanted(study))
        takers = {taker.name for taker in ladder.values() if name in taker.not_before}
        if asked and stage.after <= set(chosen) and (not stage.serves or takers & needed):
            chosen[name] = stage
    return list(chosen.values())


def left_out(study: Mapping[str, Any]) -> list[str]:
    """Titles of the stages that a study has a section on, but ends before.

    Args:
        study: the study as plain values.
    """
    run = {stage.name for stage in stages_of(study)}
    return [
        stage.title
        for name, stage in stages().items()
        if stage.wanted is not None and stage.wanted(study) and name not in run
    ]


def has_section(name: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a study has a section: what an optional stage says of being wanted.

    Args:
        name: key of the section.
    """
    return lambda study: study.get(name) is not None


class WorkerStage(WorkChain):
    """A stage of one worker job. A subclass names the task, and the program that its worker starts, if any."""

    TASK: ClassVar[str]
    RANKS: ClassVar[int] = 1
    PROGRAM: ClassVar[str] = ""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input("parameters", valid_type=Dict, help="Plain values of this stage.")
        spec.input("site", valid_type=Str, help="Where its job runs.")
        spec.input("stop_at_gates", valid_type=Bool, default=lambda: Bool(True), help="Whether a gate stops.")
        spec.input(
            "judged_elsewhere",
            valid_type=List,
            default=lambda: List([]),
            help="Names of gates that another stage judges.",
        )
        spec.input_namespace(
            "files", valid_type=(SinglefileData, StructureData), dynamic=True, help="Results used."
        )
        spec.output("result", valid_type=SinglefileData, required=False, help="What the stage computed.")
        spec.exit_code(400, "ERROR_JOB", message="{message}")
        spec.exit_code(GATE_EXIT, "ERROR_GATE", message="{message}")
        spec.outline(cls.submit_job, cls.take_result)

    @classmethod
    def most_ranks(cls, parameters: Mapping[str, Any]) -> int:
        """Count of MPI ranks that the job can use; 0 for all cores.

        Args:
            parameters: of the stage.
        """
        return cls.RANKS

    def job_parameters(self) -> Dict:
        """Parameters of the job."""
        return self.inputs.parameters

    def submit_job(self) -> ToContext:
        """Start the worker."""
        parameters = self.job_parameters()
        ranks = self.most_ranks(parameters.get_dict())
        inputs = worker_inputs(self.inputs.site.value, self.TASK, parameters, dict(self.inputs.files), ranks)
        codes = load_site(self.inputs.site.value).codes
        if self.PROGRAM in codes:
            inputs["metadata"]["options"]["program"] = [codes[self.PROGRAM]]
        return ToContext(job=self.submit(WorkerCalculation, **inputs))

    def take_result(self) -> ExitCode | None:
        """Hand on the result; a gate stops the climb, unless the study says otherwise."""
        job: CalcJobNode = self.ctx.job
        if "result" in job.outputs:
            self.out("result", job.outputs.result)
        if not job.is_finished_ok:
            return self.exit_codes.ERROR_JOB.format(message=job_failure(job))
        broken = broken_gate(job.outputs.result, self.inputs.judged_elsewhere.get_list())
        if broken and self.inputs.stop_at_gates.value:
            return self.exit_codes.ERROR_GATE.format(message=broken)
        if broken:
            self.report(f"gate not held, going on as the study says: {broken}")
        return None


def broken_gate(result: Any, judged_elsewhere: Sequence[str] = ()) -> str:
    """What does not hold of a result and what to do about it; "" when its gate held or it has none.

    Args:
        result: node of a worker's result.
        judged_elsewhere: names of gates that do not count.
    """
    if not isinstance(result, QuantitiesData):
        return ""
    with result.reader() as reader:
        notes = [reader.note(name) for name in GATES]
    broken = [note for note in notes if note is not None and not note["passed"]]
    gate = next((note for note in broken if note["name"] not in judged_elsewhere), None)
    if gate is None:
        return ""
    fix = f" (fix: {gate['fix']})" if gate.get("fix") else ""
    return f"{gate.get('message') or gate['name']}{fix}"


def job_failure(process: Any) -> str:
    """One sentence on why a process ended without success: the message of the deepest process that failed."""
    for child in reversed(process.called):
        if child.is_terminated and not child.is_finished_ok:
            return job_failure(child)
    if process.exit_message:
        return str(process.exit_message)
    if process.exception:
        return str(process.exception).strip().splitlines()[-1]
    state = process.process_state.value if process.process_state else "lost"
    return f"{process.process_label} <{process.pk}> was {state}"


def worker_inputs(
    site_name: str, task: str, parameters: Dict, files: dict[str, Any], ranks: int
) -> dict[str, Any]:
    """Inputs of a WorkerCalculation.

    Args:
        site_name: id of the site.
        task: name of the worker task.
        parameters: plain values.
        files: input nodes by name.
        ranks: count of MPI ranks; 0 for all cores of the site.
    """
    site = load_site(site_name)
    return {
        "code": worker_code(site),
        "task": Str(task),
        "task_version": Int(task_version(task)),
        "parameters": parameters,
        "files": files,
        "metadata": {"options": job_options(site, ranks or site.n_cores()), "label": task},
    }


def was_bad_input(process: Any) -> bool:
    """Whether a run failed because of what it was given: a job said so, or that a component is missing."""
    return any(
        job.process_label in (WorkerCalculation.__name__, HANDOVER) and job.exit_status in (410, 420)
        for job in process.called_descendants
    )
