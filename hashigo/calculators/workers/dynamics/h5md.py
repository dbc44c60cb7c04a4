"""Trajectories as H5MD 1.1.

Source: de Buyl, Colberg & Höfling, Comput. Phys. Commun. 185, 1546 (2014); https://www.nongnu.org/h5md/h5md.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from ase.data import atomic_numbers
from numpy.typing import ArrayLike, NDArray

from hashigo.calculators.workers.dynamics.segments import Samples
from hashigo.version import VERSION

Floats = NDArray[np.float64]

#: Name of the group of all atoms.
PARTICLES = "atoms"
#: Creator of the files, by which they are known again.
CREATOR = "hashigo"


def write_h5md(
    root: Any, samples: Samples, symbols: Sequence[str], masses: Floats, *, timestep: float, stride: int = 1
) -> None:
    """Write a trajectory.

    Positions are not wrapped into the cell, so that displacements can be read from them.

    Args:
        root: HDF5 file or group that becomes the root of the H5MD structure.
        samples: of the trajectory.
        symbols: chemical symbols of the atoms.
        masses: shape (n_atoms,), unit u.
        timestep: fs.
        stride: number of frames of which one is written.
    """
    _write_metadata(root)
    frames = slice(None, None, stride)
    time = samples.frame_time[frames]
    step = np.rint(time / timestep).astype(np.int64)
    particles = root.create_group(f"particles/{PARTICLES}")
    _write_box(particles, samples.cells[frames], step, time)
    _write_element(particles, "position", samples.positions[frames], "Angstrom", step, time)
    _write_element(particles, "velocity", samples.velocities[frames], "Angstrom fs-1", step, time)
    particles.create_dataset("species", data=np.array([atomic_numbers[s] for s in symbols], dtype=np.int32))
    particles.create_dataset("mass", data=masses).attrs["unit"] = "u"
    all_step = np.rint(samples.time / timestep).astype(np.int64)
    observables = root.create_group("observables")
    observables.create_group(PARTICLES).attrs["dimension"] = 3
    for name, data, unit in (
        ("temperature", samples.temperature, "K"),
        ("potential_energy", samples.potential_energy, "eV"),
        ("pressure", samples.pressure, "GPa"),
        ("volume", samples.volume, "Angstrom3"),
    ):
        _write_element(observables[PARTICLES], name, data, unit, all_step, samples.time)


def _write_metadata(root: Any) -> None:
    h5md = root.create_group("h5md")
    h5md.attrs["version"] = np.array([1, 1], dtype=np.int32)
    h5md.create_group("author").attrs["name"] = "not told"
    h5md.create_group("creator").attrs.update({"name": CREATOR, "version": VERSION})
    units = h5md.create_group("modules/units")
    units.attrs["version"] = np.array([1, 0], dtype=np.int32)
    units.attrs["system"] = "SI"


def _write_box(particles: Any, cells: Floats, step: NDArray[np.int64], time: Floats) -> None:
    box = particles.create_group("box")
    box.attrs["dimension"] = 3
    box.attrs["boundary"] = np.array(["periodic"] * 3, dtype=h5py.string_dtype("ascii"))
    # The specification lets a fixed cell stand alone, but MDAnalysis reads one for each frame only.
    _write_element(box, "edges", cells, "Angstrom", step, time)


def _write_element(
    group: Any, name: str, data: ArrayLike, unit: str, step: NDArray[np.int64], time: Floats
) -> None:
    """A time-dependent element: the arrays step, time and value."""
    element = group.create_group(name)
    array = np.asarray(data)
    packed = {"compression": "gzip", "shuffle": True} if array.size > 1000 else {}
    element.create_dataset("value", data=array, **packed).attrs["unit"] = unit
    element.create_dataset("step", data=step)
    element.create_dataset("time", data=time).attrs["unit"] = "fs"
