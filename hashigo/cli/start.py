"""`hashigo init`, `plan` and `schema`: before a run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click

from hashigo.errors import InputError


@click.command()
@click.argument("structure", type=click.Path(path_type=Path))
@click.option(
    "--reference", type=click.Path(path_type=Path), help="Frames file to start from; else an engine."
)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), default=Path("study.yaml"), show_default=True
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def init(structure: Path, reference: Path | None, output: Path, force: bool) -> None:
    """Write a commented study for STRUCTURE (CIF, POSCAR or extended XYZ)."""
    from hashigo.study.structures import read_structure_file, standardise
    from hashigo.study.template import study_text

    atoms = standardise(read_structure_file(structure))
    if reference is not None and not reference.is_file():
        raise InputError(f"frames file {reference} does not exist", fix="check --reference")
    if output.is_dir() or not output.resolve().parent.is_dir():
        what = "is a folder" if output.is_dir() else "lies in a folder that does not exist"
        raise InputError(f"{output} {what}", fix="give the name of a file by --output")
    if output.exists() and not force:
        raise InputError(
            f"{output} is there already", fix="choose another name with --output, or give --force"
        )
    folder = output.resolve().parent
    names = [_relative(path, folder) if path else None for path in (structure, reference)]
    try:
        output.write_text(study_text(atoms, str(names[0]), names[1]), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{output} cannot be written: {error.strerror}", fix="give another by --output"
        ) from None
    click.echo(f"wrote {output}; look it through, then: hashigo plan {shlex.quote(str(output))}")


def _relative(path: Path, folder: Path) -> str:
    import os

    return os.path.relpath(path.resolve(), folder)


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def plan(study: Path, as_json: bool) -> None:
    """Show the stages of STUDY with their jobs and what each will need; nothing is started."""
    from hashigo.study import load_study
    from hashigo.workflows.inputs import prepare

    prepared = prepare(load_study(study))
    from hashigo.workflows.plan import plan_rows

    rows = plan_rows(prepared)
    if as_json:
        click.echo(json.dumps({"study": prepared.study.title, "stages": rows}, indent=1, ensure_ascii=False))
        return
    _print_plan(prepared, rows)


def _print_plan(prepared: Any, rows: list[dict[str, Any]]) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(
        f"{prepared.study.title}: {prepared.structure.get_chemical_formula()} on site '{prepared.study.site}'"
    )
    table = Table(box=None, padding=(0, 2), show_edge=False)
    for header in ("stage", "jobs", "ranks", "what"):
        table.add_column(header, justify="right" if header in ("jobs", "ranks") else "left")
    for row in rows:
        table.add_row(row["title"], str(row["jobs"]), str(row["ranks"]), row["needs"])
    console.print(table)
    from hashigo.workflows.stage import left_out

    for title in left_out(prepared.content):
        console.print(f"{title}: left out, since the study ends before (until: {prepared.study.until})")
    console.print("jobs that were finished before are taken from the cache", style="dim")


@click.command()
def schema() -> None:
    """Print the JSON schema of study files; editors check and complete a study with it."""
    from hashigo.study import Study

    click.echo(json.dumps(Study.model_json_schema(), indent=1, ensure_ascii=False))
