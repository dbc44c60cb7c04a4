"""Reference engines: one file each, found by entry point `hashigo.engines`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from hashigo.errors import InputError


@dataclass(frozen=True)
class Setting:
    """One setting of an engine.

    Attributes:
        default: used where the study says nothing.
        description: a sentence, with the unit of a number.
        unit: unit of a number, "" where it has none; the study may give another of the same dimension.
        physics: whether it changes the numbers, and so belongs to a frame's identity.
    """

    default: Any
    description: str
    unit: str = ""
    physics: bool = True


@dataclass(frozen=True)
class Engine:
    """Where forces come from.

    Attributes:
        name: key in the study file.
        title: as printed.
        first_principles: whether its numbers may be called first-principles.
        settings: what can be set, by name.
        calculator: makes an ASE calculator from settings, for engines that run inside the batch worker.
        job: makes process class and inputs of one frame, for engines that take one CalcJob a frame; it is called as
            job(structure_node, kind of frame, settings, code).
        program: name of the program such a CalcJob runs, and the AiiDA plugin that drives it.
        outputs: labels of the outputs that `read` needs.
        check: raises HashigoError when settings or installation cannot serve these elements.
        read: energy [eV], forces [eV/Å], stress [eV/Å^3] of the outputs of such a CalcJob.
    """

    name: str
    title: str
    first_principles: bool
    settings: Mapping[str, Setting] = field(default_factory=dict)
    calculator: Callable[[Mapping[str, Any]], Any] | None = None
    job: Callable[..., Any] | None = None
    program: tuple[str, str] = ("", "")
    outputs: tuple[str, ...] = ()
    read: Callable[..., Any] | None = None
    check: Callable[[Mapping[str, Any], Sequence[str]], None] = lambda settings, elements: None

    def complete(self, given: Mapping[str, Any], where: str = "reference.settings") -> dict[str, Any]:
        """Check settings and fill in defaults; numbers with units are converted.

        Args:
            given: as in the study.
            where: key path, for messages.

        Raises:
            InputError: names an unknown setting, or one of the wrong type or unit.
        """
        from hashigo.study.units import in_unit  # keeps pint out of the worker's start

        unknown = sorted(set(given) - set(self.settings))
        if unknown:
            raise InputError(
                f"{where}.{unknown[0]} is no setting of engine '{self.name}'",
                fix=f"its settings are: {', '.join(self.settings) or 'none'}",
            )
        out = {}
        for name, setting in self.settings.items():
            value = given.get(name, setting.default)
            if setting.unit:
                value = in_unit(value, setting.unit, f"{where}.{name}")
            elif not isinstance(value, type(setting.default)) and setting.default is not None:
                raise InputError(f"{where}.{name} is {value!r}, expected like {setting.default!r}")
            out[name] = value
        return out

    def physics(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the complete settings that change the numbers."""
        return {name: value for name, value in settings.items() if self.settings[name].physics}

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
