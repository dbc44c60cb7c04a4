"""How many displaced supercells and how far-reaching a third order a conductivity needs, found on the coarse mesh.

Supercells are doubled until the conductivity changes by no more than its share of the tolerance. Random displacements
are independent, so that the change on doubling has the standard deviation of what is left. The cut-off of the third
order is raised by one shell of neighbours after another until the conductivity changes by no more than its share;
where the whole supercell is not enough, that is said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from hashigo.calculators.workers.lattice.force_constants import (
    Dataset,
    Fit,
    ForceConstants,
    build_lattice,
    ideal_supercell,
    random_dataset,
)
from hashigo.calculators.workers.lattice.mesh_run import AUTO, SHARES, coarse_modes, isotropic
from hashigo.calculators.workers.lattice.polar import Polar
from hashigo.calculators.workers.lattice.transport import Modes, build_anharmonic
from hashigo.calculators.workers.potential import Model

Floats = NDArray[np.float64]

#: Supercells at first, and at most.
FEWEST, MOST = 10, 320
#: Distances that differ by less are one shell, Å.
_SHELL = 0.05


@dataclass(frozen=True)
class Settled:
    """What was found, and how.

    Attributes:
        snapshots: count of supercells.
        cutoff: of the third order, Å; None for all pairs of the supercell.
        sampling: last relative change by the supercells, shape (n_temperatures,), dimensionless; None when their number
            was given.
        truncation: last relative change by the cut-off, shape (n_temperatures,), dimensionless; None when it was given.
        steps: each with its snapshots, cut-off [Å] and a third of the trace of κ at each temperature, W/(m K).
        left: what did not come within its share, in words; "" when all did.
    """

    snapshots: int
    cutoff: float | None
    sampling: Floats | None = None
    truncation: Floats | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    left: str = ""

    def settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings with what was found in them.

        Args:
            settings: complete, of the task "conductivity"; lengths in Å.
        """
        return {**settings, "snapshots": self.snapshots, "cutoff": self.cutoff}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as one piece of text, shape (), for keeping; no unit."""
        plain = {
            **asdict(self),
            "sampling": None if self.sampling is None else self.sampling.tolist(),
            "truncation": None if self.truncation is None else self.truncation.tolist(),
        }
        return {"json": np.array(json.dumps(plain))}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Settled:
        """What `arrays` has kept.

        Args:
            arrays: of `arrays`; no unit, shape ().
        """
        plain = json.loads(str(arrays["json"]))
        for name in ("sampling", "truncation"):
            plain[name] = None if plain[name] is None else np.array(plain[name])
        return cls(**plain)

    def errors(self) -> dict[str, Floats]:
        """Relative errors by part, each of shape (n_temperatures,), dimensionless."""
        parts = {"sampling": self.sampling, "cutoff": self.truncation}
        return {name: error for name, error in parts.items() if error is not None}


def is_open(settings: Mapping[str, Any]) -> bool:
    """Whether the number of supercells or the cut-off is to be found.

    Args:
        settings: complete, of the task "conductivity"; lengths in Å.
    """
    return AUTO in (settings["snapshots"], settings["cutoff"])


def cutoffs(lattice: Phonopy) -> list[float | None]:
    """Cut-offs between the shells of neighbours inside the supercell, Å, from the second shell on; None is no cut-off.

    Args:
        lattice: the supercell.
    """
    atoms = ideal_supercell(lattice)
    inscribed = (
        0.5
        * atoms.cell.volume
        / max(np.linalg.norm(np.cross(atoms.cell[i], atoms.cell[j])) for i, j in ((0, 1), (1, 2), (2, 0)))
    )
    found = np.unique(np.round(np.concatenate([
        atoms.get_distances(int(site), range(len(atoms)), mic=True) for site in lattice.primitive.p2s_map
    ]), 3))  # fmt: skip
    shells = [found[0], *(b for a, b in pairwise(found) if b - a > _SHELL)]
    between = [0.5 * float(a + b) for a, b in pairwise(shells[2:])]
    return [round(length, 3) for length in between if length <= inscribed] + [None]


def settle(
    model: Model,
    atoms: Atoms,
    settings: Mapping[str, Any],
    polar: Polar | None = None,
    reason: Callable[[], str] = lambda: "",
) -> tuple[Settled, ForceConstants, Modes]:
    """Find supercells and cut-off of a model; numbers that are given stay.

    Args:
        model: the potential.
        atoms: conventional cell; lengths in Å.
        settings: complete, of the task "conductivity"; lengths in Å, temperatures in K.
        polar: Born charges, where known.
        reason: why the job is to end now; what was found so far is taken then.

    Returns:
        What was found, with its force constants and its modes on the coarse mesh.
    """
    lattice = build_lattice(atoms, settings["supercell"])
    steps: list[dict[str, Any]] = []

    def computed(fit: Fit, dataset: Dataset, cutoff: float | None) -> tuple[ForceConstants, Modes, Floats]:
        constants = fit.solve(dataset)
        modes = coarse_modes(build_anharmonic(atoms, settings["supercell"], constants, polar=polar), settings)
        count, kappa = len(dataset.displacements), isotropic(modes)
        steps.append({"snapshots": count, "cutoff": cutoff, "kappa": kappa.tolist()})
        return constants, modes, kappa

    given = settings["cutoff"] if settings["cutoff"] != AUTO else None
    fit = Fit(lattice, 3, given)
    auto = settings["snapshots"] == AUTO
    count = max(FEWEST, fit.pairs_needed()) if auto else int(settings["snapshots"])
    dataset = _dataset(model, lattice, count, settings)
    constants, modes, kappa = computed(fit, dataset, given)
    tolerance, left = float(settings["tolerance"]), []
    sampling = truncation = None
    while auto and (sampling is None or sampling.max() > SHARES["sampling"] * tolerance):
        if 2 * count > max(MOST, 2 * fit.pairs_needed()) or reason():
            left.append(f"{count} supercells")
            break
        count *= 2
        dataset, before = _dataset(model, lattice, count, settings), kappa
        constants, modes, kappa = computed(fit, dataset, given)
        sampling = np.abs(kappa / before - 1)
    cutoff = given
    if settings["cutoff"] == AUTO:
        whole, last = (constants, modes, kappa), None
        for cutoff in cutoffs(lattice):
            constants, modes, kappa = (
                whole if cutoff is None else computed(Fit(lattice, 3, cutoff), dataset, cutoff)
            )
            truncation = None if last is None else np.abs(kappa / last - 1)
            if truncation is not None and truncation.max() <= SHARES["cutoff"] * tolerance:
                break
            last = kappa
        else:
            left.append("the third order in all of the supercell")
    return Settled(count, cutoff, sampling, truncation, steps, " and ".join(left)), constants, modes


def _dataset(model: Model, lattice: Phonopy, count: int, settings: Mapping[str, Any]) -> Dataset:
    distance = float(settings["displacement"])
    return random_dataset(model, lattice, count, distance, int(settings["seed"]), paired=True)
