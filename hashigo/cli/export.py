"""`hashigo export`: packages for data platforms."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("identifier", metavar="[ID]", required=False)
@click.option(
    "--as", "format_name", required=True, metavar="FORMAT", help="Format of the package: crate, or potential."
)
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Folder, or file ending in .zip.")
@click.option("--force", is_flag=True, help="Replace the target if it is there.")
def export(identifier: str | None, format_name: str, output: Path | None, force: bool) -> None:
    """Write the run ID (the latest without one) as a package for a data platform."""
    from hashigo.provenance.formats import export_format
    from hashigo.workflows import profile

    chosen = export_format(format_name)
    profile.load(create=False)
    from hashigo.workflows.engine import find_run

    node = find_run(identifier)
    target = output or Path(f"{node.label or 'run'}-{node.pk}-{format_name}")
    click.echo(chosen.write(node, target, overwrite=force))
