"""Files of a study by their SHA-256, where every later job finds them: no study has to hold a path of its user."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from hashigo.errors import HashigoError


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
    """
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
