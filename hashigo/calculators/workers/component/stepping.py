"""Heat in time: TR-BDF2 steps of a size that keeps an estimated error, and the steady state.

The method is of second order and L-stable, and has an error estimate of third order. It takes one step from one state,
so that a state is all that a restart needs.

Source: Bank et al., IEEE Trans. Electron Devices 32, 1992 (1985); Hosea & Shampine, Appl. Numer. Math. 20, 21 (1996).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.component.heat import HeatProblem
from hashigo.errors import WorkerError

Floats = NDArray[np.float64]

_GAMMA = 2 - np.sqrt(2)
_D = _GAMMA / 2
_W = np.sqrt(2) / 4
#: Weights of the three stages, and what the embedded method's differ by.
_WEIGHTS = (_W, _W, _D)
_ERROR = (_W - (1 - _W) / 3, _W - (3 * _W + 1) / 3, _D - _D / 3)

#: Largest change of a temperature in the last iteration, relative to the largest temperature.
NEWTON = 1e-11
_MOST_ITERATIONS = 40
#: Unknowns up to which a linear system is solved directly; of bodies one cell thick somewhere, more.
_DIRECT, _DIRECT_FLAT = 1500, 40_000
_LINEAR, _MOST_LINEAR = 1e-9, 20_000
#: Steps shorter than this share of the whole time are given up.
_SHORTEST = 1e-14


@dataclass
class State:
    """All that the rest of a run depends on.

    Attributes:
        time: s.
        step: that the next one is tried with, s.
        temperature: of the cells, shape (n_cells,), K.
        entered: heat that came through each face since the start, J.
        given: heat that the source gave since the start, J.
        history: of each step that was taken: time (s), heat stored since the start (J), and what was watched.
        span: largest difference of temperatures so far, K.
        rejected: number of steps that were tried again.
    """

    time: float
    step: float
    temperature: Floats
    entered: dict[str, float]
    given: float = 0.0
    history: list[list[float]] = field(default_factory=list)
    span: float = 1.0
    rejected: int = 0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it by name, of any shape and unit, for keeping."""
        return {
            "scalars": np.array([self.time, self.step, self.given, self.span, float(self.rejected)]),
            "temperature": self.temperature,
            "entered": np.array([self.entered[name] for name in sorted(self.entered)]),
            "history": np.array(self.history),
        }

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], faces: Sequence[str]) -> State:
        """From what `arrays` gave, of the same shapes and units.

        Args:
            arrays: of any shape and unit.
            faces: names of those that have a condition.
        """
        time, step, given, span, rejected = (float(value) for value in arrays["scalars"])
        entered = dict(zip(sorted(faces), (float(value) for value in arrays["entered"]), strict=True))
        history = [[float(value) for value in row] for row in arrays["history"]]
        return cls(time, step, arrays["temperature"], entered, given, history, span, int(rejected))


def linear_solve(matrix: Any, right: Floats, flat: bool) -> Floats:
    """Solve a sparse linear system, directly where that is cheap.

    Args:
        matrix: shape (n, n), any unit.
        right: shape (n,), any unit.
        flat: whether the cells lie in one plane or line, where elimination fills little.

    Returns:
        Shape (n,), unit of `right` over that of the matrix.

    Raises:
        WorkerError: when the iteration does not end.
    """
    from scipy.sparse.linalg import LinearOperator, bicgstab, splu

    n = len(right)
    if n <= (_DIRECT_FLAT if flat else _DIRECT):
        return np.asarray(splu(matrix.tocsc()).solve(right))
    size = float(np.abs(right).max())
    if size == 0:
        return np.zeros(n)
    diagonal = matrix.diagonal()
    precondition = LinearOperator((n, n), matvec=lambda vector: vector / diagonal)
    # scipy takes a small right-hand side for a breakdown.
    solution, left = bicgstab(
        matrix, right / size, rtol=_LINEAR, atol=0.0, maxiter=_MOST_LINEAR, M=precondition
    )
    if left:
        raise WorkerError(
            "the equations of heat conduction were not solved", fix="make cells more alike along all edges"
        )
    return np.asarray(size * solution)


