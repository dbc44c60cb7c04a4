"""Stage 2: frames with energies, forces and stress, from a file or computed by an engine."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiida.engine import ExitCode, ProcessSpec, WorkChain, append_, calcfunction, if_, while_
from aiida.orm import CalcJobNode, Dict, Int, List, QueryBuilder, Str, StructureData

from hashigo.calculators.calculation import WorkerCalculation, task_version
from hashigo.calculators.data import FramesData
from hashigo.calculators.engines import get_engine
from hashigo.calculators.frames import Frame, write_frames
from hashigo.calculators.sampling import sample
from hashigo.scheduler_profiles.computers import program_code
from hashigo.scheduler_profiles.model import load_site
from hashigo.study.structures import structure_content, structure_from_content
from hashigo.workflows.stage import Stage, job_failure, worker_inputs


def frames_node(frames: list[Frame], header: Mapping[str, Any]) -> FramesData:
    """An unstored node of frames."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.h5"
        write_frames(path, frames, header)
        return FramesData(path)


@calcfunction
def sample_frames(structure: StructureData, parameters: Dict) -> FramesData:
    """Configurations to be computed, without energies."""
    given = parameters.get_dict()
    engine = get_engine(given["engine"])
    atoms = structure.get_ase()
    frames = sample(atoms, given["sampling"], given["seed"], engine.signature(given["settings"]))
    header = {
        "structure": structure_content(atoms),
        "supercell": list(given["sampling"]["supercell"]),
        "engine": engine.name,
        "first_principles": engine.first_principles,
        "settings": given["settings"],
    }
    return frames_node(frames, header)


@calcfunction
def frame_structure(frames: FramesData, index: Any) -> StructureData:
    """One configuration as a structure node for the engine's own plugin."""
    return StructureData(ase=frames.frames()[index.value].atoms())


@calcfunction
def gather_frames(sampled: FramesData, engine: Str, **outputs: Any) -> FramesData:
    """Frames with what the engine computed of each; `outputs` are named frame_INDEX__PORT."""
    from types import SimpleNamespace

    read = get_engine(engine.value).read
    assert read is not None
    ports: dict[int, dict[str, Any]] = {}
    for label, node in outputs.items():
        number, port = label.removeprefix("frame_").split("__")
        ports.setdefault(int(number), {})[port] = node
    frames = sampled.frames()
    done = []
    for index in sorted(ports):
        values = read(SimpleNamespace(**ports[index]))
        if frames[index].kind == "atom":
            values["stress"] = None
        done.append(replace(frames[index], **values))
    return frames_node(done, sampled.header())


@calcfunction
def missing_frames(sampled: FramesData, known: List) -> FramesData:
    """The sampled configurations whose identities are not known yet."""
    have = set(known.get_list())
    return frames_node([f for f in sampled.frames() if f.identity not in have], sampled.header())


@calcfunction
def merge_frames(sampled: FramesData, **computed: FramesData) -> FramesData:
    """Computed frames in the order in which they were sampled."""
    found = {frame.identity: frame for node in computed.values() for frame in node.frames()}
    return frames_node([found[frame.identity] for frame in sampled.frames()], sampled.header())


def known_frames(sampled: FramesData) -> list[FramesData]:
    """Nodes of earlier batches that hold some of the sampled frames: the same work has the same identity."""
    wanted = set(sampled.base.attributes.get("identities"))
    query = QueryBuilder().append(
        CalcJobNode,
        filters={"attributes.process_label": "WorkerCalculation", "attributes.exit_status": 0},
        tag="job",
    )
    # A corrected worker serves no old frames.
    query.append(
        Int, with_outgoing="job", edge_filters={"label": "task_version"},
        filters={"attributes.value": task_version("forces")},
    )  # fmt: skip
    filters = {"attributes.engine": sampled.base.attributes.get("engine")}
    query.append(
        FramesData, with_incoming="job", edge_filters={"label": "result"}, filters=filters, tag="frames"
    )
    nodes = []
    for node in query.order_by({"frames": {"id": "asc"}}).iterall():
        have = wanted & set(node[0].base.attributes.get("identities"))
        if have:
            nodes.append(node[0])
            wanted -= have
    return nodes


@calcfunction
def split_atoms(frames: FramesData) -> FramesData:
    """Move the energies of free atoms into the header: they are not configurations of the crystal."""
    every = frames.frames()
    atoms = {f.symbols[0]: f.energy for f in every if f.kind == "atom"}
    return frames_node([f for f in every if f.kind != "atom"], {**frames.header(), "atomic_energies": atoms})


