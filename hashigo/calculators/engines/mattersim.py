"""MatterSim from a local checkpoint file: a machine-learned potential, not first-principles."""

from __future__ import annotations

from typing import Any

from hashigo.calculators.engines.universal import checkpoint_engine


def _load(checkpoint: str, device: str) -> Any:
    from mattersim.forcefield import MatterSimCalculator

    return MatterSimCalculator.from_checkpoint(load_path=checkpoint, device=device)


ENGINE = checkpoint_engine(
    "mattersim",
    "MatterSim (universal potential)",
    "mattersim",
    "pip install mattersim; a checkpoint (.pth) from the site of its authors.",
    "mattersim",
    _load,
)
