"""The steps that compute Born charges of a crystal whose frames are there: pw.x's ground state, ph.x's response."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, ProcessSpec, WorkChain

from hashigo.calculators.engines.espresso_polar import PROGRAM as RESPONSE
from hashigo.calculators.engines.espresso_polar import response_job, scf_inputs
from hashigo.errors import HashigoError
from hashigo.scheduler_profiles.computers import program_code
from hashigo.scheduler_profiles.model import Site
from hashigo.workflows.batches import clean_folder, frame_failure, frame_options, is_cached
from hashigo.workflows.polar import add_polar, primitive_cell
from hashigo.workflows.stage import job_failure


class ChargesSteps(WorkChain):
    """Steps of the reference stage; `ctx.computed` are its frames, `ctx.polar` says whether charges are wanted."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare the exit code."""
        super().define(spec)
        spec.exit_code(
            420,
            "ERROR_POLAR",
            message="no Born charges: {message} (fix: reference.polar: false goes without them)",
        )

    def _engine(self) -> Any:
        raise NotImplementedError

    def _site(self) -> Site:
        raise NotImplementedError

    def charges_missing(self) -> bool:
        """Whether Born charges are to be computed."""
        return bool(self.ctx.get("polar"))

    def submit_ground_state(self) -> ExitCode | None:
        """Start the run of the undisplaced crystal that its response is computed from."""
        engine, settings = self._engine(), self.inputs.parameters["settings"]
        self.ctx.options = frame_options(self._site(), settings)
        self.ctx.primitive = primitive_cell(self.inputs.structure)
        try:
            code = program_code(self._site(), engine.program)
            process, inputs = engine.job(
                self.ctx.primitive, "strained", settings, code, self.ctx.options, self._site().walltime
            )
        except HashigoError as error:  # a program or file that was there when the study was prepared
            return self._without_polar(str(error))
        inputs = scf_inputs(inputs, afresh="response" in self.ctx)
        inputs["metadata"] = {"label": "ground state for Born charges"}
        self.to_context(ground=self.submit(process, **inputs))
        return None

    def submit_response(self) -> ExitCode | None:
        """Start the response to an electric field."""
        ground = self.ctx.ground
        if not ground.is_finished_ok:
            return self._without_polar(frame_failure(ground))
        try:
            code = program_code(self._site(), RESPONSE)
        except HashigoError as error:
            return self._without_polar(str(error))
        process, inputs = response_job(code, ground.outputs.remote_folder, self.ctx.options)
        inputs["metadata"] = {"label": "Born charges"}
        self.to_context(response=self.submit(process, **inputs))
        return None

    def take_response(self) -> ExitCode | None:
        """Hand on the frames with Born charges."""
        response, folder = self.ctx.response, self.ctx.ground.outputs.remote_folder
        if not response.is_finished_ok and is_cached(self.ctx.ground):
            self.report(
                "the ground state is computed anew: that of the cache may have lost its scratch folder"
            )
            return None
        if not response.is_finished_ok:
            return self._without_polar(job_failure(response))
        try:
            self.out("result", add_polar(self.ctx.computed, self.ctx.primitive, response.outputs.retrieved))
        except HashigoError as error:
            return self._without_polar(str(error))
        self.ctx.polar = False
        clean_folder(folder)
        return None

    def _without_polar(self, message: str) -> ExitCode:
        self.out("result", self.ctx.computed)
        return self.exit_codes.ERROR_POLAR.format(message=message)
