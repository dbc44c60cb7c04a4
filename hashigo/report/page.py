"""The report: one HTML page that needs nothing else, and the files that stand beside it."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from hashigo.calculators.frames import Frame, write_frames
from hashigo.calculators.results import CREATOR as TEXT_CREATOR
from hashigo.calculators.results import TEXTS
from hashigo.calculators.workers.dynamics.h5md import CREATOR
from hashigo.calculators.workers.extrapolation import frames_to_label
from hashigo.errors import InputError
from hashigo.quantities import Quantity, quantity
from hashigo.report.content import ReportContent
from hashigo.report.handover import table_csv
from hashigo.version import VERSION
from hashigo.workflows.results import TableLine, clock, rounded

PAGE, NUMBERS, FRAMES, FIELDS = "report.html", "results.json", "reference.h5", "microstructure.vtkhdf"
#: Fields of stages that have them, by stage.
FIELD_FILES = {"mesoscale": FIELDS, "component": "component.vtkhdf"}
#: Configurations outside the region in which the potential was trained.
TO_LABEL = "to_label.h5"
#: What the crystal's stages handed to the mesoscale.
TABLE = "handover.csv"
#: Figures that need less than the page's width.
NARROW = ("directional-modulus",)


def render(content: ReportContent) -> str:
    """Make the page.

    Args:
        content: of the report; its texts are escaped, its pictures are taken as they are.

    Returns:
        HTML that asks for no other file.
    """
    environment = Environment(
        loader=PackageLoader("hashigo.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        words=words,
        symbol=symbol_html,
        unit=unit_html,
        rounded=rounded,
        short=short,
        parts=parts,
        duration=clock,
        data_uri=data_uri,
    )
    page: str = environment.get_template("report.html.j2").render(
        content=content, narrow=NARROW, meanings=_meanings(content), version=VERSION
    )
    return page


def _meanings(content: ReportContent) -> list[Quantity]:
    names = (line.quantity for section in content.sections for line in section.lines)
    return [quantity(name) for name in dict.fromkeys(names)]


def words(name: str) -> str:
    """A quantity's key as people write it."""
    return name.replace("_", " ").replace("helmholtz", "Helmholtz").replace("gamma", "at Γ")


def symbol_html(symbol: str) -> Markup:
    """A symbol with its indices set low: "C_eff_11" as C with "eff, 11"."""
    base, _, indices = symbol.partition("_")
    low = Markup("<sub>{}</sub>").format(indices.replace("_", ", ")) if indices else Markup("")
    return Markup("<var>{}</var>{}").format(base, low)


def unit_html(unit: str) -> Markup:
    """A unit with its powers set high."""
    return Markup(re.sub(r"\^(-?\d+)", r"<sup>\1</sup>", str(escape(unit))))


def short(value: float) -> str:
    """A number of any unit with two digits.

    Args:
        value: the number, in any unit.
    """
    return f"{float(f'{value:.2g}'):g}"


def parts(line: TableLine) -> str:
    """Parts of a standard uncertainty in words; those that do not change its printed digits are left out."""
    shown = {name: part for name, part in line.components.items() if part > 1e-4 * (line.uncertainty or 0.0)}
    return ", ".join(f"{name}\u00a0{short(part)}" for name, part in shown.items())


