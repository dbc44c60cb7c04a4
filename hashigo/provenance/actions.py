"""The run itself as entities: workflows and their steps, tools, parameters, and the actions that ran them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hashigo.provenance.entities import (
    BIO_PARAMETER,
    BIO_WORKFLOW,
    COMPLETED,
    ENGINE_HOME,
    FAILED,
    PYTHON,
    Contents,
    Entity,
    Ref,
    authors,
    data_entity,
    data_id,
    error_of,
    file_entity,
    iso,
    parameter_type,
    refs,
    step_name,
    usage_entity,
)
from hashigo.provenance.graph import Data, Link, Process
from hashigo.provenance.tools import Tool, slug

INPUT, OUTPUT = "in", "out"


@dataclass(frozen=True)
class Call:
    """One step that a workflow took: the process it called, and the tool and action that stand for it.

    A root that called nothing is described as a workflow of one step, which is itself.
    """

    caller: Process
    process: Process
    tool: str
    action: str
    step: str


class Run:
    """Builds the entities of one run."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.graph = contents.graph
        self.links: dict[str, list[Link]] = {}
        for link in self.graph.links:
            self.links.setdefault(link.process, []).append(link)
        self.calls = self._calls()
        self.people = authors(contents)

    def tool_id(self, tool: Tool) -> str:
        """Identifier of a tool: the file with its source, where the package has it."""
        source = self.contents.sources.get(tool.key)
        return source.path if source is not None else f"#tool-{tool.key}"

    def _calls(self) -> dict[str, list[Call]]:
        calls: dict[str, list[Call]] = {}
        for process in self.graph.processes.values():
            if process.caller is None:
                continue
            caller = self.graph.processes[process.caller]
            tool, of = self.contents.tools[process.uuid], self.contents.tools[caller.uuid]
            step = f"#step-{of.key}-{slug(step_name(process.name))}-{tool.key}"
            call = Call(caller, process, self.tool_id(tool), f"#run-{process.uuid}", step)
            calls.setdefault(caller.uuid, []).append(call)
        root = self.graph.root
        if root.uuid not in calls:
            key = self.contents.tools[root.uuid].key
            only = Call(root, root, f"#outline-{key}", f"#run-{root.uuid}-outline", f"#step-{key}-outline")
            calls[root.uuid] = [only]
        return calls

    def data(self, process: Process, direction: str) -> list[tuple[str, Data]]:
        """What a process was given, or gave, with the names it was given under."""
        return [
            (link.label, self.graph.data[link.data])
            for link in self.links.get(process.uuid, [])
            if (link.kind == "input") == (direction == INPUT)
        ]

    def parameter_id(self, tool: Tool, direction: str, label: str) -> str:
        """Identifier of a formal parameter."""
        return f"#parameter-{tool.key}-{direction}-{slug(label)}"

    # Entities

    def add_tools(self) -> None:
        """Workflows, programs and functions, each with its formal parameters and steps."""
        runs: dict[str, list[Process]] = {}
        for process in self.graph.processes.values():
            runs.setdefault(self.contents.tools[process.uuid].key, []).append(process)
        for processes in runs.values():
            tool = self.contents.tools[processes[0].uuid]
            calls = [call for process in processes for call in self.calls.get(process.uuid, [])]
            entity = self._tool(tool, processes)
            if calls:
                self.contents.add(entity | self._workflow(tool, calls))
                self._add_steps(calls)
            else:
                self.contents.add(entity | self._program(tool, processes[0]))

    def _tool(self, tool: Tool, processes: Sequence[Process]) -> Entity:
        entity: Entity = {
            "@id": self.tool_id(tool),
            "name": tool.name,
            "url": tool.url,
            "identifier": tool.type,
        }
        for direction, key in ((INPUT, "input"), (OUTPUT, "output")):
            labels = [label for process in processes for label, _ in self.data(process, direction)]
            entity[key] = refs(self.parameter_id(tool, direction, label) for label in labels)
        source = self.contents.sources.get(tool.key)
        if source is not None:
            text = f"Definition of {tool.label}, Python module {tool.module}"
            entity = file_entity(source, tool.name, text) | entity
        return entity

    def _workflow(self, tool: Tool, calls: Sequence[Call]) -> Entity:
        is_file = tool.key in self.contents.sources
        return {
            "@type": [*(["File"] if is_file else []), "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "version": tool.version,
            "programmingLanguage": self._language(),
            "conformsTo": {"@id": self._profile(BIO_WORKFLOW, "ComputationalWorkflow")},
            "hasPart": refs(call.tool for call in calls),
            "step": refs(call.step for call in calls),
        }

    def _program(self, tool: Tool, process: Process) -> Entity:
        if tool.key in self.contents.sources:
            language = self._language()
            return {
                "@type": ["File", "SoftwareSourceCode"],
                "version": tool.version,
                "programmingLanguage": language,
            }
        if process.kind == "calculation":
            return {"@type": "SoftwareApplication", "softwareVersion": tool.version}
        return {
            "@type": "SoftwareSourceCode",
            "version": tool.version,
            "programmingLanguage": self._language(),
        }

    def _add_steps(self, calls: Sequence[Call]) -> None:
        for position, (step, call) in enumerate({call.step: call for call in calls}.items()):
            if call.process is call.caller:
                self._add_outline(call)
            self.contents.add(
                {
                    "@id": step,
                    "@type": "HowToStep",
                    "name": step_name(call.process.name),
                    "position": str(position),
                    "workExample": {"@id": call.tool},
                }
            )

    def _add_outline(self, call: Call) -> None:
        """The only step of a process that called nothing: the process itself."""
        tool = self.contents.tools[call.process.uuid]
        self.contents.add(
            {
                "@id": call.tool,
                "@type": "SoftwareApplication",
                "name": tool.name,
                "softwareVersion": tool.version,
                "url": tool.url,
            }
        )

    def _language(self) -> Ref:
        return self.contents.add(
            {"@id": PYTHON, "@type": "ComputerLanguage", "name": "Python", "url": PYTHON}
        )

    def _profile(self, address: str, name: str) -> str:
        return self.contents.add(
            {"@id": address, "@type": "CreativeWork", "name": name, "version": "1.0-RELEASE"}
        )["@id"]

    def add_data(self) -> None:
        """Data nodes, and the formal parameters that they were given as."""
        examples: dict[str, list[Data]] = {}
        labels: dict[str, str] = {}
        parameters: dict[str, list[str]] = {}
        for link in self.graph.links:
            tool = self.contents.tools[link.process]
            identifier = self.parameter_id(tool, INPUT if link.kind == "input" else OUTPUT, link.label)
            examples.setdefault(identifier, []).append(self.graph.data[link.data])
            labels[identifier] = link.label
            parameters.setdefault(link.data, []).append(identifier)
        for identifier, found in examples.items():
            kinds = list(dict.fromkeys(parameter_type(self.contents, data) for data in found))
            self.contents.add(
                {
                    "@id": identifier,
                    "@type": "FormalParameter",
                    "name": labels[identifier],
                    "additionalType": kinds[0] if len(kinds) == 1 else kinds,
                    "conformsTo": {"@id": self._profile(BIO_PARAMETER, "FormalParameter")},
                    "workExample": refs(data_id(self.contents, data) for data in found),
                }
            )
        for data in self.graph.data.values():
            self.contents.add(data_entity(self.contents, data, parameters.get(data.uuid, [])))

    def add_actions(self) -> list[str]:
        """What was run: an action a process, and how the engine drove those that called others."""
        named: list[str] = []
        for process in self.graph.processes.values():
            tool = self.tool_id(self.contents.tools[process.uuid])
            named.append(self._action(process, f"#run-{process.uuid}", tool))
            for call in self.calls.get(process.uuid, []):
                if call.process is process:
                    named.append(self._action(process, call.action, call.tool))
            if process.uuid in self.calls:
                named.append(self._organise(process, self.calls[process.uuid]))
        return named

    def _action(self, process: Process, identifier: str, tool: str) -> str:
        results = [data_id(self.contents, data) for _, data in self.data(process, OUTPUT)]
        usage = self.contents.add(usage_entity(process)) if process.kind == "calculation" else None
        origin = (
            f"; results taken from the cache, computed by {process.cached_from}"
            if process.cached_from
            else ""
        )
        entity: Entity = {
            "@id": identifier,
            # An action that made nothing is none that creates.
            "@type": "CreateAction" if results else "ActivateAction",
            "name": f"{process.name} ({process.label})" if process.name != process.label else process.label,
            "description": f"AiiDA {process.kind} {process.uuid}{origin}",
            "identifier": f"urn:uuid:{process.uuid}",
            "instrument": {"@id": tool},
            "object": refs(data_id(self.contents, data) for _, data in self.data(process, INPUT)),
            "result": refs(results),
            "resourceUsage": usage,
        }
        self.contents.add(entity | self._times(process) | self._outcome(process))
        return identifier

    def _times(self, process: Process) -> Entity:
        return {"agent": self.people, "startTime": iso(process.started), "endTime": iso(process.ended)}

    def _outcome(self, process: Process) -> Entity:
        error = error_of(self.contents, process)
        return {"actionStatus": COMPLETED if process.ok else FAILED, "error": error or None}

    def _organise(self, process: Process, calls: Sequence[Call]) -> str:
        controls = [
            self.contents.add(
                {
                    "@id": f"#control{call.action.removeprefix('#run')}",
                    "@type": "ControlAction",
                    "name": f"orchestrate {call.process.name}",
                    "instrument": {"@id": call.step},
                    "object": {"@id": call.action},
                }
                | self._outcome(call.process)
            )["@id"]
            for call in calls
        ]
        entity: Entity = {
            "@id": f"#organise-{process.uuid}",
            "@type": "OrganizeAction",
            "name": f"AiiDA's engine runs {process.name}",
            "instrument": self._engine(process),
            "object": refs(controls),
            "result": {"@id": f"#run-{process.uuid}"},
        }
        return self.contents.add(entity | self._times(process) | self._outcome(process))["@id"]

    def _engine(self, process: Process) -> Ref:
        version = dict(process.versions).get("core", "unknown")
        return self.contents.add(
            {
                "@id": f"{ENGINE_HOME}#aiida-core-{version}",
                "@type": "SoftwareApplication",
                "name": "AiiDA",
                "softwareVersion": version,
                "url": ENGINE_HOME,
            }
        )


def add_run(contents: Contents) -> tuple[Ref, list[str]]:
    """Add all entities of a run; returns the main workflow and the actions, which the root mentions."""
    run = Run(contents)
    run.add_tools()
    run.add_data()
    actions = run.add_actions()
    return {"@id": run.tool_id(contents.tools[contents.graph.root.uuid])}, actions
