"""Pseudopotentials of Quantum ESPRESSO: by file name, from a folder, an archive, or an installed family."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from hashigo.calculators.engines.file_store import keep, place_of
from hashigo.calculators.engines.input_files import sha256
from hashigo.calculators.engines.upf import header_of, read_header
from hashigo.errors import InputError, MissingComponent

#: Where files that are given by name are looked for, first to last, after $ESPRESSO_PSEUDO.
PSEUDO_FOLDERS = ("/usr/share/espresso/pseudo", "/usr/local/share/espresso/pseudo")

#: Where a study may say that its pseudopotentials are.
SOURCES = ("folder", "archive", "family")

#: Largest pseudopotential, bytes; the largest of the usual libraries have some 5 MB.
MAX_FILE = 64 << 20

#: Largest sum of the sizes of an archive's files, bytes.
MAX_ARCHIVE = 2 << 30

KEY = "reference.settings.pseudopotentials"


def find_pseudopotential(symbol: str, given: Mapping[str, Any]) -> Path:
    """The file of an element's pseudopotential.

    Args:
        symbol: of the element.
        given: file name of each element, or {file, sha256} of one that the study brought along.

    Raises:
        InputError: when the settings name none, or the file is nowhere.
    """
    named = given.get(symbol)
    if named is None:
        raise InputError(
            f"{KEY} names none for element {symbol}", fix=f"add a line like {symbol}: {symbol}.upf"
        )
    name = named if isinstance(named, str) else named["file"]
    folders = [Path(p) for p in (os.environ.get("ESPRESSO_PSEUDO"), *PSEUDO_FOLDERS) if p]
    places = [folder / name for folder in ([Path()] if Path(name).is_absolute() else folders)]
    if not isinstance(named, str):
        places.insert(0, place_of(named["sha256"], name))
    for path in places:
        if path.is_file() and (isinstance(named, str) or sha256(path) == named["sha256"]):
            return path
    looked = ", ".join(map(str, folders))
    if isinstance(named, str):
        raise InputError(
            f"pseudopotential '{name}' of element {symbol} is in none of: {looked}",
            fix=f"name another in {KEY}, or set ESPRESSO_PSEUDO to its folder",
        )
    raise InputError(
        f"pseudopotential '{name}' of element {symbol}, as the study brought it along, is no longer kept",
        fix="run the study from its own file again, or put the file into the folder of ESPRESSO_PSEUDO",
    )


def check_pseudopotentials(given: Mapping[str, Any], elements: Sequence[str]) -> None:
    """Find all files, and see that they were made with one functional.

    Raises:
        InputError: names all elements without one, or the functionals.
    """
    missing = [symbol for symbol in elements if symbol not in given]
    if missing:
        raise _missing(missing, KEY, f"add a line like {missing[0]}: {missing[0]}.upf")
    functionals: dict[str, list[str]] = {}
    for symbol in elements:
        path = find_pseudopotential(symbol, given)
        header = header_of(path)
        if header.element not in ("", symbol):
            raise InputError(
                f"{KEY} gives {path.name} for {symbol}, and it is a pseudopotential of {header.element}",
                fix=f"give one of {symbol}",
            )
        if header.functional:
            functionals.setdefault(header.functional, []).append(symbol)
    if len(functionals) > 1:
        told = "; ".join(f"{name} for {', '.join(symbols)}" for name, symbols in functionals.items())
        raise InputError(
            f"the pseudopotentials of {KEY} were made with different functionals: {told}",
            fix="give all elements pseudopotentials of one functional",
        )


def resolve(
    settings: Mapping[str, Any], folder: Path, elements: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings without paths: files of a folder, an archive or a family are kept by their digests.

    Args:
        settings: as in the study.
        folder: that of the study.
        elements: of the crystal.

    Returns:
        The settings, and cut-offs that the family recommends, Ry.

    Raises:
        InputError: names all elements without a file, or with several.
    """
    given = settings.get("pseudopotentials")
    if not isinstance(given, Mapping):
        return dict(settings), {}
    sources = [name for name in SOURCES if name in given]
    if not sources:
        return {**settings, "pseudopotentials": _by_name(given)}, {}
    if len(sources) > 1:
        raise InputError(f"{KEY} gives {' and '.join(sources)}", fix="give one of them")
    source, chosen = sources[0], {k: v for k, v in given.items() if k not in SOURCES}
    if not isinstance(given[source], str):
        raise InputError(f"{KEY}.{source} is {given[source]!r}, expected a text")
    recommended: dict[str, Any] = {}
    if source == "family":
        files, recommended = _family(given[source], elements)
    else:
        path = folder / Path(given[source]).expanduser()
        files = _one_each(_folder(path) if source == "folder" else _archive(path), chosen, elements, source)
    missing = [symbol for symbol in elements if symbol not in files]
    if missing:
        raise _missing(missing, f"{KEY}.{source}: {given[source]}", "add them, or give another")
    kept = {symbol: {"file": name, "sha256": keep(data, name)} for symbol, (name, data) in files.items()}
    return {**settings, "pseudopotentials": kept}, recommended


def _by_name(given: Mapping[str, Any]) -> dict[str, Any]:
    """Names as they are, for frames keep their identity; an absolute path is somebody's own, and not kept."""
    out = {}
    for symbol, named in given.items():
        complete = isinstance(named, Mapping) and all(
            isinstance(named.get(k), str) for k in ("file", "sha256")
        )
        if not isinstance(named, str) and not complete:
            raise InputError(f"{KEY}.{symbol} is {named!r}", fix=f"give a file name, e.g. {symbol}.upf")
        if isinstance(named, str) and Path(named).is_absolute():
            path = find_pseudopotential(symbol, given)
            named = {"file": path.name, "sha256": keep(path.read_bytes(), path.name)}
        out[symbol] = named
    return out


