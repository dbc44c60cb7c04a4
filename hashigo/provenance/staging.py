"""A package appears under its name only when it is complete."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hashigo.errors import InputError

MARK = "ro-crate-metadata.json"
#: ZIP archives carry a time for each member; one and the same, so that equal content gives equal archives.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@contextmanager
def staged(target: Path, *, overwrite: bool = False, mark: str = MARK) -> Iterator[Path]:
    """Give a folder to write into, and put it under the target's name when all went well.

    Args:
        target: folder, or archive when its name ends with `.zip`.
        overwrite: replace a package that is there. Anything else that is there is never replaced.
        mark: name of a file by which a package of this format is known.

    Raises:
        InputError: when the target is there already, or its folder cannot be written.
    """
    target = target.absolute()
    _check_target(target, overwrite, mark)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=".hashigo-export-", dir=target.parent))
    except OSError as error:
        raise InputError(
            f"'{target.parent}' cannot be written: {error.strerror}", fix="choose another folder"
        ) from None
    try:
        package = workplace / "package"
        package.mkdir()
        yield package
        if target.suffix.lower() == ".zip":
            _pack(package, workplace / "package.zip")
            os.replace(workplace / "package.zip", target)
        else:
            _move(package, target, workplace / "replaced")
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _check_target(target: Path, overwrite: bool, mark: str) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not overwrite:
        raise InputError(f"'{target}' is there already", fix="choose another name, or give --force")
    if not _is_package(target, mark):
        raise InputError(f"'{target}' is no package, so it is not overwritten", fix="choose another name")


def _is_package(path: Path, mark: str) -> bool:
    if path.suffix.lower() != ".zip":
        return (path / mark).is_file()
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return mark in archive.namelist()


def _move(package: Path, target: Path, aside: Path) -> None:
    if target.exists():
        os.replace(target, aside)
    try:
        os.replace(package, target)
    except OSError:
        if aside.exists():
            os.replace(aside, target)
        raise


def _pack(package: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", compression=zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(path for path in package.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(package).as_posix(), ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with file.open("rb") as source, packed.open(entry, "w", force_zip64=True) as member:
                shutil.copyfileobj(source, member)
