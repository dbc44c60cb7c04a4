"""Molecular dynamics with any model in the microcanonical, canonical and isothermal-isobaric ensemble.

The total momentum is zero throughout, and ASE's constraint `FixCom` tells the thermostats so: without it they would
count 3N degrees of freedom, and the temperature would be N/(N-1) times too high (Nosé-Hoover chains and the barostats
of Martyna, Tobias and Klein in ASE count 3N in any case and refuse constraints: they are not used). A run is a chain
of segments, each a function of the state it starts from alone, with calculator and integrator made anew: one that was
taken up at the end of a segment equals one that was never interrupted, bit for bit.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from ase import Atoms, units
from ase.constraints import FixCom
from ase.md.bussi import Bussi
from ase.md.langevin import Langevin
from ase.md.verlet import VelocityVerlet
from ase.parallel import DummyMPI
from numpy.typing import NDArray

from hashigo.calculators.workers.dynamics.barostat import Barostat
from hashigo.calculators.workers.lattice.elastic import VOIGT
from hashigo.calculators.workers.potential import Model, ModelCalculator
from hashigo.errors import InputError, WorkerError

Floats = NDArray[np.float64]

#: A crystal or melt that is this many times hotter than asked for has left what its potential can describe.
RUNAWAY = 20.0
#: Temperature below which nothing counts as run away, K.
COLD = 300.0


class RanAway(WorkerError):
    """A trajectory became far hotter than asked for."""


@dataclass(frozen=True)
class Conditions:
    """What an ensemble is held at.

    Attributes:
        temperature: K; of the thermostat, and that of the first velocities.
        timestep: of the integration, fs.
        thermostat: "none" (constant energy), "bussi" (stochastic rescaling of all velocities, which hardly disturbs
            the motion) or "langevin" (friction and noise on each atom, which brings every mode to its temperature).
        relaxation: time constant of the thermostat, fs.
        pressure: held by stochastic rescaling of the cell, GPa; None keeps the cell.
        pressure_relaxation: time constant of the barostat, fs.
        bulk_modulus: rough value by which the barostat sets its pace, GPa; no average depends on it.
    """

    temperature: float
    timestep: float = 1.0
    thermostat: Literal["none", "bussi", "langevin"] = "bussi"
    relaxation: float = 100.0
    pressure: float | None = None
    pressure_relaxation: float = 1000.0
    bulk_modulus: float = 100.0

    def __post_init__(self) -> None:
        positive = {
            "temperature": (self.temperature, "K"), "timestep": (self.timestep, "fs"),
            "relaxation": (self.relaxation, "fs"), "pressure_relaxation": (self.pressure_relaxation, "fs"),
            "bulk_modulus": (self.bulk_modulus, "GPa"),
        }  # fmt: skip
        for name, (value, unit) in positive.items():
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"dynamics at a {name} of {value} {unit}: it must be positive")
        if self.pressure is not None and self.thermostat == "none":
            raise InputError("constant pressure needs a thermostat", fix='choose thermostat "bussi"')


@dataclass(frozen=True)
class State:
    """All that the rest of a trajectory follows from.

    Attributes:
        step: number of steps made.
        positions: not wrapped into the cell, shape (n_atoms, 3), Å.
        momenta: shape (n_atoms, 3), in ASE's unit sqrt(u eV).
        cell: rows are cell vectors, shape (3, 3), Å.
        random: state of numpy's bit generator.
        exchanged: energy taken from the thermostat so far, eV.
    """

    step: int
    positions: Floats
    momenta: Floats
    cell: Floats
    random: dict[str, Any]
    exchanged: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """One instant of a trajectory.

    Attributes:
        step: number of steps made.
        time: fs.
        positions: not wrapped into the cell, shape (n_atoms, 3), Å.
        velocities: shape (n_atoms, 3), Å/fs.
        forces: shape (n_atoms, 3), eV/Å.
        cell: rows are cell vectors, shape (3, 3), Å.
        potential_energy: of the whole cell, eV.
        kinetic_energy: of the whole cell, eV.
        temperature: of 3N - 3 degrees of freedom, K.
        stress: with its kinetic part, shape (6,), GPa, Voigt xx, yy, zz, yz, xz, xy; positive under tension.
        conserved_energy: what exact integration would keep, eV; nan where it is not tracked (Langevin, barostat).
    """

    step: int
    time: float
    positions: Floats
    velocities: Floats
    forces: Floats
    cell: Floats
    potential_energy: float
    kinetic_energy: float
    temperature: float
    stress: Floats
    conserved_energy: float

    @property
    def pressure(self) -> float:
        """Minus a third of the stress's trace, with its kinetic part, GPa."""
        return float(-self.stress[:3].sum() / 3)

    @property
    def volume(self) -> float:
        """Of the cell, Å^3."""
        return float(abs(np.linalg.det(self.cell)))

    def atoms(self, like: Atoms) -> Atoms:
        """The configuration as atoms without velocities, for a model to evaluate.

        Args:
            like: gives the elements in their order; lengths in Å.
        """
        return Atoms(like.get_chemical_symbols(), cell=self.cell, positions=self.positions, pbc=True)


