"""Settings that all kinds of neural networks have, and what is wrong with senseless ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.calculators.engines import Setting
from hashigo.errors import InputError

#: Where a message says that a setting is.
WHERE = "potential.settings"

TRAINING = {
    "epochs": Setting(
        200, "Number of times that all frames are seen; 0: the checkpoint as it is, untrained."
    ),
    "learning_rate": Setting(0.01, "First step of the optimiser; it falls to 0 as half a cosine."),
    "batch_size": Setting(4, "Number of frames of a step."),
    "energy_weight": Setting(1.0, "Weight of an error of 1 meV/atom."),
    "force_weight": Setting(1.0, "Weight of an error of 10 meV/Å."),
    "stress_weight": Setting(1.0, "Weight of an error of 0.1 GPa."),
    "precision": Setting("float64", "float64 or float32; relaxations and force constants need the former."),
}
RADIUS = {"r_max": Setting(5.0, "Radius of a layer within which atoms are neighbours.", "Å")}


def starts_from(settings: Mapping[str, Any]) -> str:
    """Name of the checkpoint or weights that training starts from, "" for random weights."""
    return str(settings.get("weights") or settings.get("checkpoint") or "")


def check_numbers(settings: Mapping[str, Any]) -> None:
    """Refuse numbers that make no training.

    Args:
        settings: complete.

    Raises:
        InputError: names the setting.
    """
    least = {"epochs": 0, "max_l": 0, "channels": 1, "layers": 1, "batch_size": 1, "radial_functions": 1,
             "correlation": 1, "max_ell": 0}  # fmt: skip
    for name, number in least.items():
        if name in settings and (isinstance(settings[name], bool) or settings[name] < number):
            raise InputError(f"{WHERE}.{name} is {settings[name]}, and must be {number} or more")
    for name in ("learning_rate", "r_max"):
        if name in settings and not settings[name] > 0:
            raise InputError(f"{WHERE}.{name} is {settings[name]:g}, and must be positive")
    weights = [settings[f"{name}_weight"] for name in ("energy", "force", "stress")]
    if min(weights) < 0 or not max(weights) > 0:
        raise InputError(
            f"{WHERE} has weights {', '.join(f'{w:g}' for w in weights)} of energy, force and stress",
            fix="give no negative ones, and at least one that is positive",
        )
