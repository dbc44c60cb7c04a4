"""Lennard-Jones' liquid near its triple point, where energy and pressure have been published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk

from hashigo.calculators.workers.dynamics.analysis import motion_of
from hashigo.calculators.workers.dynamics.driver import Conditions, equilibrated, segment, thermal_state
from hashigo.calculators.workers.dynamics.segments import Samples, StepSchedule
from hashigo.calculators.workers.dynamics.statistics import block_mean
from hashigo.calculators.workers.potential import Evaluation

DEPTH, RADIUS, CUTOFF = 0.0103, 3.4, 2.5  # eV, Å, in units of the radius
VOIGT = ([0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1])


class LennardJones:
    """All pairs of a cubic cell at once, cut off at 2.5 radii without a shift."""

    elements = ("Ar",)

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        return [self._one(atoms) for atoms in structures]

    def _one(self, atoms: Atoms) -> Evaluation:
        first, second = np.triu_indices(len(atoms), 1)
        edge = atoms.cell[0, 0]
        apart = atoms.positions[first] - atoms.positions[second]
        apart -= edge * np.rint(apart / edge)
        square = (apart**2).sum(axis=1) / RADIUS**2
        near = square < CUTOFF**2
        first, second, apart, sixth = first[near], second[near], apart[near], square[near] ** -3
        pull = (24 * DEPTH * (2 * sixth**2 - sixth) / (square[near] * RADIUS**2))[:, None] * apart
        forces = np.stack(
            [
                np.bincount(first, pull[:, i], len(atoms)) - np.bincount(second, pull[:, i], len(atoms))
                for i in range(3)
            ],
            axis=1,
        )
        virial = apart.T @ pull
        energy = float(4 * DEPTH * (sixth**2 - sixth).sum())
        return Evaluation(energy, forces, -virial[VOIGT] / edge**3)


@pytest.mark.slow
def test_energy_and_pressure_are_those_published_and_atoms_diffuse() -> None:
    """At T* = 0.85 and ρ* = 0.82, with corrections for what lies beyond the cut-off.

    Of a large cell U* = -5.795 and p* = 0.54 to 0.56 by the equations of state of Kolafa & Nezbeda, Fluid Phase
    Equilib. 100, 1 (1994), and Thol et al., J. Phys. Chem. Ref. Data 45, 023101 (2016). Of these 108 atoms and this
    cut-off -5.8105 and 0.454, measured by LAMMPS (29 Sep 2021) with a Langevin thermostat over 300 000 steps.
    """
    density, temperature = 0.82, 0.85 * DEPTH / units.kB
    atoms = bulk("Ar", "fcc", RADIUS * (4 / density) ** (1 / 3), cubic=True).repeat(3)
    conditions = Conditions(temperature, timestep=8.0, relaxation=200.0)
    model, schedule = LennardJones(), StepSchedule(0, 10_000, every=10, frames_every=10, segment=10_000)
    hot = replace(conditions, temperature=3 * temperature)
    state = equilibrated(model, atoms, thermal_state(atoms, hot.temperature, 0), hot, 1500)
    state = equilibrated(model, atoms, state, conditions, 1500)
    samples = Samples.of(list(segment(model, atoms, state, conditions, schedule.production, 10)), schedule)
    beyond = CUTOFF**-3
    energy = block_mean([samples.potential_energy / (len(atoms) * DEPTH)])
    pressure = block_mean([samples.pressure * units.GPa * RADIUS**3 / DEPTH])
    found_energy = energy.value + 8 / 9 * np.pi * density * (beyond**3 - 3 * beyond)
    found_pressure = pressure.value + 16 / 9 * np.pi * density**2 * (2 * beyond**3 - 3 * beyond)
    assert found_energy == pytest.approx(-5.8105, abs=4 * float(energy.error))
    assert found_pressure == pytest.approx(0.454, abs=4 * float(pressure.error))
    assert float(energy.error) < 0.01
    assert float(pressure.error) < 0.05
    # Liquid argon: about 0.2 Å^2/ps near its triple point.
    coefficients = motion_of(samples, atoms).diffusion["Ar"]
    assert 0.1 < coefficients.mean() < 0.4