def data_uri(svg: str) -> str:
    """A picture as an address that holds it: scripts do not run in it, and its ids are its own."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def write_report(node: Any, path: Path) -> Path:
    """Write the report of a run; the file appears when it is complete.

    Args:
        node: the run, finished or not.
        path: file to write.

    Returns:
        The file.

    Raises:
        InputError: when the file cannot be written.
    """
    from hashigo.report.collect import collect_content

    return _write(Path(path), render(collect_content(node)).encode())


def write_outputs(node: Any, folder: Path) -> Path:
    """Write the report, all numbers as JSON, frames that were computed, the table handed to the mesoscale as CSV, and
    the fields of microstructure and component into a folder.

    Args:
        node: the run, finished or not; what it has is written.
        folder: made where it does not exist; files of an earlier run in it are replaced, but for configurations to be
            labelled, which stay until there are others.

    Returns:
        The report.

    Raises:
        InputError: when a file cannot be written.
    """
    from hashigo.workflows.results import results_content, stage_results

    folder = Path(folder)
    numbers = json.dumps(results_content(node), indent=1, ensure_ascii=False) + "\n"
    _write(folder / NUMBERS, numbers.encode())
    found = node.outputs.stages if "stages" in node.outputs else {}
    # Frames that were given are in the user's own file, perhaps in this very folder.
    if "reference" in found and "frames" not in node.inputs:
        _write(folder / FRAMES, found["reference"].get_content(mode="rb"))
    outside = [frame for data in stage_results(node).values() for frame in _to_label(data)]
    if outside:
        folder.mkdir(parents=True, exist_ok=True)
        write_frames(folder / TO_LABEL, outside, {})
    # Where there are none, those of an earlier run stay: its user was told to label them.
    if "handover" in found:
        with found["handover"].reader() as reader:
            _write(folder / TABLE, table_csv(reader).encode())
    else:
        (folder / TABLE).unlink(missing_ok=True)
    for stage, name in FIELD_FILES.items():
        if stage in found:
            _write(folder / name, found[stage].get_content(mode="rb"))
        else:
            # What an earlier run left there does not belong to this one.
            (folder / name).unlink(missing_ok=True)
    write_texts(stage_results(node).values(), folder)
    write_trajectories([found["dynamics"]] if "dynamics" in found else [], folder)
    return write_report(node, folder / PAGE)


def _to_label(data: Any) -> list[Frame]:
    """Configurations outside the potential's region that a result holds."""
    with data.reader() as reader:
        return frames_to_label(reader)


def write_texts(results: Iterable[Any], folder: Path) -> None:
    """Write the text files that results keep, such as crystal structures, in place of those of an earlier run.

    Args:
        results: nodes of stages.
        folder: where to; files of these names that Hashigo did not write stay.

    Raises:
        InputError: when a file cannot be written.
    """
    kept: dict[str, str] = {}
    for result in results:
        with result.reader() as reader:
            kept.update(reader.texts())
    for name in TEXTS:
        path = folder / name
        if name in kept:
            _write(path, kept[name].encode())
        elif path.is_file() and TEXT_CREATOR in path.read_bytes()[:500].decode(errors="replace"):
            path.unlink()


def write_trajectories(results: Sequence[Any], folder: Path) -> None:
    """Write each trajectory as an H5MD file of its own, in place of those of an earlier run; other programs' stay.

    Args:
        results: node of the stage of dynamics; empty where it has not run.
        folder: that is there.

    Raises:
        InputError: when a file cannot be written.
    """
    for path in folder.glob("trajectory-*.h5md"):
        if _is_ours(path):
            path.unlink()
    for result in results:
        with result.reader() as reader:
            for name, group in reader.file.get("trajectories", {}).items():
                stream = io.BytesIO()
                with h5py.File(stream, "w") as file:
                    for key in group:
                        group.copy(key, file)
                _write(folder / f"trajectory-{name}.h5md", stream.getvalue())


def _is_ours(path: Path) -> bool:
    """Whether a file is a trajectory that Hashigo wrote."""
    try:
        with h5py.File(path) as file:
            return bool(file["h5md/creator"].attrs.get("name") == CREATOR)
    except (OSError, KeyError):  # no HDF5, or no H5MD
        return False


def _write(path: Path, content: bytes) -> Path:
    if path.is_dir():
        raise InputError(f"{path} is a folder, and a file was to be written", fix="give the name of a file")
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise InputError(
            f"{path} cannot be written: {error.strerror}", fix="choose another place with --output"
        ) from error
    return path
