"""Stage 2: frames with energies, forces and stress, from a file or computed by an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ExitCode, ProcessSpec, if_, while_
from aiida.orm import Dict, Int, List, Str, StructureData

from hashigo.calculators.calculation import WorkerCalculation
from hashigo.calculators.data import FramesData
from hashigo.calculators.engines import get_engine
from hashigo.calculators.engines.espresso_polar import PROGRAM as RESPONSE
from hashigo.calculators.engines.espresso_polar import wants_polar
from hashigo.calculators.engines.protocols import told
from hashigo.calculators.workers.evaluation import overlap
from hashigo.errors import HashigoError
from hashigo.scheduler_profiles.computers import program_code
from hashigo.scheduler_profiles.model import Site, load_site
from hashigo.workflows.batches import (
    DIED,
    FRAMES,
    PARTIAL,
    batch_options,
    frame_errors,
    frame_failure,
    frame_options,
    frames_reached,
    known_frames,
    runs_in_batch,
)
from hashigo.workflows.frame_nodes import (
    GATHERING,
    first_of_each,
    frame_structure,
    gather_frames,
    identities,
    merge_frames,
    missing_frames,
    reference_cell,
    sample_frames,
    split_atoms,
)
from hashigo.workflows.polar import put_charges
from hashigo.workflows.polar_steps import ChargesSteps
from hashigo.workflows.stage import Stage, job_failure, worker_inputs


class ReferenceWorkChain(ChargesSteps):
    """Take given frames, or sample configurations and have an engine compute them."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input("structure", valid_type=StructureData, help="Conventional standardised cell.")
        spec.input(
            "frames", valid_type=FramesData, required=False, help="Frames that were computed elsewhere."
        )
        spec.input(
            "configurations",
            valid_type=FramesData,
            required=False,
            help="What the engine is asked for in place of a sample.",
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
        spec.outline(
            if_(cls.is_given)(cls.take_given).else_(
                cls.sample,
                cls.find_known,
                while_(cls.frames_missing)(
                    if_(cls.is_batch)(cls.submit_batch, cls.take_batch).else_(
                        cls.submit_frames, cls.take_frames
                    )
                ),
                cls.merge,
                while_(cls.charges_missing)(cls.submit_ground_state, cls.submit_response, cls.take_response),
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
                program_code(self._site(), RESPONSE)
        except HashigoError as error:
            return self.exit_codes.ERROR_POLAR.format(message=str(error))
        if "configurations" in self.inputs:
            self.ctx.sampled = self.inputs.configurations
        else:
            self.ctx.sampled = sample_frames(self.inputs.structure, Dict(sampled_from(given)))
        self.out("structure", self.inputs.structure)
        return None

    def find_known(self) -> None:
        """Take the frames that were computed before, by batches or by jobs of their own."""
        self.ctx.parts = known_frames(self.ctx.sampled)
        self.ctx.failed = {}  # identity -> why this frame could not be computed
        self.ctx.ended = ""  # why no more jobs are worth starting
        self.ctx.reached = -1  # a batch that dies is started again once in any case

    def _engine(self) -> Any:
        return get_engine(self.inputs.parameters["engine"])

    def _site(self) -> Site:
        return load_site(self.inputs.site.value)

    def is_batch(self) -> bool:
        """Whether frames are computed by the batch worker."""
        return runs_in_batch(self._engine(), self.inputs.parameters.get_dict().get("packed"), self._site())

    def _missing(self) -> list[str]:
        """Identities of the frames that were neither computed nor given up, in order, each once."""
        have = {identity for part in self.ctx.parts for identity in identities(part)} | set(self.ctx.failed)
        return [identity for identity in dict.fromkeys(identities(self.ctx.sampled)) if identity not in have]

    def frames_missing(self) -> bool:
        """Whether frames are to be submitted."""
        return not self.ctx.ended and bool(self._missing())

    def submit_batch(self) -> None:
        """Start one job for all frames that are missing."""
        wanted, missing = set(identities(self.ctx.sampled)), set(self._missing())
        frames = self.ctx.sampled
        if missing != wanted:
            frames = missing_frames(frames, List(sorted(wanted - missing)))
        given = self.inputs.parameters.get_dict()
        parameters = Dict({"engine": given["engine"], "settings": given["settings"]})
        inputs = worker_inputs(self.inputs.site.value, "forces", parameters, {"frames": frames}, ranks=1)
        try:
            options = batch_options(self._site(), self._engine(), given["settings"], len(missing))
        except HashigoError as error:  # its program was there when the study was prepared
            self.ctx.ended = str(error)
            return
        inputs["metadata"] = {"options": options, "label": f"batch of {len(missing)} of {len(wanted)} frames"}
        self.to_context(batch=self.submit(WorkerCalculation, **inputs))

    def take_batch(self) -> None:
        """Keep what the batch computed; it goes on with the rest in another job as long as each gets further."""
        if self.ctx.ended:
            return
        batch = self.ctx.batch
        before = len(self._missing())
        if "result" in batch.outputs:
            self.ctx.parts.append(batch.outputs.result)
        if batch.is_finished_ok:
            return
        message = job_failure(batch)
        if batch.exit_status == FRAMES:
            told = frame_errors(batch)
            self.ctx.failed = {identity: told.get(identity, message) for identity in self._missing()}
        elif batch.exit_status == PARTIAL and len(self._missing()) < before:
            self.ctx.reached = -1
            self.report(f"another job goes on: {message}")
        elif batch.exit_status in DIED and frames_reached(batch) > self.ctx.reached:
            # Its frames are in the scratch folder, where a job with the same inputs finds them.
            self.ctx.reached = frames_reached(batch)
            self.report(f"the job died and is started again: {message}")
        else:
            self.ctx.ended = message

    def submit_frames(self) -> None:
        """Start a job for each of as many frames as the site allows at once."""
        given, site, engine = self.inputs.parameters.get_dict(), self._site(), self._engine()
        self.ctx.flying = {}
        try:
            code = program_code(site, engine.program)
        except HashigoError as error:  # it was there when the study was prepared
            self.ctx.ended = str(error)
            return
        options = frame_options(site, given["settings"])
        ranks = options["resources"]["num_mpiprocs_per_machine"]
        missing, total = self._missing(), len(set(identities(self.ctx.sampled)))
        todo = missing[: site.n_in_flight(given.get("max_in_flight"), ranks)]
        for count, (index, frame) in enumerate(
            first_of_each(self.ctx.sampled, todo), total - len(missing) + 1
        ):
            problem = overlap(frame)
            if problem:
                self.ctx.failed[frame.identity] = problem
                continue
            structure = frame_structure(self.ctx.sampled, Int(index))
            try:
                process, inputs = engine.job(
                    structure, frame.kind, given["settings"], code, options, site.walltime
                )
            except HashigoError as error:
                self.ctx.failed[frame.identity] = str(error)
                continue
            inputs.setdefault("metadata", {})["label"] = f"frame {index} ({count} of {total})"
            self.to_context(**{f"frame_{index}": self.submit(process, **inputs)})
            self.ctx.flying[frame.identity] = index

    def take_frames(self) -> None:
        """Keep what the jobs computed."""
        outputs: dict[str, Any] = {}
        for identity, index in self.ctx.flying.items():
            job = self.ctx[f"frame_{index}"]
            if job.is_finished_ok:
                outputs |= {f"frame_{index}__{port}": job.outputs[port] for port in self._engine().outputs}
            else:
                self.ctx.failed[identity] = frame_failure(job)
        if outputs:
            engine, version = Str(self._engine().name), Int(GATHERING)
            self.ctx.parts.append(gather_frames(self.ctx.sampled, engine, version, **outputs))

    def merge(self) -> ExitCode | None:
        """Hand on all frames; those that are there also where some failed."""
        lacking = bool(self.ctx.ended or self.ctx.failed)
        parts = {f"part_{index}": node for index, node in enumerate(self.ctx.parts)}
        merged = merge_frames(self.ctx.sampled, **parts) if parts else None
        # Free atoms alone are no frames of the crystal; they are found again by their identities.
        if merged is not None and any(frame.kind != "atom" for frame in merged.iter_frames()):
            self.ctx.computed = split_atoms(merged)
            charges = self.inputs.parameters.get_dict().get("charges")
            if charges:
                self.ctx.computed = put_charges(self.ctx.computed, Dict(charges))
            if lacking or not self.charges_missing():
                self.out("result", self.ctx.computed)
        if self.ctx.ended:
            return self.exit_codes.ERROR_JOB.format(message=self.ctx.ended)
        if self.ctx.failed:
            names = list(dict.fromkeys(identities(self.ctx.sampled)))
            first = next(identity for identity in names if identity in self.ctx.failed)
            index = identities(self.ctx.sampled).index(first)
            return self.exit_codes.ERROR_FRAMES.format(
                failed=len(self.ctx.failed),
                total=len(names),
                message=f"frame {index}: {self.ctx.failed[first]}",
            )
        return None


def sampled_from(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Of the stage's parameters those that say which configurations are computed, and how."""
    settings = get_engine(parameters["engine"]).physics(parameters["settings"])
    return {key: parameters[key] for key in ("engine", "sampling", "seed")} | {"settings": settings}


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
        **({} if polar == "auto" else {"polar": polar}),
        **({"charges": reference["charges"]} if reference.get("charges") else {}),
    }


def _needs(study: Mapping[str, Any]) -> str:
    reference = study["reference"]
    if reference["data"]:
        return f"frames from {reference['data']}"
    if study.get("learning"):
        return "what learning labelled"
    sampling = reference["sampling"]
    cells = sampling["strained"] + sampling["volumes"]
    counts = f"{sampling['displaced']} supercells {sampling['supercell']}, {cells} cells, free atoms"
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
    optional={"configurations": "learning.configurations"},
    parameters=_parameters,
    task="forces",
    needs=_needs,
)
