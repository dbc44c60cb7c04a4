"""Kinds of learned potentials: one file each, found by entry point `hashigo.models`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hashigo.calculators.engines import Setting, complete_settings
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.potential import Committee, Model
from hashigo.errors import InputError, MissingComponent

#: The kind of a study, or of a potential file, that names none.
DEFAULT = "polynomial"


@dataclass(frozen=True)
class Kind:
    """A kind of potential: how it is trained, and how its files become models again.

    Attributes:
        name: `potential.model` in the study.
        title: as printed.
        run: trains a committee for a job and writes its result.
        load: makes a model of the bytes that `run` wrote for it.
        committee: of the mean model and the members, from (these, note "calibration" of their file).
        settings: what `potential.settings` may hold, by name.
        keys: other keys of the study's section that it reads.
        module: Python module that must be importable, "" for none.
        extra: our extra that brings the module, "" for none.
        obtain: a sentence on how to get what the extra does not bring.
        resolve: settings without paths, from (settings as in the study, folder of the study, elements).
        fill: the complete settings, from (those as in the study, those with defaults).
        check: raises HashigoError when settings cannot serve these elements.
        needs: what training needs, in words, from (section "potential" of the study).
        trains: whether there is a training, and so a committee, from (complete settings).
        ranks: most MPI ranks that training can use, 0 for all, from (complete settings).
        own: whether its files are models of ours; false where they name an engine that is used as it is, so that
            nobody's published folder makes it run.
    """

    name: str
    title: str
    run: Callable[[Job], None]
    load: Callable[[bytes], Model]
    committee: Callable[[Sequence[Any], Mapping[str, Any]], Committee] = lambda models, calibration: (
        Committee(models[0], tuple(models[1:]))
    )
    settings: Mapping[str, Setting] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    module: str = ""
    extra: str = ""
    obtain: str = ""
    resolve: Callable[[Mapping[str, Any], Path, Sequence[str]], dict[str, Any]] = (
        lambda settings, folder, elements: dict(settings)
    )
    fill: Callable[[Mapping[str, Any], dict[str, Any]], dict[str, Any]] = lambda given, settings: settings
    check: Callable[[Mapping[str, Any], Sequence[str]], None] = lambda settings, elements: None
    needs: Callable[[Mapping[str, Any]], str] = lambda section: ""
    trains: Callable[[Mapping[str, Any]], bool] = lambda settings: True
    ranks: Callable[[Mapping[str, Any]], int] = lambda settings: 1
    own: bool = True

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check settings and fill in defaults; numbers with units are converted.

        Args:
            given: `potential.settings` of the study, or settings that were completed before.

        Raises:
            InputError: names an unknown setting, or one of the wrong type or unit.
        """
        where = "potential.settings"
        return self.fill(given, complete_settings(self.settings, given, where, f"model '{self.name}'"))

    def require(self) -> None:
        """Make sure that its module is there; nothing is imported.

        Raises:
            MissingComponent: names the module and the extra that brings it.
        """
        if self.module and find_spec(self.module) is None:
            ways = [f"pip install 'aiida-hashigo[{self.extra}]'"] if self.extra else []
            raise MissingComponent(
                f"potential.model '{self.name}' needs the Python module {self.module}, which is not installed",
                fix="; ".join(filter(None, [*ways, self.obtain])),
                see="docs/how-to.md, Choose a potential",
            )


@cache
def kind_names() -> list[str]:
    """Names of all registered kinds."""
    return sorted(point.name for point in entry_points(group="hashigo.models"))


@cache
def get_kind(name: str) -> Kind:
    """Load a kind by name.

    Raises:
        InputError: when there is none of this name.
    """
    for point in entry_points(group="hashigo.models", name=name):
        kind: Kind = point.load()
        return kind
    if not kind_names():
        raise MissingComponent(
            "no kind of potential is registered: this installation is older than its source",
            fix="install it again, e.g. pip install --no-deps -e .",
        )
    raise InputError(
        f"potential.model '{name}' is not known", fix=f"choose one of: {', '.join(kind_names())}"
    )
