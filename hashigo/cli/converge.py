"""`hashigo converge`: the cut-off and k-mesh that are enough for a study: a table, a plot, and the lines to paste."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from hashigo.errors import HashigoError, InputError

#: Largest change of a force and of a component of stress that is allowed by default.
FORCE, STRESS = "0.005 eV/Å", "0.1 GPa"


class NotConverged(HashigoError):
    """The series ended before forces and stress were within their tolerances, or the frames could not be computed."""

    exit_code = 3


@click.command()
@click.argument("study", type=click.Path(path_type=Path))
@click.option(
    "--force-tolerance", default=FORCE, show_default=True, help="Largest change of the force on an atom."
)
@click.option(
    "--stress-tolerance", default=STRESS, show_default=True, help="Largest change of a component of stress."
)
@click.option(
    "--max-steps",
    default=8,
    show_default=True,
    type=click.IntRange(3, 30),
    help="Most values of each setting.",
)
@click.option(
    "--frames",
    default=2,
    show_default=True,
    type=click.IntRange(1, 10),
    help="Deformed cells that are compared.",
)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Folder of the plot and the numbers.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON, and nothing else.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
def converge(
    study: Path,
    force_tolerance: str,
    stress_tolerance: str,
    max_steps: int,
    frames: int,
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Raise cut-off and k-mesh of STUDY until forces and stress change no more than their tolerances.

    Values from well below the study's own are tried on a few strained cells with displaced atoms. What is finished
    already is taken from the cache.
    \f

    Args:
        study: file of the study.
        force_tolerance: number with a unit, or in eV/Å.
        stress_tolerance: number with a unit, or in GPa.
        max_steps: largest number of values of each setting.
        frames: number of deformed cells.
        output: folder of the plot and the numbers.
        as_json: print the numbers as JSON, and nothing else.
        quiet: print nothing but errors.
    """
    from hashigo.cli.run import check_output
    from hashigo.study import load_study

    loaded = load_study(study)
    wanted = {
        "force_tolerance": _tolerance(force_tolerance, "eV/Å", "--force-tolerance"),
        "stress_tolerance": _tolerance(stress_tolerance, "GPa", "--stress-tolerance"),
        "max_steps": max_steps,
    }
    folder = output or loaded.folder / f"{loaded.name}-convergence"
    check_output(folder)
    prepared = _prepared(loaded)
    node, told = _run(prepared, wanted, frames, study, quiet or as_json), not (quiet or as_json)
    if "result" not in node.outputs:
        raise _failure(node, study)
    result = node.outputs.result.get_dict()
    content = {"study": prepared.study.title, "run": node.uuid, **result}
    _write(content, folder)
    if as_json:
        click.echo(json.dumps(content, indent=1, ensure_ascii=False))
    if told:
        from hashigo.cli.converge_table import print_result

        print_result(content)
        click.echo(f"\nplot and numbers: {folder}")
    if not node.is_finished_ok:
        raise _failure(node, study)


def _tolerance(given: str, unit: str, option: str) -> float:
    from hashigo.study.units import in_unit

    value = in_unit(given, unit, option)
    if not 0 < value < float("inf"):
        raise InputError(f"{option} is {given!r}", fix="give more than 0")
    return value


def _prepared(study: Any) -> Any:
    """The study as far as its frames, without Born charges; refused where there is nothing to converge."""
    if study.reference.data:
        raise InputError(
            f"the frames of this study are given by {study.reference.data}: there is nothing to converge",
            fix="name an engine in reference.engine",
        )
    from hashigo.calculators.engines import get_engine

    engine = get_engine(study.reference.engine)
    if not engine.first_principles or not {"cutoff", "kpoint_spacing"} & set(engine.settings):
        reason = "is not first-principles and" if not engine.first_principles else ""
        raise InputError(
            f"engine '{engine.name}' {reason} has no cut-off and k-mesh to converge".replace("  ", " "),
            fix="choose a first-principles engine",
            see="hashigo engines",
        )
    from hashigo.workflows.inputs import prepare

    reference = study.reference.model_copy(update={"polar": False})
    return prepare(study.model_copy(update={"until": "reference", "reference": reference}))


def _run(prepared: Any, wanted: Mapping[str, Any], frames: int, path: Path, quiet: bool) -> Any:
    from hashigo.workflows import profile

    made = profile.load()
    from hashigo.cli.tree import Watcher
    from hashigo.workflows.convergence import ConvergenceWorkChain, start_inputs
    from hashigo.workflows.engine import run_process

    if made and not quiet:
        click.echo(made)
    inputs, again = start_inputs(prepared, wanted, frames), f"hashigo converge {path}"
    with Watcher(quiet=quiet, lines=lines) as watcher:
        return run_process(ConvergenceWorkChain, inputs, prepared.study, again, watcher.update, watcher.start)


def lines(root: Any, finished: dict[str, list[Any]]) -> Iterator[Any]:
    """Lines of the live tree: one for each set of values that is tried.

    Args:
        root: the WorkChain.
        finished: lines of those that have ended, kept by who looks again and again.
    """
    from hashigo.cli.tree import process_lines

    for child in sorted(root.called, key=lambda node: node.pk):
        if child.process_label != "ReferenceWorkChain":
            continue
        if child.uuid not in finished:
            now = list(process_lines(child.label, child))
            if not child.is_terminated:
                yield from now
                continue
            finished[child.uuid] = now
        yield from finished[child.uuid]


def _write(content: Mapping[str, Any], folder: Path) -> None:
    from hashigo.report.figures.convergence import convergence
    from hashigo.report.figures.style import svg

    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (folder / "convergence.json").write_text(text, encoding="utf-8")
    (folder / "convergence.svg").write_text(svg(convergence(content)), encoding="utf-8")


def _failure(node: Any, path: Path) -> HashigoError:
    from hashigo.workflows.stage import job_failure, was_bad_input

    if "result" in node.outputs:
        return NotConverged(
            f"{node.exit_message}; nothing is recommended",
            fix="raise --max-steps, or the tolerances; what was computed is kept",
        )
    failure = NotConverged(str(node.exit_message or job_failure(node)), fix=f"mend {path}, and run it again")
    if was_bad_input(node):
        failure.exit_code = InputError.exit_code
    return failure