@calcfunction
def reference_cell(frames: FramesData) -> StructureData:
    """The undisplaced conventional cell that the frames were made from."""
    return StructureData(ase=structure_from_content(frames.header()["structure"]))


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
        spec.outline(
            if_(cls.is_given)(cls.take_given).else_(
                cls.sample,
                if_(cls.is_batch)(cls.submit_batch, cls.take_batch).else_(
                    while_(cls.frames_left)(cls.submit_frames), cls.take_frames
                ),
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

    def sample(self) -> None:
        """Draw the configurations."""
        given = self.inputs.parameters.get_dict()
        settings = self._engine().physics(given["settings"])
        physics = {key: given[key] for key in ("engine", "sampling", "seed")} | {"settings": settings}
        self.ctx.sampled = sample_frames(self.inputs.structure, Dict(physics))
        self.out("structure", self.inputs.structure)
        self.ctx.next = 0
        self.ctx.frames = []

    def _engine(self) -> Any:
        return get_engine(self.inputs.parameters["engine"])

    def is_batch(self) -> bool:
        """Whether the engine runs inside the batch worker."""
        return self._engine().calculator is not None

    def submit_batch(self) -> None:
        """Start one job for all frames that no earlier batch has computed."""
        self.ctx.known = known_frames(self.ctx.sampled)
        have = {identity for node in self.ctx.known for identity in node.base.attributes.get("identities")}
        have &= set(self.ctx.sampled.base.attributes.get("identities"))
        self.ctx.batch = None
        if len(have) == self.ctx.sampled.base.attributes.get("n_frames"):
            return
        frames = missing_frames(self.ctx.sampled, List(sorted(have))) if have else self.ctx.sampled
        given = self.inputs.parameters.get_dict()
        parameters = Dict({"engine": given["engine"], "settings": given["settings"]})
        inputs = worker_inputs(self.inputs.site.value, "forces", parameters, {"frames": frames}, ranks=0)
        self.to_context(batch=self.submit(WorkerCalculation, **inputs))

    def take_batch(self) -> ExitCode | None:
        """Hand on what the batch computed."""
        batch = self.ctx.batch
        if batch is not None and not batch.is_finished_ok:
            return self.exit_codes.ERROR_JOB.format(message=job_failure(batch))
        parts = [*self.ctx.known, *([] if batch is None else [batch.outputs.result])]
        merged = merge_frames(self.ctx.sampled, **{f"part_{i}": node for i, node in enumerate(parts)})
        self.out("result", split_atoms(merged))
        return None

    def frames_left(self) -> bool:
        """Whether frames wait to be submitted."""
        return bool(self.ctx.next < self.ctx.sampled.base.attributes.get("n_frames"))

    def submit_frames(self) -> None:
        """Start as many frames as the site allows at once."""
        given = self.inputs.parameters.get_dict()
        site = load_site(self.inputs.site.value)
        engine = self._engine()
        code = program_code(site, engine.program)
        frames = self.ctx.sampled.frames()
        stop = min(len(frames), self.ctx.next + site.n_in_flight(given.get("max_in_flight")))
        for index in range(self.ctx.next, stop):
            structure = frame_structure(self.ctx.sampled, Int(index))
            process, inputs = engine.job(structure, frames[index].kind, given["settings"], code)
            inputs.setdefault("metadata", {})["label"] = f"frame {index + 1} of {len(frames)}"
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
        self.out("result", split_atoms(gathered))
        return None


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    reference = study["reference"]
    if reference["data"]:
        return {}
    return {
        "engine": reference["engine"],
        "settings": reference["settings"],
        "sampling": reference["sampling"],
        "seed": study["seed"],
        "max_in_flight": study["max_in_flight"],
    }


def _needs(study: Mapping[str, Any]) -> str:
    reference = study["reference"]
    if reference["data"]:
        return f"frames from {reference['data']}"
    sampling = reference["sampling"]
    counts = (
        f"{sampling['displaced']} supercells, {sampling['strained'] + sampling['volumes']} cells, free atoms"
    )
    one = get_engine(reference["engine"]).job is not None
    return f"{counts} by {reference['engine']}, {'one job a frame' if one else 'one job for all'}"


STAGE = Stage(
    name="reference",
    title="Reference frames",
    process="hashigo.reference",
    files={"structure": "structure"},
    parameters=_parameters,
    task="forces",
    needs=_needs,
)
