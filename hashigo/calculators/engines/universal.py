"""What the universal potentials share: a checkpoint file known by its SHA-256, and no downloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hashigo.calculators.engines import Engine, Setting, Workspace
from hashigo.calculators.engines.file_store import link, place_of
from hashigo.calculators.engines.input_files import sha256
from hashigo.errors import InputError

DEVICE = Setting("cpu", "Where it computes: cpu or cuda.", physics=False)


def installed_version(distribution: str) -> str:
    """Version of an installed distribution, "" where it is not installed.

    Args:
        distribution: name on PyPI.
    """
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return f"{distribution} {of(distribution)}"
    except PackageNotFoundError:
        return ""


def checkpoint_settings(what: str) -> dict[str, Setting]:
    """The settings of a potential whose weights are in a local file.

    Args:
        what: sort of file.
    """
    return {
        "checkpoint": Setting(
            "", f"Path of the {what}, relative to the study; nothing is downloaded.", physics=False
        ),
        "checkpoint_sha256": Setting("", "SHA-256 of the checkpoint; filled in, and compared where given."),
        "device": DEVICE,
    }


def checkpoint_file(whose: str, settings: Mapping[str, Any], where: str = "reference.settings") -> Path:
    """The checkpoint.

    Args:
        whose: it is, for messages.
        settings: complete.
        where: key path of the settings, for messages.

    Raises:
        InputError: when the settings name none, when it is not there, or when it is another file than recorded.
    """
    if not settings["checkpoint"]:
        raise InputError(
            f"{whose} needs the path of a checkpoint file: nothing is downloaded",
            fix=f"set {where}.checkpoint",
        )
    path = Path(settings["checkpoint"]).expanduser()
    recorded = settings["checkpoint_sha256"]
    kept = place_of(recorded, path.name) if recorded else path
    path = kept if kept.is_file() else path
    if not path.is_file():
        raise InputError(
            f"checkpoint {path.name} of {whose} is not there: {path}",
            fix=f"give its path in {where}.checkpoint",
        )
    if recorded and recorded != sha256(path):
        raise InputError(
            f"checkpoint {path.name} is not the file whose SHA-256 the settings give",
            fix=f"put back the file, or correct {where}.checkpoint_sha256",
        )
    return path


def stored_checkpoint(
    whose: str, settings: Mapping[str, Any], folder: Path, where: str = "reference.settings"
) -> dict[str, Any]:
    """Settings in which name and digest stand for the checkpoint's path: jobs run in other folders.

    Args:
        whose: they are, for messages.
        settings: as in the study.
        folder: of the study.
        where: key path of the settings, for messages.

    Raises:
        InputError: when the checkpoint is not there, or is another file than recorded.
    """
    given = settings.get("checkpoint")
    if not given or not isinstance(given, str):
        return dict(settings)
    path = (folder / Path(given).expanduser()).resolve()
    complete = with_digest({"checkpoint_sha256": "", **settings, "checkpoint": str(path)})
    checkpoint_file(whose, complete, where)
    if path.is_file():  # otherwise the store has it already, from an earlier run
        link(path, complete["checkpoint_sha256"], path.name)
    return {**complete, "checkpoint": path.name}


def with_digest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the SHA-256 of their checkpoint, where it is at the path they give."""
    path = Path(settings["checkpoint"]).expanduser()
    if settings["checkpoint"] and path.is_file() and not settings["checkpoint_sha256"]:
        return {**settings, "checkpoint_sha256": sha256(path)}
    return dict(settings)


def checkpoint_engine(
    name: str, title: str, module: str, obtain: str, distribution: str, load: Callable[[str, str], Any]
) -> Engine:
    """An engine whose weights come from a local checkpoint file.

    Args:
        name: key in the study file.
        title: as printed.
        module: Python module that it needs.
        obtain: how to get module and checkpoint.
        distribution: name on PyPI.
        load: makes the ASE calculator from (path of the checkpoint, device).
    """

    whose = f"engine '{name}'"

    def calculator(settings: Mapping[str, Any], workspace: Workspace) -> Any:
        return load(str(checkpoint_file(whose, settings)), settings["device"])

    def resolve(
        settings: Mapping[str, Any], folder: Path, elements: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        return stored_checkpoint(whose, settings, folder), {}

    def check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
        checkpoint_file(whose, settings)

    return Engine(
        name=name,
        title=title,
        first_principles=False,
        settings=checkpoint_settings("checkpoint"),
        module=module,
        obtain=obtain,
        calculator=calculator,
        version=lambda calculator: installed_version(distribution),
        resolve=resolve,
        fill=with_digest,
        check=check,
    )