def thermal_state(atoms: Atoms, temperature: float, seed: int | np.random.SeedSequence) -> State:
    """Velocities drawn from Maxwell's distribution, without total momentum.

    Args:
        atoms: where to start; lengths in Å.
        temperature: K.
        seed: of all random numbers of the trajectory, dimensionless.

    Raises:
        InputError: when there are fewer than two atoms.
    """
    if len(atoms) < 2:
        raise InputError(f"dynamics of {len(atoms)} atom: a cell needs two to move against each other",
                         fix="repeat the cell")  # fmt: skip
    generator = np.random.default_rng(seed)
    masses = atoms.get_masses()[:, None]
    momenta = generator.standard_normal((len(atoms), 3)) * np.sqrt(masses * units.kB * temperature)
    momenta -= masses * momenta.sum(axis=0) / masses.sum()
    positions = np.array(atoms.get_positions())
    return State(0, positions, momenta, atoms.cell.array.copy(), dict(generator.bit_generator.state))


def segment(
    model: Model, atoms: Atoms, state: State, conditions: Conditions, steps: int, every: int
) -> Generator[Snapshot, None, State]:
    """Go on from a state; the result depends on the arguments alone.

    Args:
        model: the potential; its evaluation must not depend on what it was asked before.
        atoms: gives elements and masses in their order; lengths in Å.
        state: where to go on.
        conditions: of the ensemble.
        steps: number of steps to make.
        every: number of steps between snapshots; the last of a segment is one when `steps` is a multiple of it.

    Yields:
        Snapshots, after `every` steps first.

    Returns:
        The state after the last step.

    Raises:
        RanAway: when the trajectory became far too hot.
    """
    moving, generator = _restored(model, atoms, state)
    integrator = _integrator(moving, conditions, generator)
    barostat = None if conditions.pressure is None else _barostat(conditions)
    exchanged, last = state.exchanged, state.step + steps
    for step in range(state.step + 1, last + 1):
        integrator.step()
        if barostat is not None and step % barostat.every == 0:
            barostat.rescale(moving, generator)
        if step % every == 0:
            yield _snapshot(
                moving, step, conditions, exchanged + getattr(integrator, "transferred_energy", 0.0)
            )
    exchanged += float(getattr(integrator, "transferred_energy", 0.0))
    random = dict(generator.bit_generator.state)
    return State(
        last, moving.get_positions(), moving.get_momenta(), moving.cell.array.copy(), random, exchanged
    )


def _restored(model: Model, atoms: Atoms, state: State) -> tuple[Atoms, np.random.Generator]:
    moving = Atoms(atoms.get_chemical_symbols(), cell=state.cell, positions=state.positions, pbc=True)
    moving.set_masses(atoms.get_masses())
    moving.set_constraint(FixCom())
    moving.set_momenta(state.momenta, apply_constraint=False)
    moving.calc = ModelCalculator(model)
    generator = np.random.default_rng()
    generator.bit_generator.state = state.random
    return moving, generator


def _integrator(moving: Atoms, conditions: Conditions, generator: np.random.Generator) -> Any:
    step, time = conditions.timestep * units.fs, conditions.relaxation * units.fs
    # Ranks run trajectories of their own: ASE would give the noise of the first to all, and wait for all at each step.
    alone = {"comm": DummyMPI()}
    if conditions.thermostat == "none":
        return VelocityVerlet(moving, step, **alone)
    kelvin = conditions.temperature
    if conditions.thermostat == "bussi":
        return Bussi(moving, step, temperature_K=kelvin, taut=time, rng=generator, **alone)
    # ASE's own `fixcm` does not sample the canonical distribution; FixCom does.
    return Langevin(
        moving, step, temperature_K=kelvin, friction=1 / time, fixcm=False, rng=generator, **alone
    )


