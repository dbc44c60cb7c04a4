"""Whether a structure lies in the region in which a potential was trained.

It lies outside when its cell is strained far beyond those of the training frames, or when the members of the committee
do not agree on its forces. The second needs no list of structures: for silicon with Tersoff's potential as the
reference, trained on atoms displaced by 0.03 Å, the predicted uncertainty of forces was within a factor of 2.1 of their
error in six snapshots from 100 K (0.1 % of the forces) to 3500 K (68 %).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame
from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.potential import Committee

Floats = NDArray[np.float64]

GATE = "trained_region"
#: Largest uncertainty of forces, relative to the forces.
FORCE_TOLERANCE = 0.10
#: Cells may be strained by this much more than those of the training frames, relative.
STRAIN_MARGIN = 0.5
#: A strain that every potential is trusted with: that of elastic constants.
LEAST_STRAIN = 0.02


@dataclass(frozen=True)
class TrainedRegion:
    """In which region a potential was trained.

    Attributes:
        cell: lattice vectors of the crystal's conventional cell as rows, shape (3, 3), Å; None where it is not known.
        atoms: number of atoms of that cell.
        strain: largest principal strain of the training frames' cells against it, dimensionless.
        force: root mean square of the training frames' force components, eV/Å.
    """

    cell: list[list[float]] | None
    atoms: int
    strain: float
    force: float

    @classmethod
    def read(cls, path: Path) -> TrainedRegion | None:
        """Read the region from a result of the task "training"; None where it does not tell.

        Args:
            path: the result file.
        """
        with ResultReader(path) as reader:
            note = reader.note("region")
        return None if note is None else cls(**note)

    def judge(self, committee: Committee, structures: Sequence[Atoms]) -> list[Excess]:
        """Find the structures outside.

        Args:
            committee: the potential; without members only strains are judged.
            structures: periodic atoms; lengths in Å.
        """
        found = []
        for index, sentence in enumerate(self._strained(atoms) for atoms in structures):
            if sentence:
                found.append(Excess(index, sentence))
        known = {one.index for one in found}
        if committee.members:
            for index, share in enumerate(self.force_uncertainty(committee, structures)):
                if share > FORCE_TOLERANCE and index not in known:
                    found.append(Excess(index, _uncertain(float(share))))
        return sorted(found, key=lambda one: one.index)

    def force_uncertainty(self, committee: Committee, structures: Sequence[Atoms]) -> Floats:
        """Committee spread of forces, relative to the forces, or to those of the training frames if these are larger.

        Args:
            committee: the potential, with members.
            structures: periodic atoms; lengths in Å.

        Returns:
            Root mean square over each structure's components, shape (n_structures,), dimensionless.
        """
        out = []
        for one in committee.evaluate_all(structures):
            out.append(one.force_spread / max(_rms(one.mean.forces), self.force, np.finfo(float).tiny))
        return np.array(out)

    def _strained(self, atoms: Atoms) -> str:
        strain = None if self.cell is None else largest_strain(atoms, np.array(self.cell), self.atoms)
        if strain is None or strain <= max(LEAST_STRAIN, (1 + STRAIN_MARGIN) * self.strain):
            return ""
        trained = f"those of the training frames by {100 * self.strain:.1f} %"
        return f"the cell is strained by {100 * strain:.1f} %, {trained}"


@dataclass(frozen=True)
class Excess:
    """A structure outside the region.

    Attributes:
        index: its number in the list.
        sentence: in what it is outside.
    """

    index: int
    sentence: str


def trained_region(frames: Sequence[Frame], structure: Atoms | None) -> TrainedRegion:
    """The region that frames span.

    Args:
        frames: those of the crystal.
        structure: conventional cell that the frames' cells are repeats of, more or less strained; lengths in Å.
    """
    forces = [np.ravel(frame.forces) for frame in frames if frame.forces is not None]
    force = _rms(np.concatenate(forces)) if forces else 0.0
    if structure is None:
        return TrainedRegion(None, 0, 0.0, force)
    cell = structure.cell.array
    strains = [largest_strain(frame.atoms(), cell, len(structure)) for frame in frames]
    return TrainedRegion(
        cell.tolist(), len(structure), max((s for s in strains if s is not None), default=0.0), force
    )


def largest_strain(atoms: Atoms, cell: Floats, count: int) -> float | None:
    """Largest principal strain of a repeated and deformed cell, rotations left out.

    Args:
        atoms: the structure; lengths in Å.
        cell: lattice vectors of the undeformed cell as rows, shape (3, 3), Å.
        count: number of its atoms.

    Returns:
        Largest |eigenvalue| of U - 1 of the polar decomposition, dimensionless, for the repeat of as many cells that is
        strained least; None where the structure is no repeat.
    """
    if not len(atoms):
        return None
    # Rounding up or down: in a large cell that is strained the nearest whole number may be that of another repeat.
    swollen = (atoms.get_volume() * count / (len(atoms) * abs(np.linalg.det(cell)))) ** (1 / 3)
    relative = atoms.cell.array @ np.linalg.inv(cell) / np.array([1.0, swollen])[:, None, None]
    ways = np.array(list(product((0, 1), repeat=9))).reshape(-1, 3, 3)
    repeats = (np.floor(relative[:, None]) + ways).reshape(-1, 3, 3)
    fitting = repeats[np.rint(np.abs(np.linalg.det(repeats))) * count == len(atoms)]
    if not len(fitting):
        return None
    gradients = np.linalg.solve(fitting @ cell, np.broadcast_to(atoms.cell.array, fitting.shape))
    strains = np.abs(np.linalg.svd(gradients, compute_uv=False) - 1).max(axis=1)
    return float(strains.min())


@dataclass(frozen=True)
class Departure:
    """Structures of a stage that lie outside, with the sentence of each.

    Attributes:
        what: where they are from, e.g. "the relaxed cell".
        structures: lengths in Å.
        found: of `TrainedRegion.judge`.
    """

    what: str
    structures: Sequence[Atoms]
    found: Sequence[Excess]

    def write(self, writer: ResultWriter) -> None:
        """Write the gate and the frames that should be labelled."""
        write_outside(writer, self.structures, self.found, self.what, note=GATE)


def departure(
    inputs: Mapping[str, Path], committee: Committee, structures: Sequence[Atoms], what: str
) -> Departure | None:
    """Whether a stage asks the potential for more than it was trained for; None where it does not.

    Args:
        inputs: the job's input files; "potential" is the trained one, without which nothing is judged.
        committee: the potential.
        structures: some of those that the stage evaluates; lengths in Å.
        what: where they are from.
    """
    region = TrainedRegion.read(inputs["potential"]) if "potential" in inputs else None
    if region is None:
        return None
    # A few structures are not worth compiling the joint evaluation for.
    found = region.judge(replace(committee, together=None), structures)
    return Departure(what, structures, found) if found else None


def write_outside(
    writer: ResultWriter, structures: Sequence[Atoms], found: Sequence[Excess], what: str, note: str = "gate"
) -> None:
    """Write the gate of the region, and the structures outside it as the frames that should be labelled.

    Args:
        writer: of the result.
        structures: that were judged; lengths in Å.
        found: of `TrainedRegion.judge`.
        what: where the structures are from, e.g. "molecular dynamics at 3000 K".
        note: where the gate stands, one of `results.GATES`; beside a gate of the stage's own another.
    """
    message = (
        f"{what} leaves the region in which the potential was trained: {found[0].sentence}" if found else ""
    )
    writer.gate(
        GATE,
        message,
        fix="label the frames of to_label.h5, beside the report, with the reference's engine and train on them too",
        note=note,
        frames=len(found),
    )
    for place, one in enumerate(found):
        atoms = structures[one.index]
        writer.array(f"to_label/{place}/cell", atoms.cell.array, units="Å")
        writer.array(f"to_label/{place}/positions", atoms.positions, units="Å")
        writer.array(f"to_label/{place}/numbers", atoms.numbers, units="dimensionless")


def frames_to_label(reader: ResultReader) -> list[Frame]:
    """The structures outside that a result holds, without energies.

    Args:
        reader: of the result.
    """
    out: list[Frame] = []
    while reader.has(f"to_label/{len(out)}"):
        part: dict[str, Any] = {
            name: reader.array(f"to_label/{len(out)}/{name}") for name in ("cell", "positions", "numbers")
        }
        atoms = Atoms(part["numbers"], cell=part["cell"], positions=part["positions"], pbc=True)
        out.append(
            Frame(part["cell"], part["positions"], tuple(atoms.get_chemical_symbols()), kind="outside")
        )
    return out


def _uncertain(share: float) -> str:
    limit = f"more than {100 * FORCE_TOLERANCE:.0f} %"
    return f"the committee's uncertainty of the forces is {100 * share:.0f} % of them, {limit}"


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(np.asarray(values) ** 2)))
