"""Optional stage before the reference: which frames to label, found in rounds until properties are known."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiida.engine import ExitCode, ProcessSpec, ToContext, WorkChain, calcfunction, if_, while_
from aiida.orm import Bool, Dict, List, Str, StructureData
from aiida.plugins import WorkflowFactory

from hashigo.calculators.calculation import WorkerCalculation
from hashigo.calculators.data import FramesData, QuantitiesData
from hashigo.calculators.learning import (
    FIRST,
    PROPERTIES,
    Round,
    read_round,
    sentence,
    shares,
    why_stop,
    write_rounds,
)
from hashigo.calculators.results import ResultWriter
from hashigo.workflows.frame_nodes import add_frames, identities, missing_frames, sample_frames
from hashigo.workflows.frame_times import seconds_per_frame
from hashigo.workflows.reference import sampled_from
from hashigo.workflows.stage import Stage, has_section, job_failure, stages, was_bad_input, worker_inputs

#: Version of `record_rounds`.
RECORDING = 1


class LearningWorkChain(WorkChain):
    """Label frames, train, compute the properties; choose more frames by the committee, until they are known."""

    @classmethod
    def define(cls, spec: ProcessSpec) -> None:
        """Declare inputs, outputs and exit codes."""
        super().define(spec)
        spec.input("structure", valid_type=StructureData, help="Conventional standardised cell.")
        spec.input("parameters", valid_type=Dict, help="The study's sections that a round takes.")
        spec.input("site", valid_type=Str, help="Where jobs run.")
        spec.output("result", valid_type=QuantitiesData, required=False, help="The rounds.")
        spec.output(
            "configurations", valid_type=FramesData, required=False, help="What was labelled, in order."
        )
        spec.exit_code(400, "ERROR_JOB", message="{message}")
        spec.outline(
            cls.prepare,
            while_(cls.goes_on)(
                if_(cls.has_committee)(cls.submit_choice, cls.take_choice).else_(cls.sample_more),
                cls.label,
                cls.train,
                cls.relax,
                cls.conduct,
                cls.take_round,
            ),
            cls.conclude,
        )

    def prepare(self) -> None:
        """Nothing is known yet."""
        self.ctx.count = 0  # of rounds
        self.ctx.chosen = 0  # frames that a committee chose
        self.ctx.facts = []  # of each round: frames, core_hours, failed
        self.ctx.nodes = {}  # "training_0", "stiffness_0", …: results of the rounds

    def _given(self) -> dict[str, Any]:
        return dict(self.inputs.parameters.get_dict())

    def _goal(self) -> dict[str, float]:
        return goal_of(self._given()["learning"])

    def _budget(self) -> dict[str, Any]:
        return dict(self._given()["learning"]["budget"])

    def _rounds(self) -> list[Round]:
        return rounds_of(self.ctx.facts, self.ctx.nodes, self._goal())

    def goes_on(self) -> bool:
        """Whether the goal is not reached and the budget is not spent."""
        return not why_stop(self._rounds(), self._goal(), self._budget())

    def has_committee(self) -> bool:
        """Whether the round before has a potential to choose by."""
        return self.ctx.count > 0 and f"training_{self.ctx.count - 1}" in self.ctx.nodes

    def submit_choice(self) -> ToContext:
        """Start the job that chooses the next frames."""
        given, before = self._given(), self.ctx.count - 1
        learning, sampling = given["learning"], given["reference"]["sampling"]
        last = self._rounds()[-1]
        batch = min(int(learning["batch"]), int(learning["budget"]["frames"]) - last.frames)
        supercells, strained = shares(last, self._goal(), batch)
        parameters = {
            "supercells": supercells,
            "strained": strained,
            **{key: learning[key] for key in ("sources", "temperatures", "dynamics_steps", "timestep")},
            **{key: sampling[key] for key in ("supercell", "displacement", "strain", "volume_range")},
            "seed": given["seed"] + 7919 * self.ctx.count,
        }
        files = {
            "structure": self.inputs.structure,
            "potential": self.ctx.nodes[f"training_{before}"],
            "frames": self.ctx.sampled,
        }
        inputs = worker_inputs(self.inputs.site.value, "candidates", Dict(parameters), files, ranks=1)
        return ToContext(choice=self.submit(WorkerCalculation, **inputs))

    def take_choice(self) -> None:
        """Add the chosen frames; random ones where none could be chosen."""
        if not self.ctx.choice.is_finished_ok:
            self.report(f"random frames are taken: {job_failure(self.ctx.choice)}")
            self.sample_more()
            return
        chosen = self.ctx.choice.outputs.result
        self.ctx.chosen += len(identities(chosen))
        self.ctx.sampled = add_frames(self.ctx.sampled, chosen)

    def sample_more(self) -> None:
        """Take random frames: in the first round, and after one that gave no potential."""
        reference = stages()["reference"].parameters(self._given())
        most = int(self._budget()["frames"]) - self.ctx.chosen
        sampling = first_sampling(reference["sampling"], self.ctx.count, most)
        random = sample_frames(self.inputs.structure, Dict(sampled_from({**reference, "sampling": sampling})))
        self.ctx.sampled = add_frames(self.ctx.sampled, random) if "sampled" in self.ctx else random

    def label(self) -> ToContext:
        """Have the engine compute what is not known."""
        reference = {**stages()["reference"].parameters(self._given()), "polar": False}
        inputs = {
            "structure": self.inputs.structure,
            "configurations": self.ctx.sampled,
            "parameters": Dict(reference),
            "site": self.inputs.site,
        }
        return self._start("reference", inputs)

    def train(self) -> ToContext | ExitCode:
        """Train the committee."""
        reference = self.ctx.reference
        if "result" not in reference.outputs:
            return self.exit_codes.ERROR_JOB.format(message=reference.exit_message or job_failure(reference))
        if not reference.is_finished_ok:
            self.report(f"some frames are left out: {reference.exit_message}")
            computed = set(identities(reference.outputs.result))
            left_out = [
                frame.identity
                for frame in self.ctx.sampled.iter_frames()
                if frame.kind != "atom" and frame.identity not in computed
            ]
            self.ctx.sampled = missing_frames(self.ctx.sampled, List(left_out))
        return self._start("potential", self._stage_inputs("potential", self._files()))

    def relax(self) -> ToContext | None:
        """Compute cell and stiffness."""
        if not self.ctx.potential.is_finished_ok:
            return None
        return self._start("elasticity", self._stage_inputs("elasticity", self._files("potential")))

    def conduct(self) -> ToContext | None:
        """Compute the conductivity on the coarse mesh, where the goal has it."""
        done = self.ctx.potential.is_finished_ok and self.ctx.elasticity.is_finished_ok
        if not done or "thermal_conductivity" not in self._goal():
            return None
        inputs = self._stage_inputs("conductivity", self._files("potential", "elasticity"))
        settings = inputs["parameters"].get_dict()
        coarse: dict[str, Any] = {
            "meshes": [settings["coarse_mesh"]],
            "force_constants": "potential",
            "cutoff": None,
        }
        if settings["snapshots"] == "auto":
            coarse["snapshots"] = 20
        return self._start("conductivity", {**inputs, "parameters": Dict({**settings, **coarse})})

    def _files(self, *names: str) -> dict[str, Any]:
        known = {"structure": self.inputs.structure, "frames": self.ctx.reference.outputs.result}
        return known | {name: self.ctx[name].outputs.result for name in names}

    def _stage_inputs(self, name: str, known: Mapping[str, Any]) -> dict[str, Any]:
        stage = stages()[name]
        return {
            "parameters": Dict(stage.parameters(self._given())),
            "site": self.inputs.site,
            # What is not known well is the reason for more frames, not for stopping.
            "stop_at_gates": Bool(False),
            "files": {file: known[file] for file in stage.files if file in known},
        }

    def _start(self, name: str, inputs: dict[str, Any]) -> ToContext:
        inputs["metadata"] = {"label": f"round {self.ctx.count + 1}: {name}"}
        return ToContext(**{name: self.submit(WorkflowFactory(stages()[name].process), **inputs)})

    def take_round(self) -> ExitCode | None:
        """Keep what the round found; what was asked for wrongly would fail in each round again."""
        count, frames = self.ctx.count, self.ctx.reference.outputs.result
        labels = {"potential": "training"} | {PROPERTIES[name][1]: name for name in self._goal()}
        failed = ""
        for name in ("potential", "elasticity", "conductivity"):
            process = self.ctx.get(name)
            if process is None:
                continue
            if process.is_finished_ok:
                if name in labels:
                    self.ctx.nodes[f"{labels[name]}_{count}"] = process.outputs.result
                continue
            failed = failed or process.exit_message or job_failure(process)
            if was_bad_input(process):
                return self.exit_codes.ERROR_JOB.format(message=failed)
        seconds = seconds_per_frame(frames)
        ranks = int(self._given()["reference"]["settings"].get("ranks", 1))
        number = len(set(identities(frames)))
        hours = None if seconds is None else seconds * number * ranks / 3600
        self.ctx.facts.append({"frames": number, "core_hours": hours, "failed": failed})
        for name in ("reference", "potential", "elasticity", "conductivity"):
            if name in self.ctx:
                del self.ctx[name]
        self.ctx.count += 1
        last = self._rounds()[-1]
        known = ", ".join(f"{name} {100 * share:.2g} %" for name, share in last.uncertainties.items())
        self.report(f"round {self.ctx.count}: {number} frames, {known or failed}")
        return None

    def conclude(self) -> None:
        """Hand on the configurations and the rounds."""
        goal, budget = self._goal(), self._budget()
        rounds = self._rounds()
        self.report(sentence(why_stop(rounds, goal, budget), rounds, goal))
        found = Dict({"facts": self.ctx.facts, "goal": goal, "budget": budget, "version": RECORDING})
        self.out("configurations", self.ctx.sampled)
        self.out("result", record_rounds(found, **self.ctx.nodes))


@calcfunction
def record_rounds(found: Dict, **results: QuantitiesData) -> QuantitiesData:
    """The rounds in one file; `results` are named training_0, stiffness_0, thermal_conductivity_0, …"""
    content = found.get_dict()
    rounds = rounds_of(content["facts"], results, content["goal"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rounds.h5"
        with ResultWriter(path, task="learning", task_version=content["version"]) as writer:
            write_rounds(writer, rounds, content["goal"], content["budget"])
        return QuantitiesData(path)


def goal_of(learning: Mapping[str, Any]) -> dict[str, float]:
    """Relative uncertainty asked for, by property, dimensionless."""
    return {name: float(value) for name, value in learning["until"].items() if value is not None}


def first_sampling(sampling: Mapping[str, Any], count: int, most: int) -> dict[str, Any]:
    """Random frames of a round that has no committee to choose by: the first's, and as many again each time.

    Args:
        sampling: the study's.
        count: number of rounds before.
        most: count of frames.
    """
    numbers = {name: min(FIRST[name], int(sampling[name])) * (count + 1) for name in FIRST}
    while sum(numbers.values()) > max(most, 1):
        numbers[max(numbers, key=lambda name: numbers[name])] -= 1
    return {**sampling, **numbers}


def rounds_of(facts: Any, nodes: Mapping[str, Any], goal: Mapping[str, float]) -> list[Round]:
    """What each round found.

    Args:
        facts: frames, core_hours, failed of each round.
        nodes: results by "training_0", "stiffness_0" and so on.
        goal: relative uncertainty by property, dimensionless.
    """
    out = []
    for index, fact in enumerate(facts):
        if f"training_{index}" not in nodes:
            out.append(Round(fact["frames"], fact["core_hours"], failed=fact["failed"]))
            continue
        readers = {name: nodes[f"{name}_{index}"].reader() for name in goal if f"{name}_{index}" in nodes}
        training = nodes[f"training_{index}"].reader()
        found = read_round(fact["frames"], fact["core_hours"], training, readers)
        out.append(Round(**{**vars(found), "failed": fact["failed"]}))
    return out


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    names = ("learning", "reference", "potential", "elasticity", "conductivity", "seed", "max_in_flight")
    return {name: study[name] for name in names}


def _needs(study: Mapping[str, Any]) -> str:
    learning = study["learning"]
    goals = ", ".join(f"{name.replace('_', ' ')} to {100 * v:g} %" for name, v in goal_of(learning).items())
    return (
        f"rounds of {learning['batch']} frames until {goals}, at most {learning['budget']['frames']} frames"
    )


STAGE = Stage(
    name="learning",
    title="Learning",
    process="hashigo.learning",
    files={"structure": "structure"},
    parameters=_parameters,
    task="forces",
    needs=_needs,
    wanted=has_section("learning"),
    serves=True,
)