class Stepper:
    """Takes steps in time.

    Args:
        problem: heat in the body.
        tolerance: error of a step, relative to the largest difference of temperatures so far, dimensionless.
    """

    def __init__(self, problem: HeatProblem, tolerance: float) -> None:
        self._problem = problem
        self._tolerance = tolerance
        self._flat = min(problem.grid.region.shape) == 1

    def start(self, temperature: Floats, duration: float) -> State:
        """The first state.

        Args:
            temperature: of the cells, shape (n_cells,), K.
            duration: of the whole run, s.
        """
        problem = self._problem
        fixed = [
            c.temperature if c.temperature is not None else c.ambient
            for c in problem.faces.values()
            if c.holds
        ]
        known = [float(temperature.min()), float(temperature.max()), *fixed]
        state = State(
            0.0,
            1e-3 * duration,
            temperature,
            dict.fromkeys(problem.faces, 0.0),
            span=max(1.0, max(known) - min(known)),
        )
        return state

    def advance(self, state: State, until: float, duration: float, on: bool) -> State:
        """Take one step that keeps the error, and does not pass a time.

        Args:
            state: before.
            until: time that must not be passed, s.
            duration: of the whole run, s.
            on: whether the source gives heat meanwhile.

        Raises:
            WorkerError: when no step is short enough.
        """
        step, rejected = state.step, state.rejected
        before = self._stage(state.temperature, on)
        while True:
            left = until - state.time
            ends = step >= left * (1 - 1e-12)
            tried = left if ends else (left / 2 if step > left / 2 else step)
            found = self._try(state.temperature, before, tried, on)
            error = np.inf if found is None else found[1] / (self._tolerance * state.span)
            grow = 0.9 * max(error, 1e-9) ** (-1 / 3) if np.isfinite(error) else 0.2
            if found is not None and error <= 1:
                break
            step, rejected = tried * float(np.clip(grow, 0.1, 0.9)), rejected + 1
            if step < _SHORTEST * duration:
                raise WorkerError(
                    f"no time step is short enough at {state.time:.6g} s",
                    fix="give cells or material properties that vary less",
                )
        temperature, _, entered, given = found
        # A step cut short by an output does not make the next one short.
        following = max(tried * float(np.clip(grow, 0.2, 4.0)), step if tried < step else 0.0)
        return State(
            until if ends else state.time + tried,
            min(following, duration),
            temperature,
            {name: state.entered[name] + entered[name] for name in entered},
            state.given + given,
            state.history,
            max(state.span, float(np.ptp(temperature))),
            rejected,
        )

    def _stage(self, temperature: Floats, on: bool) -> Floats:
        power = self._problem.conducted(temperature)
        return power + self._problem.power if on else power

    def _try(
        self, temperature: Floats, before: Floats, step: float, on: bool
    ) -> tuple[Floats, float, dict[str, float], float] | None:
        """One step: temperatures, estimated error (K), heat by face and source (J); None when it was not solved."""
        problem = self._problem
        zero = float(temperature.mean())
        base = problem.enthalpy(temperature, zero)
        middle = self._solve(temperature, base + _D * step * before, step, on, zero)
        if middle is None:
            return None
        half = self._stage(middle, on)
        after = self._solve(middle, base + step * _W * (before + half), step, on, zero)
        if after is None:
            return None
        last = self._stage(after, on)
        defect = step * sum(weight * rate for weight, rate in zip(_ERROR, (before, half, last), strict=True))
        matrix = self._matrix(after, step)
        error = float(np.abs(linear_solve(matrix, np.asarray(defect), self._flat)).max())
        entered = {}
        parts = [problem.entering(one) for one in (temperature, middle, after)]
        for name in problem.faces:
            entered[name] = step * float(
                sum(weight * part[name].sum() for weight, part in zip(_WEIGHTS, parts, strict=True))
            )
        return after, error, entered, step * float(problem.power.sum()) if on else 0.0

    def _matrix(self, temperature: Floats, step: float) -> Any:
        from scipy.sparse import diags_array

        return diags_array(self._problem.capacity(temperature)) - _D * step * self._problem.slope(temperature)

    def _solve(self, guess: Floats, right: Floats, step: float, on: bool, zero: float) -> Floats | None:
        """Temperatures at which enthalpy less what flows in is `right`; Newton's method. None when it does not end."""
        temperature = guess.copy()
        for _ in range(_MOST_ITERATIONS):
            residual = (
                right - self._problem.enthalpy(temperature, zero) + _D * step * self._stage(temperature, on)
            )
            change = linear_solve(self._matrix(temperature, step), residual, self._flat)
            temperature = temperature + change
            if not np.isfinite(temperature).all():
                return None
            if np.abs(change).max() <= NEWTON * np.abs(temperature).max():
                return temperature
        return None


def steady_state(problem: HeatProblem, guess: Floats, on: bool) -> Floats:
    """Temperatures that no longer change.

    Args:
        problem: heat in the body, some face of which ties it to a temperature.
        guess: of the cells, shape (n_cells,), K.
        on: whether the source gives heat.

    Returns:
        Shape (n_cells,), K.

    Raises:
        WorkerError: when none is found.
    """
    flat = min(problem.grid.region.shape) == 1
    temperature = guess.copy()
    source = problem.power if on else 0.0
    for _ in range(_MOST_ITERATIONS):
        residual = problem.conducted(temperature) + source
        change = linear_solve(-problem.slope(temperature), residual, flat)
        # A long way is gone in parts, for the conductivity changes along it.
        limit = 0.5 * np.abs(temperature).max()
        temperature = temperature + change * min(1.0, limit / max(float(np.abs(change).max()), 1e-300))
        if not np.isfinite(temperature).all():
            break
        if np.abs(change).max() <= NEWTON * np.abs(temperature).max():
            return temperature
    raise WorkerError(
        "no steady state of the component was found",
        fix="set component.steady to false, or cool it by more faces",
    )
