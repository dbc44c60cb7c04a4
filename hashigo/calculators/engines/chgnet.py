"""CHGNet with the weights of its wheel: a machine-learned potential, not first-principles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hashigo.calculators.engines import Engine, Setting, Workspace
from hashigo.calculators.engines.frame_calculator import check_choice
from hashigo.calculators.engines.universal import DEVICE, installed_version

MODELS = ("0.3.0", "0.2.0", "r2scan")


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> Any:
    from chgnet.model.dynamics import CHGNetCalculator
    from chgnet.model.model import CHGNet

    model = CHGNet.load(
        model_name=settings["model"], use_device=settings["device"], check_cuda_mem=False, verbose=False
    )
    return CHGNetCalculator(model, use_device=settings["device"], on_isolated_atoms="ignore")


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    check_choice(settings, "model", MODELS)


ENGINE = Engine(
    name="chgnet",
    title="CHGNet (universal potential)",
    first_principles=False,
    settings={
        "model": Setting("0.3.0", f"Weights, one of {', '.join(MODELS)}; all are in the wheel."),
        "device": DEVICE,
    },
    module="chgnet",
    extra="chgnet",
    obtain="It brings PyTorch, some gigabytes with GPU support.",
    calculator=_calculator,
    version=lambda calculator: installed_version("chgnet"),
    check=_check,
)
