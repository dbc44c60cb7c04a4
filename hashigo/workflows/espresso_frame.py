"""One frame by pw.x: aiida-quantumespresso's PwBaseWorkChain with the remedies that it lacks."""

from __future__ import annotations

from typing import Any

from aiida.common import AttributeDict
from aiida.common.exceptions import NotExistent
from aiida.engine import ExitCode, ProcessHandlerReport, ProcessSpec, process_handler
from aiida.orm import Int
from aiida_quantumespresso.calculations.pw import PwCalculation
from aiida_quantumespresso.common.types import RestartType
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from hashigo.calculators.engines.espresso_output import said_in

_CODES = PwCalculation.exit_codes

#: Where aiida-quantumespresso puts pw.x's standard output.
OUTPUT_FILE = "aiida.out"

#: How a job ends that died: without output, with half of it, or in the words of a scheduler.
_DEAD = (
    _CODES.ERROR_NO_RETRIEVED_FOLDER,
    _CODES.ERROR_OUTPUT_STDOUT_MISSING,
    _CODES.ERROR_OUTPUT_STDOUT_INCOMPLETE,
    _CODES.ERROR_OUTPUT_XML_MISSING,
    _CODES.ERROR_OUTPUT_FILES,
    _CODES.ERROR_OUTPUT_XML_PARSE,
    _CODES.ERROR_OUT_OF_WALLTIME_INTERRUPTED,
    _CODES.ERROR_SCHEDULER_OUT_OF_WALLTIME,
    _CODES.ERROR_SCHEDULER_OUT_OF_MEMORY,
    _CODES.ERROR_SCHEDULER_NODE_FAILURE,
)

_DIED = (
    430,
    "ERROR_DIED",
    "pw.x died before its end, and once more when it was started again: killed, or out of memory?",
)

#: Status, label and sentence of a frame that is given up, by the exit status of its last job.
_SENTENCES = {
    **{code.status: _DIED for code in _DEAD},
    _CODES.ERROR_OUT_OF_WALLTIME.status: (
        431,
        "ERROR_WALLTIME",
        "the walltime of its job was not enough, twice the time neither (fix: raise reference.settings.walltime)",
    ),
    _CODES.ERROR_ELECTRONIC_CONVERGENCE_NOT_REACHED.status: (
        432,
        "ERROR_NOT_CONVERGED",
        "self-consistency was not reached, with slower mixing neither",
    ),
    _CODES.ERROR_CHARGE_IS_WRONG.status: (
        433,
        "ERROR_CHARGE",
        "pw.x lost electrons: the crystal is a metal (fix: set reference.settings.smearing)",
    ),
}


class PwFrameWorkChain(PwBaseWorkChain):
    """Starts pw.x once more when it died, and gives it more time; what failed is never taken from the cache."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare the input that bounds the walltime."""
        super().define(spec)
        spec.input(
            "longest",
            valid_type=Int,
            required=False,
            help="Longest walltime of a job that the site gives, s.",
        )
        for status, label, message in _SENTENCES.values():
            spec.exit_code(status, label, message=message)
        spec.exit_code(434, "ERROR_STOPPED", message="pw.x stopped: {message}")

    def inspect_process(self) -> ExitCode | None:
        """Look at how the job ended; a failure may have been the machine's, or an earlier try's."""
        job = self.ctx.children[self.ctx.iteration - 1]
        if not job.is_finished_ok:
            job.base.caching.is_valid_cache = False
        code = super().inspect_process()
        if code is not None and job.exit_status in {code.status for code in _DEAD} and _said(job):
            return self.exit_codes.ERROR_STOPPED.format(message=_said(job))
        given_up = code is not None and code.status != 0  # a job that is to be started again has code 0
        sentence = _SENTENCES.get(job.exit_status) if given_up else None
        return self.exit_codes(sentence[1]) if sentence else code

    @process_handler(priority=595, exit_codes=[_CODES.ERROR_OUT_OF_WALLTIME])
    def give_more_time(self, job: Any) -> None:
        """Give the next job more time; PwBaseWorkChain's own handler has pw.x go on where it was."""
        self._double_walltime()

    def _double_walltime(self) -> None:
        """Twice the walltime, as far as the site allows it."""
        metadata = self.ctx.inputs.metadata
        before = metadata.options.get("max_wallclock_seconds")
        if before is None:
            return
        longest = self.inputs.longest.value if "longest" in self.inputs else 2 * before
        options = {**metadata.options, "max_wallclock_seconds": max(before, min(2 * before, longest))}
        self.ctx.inputs.metadata = AttributeDict({**metadata, "options": AttributeDict(options)})
        # pw.x is told the time in its input, too: it is set anew.
        self.ctx.inputs.parameters["CONTROL"].pop("max_seconds", None)

    @process_handler(priority=594, exit_codes=list(_DEAD))
    def start_again(self, job: Any) -> ProcessHandlerReport | None:
        """Start a job that died before its end once more, from scratch and with more time."""
        if self.ctx.get("started_again") or _said(job):
            return None  # what pw.x itself refuses, it refuses again
        self.ctx.started_again = True
        self._double_walltime()
        self.set_restart_type(RestartType.FROM_SCRATCH)
        self.report_error_handled(job, "started once more")
        return ProcessHandlerReport(True)


def _said(job: Any) -> str:
    """Why pw.x stopped, in its own words; "" for none."""
    try:
        text = job.outputs.retrieved.base.repository.get_object_content(OUTPUT_FILE)
    except (NotExistent, OSError):
        return ""
    return said_in(text) if "Error in routine" in text else ""
