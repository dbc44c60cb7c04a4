"""Files of a study by their SHA-256, where every later job finds them: no study has to hold a path of its user."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path, PurePath

from hashigo.errors import HashigoError, InputError


def store_folder() -> Path:
    """Folder of the store: that of HASHIGO_FILES, or hashigo/files in the user's data folder."""
    given = os.environ.get("HASHIGO_FILES")
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(given or Path(data) / "hashigo" / "files").expanduser().absolute()


def place_of(digest: str, name: str) -> Path:
    """Where a file is, if the store has it.

    Args:
        digest: its SHA-256, in hexadecimal.
        name: its name, or a relative path that ends in it.

    Raises:
        InputError: when they would lead out of the store: a study may come from anybody.
    """
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise InputError(
            f"{digest!r} is no SHA-256 of a file", fix="give 64 digits 0 to 9 and a to f, or leave it out"
        )
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise InputError(
            f"the file name {name} leads out of its folder",
            fix="name the folder itself, and the file within it",
        )
    return store_folder() / digest / name


def keep(content: bytes, name: str) -> str:
    """Put a file into the store; returns its SHA-256.

    Args:
        content: all of it.
        name: without folder.
    """
    digest = hashlib.sha256(content).hexdigest()
    target = place_of(digest, name)
    if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == digest:
        return digest
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            file.write(content)
        os.replace(file.name, target)
    except OSError as error:
        raise _unwritable(error) from None
    return digest


def link(path: Path, digest: str, name: str) -> None:
    """Have the store point to a file that may not be copied.

    Args:
        path: the file, absolute.
        digest: its SHA-256, in hexadecimal.
        name: its name, or a relative path that ends in it.
    """
    target = place_of(digest, name)
    try:
        if target.is_symlink() and target.readlink() == path:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        fresh.symlink_to(path)
        os.replace(fresh, target)
    except OSError as error:
        raise _unwritable(error) from None


def _unwritable(error: OSError) -> HashigoError:
    return HashigoError(
        f"the store of input files, {store_folder()}, cannot be written: {error.strerror}",
        fix="set HASHIGO_FILES to a folder that all jobs can read",
    )
