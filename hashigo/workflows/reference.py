"""Stage 2: frames with energies, forces and stress, from a file or computed by an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode, ProcessSpec, ToContext, WorkChain, append_, if_, while_
from aiida.orm import Dict, Int, List, Str, StructureData

from hashigo.calculators.calculation import WorkerCalculation
from hashigo.calculators.data import FramesData
from hashigo.calculators.engines import get_engine
from hashigo.calculators.engines.espresso_polar import PROGRAM as RESPONSE
from hashigo.calculators.engines.espresso_polar import response_job, scf_inputs
from hashigo.calculators.engines.protocols import told
from hashigo.errors import HashigoError
from hashigo.scheduler_profiles.computers import program_code
from hashigo.scheduler_profiles.model import load_site
from hashigo.workflows.batches import (
    DIED,
    FRAMES,
    PARTIAL,
    batch_options,
    frame_options,
    frames_reached,
    known_frames,
    runs_in_batch,
)
from hashigo.workflows.frame_nodes import (
    frame_structure,
    gather_frames,
    identities,
    merge_frames,
    missing_frames,
    reference_cell,
    sample_frames,
    split_atoms,
)
from hashigo.workflows.polar import add_polar, primitive_cell, wants_polar
from hashigo.workflows.stage import Stage, job_failure, worker_inputs


class ReferenceWorkChain(WorkChain):
    """Take given frames, or sample configurations and have an engine compute them."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input("structure", valid_type=StructureData, help="Conventional standardised cell.")
        spec.input(
            "frames", valid_type=FramesData, required=False, help="Frames that were computed elsewhere."
        )
        spec.input("parameters", valid_type=Dict, help="Engine, settings, sampling, seed.")
        spec.input("site", valid_type=Str, help="Where the engine runs.")
        spec.output("result", valid_type=FramesData, required=False, help="Frames with energies and forces.")
        spec.output(
            "structure", valid_type=StructureData, required=False, help="The cell the frames belong to."
        )
        spec.exit_code(400, "ERROR_JOB", message="{message}")
        spec.exit_code(
            410,
            "ERROR_FRAMES",
            message="{failed} of {total} frames could not be computed; the first: {message}",
        )
        spec.exit_code(
            420,
            "ERROR_POLAR",
            message="no Born charges: {message} (fix: reference.polar: false goes without them)",
        )
        spec.outline(
            if_(cls.is_given)(cls.take_given).else_(
                cls.sample,
                if_(cls.is_batch)(
                    cls.find_known, while_(cls.frames_missing)(cls.submit_batch, cls.take_batch), cls.merge
                ).else_(while_(cls.frames_left)(cls.submit_frames), cls.take_frames),
                if_(cls.is_polar)(cls.submit_ground_state, cls.submit_response, cls.take_polar),
            )
        )

    def is_given(self) -> bool:
        """Whether frames come from a file."""
        return "frames" in self.inputs

    def take_given(self) -> None:
        """Hand on the given frames."""
        frames = self.inputs.frames
        self.out("result", frames)
        known = "structure" in frames.header()
        self.out("structure", reference_cell(frames) if known else self.inputs.structure)

    def sample(self) -> ExitCode | None:
        """Draw the configurations; what the last step will need is looked for before the first."""
        given = self.inputs.parameters.get_dict()
        try:
            self.ctx.polar = wants_polar(given, set(self.inputs.structure.get_symbols_set()))
            if self.ctx.polar:
                program_code(load_site(self.inputs.site.value), RESPONSE)
        except HashigoError as error:
            return self.exit_codes.ERROR_POLAR.format(message=str(error))
        settings = self._engine().physics(given["settings"])
        physics = {key: given[key] for key in ("engine", "sampling", "seed")} | {"settings": settings}
        self.ctx.sampled = sample_frames(self.inputs.structure, Dict(physics))
        self.out("structure", self.inputs.structure)
        self.ctx.next = 0
        self.ctx.frames = []
        return None

    def _engine(self) -> Any:
        return get_engine(self.inputs.parameters["engine"])

    def is_batch(self) -> bool:
        """Whether frames are computed by the batch worker."""
        given = self.inputs.parameters.get_dict()
        return runs_in_batch(self._engine(), given.get("packed"), load_site(self.inputs.site.value))

    def find_known(self) -> None:
        """Take the frames that earlier batches have computed."""
        self.ctx.parts = known_frames(self.ctx.sampled)
        self.ctx.reached = -1  # a job that dies is started again once in any case
        self.ctx.failed = None

    def _missing(self) -> set[str]:
        have = {identity for part in self.ctx.parts for identity in identities(part)}
        return set(identities(self.ctx.sampled)) - have

    def frames_missing(self) -> bool:
        """Whether a batch is to be submitted: frames are missing, and the last batch got further."""
        return self.ctx.failed is None and bool(self._missing())

    def submit_batch(self) -> None:
        """Start one job for all frames that are missing."""
        wanted = set(identities(self.ctx.sampled))
        missing = self._missing()
        frames = self.ctx.sampled
        if missing != wanted:
            frames = missing_frames(frames, List(sorted(wanted - missing)))
        given = self.inputs.parameters.get_dict()
        parameters = Dict({"engine": given["engine"], "settings": given["settings"]})
        inputs = worker_inputs(self.inputs.site.value, "forces", parameters, {"frames": frames}, ranks=1)
        options = batch_options(
            load_site(self.inputs.site.value), self._engine(), given["settings"], len(missing)
        )
        inputs["metadata"] = {"options": options, "label": f"batch of {len(missing)} of {len(wanted)} frames"}
        self.to_context(batch=self.submit(WorkerCalculation, **inputs))

    def take_batch(self) -> None:
        """Keep what the batch computed; it goes on with the rest in another job as long as each gets further."""
        batch = self.ctx.batch
        before = len(self._missing())
        if "result" in batch.outputs:
            self.ctx.parts.append(batch.outputs.result)
        if batch.is_finished_ok:
            return
        message = job_failure(batch)
        if batch.exit_status == PARTIAL and len(self._missing()) < before:
            self.ctx.reached = -1
            self.report(f"another job goes on: {message}")
        elif batch.exit_status in DIED and frames_reached(batch) > self.ctx.reached:
            # Its frames are in the scratch folder, where a job with the same inputs finds them.
            self.ctx.reached = frames_reached(batch)
            self.report(f"the job died and is started again: {message}")
        else:
            self.ctx.failed = (batch.exit_status, message)

    def merge(self) -> ExitCode | None:
        """Hand on all frames; those that are there also where some failed."""
        if self.ctx.parts:
            parts = {f"part_{index}": node for index, node in enumerate(self.ctx.parts)}
            self.ctx.computed = split_atoms(merge_frames(self.ctx.sampled, **parts))
            if self.ctx.failed is not None or not self.is_polar():
                self.out("result", self.ctx.computed)
        if self.ctx.failed is None:
            return None
        status, message = self.ctx.failed
        if status != FRAMES:
            return self.exit_codes.ERROR_JOB.format(message=message)
        return self.exit_codes.ERROR_FRAMES.format(
            failed=len(self._missing()),
            total=len(set(identities(self.ctx.sampled))),
            message=message.partition("the first: ")[2],
        )

    def frames_left(self) -> bool:
        """Whether frames wait to be submitted."""
        return bool(self.ctx.next < self.ctx.sampled.base.attributes.get("n_frames"))

    def submit_frames(self) -> None:
        """Start as many frames as the site allows at once."""
        given = self.inputs.parameters.get_dict()
        site = load_site(self.inputs.site.value)
        engine = self._engine()
        code = program_code(site, engine.program)
        options = frame_options(site, given["settings"])
        ranks = options["resources"]["num_mpiprocs_per_machine"]
        kinds = [frame.kind for frame in self.ctx.sampled.iter_frames()]
        stop = min(len(kinds), self.ctx.next + site.n_in_flight(given.get("max_in_flight"), ranks))
        for index in range(self.ctx.next, stop):
            structure = frame_structure(self.ctx.sampled, Int(index))
            process, inputs = engine.job(structure, kinds[index], given["settings"], code, options)
            inputs.setdefault("metadata", {})["label"] = f"frame {index + 1} of {len(kinds)}"
            self.to_context(frames=append_(self.submit(process, **inputs)))
        self.ctx.next = stop

    def take_frames(self) -> ExitCode | None:
        """Hand on all frames; with a failed one, what was computed stays in the cache and the climb stops."""
        jobs = self.ctx.frames
        failed = [job for job in jobs if not job.is_finished_ok]
        if failed:
            return self.exit_codes.ERROR_FRAMES.format(
                failed=len(failed), total=len(jobs), message=job_failure(failed[0])
            )
        outputs = {
            f"frame_{index}__{port}": job.outputs[port]
            for index, job in enumerate(jobs)
            for port in self._engine().outputs
        }
        gathered = gather_frames(self.ctx.sampled, Str(self._engine().name), **outputs)
        self.ctx.computed = split_atoms(gathered)
        if not self.is_polar():
            self.out("result", self.ctx.computed)
        return None

    def is_polar(self) -> bool:
        """Whether Born charges are computed when all frames are there."""
        return bool(self.ctx.get("polar"))

    def submit_ground_state(self) -> ToContext:
        """Start the run of the undisplaced crystal that its response is computed from."""
        engine = self._engine()
        code = program_code(load_site(self.inputs.site.value), engine.program)
        self.ctx.primitive = primitive_cell(self.inputs.structure)
        settings = self.inputs.parameters["settings"]
        process, inputs = engine.job(self.ctx.primitive, "strained", settings, code)
        self.ctx.options = inputs["pw"]["metadata"]["options"]
        inputs = scf_inputs(inputs) | {"metadata": {"label": "ground state for Born charges"}}
        return ToContext(ground=self.submit(process, **inputs))

    def submit_response(self) -> Any:
        """Start the response to an electric field."""
        ground = self.ctx.ground
        if not ground.is_finished_ok:
            return self._without_polar(job_failure(ground))
        code = program_code(load_site(self.inputs.site.value), RESPONSE)
        process, inputs = response_job(code, ground.outputs.remote_folder, self.ctx.options)
        inputs["metadata"] = {"label": "Born charges"}
        return ToContext(response=self.submit(process, **inputs))

    def take_polar(self) -> ExitCode | None:
        """Hand on the frames with Born charges."""
        response = self.ctx.response
        if not response.is_finished_ok:
            return self._without_polar(job_failure(response))
        try:
            self.out("result", add_polar(self.ctx.computed, self.ctx.primitive, response.outputs.retrieved))
        except HashigoError as error:
            return self._without_polar(str(error))
        return None

    def _without_polar(self, message: str) -> ExitCode:
        self.out("result", self.ctx.computed)
        return self.exit_codes.ERROR_POLAR.format(message=message)


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    reference = study["reference"]
    if reference["data"]:
        return {}
    polar = reference.get("polar", "auto")
    return {
        "engine": reference["engine"],
        "settings": reference["settings"],
        "sampling": reference["sampling"],
        "seed": study["seed"],
        "max_in_flight": study["max_in_flight"],
        "packed": reference.get("packed"),
    } | ({} if polar == "auto" else {"polar": polar})


def _needs(study: Mapping[str, Any]) -> str:
    reference = study["reference"]
    if reference["data"]:
        return f"frames from {reference['data']}"
    sampling = reference["sampling"]
    counts = (
        f"{sampling['displaced']} supercells, {sampling['strained'] + sampling['volumes']} cells, free atoms"
    )
    site = load_site(study["site"])
    engine = get_engine(reference["engine"])
    batch = runs_in_batch(engine, reference.get("packed"), site)
    protocol = reference.get("protocol")
    values = f", protocol {protocol}: {told(engine, reference['settings'])}" if protocol else ""
    return f"{counts} by {engine.name}, {'one job for all' if batch else 'one job a frame'}{values}"


STAGE = Stage(
    name="reference",
    title="Reference frames",
    process="hashigo.reference",
    files={"structure": "structure"},
    parameters=_parameters,
    task="forces",
    needs=_needs,
)
