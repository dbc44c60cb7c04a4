"""`hashigo frames`: look at files of frames, merge, split and convert them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from hashigo.errors import InputError, WorkerError

FILE = click.Path(path_type=Path)


@click.group()
def frames() -> None:
    """Look at files of frames, merge, split and convert them.

    A file may be of any format that `hashigo frames convert --help` lists.
    """


@frames.command()
@click.argument("file", type=FILE)
@click.option("--from", "form", metavar="FORMAT", help="Format of FILE, where its name does not tell.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(file: Path, form: str | None, as_json: bool) -> None:
    """Show what FILE holds: counts, cells, ranges, and what is missing."""
    from hashigo.calculators.formats import read_source
    from hashigo.calculators.formats.summary import summarise

    source = read_source(file, form)
    found = summarise(_counted(source.frames), source.header)
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    click.echo(f"{file.name}: {found['n_frames']} frames")
    for name, text in _rows(found):
        click.echo(f"  {name:<20} {text}")
    for note in source.notes:
        click.echo(f"  note: {note}")


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "kinds", ", ".join(f"{count} {kind}" for kind, count in found["kinds"].items())
    yield "elements", ", ".join(found["elements"])
    for cell in found["supercells"]:
        yield (
            "cells",
            f"{cell['frames']} of {cell['atoms']} atoms, {cell['repeats'] or 'no repeats of the unit cell'}",
        )
    for name, unit in (("energy", "eV/atom"), ("force", "eV/Å"), ("stress", "GPa")):
        ends = found["ranges"][name]
        if ends is not None:
            yield f"{name} [{unit}]", f"{ends[0]:.6g} to {ends[1]:.6g}"
    yield "engine", found["engine"] or "not said"
    said = {True: "yes", False: "no", None: "not said"}
    yield "first-principles", said[found["first_principles"]]
    yield "unit cell", "known" if found["unit_cell"] else "not said"
    yield "Born charges", "yes" if found["polar"] else "no"
    if found["missing"]:
        yield "missing", ", ".join(f"{name} of {count} frames" for name, count in found["missing"].items())


@frames.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--output", "-o", type=FILE, required=True, help="File to write.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def merge(files: tuple[Path, ...], output: Path, force: bool) -> None:
    """Put the frames of FILES, which are of one crystal, into one file; equal frames are kept once."""
    from hashigo.calculators.formats import find_format, read_source
    from hashigo.calculators.formats.merging import Merger

    target = _target(output, None, force)
    for file in files:
        find_format(file)
        _not_itself(file, output)
    merger = Merger([(file.name, read_source(file)) for file in files])
    with _written(output, force) as path:
        lost = target(path, _counted(merger.frames()), merger.header)
    click.echo(f"wrote {merger.kept} frames to {output}; {merger.dropped} duplicates were dropped")
    _tell(lost)


@frames.command()
@click.argument("file", type=FILE)
@click.option(
    "--output", "-o", type=FILE, required=True, multiple=True, help="File to write; give two with --share."
)
@click.option(
    "--share", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Share of the first file."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random choice.")
@click.option("--kind", help="Kind of the frames of the first file: displaced, strained or atom.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
def split(
    file: Path, output: tuple[Path, ...], share: float | None, seed: int, kind: str | None, force: bool
) -> None:
    """Split FILE at random by a share, or by the kind of frames; the rest goes to the second --output, if given."""
    from hashigo.calculators.formats import read_source
    from hashigo.calculators.formats.merging import choose

    if (share is None) == (kind is None):
        raise InputError("give either --share or --kind", fix="for example --share 0.8")
    if len(output) > 2 or len({path.resolve() for path in output}) < len(output):
        raise InputError("--output is to name one or two different files", fix="-o train.h5 -o test.h5")
    targets = [_target(path, None, force) for path in output]
    for path in output:
        _not_itself(file, path)
    chosen = choose(_counted(read_source(file).frames), share, seed, kind)
    header = read_source(file).header
    for path, first in zip(output, (True, False), strict=False):
        n = sum(mark == first for mark in chosen)
        if not n:
            raise InputError(
                f"no frame of {file.name} is left for {path.name}", fix="choose another share or kind"
            )
    for path, target, first in zip(output, targets, (True, False), strict=False):
        source = read_source(file)
        part = (frame for frame, mark in zip(source.frames, chosen, strict=True) if mark == first)
        with _written(path, force) as place:
            lost = target(place, _counted(part), header)
        click.echo(f"wrote {sum(mark == first for mark in chosen)} of {len(chosen)} frames to {path}")
        _tell(lost)


@frames.command()
@click.argument("file", type=FILE)
@click.argument("output", type=FILE)
@click.option("--from", "form", metavar="FORMAT", help="Format of FILE, where its name does not tell.")
@click.option("--to", metavar="FORMAT", help="Format of OUTPUT, where its name does not tell.")
@click.option(
    "--structure", type=FILE, help="Unit cell of the frames (CIF, POSCAR, …), where FILE does not say it."
)
@click.option(
    "--displacements",
    type=FILE,
    help="phonopy_disp.yaml or phono3py_disp.yaml of FORCE_SETS, FORCES_FC2 or FORCES_FC3, where not beside it.",
)
@click.option("--force", is_flag=True, help="Replace OUTPUT if it is there.")
def convert(
    file: Path,
    output: Path,
    form: str | None,
    to: str | None,
    structure: Path | None,
    displacements: Path | None,
    force: bool,
) -> None:
    """Write the frames of FILE as OUTPUT, whose name tells the format.

    \b
    hdf5                  *.h5
    extxyz                *.xyz, *.extxyz
    ase_database          *.db
    phonopy               phonopy_params.yaml, phono3py_params.yaml (also .xz, .gz, .bz2)
    force_sets            FORCE_SETS, with phonopy_disp.yaml or phonopy.yaml beside it
    forces_fc             FORCES_FC2, FORCES_FC3, with phono3py_disp.yaml beside them
    vasprun               vasprun.xml (only read)
    quantum_espresso      *.out, *.pwo of pw.x (only read)
    quantum_espresso_xml  data-file-schema.xml (only read)
    """
    from hashigo.calculators.formats import read_source
    from hashigo.calculators.formats.unit_cell import with_unit_cell

    target = _target(output, to, force)
    _not_itself(file, output)
    cells = []
    if structure is not None:
        from hashigo.study.structures import read_structure_file, standardise

        atoms = read_structure_file(structure)
        cells = [atoms, standardise(atoms)]
    source = with_unit_cell(lambda: read_source(file, form, displacements), cells)
    if cells and "structure" not in source.header:
        raise InputError(
            f"no frame of {file.name} is a supercell of {structure}",
            fix="give the unit cell in the axes of the frames",
        )
    counted = _counted(source.frames)
    with _written(output, force) as path:
        lost = target(path, counted, source.header)
    click.echo(f"wrote {output}")
    _tell([*source.notes, *lost])


def _target(output: Path, name: str | None, force: bool) -> Any:
    """What writes a file of this name."""
    from hashigo.calculators.formats import find_format

    form = find_format(output, name)
    if form.write is None:
        raise InputError(
            f"{form.title} is only read, not written", fix="choose another format for the output"
        )
    if output.is_dir() or not output.resolve().parent.is_dir():
        what = "is a folder" if output.is_dir() else "lies in a folder that does not exist"
        raise InputError(f"{output} {what}", fix="give the name of a file")
    if output.exists() and not force:
        raise InputError(f"{output} is there already", fix="choose another name, or give --force")
    return form.write


def _not_itself(file: Path, output: Path) -> None:
    if output.exists() and file.exists() and output.samefile(file):
        raise InputError(f"{file} would be written over while it is read", fix="choose another name")


@contextmanager
def _written(output: Path, force: bool) -> Iterator[Path]:
    """Where to write a file of this name; what has appeared under it meanwhile is replaced only with `force`."""
    try:
        if force:
            yield output  # writers put a file under its name when it is whole
            return
        with tempfile.TemporaryDirectory(dir=output.resolve().parent, prefix=".hashigo-") as folder:
            yield Path(folder) / output.name
            _move_new(sorted(Path(folder).iterdir()), output.resolve().parent)
    except OSError as error:
        raise InputError(
            f"{output} cannot be written: {error.strerror or error}",
            fix="see that you may write there, and that the disk has space left",
        ) from None
    except WorkerError as error:  # of the writer, which names a temporary file
        raise InputError(
            f"{output} cannot be written: {error.message.partition('cannot be written: ')[2] or error.message}",
            fix=error.fix,
        ) from None


def _move_new(files: list[Path], folder: Path) -> None:
    """Give files their names in another folder of the same disk, all or none, in the place of none that is there."""
    done: list[Path] = []
    for file in files:
        target = folder / file.name
        try:
            # Unlike a renaming, this fails where the name is taken.
            os.link(file, target)
        except OSError as error:
            for earlier in done:
                earlier.unlink()
            if isinstance(error, FileExistsError):
                raise InputError(
                    f"{target.name} is there already", fix="write into an empty folder, or give --force"
                ) from None
            raise
        done.append(target)


def _counted(found: Iterator[Any]) -> Iterator[Any]:
    """The frames, counted on a terminal while they pass."""
    import sys

    shown = sys.stderr.isatty()
    count = 0
    for frame in found:
        yield frame
        count += 1
        if shown and count % 1000 == 0:
            click.echo(f"\r{count} frames", nl=False, err=True)
    if shown and count >= 1000:
        click.echo("\r" + " " * 20 + "\r", nl=False, err=True)


def _tell(sentences: list[str]) -> None:
    for sentence in sentences:
        click.echo(f"  {sentence}")
