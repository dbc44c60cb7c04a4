"""The one CalcJob that runs every worker, and its parser."""

from __future__ import annotations

import ast
import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob, CalcJobProcessSpec, ExitCode
from aiida.orm import Dict, Int, SinglefileData, Str, StructureData
from aiida.parsers import Parser

from hashigo.calculators.data import FramesData, PotentialData, QuantitiesData
from hashigo.errors import HashigoError, InputError
from hashigo.study.structures import structure_content

JOB_FILE = "job.json"
RESULT_FILE = "result.h5"
ERROR_FILE = "error.json"
STATISTICS_FILE = "statistics.json"
LOG_FILE = "log.jsonl.gz"
PROGRESS_FILE = "progress.json"

#: Folder of partial results, seen from a job's folder: AiiDA puts that three levels below the computer's folder.
SCRATCH = "../../../partial"

#: The data node that a task's result becomes; other tasks give QuantitiesData.
RESULT_TYPES: dict[str, type[SinglefileData]] = {
    "forces": FramesData,
    "candidates": FramesData,
    "training": PotentialData,
}

#: Options that change how fast a result comes, not the result: they must not keep a finished job from being reused.
_NOT_PHYSICS = (
    "resources",
    "withmpi",
    "prepend_text",
    "append_text",
    "mpirun_extra_params",
    "environment_variables",
    "max_wallclock_seconds",
    "max_memory_kb",
    "program",
)


def task_version(task: str) -> int:
    """Version number of a worker task, read from its source without importing its heavy libraries.

    Raises:
        InputError: when there is no such task.
    """
    spec = importlib.util.find_spec(f"hashigo.calculators.workers.{task}")
    if spec is None or spec.origin is None:
        raise InputError(f"there is no worker task '{task}'")
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id == "TASK_VERSION" and isinstance(value, ast.Constant):
            return int(str(value.value))
    raise HashigoError(f"worker task '{task}' has no TASK_VERSION")


