"""Conductivity of Tersoff's silicon at 1000 K: Green-Kubo by LAMMPS in cells of several sizes, beside RTA and LBTE.

All on the same potential and the same lattice constant (that of 0 K), without isotopes. The Boltzmann equation is
solved to third order, with quantum occupations, on regular meshes and on exactly the wave vectors that each cell of the
molecular dynamics holds; molecular dynamics is classical and knows all orders. A cell's trajectories are kept in the
folder, so that the benchmark goes on where it was ended; a longer --duration takes them up.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from common import ROOT, report

from hashigo.calculators.engines import get_engine
from hashigo.calculators.engines.tersoff import SILICON
from hashigo.calculators.engines.tersoff_flux import forces
from hashigo.calculators.workers.dynamics.green_kubo import GreenKubo, green_kubo
from hashigo.calculators.workers.dynamics.lammps import pair_of, sample
from hashigo.calculators.workers.dynamics.schedule import FluxSchedule, FluxSeries

LATTICE_CONSTANT = 5.432  # Å
#: Conventional over primitive lattice vectors of diamond.
TO_CONVENTIONAL = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])


def silicon(repeat: int = 1) -> Atoms:
    """Conventional cells of silicon."""
    return bulk("Si", "diamond", LATTICE_CONSTANT, cubic=True) * repeat


def crystal() -> Any:
    """Silicon as phono3py has it, with force constants by finite displacements in 64 atoms."""
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

    cell = silicon()
    unit = PhonopyAtoms(
        cell.get_chemical_symbols(), cell=cell.cell.array, scaled_positions=cell.get_scaled_positions()
    )
    made = Phono3py(unit, supercell_matrix=np.diag([2, 2, 2]), primitive_matrix="F")
    made.generate_displacements(distance=0.03)
    made.forces = np.array(
        [forces(SILICON, one.positions, np.diag(one.cell))[0] for one in made.supercells_with_displacements]
    )
    made.produce_fc2()
    made.produce_fc3()
    return made


def boltzmann(crystal: Any, mesh: Any, temperature: float) -> dict[str, float]:
    """Conductivity by the direct solution of the linearised equation and by relaxation times, W/(m K)."""
    crystal.mesh_numbers = mesh
    crystal.init_phph_interaction()
    crystal.run_thermal_conductivity(temperatures=[temperature], is_LBTE=True, write_collision=False)
    found = crystal.thermal_conductivity
    return {
        name: round(float(np.mean(np.ravel(values)[:3])), 2)
        for name, values in (("lbte", found.kappa), ("rta", found.kappa_RTA))
    }


def trajectories(repeat: int, options: argparse.Namespace) -> list[FluxSeries]:
    """Heat flux of every seed in a cell of so many conventional ones along each edge."""
    engine = get_engine("tersoff")
    pair = pair_of(engine, engine.complete({}))
    schedule = FluxSchedule(
        temperature=options.temperature,
        timestep=options.timestep,
        equilibration=20.0,
        duration=options.duration,
        interval=8 * options.timestep,
    )
    found = []
    for seed in range(1, options.seeds + 1):
        found.append(sample(silicon(repeat), pair, schedule, seed, options.folder))
        print(f"{repeat}x{repeat}x{repeat}, seed {seed}: {found[-1].temperature:.0f} K", flush=True)
    return found


def row(repeat: int, series: Sequence[FluxSeries], found: GreenKubo) -> dict[str, Any]:
    """What is told of a cell."""
    return {
        "atoms": 8 * repeat**3,
        "seeds": found.seeds,
        "kappa": round(found.conductivity, 2),
        "uncertainty": round(found.uncertainty, 2),
        "cepstral_error": round(found.cepstral_error, 2),
        "jackknife_error": round(found.jackknife_error, 2),
        "coefficients": found.coefficients,
        "cutoff_thz": round(found.cutoff_frequency, 3),
        "kappa_half_and_twice_the_cutoff": [round(float(value), 2) for value in found.other_cutoffs],
        "kappa_integral": round(found.integral, 2),
        "integral_error": round(found.integral_error, 2),
        "cutoff_ps": round(found.cutoff_time, 2),
        "mean_temperature": round(found.temperature, 1),
        "temperature_scatter": round(float(np.std([one.temperature for one in series], ddof=1)), 1),
        "largest_drift": round(max(one.drift for one in series), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cells", type=int, nargs="+", default=[3, 4], help="conventional cells along an edge"
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--duration", type=float, default=500.0, help="of each trajectory, ps")
    parser.add_argument("--timestep", type=float, default=1.5, help="fs")
    parser.add_argument("--temperature", type=float, default=1000.0, help="K")
    parser.add_argument(
        "--meshes", type=int, nargs="*", default=[9, 11, 13, 15], help="of the Boltzmann equation"
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT / ".green-kubo", help="where trajectories are kept"
    )
    options = parser.parse_args()
    begin = time.perf_counter()
    solved = crystal()
    meshes = {str(mesh): boltzmann(solved, [mesh] * 3, options.temperature) for mesh in options.meshes}
    cells = []
    for repeat in options.cells:
        series = trajectories(repeat, options)
        same = boltzmann(solved, repeat * TO_CONVENTIONAL, options.temperature)
        cells.append({**row(repeat, series, green_kubo(series)), "same_wave_vectors": same})
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    report(
        "green_kubo",
        {
            "temperature": options.temperature,
            "duration_ps": options.duration,
            "timestep_fs": options.timestep,
            "lattice_constant": LATTICE_CONSTANT,
            "cells": cells,
            "meshes": meshes,
            "cpu_s": round(sum(one.ru_utime + one.ru_stime for one in used), 1),
            "wall_s": round(time.perf_counter() - begin, 1),
        },
    )


if __name__ == "__main__":
    main()
