"""Reference engines: one file each, found by entry point `hashigo.engines`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hashigo.errors import InputError, MissingComponent


@dataclass(frozen=True)
class Setting:
    """One setting of an engine.

    Attributes:
        default: used where the study says nothing.
        description: a sentence, with the unit of a number.
        unit: unit of a number, "" where it has none; the study may give another of the same dimension.
        physics: whether it changes the numbers, and so belongs to a frame's identity.
        added: whether it came when frames had been stored: left at its default, it is no part of an identity.
    """

    default: Any
    description: str
    unit: str = ""
    physics: bool = True
    added: bool = False


def complete_settings(
    known: Mapping[str, Setting], given: Mapping[str, Any], where: str, whose: str
) -> dict[str, Any]:
    """Check settings and fill in defaults; numbers with units are converted.

    Args:
        known: all that can be set, by name.
        given: as in the study.
        where: key path, for messages.
        whose: they are, for messages.

    Raises:
        InputError: names an unknown setting, or one of the wrong type or unit.
    """
    from hashigo.study.units import in_unit  # keeps pint out of the worker's start

    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(
            f"{where}.{unknown[0]} is no setting of {whose}",
            fix=f"its settings are: {', '.join(known) or 'none'}",
        )
    out = {}
    for name, setting in known.items():
        value = given.get(name, setting.default)
        # YAML takes 1e-7 for a text, and 1 for an integer.
        if setting.unit or isinstance(setting.default, float):
            value = in_unit(value, setting.unit, f"{where}.{name}")
        elif not isinstance(value, type(setting.default)) and setting.default is not None:
            raise InputError(f"{where}.{name} is {value!r}, expected like {setting.default!r}")
        out[name] = value
    return out


@dataclass(frozen=True)
class Program:
    """A program that an engine starts.

    Attributes:
        name: of the executable, as found on the PATH; a site may name another under this name in its `codes`.
        package: where to get it, e.g. "Debian package abinit".
        plugin: AiiDA calculation plugin that drives it, "" where it is started inside the batch.
        version: arguments that make it print its version, where it has such.
    """

    name: str
    package: str
    plugin: str = ""
    version: tuple[str, ...] = ()

    def is_on(self, codes: Mapping[str, str]) -> bool:
        """Whether it is installed.

        Args:
            codes: executables of the site by program name.
        """
        return shutil.which(codes.get(self.name, self.name)) is not None


@dataclass(frozen=True)
class Workspace:
    """Where and how an in-batch calculator may run its program.

    Attributes:
        folder: of this rank, for the program's files; emptied by nobody but the engine.
        command: program with its launcher as a list of words, the MPI variables of the batch taken away; empty for
            engines without a program.
    """

    folder: Path = Path()
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Engine:
    """Where forces come from.

    An engine runs inside the batch worker (`calculator`), as one CalcJob a frame (`job`), or either way.

    Attributes:
        name: key in the study file.
        title: as printed.
        first_principles: whether its numbers may be called first-principles; where not, every table, page and
            package that shows a number of it says so.
        settings: what can be set, by name.
        program: what it starts; None for engines inside Python.
        module: Python module that must be importable, "" for none.
        extra: our extra that brings the module, "" for none.
        obtain: a sentence on how to get what neither extra nor program names, e.g. licences and weights.
        calculator: makes an ASE calculator from (settings, workspace); kept while frames of one composition
            follow each other, one at a time.
        version: what it calls itself, from (calculator); read after a frame was computed.
        converged: whether self-consistency was reached, from (calculator); None where the notion is empty.
        job: makes process class and inputs of one frame; called as
            job(structure_node, kind of frame, settings, code, options of the job, longest walltime of the site, s).
        outputs: labels of the outputs that `read` needs.
        read: energy [eV], forces [eV/Å], stress [eV/Å^3] of the outputs of such a CalcJob.
        resolve: settings without paths, and recommended defaults, from (settings as in the study, folder of the
            study, elements); called when a study is prepared, before `complete`.
        fill: settings with what follows from others, e.g. the SHA-256 of files they name.
        check: raises HashigoError when settings or installation cannot serve these elements.
        cost: relative cost of a frame, from (number of atoms, dimensionless); frames are handed out by it.
        lammps: the same potential in LAMMPS, a `LammpsPair` from (complete settings); None where LAMMPS has none.
        metal: whether it is made for metals only (True) or for none (False); None where it says nothing of that.
    """

    name: str
    title: str
    first_principles: bool
    settings: Mapping[str, Setting] = field(default_factory=dict)
    program: Program | None = None
    module: str = ""
    extra: str = ""
    obtain: str = ""
    calculator: Callable[[Mapping[str, Any], Workspace], Any] | None = None
    version: Callable[[Any], str] = lambda calculator: ""
    converged: Callable[[Any], bool | None] = lambda calculator: None
    job: Callable[..., Any] | None = None
    outputs: tuple[str, ...] = ()
    read: Callable[..., Any] | None = None
    resolve: Callable[[Mapping[str, Any], Path, Sequence[str]], tuple[dict[str, Any], dict[str, Any]]] = (
        lambda settings, folder, elements: (dict(settings), {})
    )
    fill: Callable[[Mapping[str, Any]], dict[str, Any]] = lambda settings: dict(settings)
    check: Callable[[Mapping[str, Any], Sequence[str]], None] = lambda settings, elements: None
    cost: Callable[[int], float] = lambda n_atoms: float(n_atoms)
    lammps: Callable[[Mapping[str, Any]], Any] | None = None
    metal: bool | None = None

    def complete(self, given: Mapping[str, Any], where: str = "reference.settings") -> dict[str, Any]:
        """Check settings and fill in defaults; numbers with units are converted.

        Args:
            given: as in the study.
            where: key path, for messages.

        Raises:
            InputError: names an unknown setting, or one of the wrong type or unit.
        """
        out = complete_settings(self.settings, given, where, f"engine '{self.name}'")
        return self.fill(out)

    def lacks(self, codes: Mapping[str, str]) -> str:
        """The module or program that is not installed, "" when all is there; nothing is imported.

        Args:
            codes: executables of the site by program name.
        """
        if self.module and find_spec(self.module) is None:
            return f"Python module {self.module}"
        if self.program and not self.program.is_on(codes):
            return f"program {self.program.name}"
        return ""

    def how_to_get(self) -> str:
        """How to install what it needs, in words; "" for what comes with this package."""
        ways = [f"pip install 'aiida-hashigo[{self.extra}]'"] if self.extra else []
        ways += [self.program.package] if self.program else []
        return "; ".join(filter(None, [*ways, self.obtain]))

    def require(self, codes: Mapping[str, str], site: str) -> None:
        """Make sure that module and program are there.

        Args:
            codes: executables of the site by program name.
            site: its id, for the message.

        Raises:
            MissingComponent: names what is missing and how to get it.
        """
        lacking = self.lacks(codes)
        if lacking:
            raise MissingComponent(
                f"engine '{self.name}' needs the {lacking}, which is not on site '{site}'",
                fix=f"install it ({self.how_to_get()})"
                + (", or name its path in the site's codes" if lacking.startswith("program") else ""),
                see="hashigo engines",
            )

    def physics(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the complete settings that change the numbers."""
        return {
            name: value
            for name, value in settings.items()
            if self.settings[name].physics
            and not (self.settings[name].added and value == self.settings[name].default)
        }

    def signature(self, settings: Mapping[str, Any]) -> str:
        """Engine and settings as a canonical string: part of each frame's identity."""
        return json.dumps({"engine": self.name, "settings": self.physics(settings)}, sort_keys=True)


@cache
def engine_names() -> list[str]:
    """Names of all registered engines."""
    return sorted(point.name for point in entry_points(group="hashigo.engines"))


@cache
def get_engine(name: str) -> Engine:
    """Load an engine by name.

    Raises:
        InputError: when there is none of this name.
    """
    for point in entry_points(group="hashigo.engines", name=name):
        engine: Engine = point.load()
        return engine
    raise InputError(
        f"reference.engine '{name}' is not known", fix=f"choose one of: {', '.join(engine_names())}"
    )
