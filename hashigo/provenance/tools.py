"""Which software ran each process: name, version, home page, and the workflow's own source."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from typing import Any

from aiida.common.exceptions import EntryPointError
from aiida.plugins.entry_point import get_entry_point

from hashigo.provenance.graph import Graph, Process

WORKER = "aiida.calculations:hashigo.worker"
HOME_PAGES = ("homepage", "home", "home-page", "documentation", "repository", "source")
#: For processes whose package gives no address.
REGISTRY = "https://aiidateam.github.io/aiida-registry/"
UNVERSIONED = "unversioned"


@dataclass(frozen=True)
class Tool:
    """A program, function or workflow that processes ran.

    Attributes:
        key: tells tools apart; safe in file names and fragments.
        name: for readers.
        version: of the program where it reported one, otherwise of the package that drives it.
        url: home page.
        type: AiiDA's process type.
        module: dotted name of the Python module that defines it; empty where it cannot be found.
        label: name of its class or function.
    """

    key: str
    name: str
    version: str
    url: str
    type: str
    module: str
    label: str


def tools_of(graph: Graph) -> dict[str, Tool]:
    """The tool of every process, by the process's uuid."""
    tasks: dict[str, dict[str, Any]] = {}
    for link in graph.links:
        if link.kind == "input" and link.label in ("task", "task_version"):
            tasks.setdefault(link.process, {})[link.label] = graph.data[link.data].value
    return {uuid: _tool(process, tasks.get(uuid, {})) for uuid, process in graph.processes.items()}


def source_of(tool: Tool) -> str:
    """The source of the module that defines a tool, empty when it is not at hand."""
    if not tool.module:
        return ""
    try:
        module = sys.modules.get(tool.module) or importlib.import_module(tool.module)
        return inspect.getsource(module)
    except (ImportError, OSError, TypeError):
        return ""


def slug(text: str) -> str:
    """A text as a name that is safe in file names and in web addresses."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "unnamed"


def _tool(process: Process, task: dict[str, Any]) -> Tool:
    module, owner = _origin(process.type)
    recorded = dict(process.versions)
    package_version = recorded.get("plugin") or (owner.version if owner else "") or UNVERSIONED
    if process.type == WORKER and task.get("task"):
        name, version = (
            f"hashigo worker {task['task']}",
            f"{package_version}, task version {task.get('task_version', 0)}",
        )
        module = f"hashigo.calculators.workers.{task['task']}"
    elif process.kind == "calculation" and process.program:
        version = process.program_version or f"not reported; {process.label} {package_version}"
        name = f"{process.program} ({process.label})"
    else:
        name, version = process.label, package_version
    # Two tools of one name differ in where they come from or in their version.
    digest = hashlib.sha256(f"{process.type} {name} {version}".encode()).hexdigest()[:6]
    key = slug(f"{process.label}-{task.get('task', '')}-{digest}").replace("--", "-")
    return Tool(key, name, version, _home_page(owner), process.type, module, process.label)


@lru_cache(maxsize=1024)
def _origin(process_type: str) -> tuple[str, Distribution | None]:
    """Module and distribution that define a process type."""
    group, colon, name = process_type.partition(":")
    if not colon:
        module = process_type.rpartition(".")[0]
        return module, _distribution(module.partition(".")[0])
    try:
        entry_point = get_entry_point(group, name)
    except EntryPointError:
        return "", None
    return entry_point.module, _distribution(entry_point.module.partition(".")[0])


@lru_cache(maxsize=256)
def _distribution(package: str) -> Distribution | None:
    names = _packages().get(package)
    if not names:
        return None
    try:
        return distribution(names[0])
    except PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def _packages() -> dict[str, list[str]]:
    return dict(packages_distributions())


def _home_page(owner: Distribution | None) -> str:
    if owner is None:
        return REGISTRY
    if owner.metadata["Home-page"]:
        return str(owner.metadata["Home-page"])
    entries = [entry.partition(",") for entry in owner.metadata.get_all("Project-URL") or []]
    addresses = {label.strip().lower(): address.strip() for label, _, address in entries}
    return next((addresses[label] for label in HOME_PAGES if label in addresses), REGISTRY)
