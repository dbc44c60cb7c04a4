"""`hashigo crosscheck`: a polycrystal's properties by another solver."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashigo.errors import InputError

if TYPE_CHECKING:
    from hashigo.calculators.results import ResultReader
    from hashigo.calculators.workers.homogenization.crosscheck import Comparison
    from hashigo.calculators.workers.homogenization.interface import PeriodicProblem

UNITS = {"stiffness": "GPa", "conductivity": "W/(m K)"}
#: Entries of the table.
MOST_ROWS = 6


@click.command()
@click.argument("source", metavar="[RUN]", required=False)
@click.option("--with", "name", required=True, metavar="SOLVER", help="muspectre, damask or fans.")
@click.option(
    "--property", "wanted", type=click.Choice(list(UNITS)), default="stiffness", show_default=True,
    help="Effective property that is compared.",
)  # fmt: skip
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Of the files of damask or fans. [default: crosscheck-SOLVER]",
)
@click.option(
    "--tolerance", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=1e-8, show_default=True,
    help="Relative residual of the other solver.",
)  # fmt: skip
@click.option("--python", help="Interpreter that has muSpectre. [default: $HASHIGO_MUSPECTRE_PYTHON]")
@click.option("--scheme", help="Of muSpectre: rotated, fourier or tetrahedra.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def crosscheck(
    source: str | None,
    name: str,
    wanted: str,
    folder: Path | None,
    tolerance: float,
    python: str | None,
    scheme: str | None,
    as_json: bool,
) -> None:
    """Homogenise the first polycrystal of RUN with another solver, and compare.

    RUN is the number of a run (the latest without one), its results' folder, or a result file of the mesoscale. Of
    damask and fans the first call writes input files; when the code has run on them, the second reads its result.
    \f

    Args:
        source: run, folder or file.
        name: of the other solver.
        wanted: property that is compared.
        folder: of the other solver's files.
        tolerance: relative residual of the other solver, dimensionless.
        python: interpreter that has muSpectre.
        scheme: of muSpectre.
        as_json: print everything as JSON.
    """
    from hashigo.calculators.workers.homogenization.crosscheck import compare, outcome_of
    from hashigo.calculators.workers.homogenization.interface import get_homogenizer, homogenizer_names
    from hashigo.calculators.workers.homogenization.problem_file import read_problem

    others = [each for each in homogenizer_names() if each != "hashigo"]
    if name not in others:
        raise InputError(f"--with '{name}' is no other solver", fix=f"choose one of: {', '.join(others)}")
    solver = get_homogenizer(name)
    with _reader(source) as reader:
        problem, found = read_problem(reader, wanted)
    place = folder or Path(f"crosscheck-{name}")
    outcome = outcome_of(solver, problem, tolerance, place, {"python": python, "scheme": scheme})
    if outcome is None:
        told = f"input of {solver.title} is written; {solver.how(place)}; then give this command again"
        click.echo(json.dumps({"written": str(place), "next": solver.how(place)}) if as_json else told)
        return
    comparison = compare(solver, outcome, problem, found)
    if as_json:
        click.echo(json.dumps(_content(comparison, problem, wanted), indent=1, ensure_ascii=False))
    else:
        _print(comparison, problem, wanted)


def _reader(source: str | None) -> ResultReader:
    """Open the mesoscale's result of a run, of a folder of results, or a file."""
    from hashigo.calculators.results import ResultReader

    if source is not None and Path(source).exists():
        path = Path(source)
        file = path / "microstructure.vtkhdf" if path.is_dir() else path
        if not file.is_file():
            raise InputError(
                f"{path} holds no microstructure.vtkhdf", fix="give the folder of a run's results"
            )
        return ResultReader(file)
    from hashigo.workflows import profile

    profile.load(create=False)
    from hashigo.workflows.engine import find_run
    from hashigo.workflows.results import stage_results

    node = find_run(source)
    results = stage_results(node)
    if "mesoscale" not in results:
        raise InputError(f"run {node.pk} has no mesoscale", fix="hashigo status lists others")
    return results["mesoscale"].reader()


def _content(comparison: Comparison, problem: PeriodicProblem, wanted: str) -> dict[str, Any]:
    outcome = comparison.outcome
    return {
        "property": wanted,
        "units": UNITS[wanted],
        "voxels": list(problem.phase.shape[::-1]),
        "phases": len(problem.table),
        "discretisation": {
            "hashigo": comparison.discretisation,
            comparison.solver.name: comparison.other_discretisation,
        },
        "hashigo": comparison.ours.tolist(),
        comparison.solver.name: comparison.theirs.tolist(),
        "largest_relative_difference": comparison.largest,
        "iterations": list(outcome.iterations),
        "seconds": sum(outcome.wall),
    }


def _print(comparison: Comparison, problem: PeriodicProblem, wanted: str) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    solver, differences = comparison.solver, comparison.differences
    nz, ny, nx = problem.phase.shape
    click.echo(f"{wanted} of {len(problem.table)} grains on {nx} × {ny} × {nz} voxels, realisation 1")
    table = Table(box=None, padding=(0, 1), show_edge=False)
    for header in ("entry", f"Hashigo [{UNITS[wanted]}]", solver.title, "difference"):
        table.add_column(header, justify="left" if header == "entry" else "right", no_wrap=True)
    letter = "C" if wanted == "stiffness" else "κ"
    rows, columns = np.triu_indices(len(differences))
    order = np.argsort(-np.abs(differences[rows, columns]), kind="stable")[:MOST_ROWS]
    for i, j in zip(rows[order], columns[order], strict=True):
        ours, theirs = comparison.ours[i, j], comparison.theirs[i, j]
        table.add_row(f"{letter}{i + 1}{j + 1}", f"{ours:.6f}", f"{theirs:.6f}", f"{differences[i, j]:+.1e}")
    text = io.StringIO()
    Console(file=text, width=120, highlight=False).print(table)
    click.echo("\n".join(row.rstrip() for row in text.getvalue().splitlines()))
    click.echo(f"largest difference, relative to the largest entry: {comparison.largest:.1e}")
    click.echo(f"Hashigo: {comparison.discretisation}")
    click.echo(f"{solver.title}: {comparison.other_discretisation}")
    if comparison.same_equations:
        click.echo("both solve the same equations: what is between them is rounding and tolerance")
    else:
        click.echo("differences between discretisations are no error of either, and shrink with the grid")
