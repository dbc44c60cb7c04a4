"""Polynomial potentials (pypolymlp): linear in their coefficients, trained in CPU-seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.calculators.workers.models import Kind
from hashigo.calculators.workers.polynomial import PolynomialModel, polynomial_committee
from hashigo.calculators.workers.training import run_polynomial


def _needs(section: Mapping[str, Any]) -> str:
    return f"{section['members']} members, cut-off {section['cutoff']:g} Å"


KIND = Kind(
    name="polynomial",
    title="polynomial potential",
    run=run_polynomial,
    load=lambda blob: PolynomialModel(blob.decode()),
    committee=lambda models, calibration: polynomial_committee(models),
    module="pypolymlp",
    extra="potential",
    obtain="built from source: needs g++, CMake and Eigen",
    needs=_needs,
)
