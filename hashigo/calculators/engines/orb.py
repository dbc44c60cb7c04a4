"""ORB from a local checkpoint file: a machine-learned potential, not first-principles."""

from __future__ import annotations

from typing import Any

from hashigo.calculators.engines.universal import checkpoint_engine


def _load(checkpoint: str, device: str) -> Any:
    from orb_models.forcefield import pretrained
    from orb_models.forcefield.calculator import ORBCalculator

    model = pretrained.orb_v3_conservative_inf_omat(
        weights_path=checkpoint, device=device, precision="float64"
    )
    return ORBCalculator(model, device=device)


ENGINE = checkpoint_engine(
    "orb",
    "ORB v3, conservative (universal potential)",
    "orb_models",
    "pip install orb-models; the checkpoint orb-v3-conservative-inf-omat from the site of its authors.",
    "orb-models",
    _load,
)