def _missing(symbols: Sequence[str], where: str, fix: str) -> InputError:
    kind = "element" if len(symbols) == 1 else "elements"
    return InputError(f"{where} names none for {kind} {', '.join(symbols)}", fix=fix)


def _one_each(
    files: Iterator[tuple[str, bytes]], chosen: Mapping[str, str], elements: Sequence[str], source: str
) -> dict[str, tuple[str, bytes]]:
    """The file of each element: the one chosen by name, or the only one."""
    found: dict[str, dict[str, bytes]] = {}
    for name, content in files:
        symbol = read_header(content, name).element
        if symbol in elements and chosen.get(symbol, name) == name:
            found.setdefault(symbol, {})[name] = content
    several = {symbol: sorted(names) for symbol, names in sorted(found.items()) if len(names) > 1}
    if several:
        told = "; ".join(f"{symbol}: {', '.join(names)}" for symbol, names in several.items())
        first, names = next(iter(several.items()))
        raise InputError(
            f"{KEY}.{source} has several for {', '.join(several)} ({told})",
            fix=f"choose beside it by name, as in {first}: {names[0]}",
        )
    return {symbol: next(iter(names.items())) for symbol, names in found.items()}


def _is_upf(name: str) -> bool:
    return name.lower().endswith(".upf") and not name.startswith(".")


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    if not path.is_dir():
        raise InputError(f"{KEY}.folder: there is no folder {path}", fix="give it relative to the study")
    for file in sorted(path.iterdir()):
        if _is_upf(file.name) and file.is_file():
            if file.stat().st_size > MAX_FILE:
                raise _too_large(file.name)
            yield file.name, file.read_bytes()


def _archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Files of an archive, read one by one: nothing of it is ever written under a name that it gives."""
    if not path.is_file():
        raise InputError(f"{KEY}.archive: there is no file {path}", fix="give it relative to the study")
    try:
        yield from _zip(path) if zipfile.is_zipfile(path) else _tar(path)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
        raise InputError(
            f"{KEY}.archive: {path.name} cannot be read: {error}", fix="give a .tar.gz or .zip archive"
        ) from None


def _tar(path: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    with tarfile.open(path) as archive:
        for member in archive:
            total += member.size
            _check_member(path, member.name, total, member.isreg() or member.isdir())
            name = PurePosixPath(member.name).name
            if member.isreg() and _is_upf(name):
                if member.size > MAX_FILE:
                    raise _too_large(name)
                file = archive.extractfile(member)
                assert file is not None
                yield name, file.read()


def _zip(path: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            total += member.file_size
            # The kind of file is in the upper half of the attributes, as Unix writes it: 0o12 is a link.
            _check_member(path, member.filename, total, member.external_attr >> 28 != 0o12)
            name = PurePosixPath(member.filename).name
            if not member.is_dir() and _is_upf(name):
                with archive.open(member) as file:
                    content = file.read(MAX_FILE + 1)  # what the archive says of the size may be wrong
                if len(content) > MAX_FILE:
                    raise _too_large(name)
                yield name, content


def _check_member(path: Path, name: str, total: int, plain: bool) -> None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or not plain:
        why = "is a link or a special file" if not plain else "lies outside the archive"
        raise InputError(f"{KEY}.archive: '{name}' of {path.name} {why}", fix="pack plain files only")
    if total > MAX_ARCHIVE:
        raise InputError(
            f"{KEY}.archive: {path.name} unpacks to more than {MAX_ARCHIVE >> 30} GB",
            fix="pack UPF files only",
        )


def _too_large(name: str) -> InputError:
    return InputError(f"{KEY}: {name} is larger than {MAX_FILE >> 20} MB", fix="give a pseudopotential file")


def _family(label: str, elements: Sequence[str]) -> tuple[dict[str, tuple[str, bytes]], dict[str, Any]]:
    """Files of a family that aiida-pseudo installed in the profile, and its recommended cut-offs, Ry."""
    try:
        from aiida import load_profile
        from aiida.common.exceptions import AiidaException
        from aiida.manage import get_manager
        from aiida.orm import QueryBuilder
        from aiida_pseudo.groups.family import PseudoPotentialFamily
        from aiida_pseudo.groups.mixins import RecommendedCutoffMixin
    except ImportError:
        raise MissingComponent(
            f"{KEY}.family needs the AiiDA plugin aiida-pseudo", fix="pip install 'aiida-hashigo[qe]'"
        ) from None
    try:
        if get_manager().get_profile() is None:
            load_profile()
        found = QueryBuilder().append(PseudoPotentialFamily, filters={"label": label}).first(flat=True)
    except (AiidaException, OSError):
        found = None
    if found is None:
        raise InputError(
            f"{KEY}.family: no family '{label}' is installed in the AiiDA profile",
            fix="aiida-pseudo install sssp, or another; aiida-pseudo list shows those that are",
        )
    files = {}
    for symbol in elements:
        node = found.pseudos.get(symbol)
        if node is not None:
            files[symbol] = (node.filename, node.get_content(mode="rb"))
    recommended: dict[str, Any] = {}
    if isinstance(found, RecommendedCutoffMixin) and len(files) == len(elements):
        try:
            wave, density = found.get_recommended_cutoffs(elements=tuple(elements), unit="Ry")
            recommended = {"cutoff": float(wave), "density_cutoff": float(density)}
        except ValueError:
            recommended = {}  # a family may have been installed without them
    return files, recommended
