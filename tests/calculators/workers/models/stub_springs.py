"""A kind of potential without any package: Tersoff's silicon, each force of each member off by another factor."""

from __future__ import annotations

import json

import numpy as np

from hashigo.calculators.engines import Setting
from hashigo.calculators.engines.tersoff import silicon
from hashigo.calculators.workers.models import Kind
from hashigo.calculators.workers.models.committee import run
from hashigo.calculators.workers.models.scaled import scaled_committee
from hashigo.calculators.workers.potential import AseModel, Evaluation


class Scaled:
    """Tersoff's energies, forces and stress, each times a number near 1 that seed and structure give."""

    elements = ("Si",)

    def __init__(self, seed, error):
        self.seed, self.error = seed, error

    def pack(self):
        return json.dumps({"seed": self.seed, "error": self.error}).encode()

    def evaluate(self, structures):
        return [self._spoil(atoms, _known(atoms)) for atoms in structures]

    def _spoil(self, atoms, one):
        seeds = [self.seed, *atoms.positions.round(6).view(np.uint64).ravel().tolist()]
        draw = np.random.default_rng(seeds).normal
        return Evaluation(
            one.energy * (1 + self.error * draw()),
            one.forces * (1 + self.error * draw(size=one.forces.shape)),
            one.stress * (1 + self.error * draw(size=6)),
        )


_TERSOFF = AseModel(silicon(), ["Si"])
_KNOWN = {}


def _known(atoms):
    key = (atoms.cell.array.tobytes(), atoms.positions.tobytes())
    if key not in _KNOWN:
        _KNOWN[key] = _TERSOFF.evaluate([atoms])[0]
    return _KNOWN[key]


class Springs:
    """Stands for a `NeuralKind`."""

    def kind(self):
        return KIND

    def trained(self, settings, frames, chosen, seed, name, tell):
        tell(settings["epochs"])
        error = settings["error"] if settings["epochs"] else 0.0
        return Scaled(seed, 5.0 if name == settings["spoilt"] else error)


def start(job):
    run(job, neural=Springs())


KIND = Kind(
    name="springs",
    title="Springs",
    run=start,
    load=lambda blob: Scaled(**json.loads(blob)),
    committee=scaled_committee,
    settings={
        "epochs": Setting(3, "Number."),
        "error": Setting(0.02, "Relative error of a member."),
        "spoilt": Setting("", "Name of a network that comes to nothing."),
    },
    keys=("members", "held_out", "max_force_error"),
)