def _barostat(conditions: Conditions) -> Barostat:
    assert conditions.pressure is not None
    every = max(1, round(conditions.pressure_relaxation / (100 * conditions.timestep)))
    return Barostat(
        temperature=conditions.temperature,
        pressure=conditions.pressure,
        bulk_modulus=conditions.bulk_modulus,
        share=every * conditions.timestep / conditions.pressure_relaxation,
        every=every,
    )


def _snapshot(moving: Atoms, step: int, conditions: Conditions, exchanged: float) -> Snapshot:
    kinetic = float(moving.get_kinetic_energy())
    temperature = 2 * kinetic / ((3 * len(moving) - 3) * units.kB)
    if not np.isfinite(temperature) or temperature > RUNAWAY * max(conditions.temperature, COLD):
        raise RanAway(
            f"the dynamics of {moving.get_chemical_formula()} at {conditions.temperature:g} K ran away: "
            f"after {step} steps it has {temperature:.3g} K",
            fix="make the time step shorter, or add reference frames as hot as that",
        )
    potential = float(moving.get_potential_energy())
    tracked = conditions.thermostat != "langevin" and conditions.pressure is None
    return Snapshot(
        step=step,
        time=step * conditions.timestep,
        positions=moving.get_positions(),
        velocities=moving.get_velocities() * units.fs,
        forces=moving.get_forces(apply_constraint=False),
        cell=moving.cell.array.copy(),
        potential_energy=potential,
        kinetic_energy=kinetic,
        temperature=float(temperature),
        stress=total_stress(moving) / units.GPa,
        conserved_energy=potential + kinetic - exchanged if tracked else float("nan"),
    )


def total_stress(moving: Atoms) -> Floats:
    """Stress of moving atoms: the potential's, less the flow of momentum.

    Args:
        moving: atoms with momenta and calculator; lengths in Å.

    Returns:
        Shape (6,), eV/Å^3, Voigt; positive under tension.
    """
    velocities, momenta = moving.get_velocities(), moving.get_momenta()
    flow = np.array([velocities[:, i] @ momenta[:, j] for i, j in VOIGT]) / moving.get_volume()
    return np.asarray(moving.get_stress(apply_constraint=False) - flow)


def trajectory(
    model: Model,
    atoms: Atoms,
    *,
    temperature: float,
    steps: int,
    every: int,
    seed: int,
    timestep: float = 1.0,
    equilibration: int = 0,
    thermostat: Literal["none", "bussi", "langevin"] = "bussi",
    pressure: float | None = None,
    bulk_modulus: float = 100.0,
) -> Iterator[Snapshot]:
    """A trajectory from a crystal at rest, brought to its temperature first.

    Args:
        model: the potential.
        atoms: where to start; lengths in Å.
        temperature: K.
        steps: number of steps after the equilibration.
        every: number of steps between snapshots.
        seed: of all random numbers, dimensionless.
        timestep: fs.
        equilibration: number of steps before the first counts, by Langevin's thermostat.
        thermostat: of the steps after it; "none" keeps the energy.
        pressure: GPa; None keeps the cell.
        bulk_modulus: rough value that sets the barostat's pace, GPa.

    Yields:
        Snapshots, after `every` steps first.

    Raises:
        InputError: when a condition makes no sense.
        RanAway: when the trajectory became far too hot.
    """
    conditions = Conditions(temperature, timestep, thermostat, pressure=pressure, bulk_modulus=bulk_modulus)
    state = thermal_state(atoms, temperature, seed)
    state = equilibrated(model, atoms, state, conditions, equilibration)
    yield from segment(model, atoms, state, conditions, steps, every)


def equilibrated(model: Model, atoms: Atoms, state: State, conditions: Conditions, steps: int) -> State:
    """Bring every mode to its temperature by Langevin's thermostat; a barostat works meanwhile where there is one.

    Args:
        model: the potential.
        atoms: gives elements and masses in their order; lengths in Å.
        state: where to start.
        conditions: of the ensemble to come.
        steps: number of steps.

    Returns:
        The state after them, from which steps and energies count anew.
    """
    if not steps:
        return state
    warming = replace(conditions, thermostat="langevin")
    last = drain(segment(model, atoms, state, warming, steps, every=max(1, min(steps, 100))))
    return replace(last, step=0, exchanged=0.0)


def drain(run: Generator[Snapshot, None, State]) -> State:
    """Run to the end for its last state alone."""
    while True:
        try:
            next(run)
        except StopIteration as end:
            last: State = end.value
            return last
