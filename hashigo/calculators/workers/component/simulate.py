"""One run of a component: its temperatures in time, its steady state, and the stress of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.component.case import Case
from hashigo.calculators.workers.component.grid import Grid
from hashigo.calculators.workers.component.heat import HeatProblem
from hashigo.calculators.workers.component.material import Material
from hashigo.calculators.workers.component.stepping import State, Stepper, steady_state
from hashigo.calculators.workers.component.stress import ElasticBody
from hashigo.calculators.workers.component.watch import (
    Peak,
    check_materials,
    highest,
    largest_principal,
    peak_of,
    probe_weights,
    settling,
)
from hashigo.calculators.workers.homogenization.tensors import von_mises
from hashigo.calculators.workers.job import PartialResult
from hashigo.calculators.workers.saved import Saved
from hashigo.errors import InputError, WorkerError

Floats = NDArray[np.float64]

#: Steps between two that are kept.
_KEPT = 20


@dataclass(frozen=True)
class Outcome:
    """What a run found.

    Attributes:
        history: see `watch.TIME` and the others; a row for each step, shape (n_steps + 1, 5 + n_probes), s, J and K.
        temperature: at the outputs and then, where there is one, in the steady state, shape (n_fields, n_cells), K.
        entered: heat that came in through each face, J.
        given: heat of the sources, J.
        peaks: by name: temperature and steady (K), von_mises and principal (GPa).
        settled: time at which it is settled, s; NaN where it is not, or has no steady state.
        steady: whether the last field is the steady state.
        stress: at centres, Voigt, shape (n_fields, n_cells, 6), GPa; None without.
        displacement: mean of a cell's corners, shape (n_fields, n_cells, 3), m; None without.
        rejected: number of steps that were tried again.
        absent: why there is no steady state, where one could be.
    """

    history: Floats
    temperature: Floats
    entered: Mapping[str, float]
    given: float
    peaks: Mapping[str, Peak]
    settled: float
    steady: bool
    stress: Floats | None
    displacement: Floats | None
    rejected: int
    absent: str = ""


@dataclass(frozen=True)
class Run:
    """How one is done.

    Attributes:
        name: for what is kept of it.
        grid: cells.
        materials: by number of region.
        step_tolerance: error of a time step, relative, dimensionless.
        saved: where states are kept.
        tell: called with the share that is done, dimensionless.
        reason: why the job is to end, "" while it is not.
    """

    name: str
    grid: Grid
    materials: Mapping[int, Material]
    step_tolerance: float
    saved: Saved
    tell: Callable[[float], None]
    reason: Callable[[], str]


def simulate(case: Case, run: Run) -> Outcome:
    """Follow a component.

    Args:
        case: what is to be computed.
        run: with which cells and materials.

    Raises:
        InputError: when it gets to where its material is not known.
        WorkerError: when equations are not solved.
        PartialResult: when the job is to end; the next one goes on from there.
    """
    problem = HeatProblem(run.grid, run.materials, case.faces, case.source)
    last = case.breaks[-2] if len(case.breaks) > 1 else 0.0
    steady, absent = _steady(case, run, problem, case.on(last, case.duration))
    state, fields, hottest = _in_time(case, run, problem, steady)
    history = np.array(state.history)
    fields += [] if steady is None else [steady]
    times = [*case.outputs, *([] if steady is None else [np.inf])]
    peaks = {"temperature": hottest}
    if steady is not None:
        peaks["steady"] = highest(run.grid, problem, steady, np.inf)
    stress = displacement = None
    if case.free_temperature is not None:
        stress, displacement, found = _stresses(case, run, problem, fields, times)
        peaks.update(found)
    return Outcome(
        history,
        np.array(fields),
        state.entered,
        state.given,
        peaks,
        np.nan if steady is None else settling(history),
        steady is not None,
        stress,
        displacement,
        state.rejected,
        absent,
    )


def _steady(case: Case, run: Run, problem: HeatProblem, on: bool) -> tuple[Floats | None, str]:
    """The steady state where one is wanted; where nobody asked, one out of reach is none, and the reason is told."""
    if not problem.holds or case.steady is False:
        return None, ""
    try:
        steady = steady_state(problem, np.full(run.grid.n_cells, case.initial), on)
        check_materials(run.materials, run.grid, steady, " in its steady state")
    except (InputError, WorkerError) as error:
        if case.steady is None:
            return None, error.message
        raise
    return steady, ""


def _in_time(
    case: Case, run: Run, problem: HeatProblem, steady: Floats | None
) -> tuple[State, list[Floats], Peak]:
    stepper = Stepper(problem, run.step_tolerance)
    start = np.full(run.grid.n_cells, case.initial)
    probes = probe_weights(run.grid, case.probes)
    kept = run.saved.load(f"{run.name}-state")
    if kept is None:
        state, fields = stepper.start(start, case.duration), []
        hottest = highest(run.grid, problem, start, 0.0)
        state.history.append(_row(problem, state, start, steady, probes, case.initial))
    else:
        state, fields = State.of(kept, list(problem.faces)), list(kept["fields"])
        value, time, *place = kept["hottest"]
        hottest = Peak(float(value), float(time), np.array(place))
    breaks, steps = case.breaks, len(state.history)
    while state.time < case.duration:
        until = next(time for time in breaks if time > state.time)
        state = stepper.advance(state, until, case.duration, case.on(state.time, until))
        now = highest(run.grid, problem, state.temperature, state.time)
        hottest = now if now.value > hottest.value else hottest
        check_materials(run.materials, run.grid, state.temperature, f" at {state.time:.6g} s")
        state.history.append(_row(problem, state, state.temperature, steady, probes, case.initial))
        if state.time in case.outputs:
            fields.append(state.temperature)
        steps += 1
        run.tell(state.time / case.duration)
        why = run.reason()
        if why or steps % _KEPT == 0:
            _keep(run, state, fields, hottest)
        if why:
            _end_if_told(run, f"the component up to {state.time:.6g} of {case.duration:g} s")
    return state, fields, hottest


def _end_if_told(run: Run, done: str) -> None:
    if why := run.reason():
        raise PartialResult(
            f"{done} is computed and kept: {why}", fix="run the study again: it goes on from there"
        )


def _keep(run: Run, state: State, fields: list[Floats], hottest: Peak) -> None:
    content = {
        **state.arrays(),
        "fields": np.array(fields).reshape(len(fields), run.grid.n_cells),
        "hottest": np.array([hottest.value, hottest.time, *hottest.place]),
    }
    run.saved.save(f"{run.name}-state", content)


def _row(
    problem: HeatProblem, state: State, start: Floats, steady: Floats | None, probes: Any, initial: float
) -> list[float]:
    """A row of the history."""
    kelvin = state.temperature
    distance = np.nan if steady is None else float(np.abs(kelvin - steady).max())
    stored = float(problem.enthalpy(kelvin, initial).sum())
    watched = [float(weights @ kelvin[cells]) for cells, weights in probes]
    return [state.time, stored, float(kelvin.min()), float(kelvin.max()), distance, *watched]


def _stresses(
    case: Case, run: Run, problem: HeatProblem, fields: list[Floats], times: list[float]
) -> tuple[Floats, Floats, dict[str, Peak]]:
    assert case.free_temperature is not None
    body = ElasticBody(run.grid, run.materials, case.free_temperature, case.supports)
    looked_at = body.exposed()
    stresses, displacements, guess = [], [], None
    peaks: dict[str, Peak] = {}
    for index, (kelvin, time) in enumerate(zip(fields, times, strict=True)):
        _end_if_told(run, f"the stress of the component at {index} of {len(times)} times")
        kept = run.saved.load(f"{run.name}-stress-{index}")
        if kept is None:
            found = body.solve(kelvin, problem.gradient(kelvin), guess)
            kept = {"displacement": found.displacement, "at_places": found.at_places}
            run.saved.save(f"{run.name}-stress-{index}", kept)
        guess = kept["displacement"]
        stresses.append(kept["at_places"][:, 0])
        displacements.append(body.at_centres(guess))
        sizes = {"von_mises": von_mises(kept["at_places"]), "principal": largest_principal(kept["at_places"])}
        for name, values in sizes.items():
            peak = peak_of(run.grid, np.where(looked_at, values, -np.inf), time)
            peaks[name] = peak if name not in peaks or peak.value > peaks[name].value else peaks[name]
    return np.array(stresses), np.array(displacements), peaks
