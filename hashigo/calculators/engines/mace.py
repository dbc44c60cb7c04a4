"""MACE from a local checkpoint file: a machine-learned potential, not first-principles."""

from __future__ import annotations

from typing import Any

from hashigo.calculators.engines.universal import checkpoint_engine


def _load(checkpoint: str, device: str) -> Any:
    from mace.calculators import MACECalculator

    return MACECalculator(model_paths=checkpoint, device=device, default_dtype="float64")


ENGINE = checkpoint_engine(
    "mace",
    "MACE (universal potential)",
    "mace",
    "pip install mace-torch; a checkpoint (.model) from the site of its authors, under their licence.",
    "mace-torch",
    _load,
)
