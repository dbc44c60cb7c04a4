"""Gates between stages and checks of one route against another, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashigo.calculators.results import GATES
from hashigo.report.checks_component import component
from hashigo.report.checks_expansion import expansion
from hashigo.report.checks_microstructure import microstructure
from hashigo.report.checks_thermoelasticity import thermoelasticity
from hashigo.report.figures.reliability import KINDS
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import middle, unit_text
from hashigo.workflows.results import model_text


@dataclass(frozen=True)
class Gate:
    """A physical condition on which the climb depends; `detail` is its numbers in words."""

    stage: str
    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Check:
    """A comparison or estimate that is reported and not judged."""

    stage: str
    name: str
    outcome: str


def gates(results: Results, titles: Mapping[str, str]) -> list[Gate]:
    """All gates of a run that were reached.

    Args:
        results: of the run.
        titles: of its stages, by name, in their order.
    """
    found = []
    for stage, title in titles.items():
        for note in filter(None, (results.note(stage, name) for name in GATES)):
            name = str(note.get("name") or "gate")
            describe = _DETAILS.get(name, _plain)
            found.append(
                Gate(title, _NAMES.get(name, _words(name)), bool(note.get("passed")), describe(note, results))
            )
    return found


_NAMES = {
    "held_out_error": "force error of the potential on held-out frames",
    "born_stability": "Born stability of the crystal",
    "imaginary_mode": "no imaginary phonon at a commensurate wave vector",
    "trained_region": "structures within the region in which the potential was trained",
    "electronic_part": "electrons of a metal accounted for",
    "voigt_reuss_bounds": "effective tensors between Voigt's and Reuss's of the sample",
}


def _words(name: str) -> str:
    return name.replace("_", " ")


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:.4g}".replace("-", "−")


def _members(indices: Any) -> str:
    """Which members of the committee would not have passed, counted from 1 as people do."""
    if not indices:
        return ""
    return f"; it does not hold for committee member {', '.join(str(int(i) + 1) for i in indices)}"


def _held_out(note: Mapping[str, Any], results: Results) -> str:
    if note.get("value") is None:
        return "no force was held out"
    limit = note.get("limit")
    text = f"{1e3 * note['value']:.3g} meV/Å"
    return text if limit is None else f"{text}, limit {1e3 * limit:.3g} meV/Å"


def _born(note: Mapping[str, Any], results: Results) -> str:
    # At temperature the gate brings its own.
    born = note if note.get("eigenvalues") else results.note("elasticity", "born_stability")
    if not born.get("eigenvalues"):
        return ""
    smallest = min(born["eigenvalues"])
    return f"smallest eigenvalue of the stiffness {smallest:.4g} GPa{_members(born.get('unstable_members'))}"


def _imaginary(note: Mapping[str, Any], results: Results) -> str:
    lowest = float(note["minimum_frequency"])
    where = ", ".join(f"{x:g}" for x in note.get("qpoint") or [])
    # Acoustic modes at Γ are zero to rounding.
    shown = _number(0.0 if abs(lowest) < 1e-4 else lowest)
    text = f"lowest frequency {shown} THz at ({where}), tolerance {_number(note['tolerance'])} THz"
    return text + _members(note.get("failed_members"))


def _bounds(note: Mapping[str, Any], results: Results) -> str:
    margins = [value for margin in (note.get("margins") or {}).values() for value in margin.values()]
    if not margins:
        return ""
    worst = (
        f"smallest relative distance to a bound {min(margins):.1e}" if min(margins) < -1e-9 else "within all"
    )
    count = len(margins) // 2
    return f"{worst}; {count} {'tensor' if count == 1 else 'tensors'}, tolerance {note.get('tolerance', 0):g}"


def _electrons(note: Mapping[str, Any], results: Results) -> str:
    kind = {True: "a metal", False: "no metal", None: "not known whether a metal"}[note.get("metal")]
    return f"{kind}: {note.get('reason')}"


def _plain(note: Mapping[str, Any], results: Results) -> str:
    shown = {key: value for key, value in note.items() if key not in ("name", "passed", "message", "fix")}
    return ", ".join(
        f"{_words(key)} {_number(value)}"
        for key, value in shown.items()
        if isinstance(value, (int, float, str))
    )


_DETAILS = {
    "held_out_error": _held_out,
    "born_stability": _born,
    "imaginary_mode": _imaginary,
    "electronic_part": _electrons,
    "voigt_reuss_bounds": _bounds,
}


def checks(results: Results, titles: Mapping[str, str]) -> list[Check]:
    """Comparisons between routes and estimates of numerical error.

    Args:
        results: of the run.
        titles: of its stages, by name.
    """
    found = [
        *_learning(results),
        *_search(results),
        *_training(results),
        *_calibration(results),
        *_phonons(results),
        *expansion(results),
        *thermoelasticity(results),
        *_conductivity(results),
        *_dynamics(results),
        *_handover(results),
        *_knudsen(results),
        *microstructure(results),
        *component(results),
    ]
    return [Check(titles.get(stage, stage), name, outcome) for stage, name, outcome in found]


def _learning(results: Results) -> Iterator[tuple[str, str, str]]:
    stopped = results.note("learning", "stopped")
    if stopped:
        yield "learning", "rounds of learning", stopped["sentence"]


def _training(results: Results) -> Iterator[tuple[str, str, str]]:
    note = results.note("potential", "training")
    if note:
        yield "potential", "committee", _committee(note)


def _committee(note: Mapping[str, Any]) -> str:
    if not note.get("members"):
        return (
            f"none: {note.get('model')} as it is, compared with {note.get('n_test')} frames; no uncertainty"
        )
    size = (
        f" with {note['n_features']} coefficients each"
        if "n_features" in note
        else f" of {note.get('model')}"
    )
    return f"{note['members']} members{size}, trained on {note.get('n_train')} frames; {note.get('n_test')} held out"


def _search(results: Results) -> Iterator[tuple[str, str, str]]:
    note = results.note("potential_search", "search")
    if not note:
        return
    chosen, best = int(note["chosen"]), int(note["best"])
    forces = 1e3 * results.array("potential_search", "search/force_error")
    features = results.array("potential_search", "search/n_features")
    text = (
        f"{model_text(note)}; {features[chosen]} coefficients and a cross-validated force error of "
        f"{forces[chosen]:.3g} meV/Å, the best one {features[best]} and {forces[best]:.3g} meV/Å"
    )
    yield "potential", "choice of the model", text


def _calibration(results: Results) -> Iterator[tuple[str, str, str]]:
    note = results.note("potential", "calibration")
    if not note:
        return
    parts = []
    for name, words in KINDS.items():
        found = (note.get("held_out") or {}).get(name)
        if found:
            inside = " and ".join(f"{100 * share:.0f} %" for share in found["coverage"])
            thirds = ", ".join(f"{100 * share:.0f}" for share in found["terciles_68"])
            scaled = "" if found.get("scaled") else ", not calibrated"
            parts.append(
                f"{inside} of {found['rows']} {words} (thirds by spread, at 68 %: {thirds} %{scaled})"
            )
    state = "calibrated" if note.get("calibrated") else f"not calibrated: {note.get('lacking')}"
    text = (
        f"{state}; intervals of 68 % and 95 % hold {', '.join(parts)}, on frames held out" if parts else state
    )
    yield "potential", "uncertainty", text


def _phonons(results: Results) -> Iterator[tuple[str, str, str]]:
    note = results.note("phonons", "comparison")
    if note.get("skipped"):
        yield "phonons", "potential against the reference's forces", f"not made: {note['skipped']}"
    elif note:
        text = (
            f"largest difference {note['maximum']:.2g} THz, root mean square {note['rms']:.2g} THz at "
            f"{note.get('qpoints')} commensurate wave vectors, same cell and displacements, "
            f"{note.get('frames')} frames"
        )
        yield "phonons", "potential against the reference's forces", text
    modes = results.note("phonons", "modes")
    if modes.get("skipped"):
        yield "phonons", "averages over modes", f"not made: {modes['skipped']}"
    elif modes.get("left_out"):
        text = f"{modes['left_out']:.2%} of the modes lie below {modes['mode_cutoff']:g} THz and are left out"
        yield "phonons", "averages over modes", text
    yield from _imaginary_mode(results)
    polar = results.note("phonons", "polar")
    if polar.get("applied") or polar.get("missing"):
        origin = f" (from {polar['origin']})" if polar.get("origin") else ""
        yield "phonons", "splitting of longitudinal and transverse optical modes", f"{polar['what']}{origin}"


def _imaginary_mode(results: Results) -> Iterator[tuple[str, str, str]]:
    mode = results.note("phonons", "imaginary_mode")
    if not mode:
        return
    stable = mode.get("stable")
    if stable:
        text = (
            f"relaxed along the imaginary mode, {stable['space_group_before']} becomes {stable['space_group']} and "
            f"gains {1e3 * stable['energy_gain']:.3g} meV an atom; the structure is {stable['file']}"
        )
    elif mode.get("not_followed"):
        text = f"not found: {mode['not_followed']}"
    else:
        text = f"not looked for (phonons.follow_imaginary); the pattern of the mode is {mode['file']}"
    yield "phonons", "structure behind the imaginary mode", text


def _conductivity(results: Results) -> Iterator[tuple[str, str, str]]:
    mesh = results.note("conductivity", "mesh")
    if mesh.get("error_is"):
        yield "conductivity", "error of the mesh", str(mesh["error_is"])
    if mesh.get("stopped"):
        yield "conductivity", "meshes", f"ended before the limit was known: {mesh['stopped']}"
    settled = results.note("conductivity", "settled")
    if settled:
        length = settled["cutoff_angstrom"]
        reach = "all of the supercell" if length is None else f"{length:.3g} Å"
        left = f"; not within their share of the tolerance: {settled['left']}" if settled["left"] else ""
        found = f"{settled['snapshots']} displaced supercells, third order up to {reach}{left}"
        yield "conductivity", "found to the tolerance", found
    constants = results.note("conductivity", "force_constants")
    if constants.get("source") == "reference":
        yield "conductivity", "force constants", f"of the reference, at its cell: {constants['sampling']}"
    cross = results.note("conductivity", "cross_check")
    if cross.get("skipped"):
        yield "conductivity", "potential against the reference's forces", f"not made: {cross['skipped']}"
    elif cross:
        row = middle(np.array(cross["temperatures"]))
        ours, reference = cross["kappa_potential"][row], cross["kappa_reference"][row]
        difference = f"{100 * (ours / reference - 1):+.1f}".replace("-", "−")
        text = (
            f"{ours:.4g} against {reference:.4g} {unit_text(cross['unit'])} at {cross['temperatures'][row]:g} K "
            f"({difference} %), mesh {cross['mesh']}, the reference's cell, "
            f"{cross['frames']} frames"
        )
        yield "conductivity", "potential against the reference's forces", text
    methods = results.note("conductivity", "methods")
    if methods:
        yield "conductivity", "direct solution over relaxation-time approximation", _methods(methods)
    scope = results.note("conductivity", "scope")
    if scope:
        yield "conductivity", "scope", f"{scope.get('method')}; {scope.get('carriers')}"


def _methods(note: Mapping[str, Any]) -> str:
    if note.get("skipped"):
        return f"not made: {note['skipped']}"
    ratios = note["direct_over_relaxation_time"]
    coarser = note["on_the_coarser_mesh"]
    text = f"{min(ratios):.3f} to {max(ratios):.3f} over the temperatures, mesh {note['mesh']}"
    if coarser:
        change = max(abs(a - b) for a, b in zip(ratios, coarser, strict=True))
        text += f"; {change:.3f} from the mesh before"
    return text + ("; far apart: take the direct solution" if note["far_apart"] else "")


def _dynamics(results: Results) -> Iterator[tuple[str, str, str]]:
    note = results.note("dynamics", "dynamics")
    held = note.get("checks") or []
    if held:
        worst = max(held, key=lambda one: abs(one["temperature"] - one["wanted"]) / one["error"])
        text = (
            f"largest deviation {abs(worst['temperature'] - worst['wanted']):.2g} ± {worst['error']:.2g} K of "
            f"{len(held)} trajectories, at {worst['wanted']:g} K; time step {note['timestep']:g} fs"
        )
        yield "dynamics", "temperature", text
    drifts = [abs(one["drift"]) for one in held if one.get("drift") is not None]
    if drifts:
        yield "dynamics", "drift of the conserved energy", f"at most {max(drifts):.2g} meV an atom and ps"
    deviation = results.note("dynamics", "equation_of_state").get("deviation")
    if deviation:
        yield (
            "dynamics",
            "stress besides the pressure",
            f"diagonal components differ by up to {deviation:.2g} GPa",
        )
    for temperature, why in (results.note("dynamics", "equation_of_state").get("absent") or {}).items():
        yield "dynamics", f"no equation of state at {temperature} K", str(why)
    for element, words in results.note("dynamics", "diffusion").items():
        yield "dynamics", f"diffusion of {element}", str(words)
    for one in note.get("left") or []:
        yield (
            "dynamics",
            f"trajectory {one['trajectory']}",
            "left the trained region "
            + (f"after {one['after']:g} ps" if one["after"] > 0 else "before its averages began"),
        )
    if note:
        yield "dynamics", "scope", f"{note['scope']}. Model part of the uncertainty: {note['model_part']}"


def _handover(results: Results) -> Iterator[tuple[str, str, str]]:
    columns = results.note("handover", "columns")
    for name, column in columns.items():
        if column["fixed"] or "," in column["origin"]:
            yield "handover", name.replace("_", " "), str(column["origin"])
    electrons = results.note("mesoscale", "electrons")
    if electrons:
        yield "mesoscale", "electronic conductivity", f"{electrons['origin']}; {electrons['boundaries']}"


def _knudsen(results: Results) -> Iterator[tuple[str, str, str]]:
    values: Sequence[Mapping[str, Any]] = results.note("mesoscale", "knudsen").get("values") or []
    if values:
        rows = (
            f"{row['mean']:.2g} ({row['max']:.2g}) at {row['grain_size']:g} nm, {row['temperature']:g} K"
            for row in values
        )
        yield "mesoscale", "Knudsen number, mean over grains (largest)", "; ".join(rows)
    warning = results.note("mesoscale", "knudsen").get("warning")
    if warning:
        yield "mesoscale", "Fourier's law", str(warning)
    boundaries = results.note("mesoscale", "boundaries")
    if boundaries and boundaries["area_over_stereology"] is not None:
        text = f"{boundaries['area_over_stereology']:.3f} of what lines through the microstructure say"
        yield "mesoscale", "area of grain boundaries", text
