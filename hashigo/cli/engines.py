"""`hashigo engines`: what can compute forces, what is installed, and what each can be told."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import click

from hashigo.calculators.engines import Engine, engine_names, get_engine
from hashigo.errors import InputError

#: Longest wait for a program that is asked for its version, s.
PATIENCE = 20


@click.command()
@click.argument("name", required=False)
@click.option("--site", default="local", show_default=True, help="Site whose programs are looked for.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def engines(name: str | None, site: str, as_json: bool) -> None:
    """List all engines, or show the settings of NAME."""
    from hashigo.scheduler_profiles.model import load_site

    codes = load_site(site).codes
    if name is None:
        rows = [facts(get_engine(each), codes) for each in engine_names()]
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False)) if as_json else _print_table(rows)
        return
    if name not in engine_names():
        raise InputError(f"engine '{name}' is not known", fix=f"choose one of: {', '.join(engine_names())}")
    engine = get_engine(name)
    found = {**facts(engine, codes), "settings": settings(engine)}
    if engine.program is not None and found["installed"]:
        found["version"] = program_version(engine, codes)
    click.echo(json.dumps(found, indent=1, ensure_ascii=False)) if as_json else _print_engine(found)


def facts(engine: Engine, codes: dict[str, str]) -> dict[str, Any]:
    """What the table shows of an engine; nothing is imported or started.

    Args:
        engine: the engine.
        codes: executables of the site by program name.
    """
    lacking = engine.lacks(codes)
    runs = [word for word, can in (("batch", engine.calculator), ("job a frame", engine.job)) if can]
    return {
        "engine": engine.name,
        "title": engine.title,
        "first_principles": engine.first_principles,
        "installed": not lacking,
        "missing": lacking,
        "obtain": engine.how_to_get(),
        "module": engine.module,
        "program": engine.program.name if engine.program else "",
        "extra": engine.extra,
        "runs": runs,
        # The version of a module that drives a program would be taken for the program's.
        "version": "" if lacking or engine.program else module_version(engine.module),
    }


def settings(engine: Engine) -> list[dict[str, Any]]:
    """The settings of an engine, in the order in which it declares them."""
    return [
        {
            "setting": name,
            "default": setting.default,
            "unit": setting.unit,
            "description": setting.description,
            "physics": setting.physics,
        }
        for name, setting in engine.settings.items()
    ]


def module_version(module: str) -> str:
    """Version of the distribution that brings a module, "" when nobody says; the module is not loaded.

    Args:
        module: name of a Python module, "" for none.
    """
    from importlib.metadata import PackageNotFoundError, version

    if not module:
        return ""
    for distribution in (module, f"{module}-torch", module.replace("_", "-")):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return ""


def program_version(engine: Engine, codes: dict[str, str]) -> str:
    """First line in which an engine's program tells its version, "" when it is not asked or does not answer."""
    program = engine.program
    if program is None or not program.version:
        return ""
    try:
        done = subprocess.run(
            [codes.get(program.name, program.name), *program.version], capture_output=True, text=True,
            timeout=PATIENCE, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next((line.strip() for line in done.stdout.splitlines() if line.strip()), "")


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2), show_edge=False)
    for header in ("engine", "first-principles", "installed", "what is missing, how to get it"):
        table.add_column(header)
    for row in rows:
        state = f"yes {row['version']}".strip() if row["installed"] else "no"
        how = "" if row["installed"] else f"{row['missing']}: {row['obtain']}"
        table.add_row(row["engine"], "yes" if row["first_principles"] else "no", state, how)
    _console().print(table)
    click.echo("settings of one: hashigo engines NAME")


def _print_engine(found: dict[str, Any]) -> None:
    from rich.table import Table

    truth = "first-principles" if found["first_principles"] else "not first-principles"
    state = "installed" if found["installed"] else f"{found['missing']} is missing"
    version = f", {found['version']}" if found["version"] else ""
    click.echo(f"{found['title']}: {truth}, {state}{version}; runs as {' or '.join(found['runs'])}")
    if found["obtain"]:
        click.echo(f"how to get it: {found['obtain']}")
    if not found["settings"]:
        click.echo("no settings")
        return
    table = Table(box=None, padding=(0, 2), show_edge=False)
    for header in ("setting", "default", "unit", "meaning"):
        table.add_column(header)
    for row in found["settings"]:
        default = json.dumps(row["default"], ensure_ascii=False)
        table.add_row(row["setting"], default, row["unit"], row["description"])
    _console().print(table)


def _console() -> Any:
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, markup=False, width=None if sys.stdout.isatty() else 120)
