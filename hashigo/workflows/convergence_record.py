"""What a test of convergence found, as plain values: for the database, for JSON, for table and plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hashigo.calculators.convergence import NEEDED, Deviation, Point, varied
from hashigo.calculators.convergence_search import Check, Known, Search, Series
from hashigo.calculators.engines import Engine, get_engine
from hashigo.calculators.engines.kpoints import kpoint_mesh

#: Settings in words.
TITLES = {"cutoff": "cut-off", "kpoint_spacing": "k-mesh"}


def record(
    search: Search,
    known: Known,
    notes: Mapping[Point, tuple[float | None, str]],
    given: Mapping[str, Any],
    cell: Any,
) -> dict[str, Any]:
    """Series, check and recommendation.

    Args:
        search: that has ended.
        known: what is known of points.
        notes: of each point: time of a frame, s, and why it could not be computed.
        given: parameters of the WorkChain.
        cell: lattice vectors of the conventional cell as rows, shape (3, 3), Å.
    """
    engine = get_engine(given["engine"])
    lines = [search.series(index, known) for index in range(len(search.axes))]
    check = search.check(known)
    chosen = check.point if check is not None and check.deviation is not None else None
    return {
        "engine": engine.name,
        "n_frames": given["sampling"]["strained"],
        "force_tolerance": given["force_tolerance"],
        "stress_tolerance": given["stress_tolerance"],
        "units": {"force": "eV/Å", "stress": "GPa", "seconds_per_frame": "s"},
        "series": [
            _series(index, line, search, notes, engine, cell, chosen) for index, line in enumerate(lines)
        ],
        "converged": chosen is not None,
        "message": "" if chosen else _why(lines, check, known, search, notes),
        "recommended": _changed(search, chosen, given["settings"], engine) if chosen else None,
        "check": _check(check),
        "notes": _notes(engine, search, known, given, cell, chosen),
    }


def _series(
    index: int,
    line: Series,
    search: Search,
    notes: Mapping[Point, tuple[float | None, str]],
    engine: Engine,
    cell: Any,
    chosen: Point | None,
) -> dict[str, Any]:
    axis = line.axis
    steps = []
    for value in axis.values:
        point = (*search.base[:index], value, *search.base[index + 1 :])
        if point not in notes:
            continue
        seconds, error = notes[point]
        step: dict[str, Any] = {"value": value, "seconds_per_frame": seconds, "error": error}
        if axis.setting == "kpoint_spacing":
            step["mesh"] = kpoint_mesh(cell, value)
        step["finest"] = bool(line.points) and point == line.points[-1]
        at = line.points.index(point) if point in line.points else len(line.points)
        step.update(_numbers(line.deviations[at] if at < len(line.deviations) else None))
        steps.append(step)
    enough = chosen or (None if line.recommended is None else line.points[line.recommended])
    return {
        "setting": axis.setting,
        "unit": engine.settings[axis.setting].unit,
        "own": axis.values[axis.own],
        "converged": line.recommended is not None,
        "enough": None if enough is None else enough[index],
        "steps": steps,
    }


def _numbers(deviation: Deviation | None) -> dict[str, float | None]:
    return {
        "force_error": None if deviation is None else deviation.force,
        "stress_error": None if deviation is None else deviation.stress,
    }


def _check(check: Check | None) -> dict[str, Any] | None:
    if check is None:
        return None
    point = None if check.point is None else list(check.point)
    return {"finest": list(check.finest), "point": point, **_numbers(check.deviation)}


def _changed(search: Search, point: Point, settings: Mapping[str, Any], engine: Engine) -> dict[str, Any]:
    """The recommended settings as they are written in a study."""
    names = [axis.setting for axis in search.axes]
    if "cutoff" in names and settings.get("density_cutoff"):
        names.insert(names.index("cutoff") + 1, "density_cutoff")
    values = varied(settings, search.axes, point)
    return {name: f"{values[name]:g} {engine.settings[name].unit}" for name in names}


def _why(
    lines: Sequence[Series],
    check: Check | None,
    known: Known,
    search: Search,
    notes: Mapping[Point, tuple[float | None, str]],
) -> str:
    open_ones = [line for line in lines if line.recommended is None]
    if open_ones:
        names = " and ".join(TITLES[line.axis.setting] for line in open_ones)
        failed = [notes[point][1] for point, sample in known.items() if sample is None]
        more = f"; one could not be computed: {failed[-1]}" if failed else ""
        return f"not converged with the {names}: fewer than {NEEDED} values below the finest are within tolerance{more}"
    assert check is not None
    if check.deviation is None:
        failed = [notes[point][1] for point, sample in known.items() if sample is None]
        return f"not converged: cut-off and k-mesh could not be checked together: {failed[-1]}"
    return "not converged: each setting is, but together no values below the finest are within tolerance of the finest"


def _notes(
    engine: Engine, search: Search, known: Known, given: Mapping[str, Any], cell: Any, chosen: Point | None
) -> list[str]:
    out = []
    settings = [axis.setting for axis in search.axes]
    if "basis_set" in engine.settings:
        what = engine.settings["cutoff"].description if "cutoff" in settings else ""
        basis = given["settings"]["basis_set"]
        out.append(
            f"the basis of {engine.title} is a set of orbitals ('{basis}'), no cut-off, and was not varied"
            + (f"; 'cutoff' is another thing: {what[0].lower() + what[1:].rstrip('.')}" if what else "")
        )
    if any(sample is not None and sample.stress is None for sample in known.values()):
        out.append("the engine gave no stress: forces alone were judged")
    if any(
        sample is not None and len(sample.forces) == given["sampling"]["strained"]
        for sample in known.values()
    ):
        out.append("a cell of one atom has no forces by symmetry: stress alone was judged")
    if chosen is not None and "kpoint_spacing" in settings:
        spacing = chosen[settings.index("kpoint_spacing")]
        own, repeats = kpoint_mesh(cell, spacing), given["sampling"]["supercell"]
        mesh = kpoint_mesh([[x * n for x in row] for row, n in zip(cell, repeats, strict=True)], spacing)
        if any(m * n < k for m, n, k in zip(mesh, repeats, own, strict=True)):
            out.append(
                f"supercells of the study ({_times(repeats)}) get a mesh of {_times(mesh)}, which is coarser than "
                f"{_times(own)} in the conventional cell: take a slightly smaller kpoint_spacing"
            )
    return out


def _times(numbers: Sequence[int]) -> str:
    return "×".join(str(number) for number in numbers)