class WorkerCalculation(CalcJob):
    """Run one worker task: named input nodes and parameters in, one HDF5 file out."""

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input("task", valid_type=Str, help="Name of the worker task.")
        spec.input(
            "task_version", valid_type=Int, help="Its version: a corrected worker serves no old results."
        )
        spec.input("parameters", valid_type=Dict, help="Plain values, as in the study.")
        spec.input_namespace(
            "files", valid_type=(SinglefileData, StructureData), dynamic=True, help="Input nodes by name."
        )
        spec.output("result", valid_type=SinglefileData, required=False, help="What the task computed.")
        spec.output("statistics", valid_type=Dict, required=False, help="Times and ranks; no physics.")
        spec.output(
            "log",
            valid_type=SinglefileData,
            required=False,
            help="How each frame of a batch went: time, version, error.",
        )
        spec.input(
            "metadata.options.program",
            valid_type=(list, tuple),
            required=False,
            help="Launcher and program that an engine of the batch starts, word by word.",
        )
        spec.inputs["metadata"]["options"]["parser_name"].default = "hashigo.worker"
        spec.inputs["metadata"]["options"]["resources"].default = {
            "num_machines": 1,
            "num_mpiprocs_per_machine": 1,
        }
        spec.inputs["metadata"]["options"]["withmpi"].default = False
        codes = (
            (300, "ERROR_NO_RESULT", "the worker ended without a result: {message}"),
            (410, "ERROR_INPUT", "{message}"),
            (420, "ERROR_MISSING_COMPONENT", "{message}"),
            (430, "ERROR_WORKER", "{message}"),
            (440, "ERROR_PARTIAL", "{message}"),
            (441, "ERROR_FRAMES", "{message}"),
            (442, "ERROR_NOT_WRITTEN", "{message}"),
            (450, "ERROR_INVALID_RESULT", "the worker's result is not valid: {message}"),
        )
        for status, label, message in codes:
            spec.exit_code(status, label, message=message, invalidates_cache=True)

    def _setup_db_record(self) -> None:
        super()._setup_db_record()
        # The cache compares hashes; ranks, threads and launcher do not change what is computed.
        self.node._hash_ignored_attributes = (*type(self.node)._hash_ignored_attributes, *_NOT_PHYSICS)

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the job file and list the input files to copy."""
        names: dict[str, str] = {}
        copies = []
        for name, node in self.inputs.files.items():
            if isinstance(node, StructureData):
                names[name] = f"{name}.json"
                folder.create_file_from_filelike(
                    _stream(json.dumps(structure_content(node.get_ase()))), names[name], mode="wb"
                )
            else:
                names[name] = f"{name}{Path(node.filename).suffix}"
                copies.append((node.uuid, node.filename, names[name]))
        job = {
            "task": self.inputs.task.value,
            "parameters": self.inputs.parameters.get_dict(),
            "inputs": names,
            "output": RESULT_FILE,
            "threads": int(self.inputs.metadata.options.resources.get("num_cores_per_mpiproc") or 1),
            "scratch": SCRATCH,
            "walltime": self.inputs.metadata.options.get("max_wallclock_seconds"),
            "program": list(self.inputs.metadata.options.get("program", ())),
        }
        folder.create_file_from_filelike(_stream(json.dumps(job, indent=1)), JOB_FILE, mode="wb")
        info = CodeInfo()
        info.code_uuid = self.inputs.code.uuid
        info.cmdline_params = ["-m", "hashigo.calculators.workers", JOB_FILE]
        info.stdout_name = "worker.out"
        info.stderr_name = "worker.err"
        calculation = CalcInfo()
        calculation.codes_info = [info]
        calculation.local_copy_list = copies
        calculation.retrieve_list = [ERROR_FILE, STATISTICS_FILE, PROGRESS_FILE, "worker.err"]
        # These become nodes of their own; keeping them in `retrieved` too would store them twice.
        calculation.retrieve_temporary_list = [RESULT_FILE, LOG_FILE]
        return calculation


def _stream(text: str) -> Any:
    import io

    return io.BytesIO(text.encode("utf-8"))


class WorkerParser(Parser):
    """Turn what a worker left into outputs and an exit code."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach what the worker wrote, even when it failed afterwards: what was computed is kept."""
        codes = self.exit_codes
        error = self._json(ERROR_FILE)
        statistics = self._json(STATISTICS_FILE)
        if statistics is not None:
            self.out("statistics", Dict(statistics))
        path = Path(kwargs["retrieved_temporary_folder"]) / RESULT_FILE
        if path.with_name(LOG_FILE).is_file():
            self.out("log", SinglefileData(path.with_name(LOG_FILE)))
        if path.is_file():
            kind = RESULT_TYPES.get(self.node.inputs.task.value, QuantitiesData)
            with tempfile.TemporaryDirectory() as folder:
                try:
                    node = kind(path)
                    node._check(node.local_path(Path(folder)))
                except HashigoError as invalid:
                    return codes.ERROR_INVALID_RESULT.format(message=str(invalid))
            self.out("result", node)
        elif error is None:
            return codes.ERROR_NO_RESULT.format(message=self._last_words())
        if error is None:
            return None
        code = {
            "InputError": codes.ERROR_INPUT,
            "MissingComponent": codes.ERROR_MISSING_COMPONENT,
            "PartialResult": codes.ERROR_PARTIAL,
            "FramesFailed": codes.ERROR_FRAMES,
            "NotWritten": codes.ERROR_NOT_WRITTEN,
        }.get(error["kind"], codes.ERROR_WORKER)
        fix = f" (fix: {error['fix']})" if error.get("fix") else ""
        return code.format(message=f"{error['message']}{fix}")

    def _json(self, name: str) -> dict[str, Any] | None:
        if name not in self.retrieved.base.repository.list_object_names():
            return None
        try:
            return dict(json.loads(self.retrieved.base.repository.get_object_content(name)))
        except ValueError:  # cut off when its writer was killed
            return None

    def _last_words(self) -> str:
        """The last line a worker that broke down wrote to its standard error."""
        names = self.retrieved.base.repository.list_object_names()
        text = (
            self.retrieved.base.repository.get_object_content("worker.err") if "worker.err" in names else ""
        )
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else "it wrote nothing to its standard error"
