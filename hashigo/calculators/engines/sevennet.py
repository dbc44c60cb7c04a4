"""SevenNet with the weights of its wheel: a machine-learned potential, not first-principles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hashigo.calculators.engines import Engine, Setting, Workspace
from hashigo.calculators.engines.frame_calculator import check_choice
from hashigo.calculators.engines.universal import DEVICE, installed_version

#: Those whose weights are in the wheel; the package would download others.
MODELS = ("7net-0", "7net-l3i5")


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> Any:
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(settings["model"], device=settings["device"])


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    check_choice(settings, "model", MODELS)


ENGINE = Engine(
    name="sevennet",
    title="SevenNet (universal potential)",
    first_principles=False,
    settings={
        "model": Setting("7net-0", f"Weights, one of {', '.join(MODELS)}; both are in the wheel."),
        "device": DEVICE,
    },
    module="sevenn",
    extra="sevennet",
    obtain="It brings PyTorch, some gigabytes with GPU support.",
    calculator=_calculator,
    version=lambda calculator: installed_version("sevenn"),
    check=_check,
)
