"""Files that an engine reads (pseudopotentials, checkpoints): named by name and SHA-256, never stored or exported."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hashigo.calculators.engines import Setting
from hashigo.calculators.engines.file_store import link, place_of
from hashigo.errors import InputError

_BLOCK = 1 << 20


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; computed once for each state of the file."""
    state = path.stat()
    return _sha256(str(path), state.st_size, state.st_mtime_ns)


@cache
def _sha256(path: str, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class ElementFiles:
    """One file for each element, named in the settings.

    Attributes:
        engine: its name.
        variable: environment variable that names a folder of such files.
        folders: where they are looked for besides, first to last.
        inside: name of the file within the folder that the settings name; "" where they name the file itself.
        example: of what the settings name for an element, with {} for its symbol.
    """

    engine: str
    variable: str
    folders: tuple[str, ...] = ()
    inside: str = ""
    example: str = "{}.psp8"

    def settings(self) -> dict[str, Setting]:
        """The settings that name the files."""
        what = f"Folder of each element's {self.inside}" if self.inside else "File name of each element's"
        return {
            "pseudopotentials": Setting({}, f"{what} pseudopotential, as in Si: {self.example.format('Si')}."),
            "pseudopotential_folder": Setting(
                "",
                f"Folder of the pseudopotentials; empty: that of the variable {self.variable}"
                + "".join(f", then {folder}" for folder in self.folders) + ".",
                physics=False,
            ),
            "pseudopotential_sha256": Setting(
                {}, "SHA-256 of each element's pseudopotential; filled in, and compared where given."
            ),
        }  # fmt: skip

    def find(self, symbol: str, settings: Mapping[str, Any]) -> Path:
        """The file of an element.

        Raises:
            InputError: when the settings name none, when it is nowhere, or when it is another file than recorded.
        """
        name = settings["pseudopotentials"].get(symbol)
        if name is None:
            raise InputError(
                f"reference.settings.pseudopotentials names none for element {symbol}",
                fix=f"add a line like {symbol}: {self.example.format(symbol)}",
            )
        path = self._path(symbol, settings)
        if path is None:
            looked = ", ".join(map(str, self._looked(settings))) or "no folder"
            raise InputError(
                f"pseudopotential '{name}' of element {symbol} is in none of: {looked}",
                fix=f"set reference.settings.pseudopotential_folder, or the variable {self.variable}, to its folder",
            )
        recorded = settings["pseudopotential_sha256"].get(symbol)
        if recorded and recorded != sha256(path):
            raise InputError(
                f"pseudopotential '{name}' of element {symbol} is not the file whose SHA-256 the settings give",
                fix="put back the file, or correct reference.settings.pseudopotential_sha256",
            )
        return path

    def check(self, settings: Mapping[str, Any], elements: Sequence[str]) -> None:
        """Find every element's file.

        Raises:
            InputError: names all elements that have none, or the file that is nowhere.
        """
        missing = [symbol for symbol in elements if symbol not in settings["pseudopotentials"]]
        if missing:
            raise InputError(
                f"reference.settings.pseudopotentials names none for {', '.join(missing)}",
                fix=f"add a line like {missing[0]}: {self.example.format(missing[0])}",
            )
        for symbol in elements:
            self.find(symbol, settings)

    def resolve(
        self, settings: Mapping[str, Any], folder: Path, elements: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings in which digests stand for the folder: jobs run elsewhere, and a path is its user's own.

        Args:
            settings: as in the study.
            folder: that of the study.
            elements: of the crystal.

        Returns:
            The settings, and nothing that the files recommend.
        """
        given, names = settings.get("pseudopotential_folder"), settings.get("pseudopotentials", {})
        if not given or not isinstance(given, str) or not isinstance(names, Mapping):
            return dict(settings), {}
        place = folder / Path(given).expanduser()
        complete = self.fill({"pseudopotential_sha256": {}, **settings, "pseudopotential_folder": str(place)})
        self.check(complete, elements)
        for symbol in elements:
            name = names[symbol]
            link((place / name / self.inside).resolve(), complete["pseudopotential_sha256"][symbol],
                 str(Path(name) / self.inside))  # fmt: skip
        return {**complete, "pseudopotential_folder": ""}, {}

    def fill(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings with the SHA-256 of every file that is found."""
        found = {}
        for symbol, name in settings["pseudopotentials"].items():
            if not isinstance(name, str):
                raise InputError(
                    f"reference.settings.pseudopotentials.{symbol} is {name!r}",
                    fix=f"give a name, as in {symbol}: {self.example.format(symbol)}",
                )
            if Path(name).is_absolute():
                raise InputError(
                    f"reference.settings.pseudopotentials.{symbol} is the path {name}",
                    fix="give its name there, and its folder as reference.settings.pseudopotential_folder",
                )
            path = self._path(symbol, settings)
            if path is not None:
                found[symbol] = sha256(path)
        return {**settings, "pseudopotential_sha256": {**found, **settings["pseudopotential_sha256"]}}

    def _looked(self, settings: Mapping[str, Any]) -> list[Path]:
        given = settings["pseudopotential_folder"]
        folders = [given] if given else [*os.environ.get(self.variable, "").split(os.pathsep), *self.folders]
        return [Path(folder).expanduser() for folder in folders if folder]

    def _path(self, symbol: str, settings: Mapping[str, Any]) -> Path | None:
        name = settings["pseudopotentials"][symbol]
        paths = [folder / name / self.inside for folder in self._looked(settings)]
        recorded = settings["pseudopotential_sha256"].get(symbol)
        if recorded:
            paths.insert(0, place_of(recorded, name) / self.inside)
        return next((path for path in paths if path.is_file()), None)
