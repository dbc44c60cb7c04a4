"""An engine that goes wrong at chosen frames; the number of a frame is in the x coordinate of its first atom."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from hashigo.calculators.engines import Engine, Setting
from hashigo.calculators.frames import Frame


def make_frames(count: int, n_atoms: int = 2) -> list[Frame]:
    """Frames whose numbers the engine can tell."""
    atoms = Atoms("Al" * n_atoms, cell=[8.0, 8.0, 8.0 * n_atoms], pbc=True)
    atoms.positions[:, 2] = 4.0 * np.arange(n_atoms)
    frames = []
    for index in range(count):
        atoms.positions[0, 0] = index * 1e-3
        frames.append(
            Frame(atoms.cell.array.copy(), atoms.positions.copy(), tuple(atoms.symbols), settings="t")
        )
    return frames


class Trouble(Calculator):
    """Energy is the number of the frame, eV."""

    implemented_properties = ["energy", "forces", "stress"]
    made = 0

    def __init__(self, settings, workspace):
        super().__init__()
        self.settings, self.workspace = settings, workspace
        type(self).made += 1

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.index = round(atoms.positions[0, 0] * 1e3)
        action = self.settings["troubles"].get(str(self.index), "")
        self.results = {
            "energy": float(self.index),
            "forces": np.zeros((len(atoms), 3)),
            "stress": np.zeros(6),
        }
        if action == "raise":
            raise RuntimeError(f"no luck in {self.workspace.folder.absolute()}/file")
        if action == "nan":
            self.results["forces"][0, 0] = np.nan
        if action == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if action == "signal":
            subprocess.check_call([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
        if action == "program":
            subprocess.check_call([*self.workspace.command])
        if action == "slow":
            subprocess.check_call(["sleep", "60"])
        time.sleep(self.settings["seconds"])


ENGINE = Engine(
    name="trouble",
    title="Trouble",
    first_principles=False,
    settings={
        "troubles": Setting({}, "What happens at which frame."),
        "seconds": Setting(0.0, "Time of a frame.", "s"),
    },
    calculator=Trouble,
    version=lambda calculator: "1.0",
    converged=lambda c: c.settings["troubles"].get(str(c.index), "") != "unconverged",
)
