"""What the last stages would refuse is refused before the first one starts (no AiiDA here)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hashigo.calculators.workers.component.case import Case
from hashigo.calculators.workers.component.given import given_properties
from hashigo.calculators.workers.component.grid import FACES
from hashigo.calculators.workers.component.properties import check_range
from hashigo.calculators.workers.job import SerialComm
from hashigo.errors import InputError
from hashigo.study.model import Study

#: Most voxels, of all realisations together, of microstructures that are made to see whether they can be.
MOST_VOXELS = 1_000_000


def check_mesoscale(study: Study, content: Mapping[str, Any], files: Path | None) -> None:
    """Make the microstructures, as the stage will, as many as take seconds.

    Args:
        study: the study.
        content: the study as plain values.
        files: what the mesoscale takes from files; None without any.

    Raises:
        InputError: names what cannot be made.
    """
    if study.until not in ("mesoscale", "component"):
        return
    # Late, for it brings a compiler, which takes time.
    from hashigo.calculators.workers.homogenization.recipe import Recipe

    section = content["mesoscale"]
    recipe = Recipe.read(section, files)
    for index in range(min(section["realisations"], MOST_VOXELS // prod(recipe.shape))):
        recipe.make((study.seed, index), slice(0, recipe.shape[0]), SerialComm())


def check_component(study: Study, content: Mapping[str, Any], voxels: NDArray[Any] | None) -> None:
    """Make the body and read what is given of it by hand, as the stage will.

    Args:
        study: the study.
        content: the study as plain values.
        voxels: region of each voxel of a mask, 0 outside, shape (nz, ny, nx), dimensionless; None for a box.

    Raises:
        InputError: names the key of the section and what to do.
    """
    section = study.component
    if section is None:
        return
    _check_mixture(study)
    case = Case.read(content["component"], voxels)
    _check_balance(case)
    everywhere = [section.initial_temperature]
    held = [face.temperature for face in section.faces.values() if face.temperature is not None]
    _check_given(case, case.material, "component.material", everywhere if case.regions else everywhere + held)
    for number, material in case.regions.items():
        _check_given(case, material, f"component.regions.{number}.material", everywhere)


def _check_mixture(study: Study) -> None:
    """Whether a body with pores or other materials is told what the crystal's own numbers do not tell."""
    section, mesoscale = study.component, study.mesoscale
    if section is None or section.grain_size is None or mesoscale.microstructure.kind == "file":
        return
    for name in ("density", "heat_capacity") if mesoscale.materials else ():
        if getattr(section.material, name) is None:
            raise InputError(
                f"the mesoscale has {next(iter(mesoscale.materials))} in it, so that the component's "
                f"{name.replace('_', ' ')} is not the crystal's",
                fix=f"give component.material.{name}",
            )


def _check_given(case: Case, material: Mapping[str, Any], where: str, temperatures: list[float]) -> None:
    """Whether tables reach the temperatures that the body certainly has, K."""
    free = case.free_temperature
    for name, found in given_properties(material, where).items():
        if name in ("stiffness", "expansion") and free is None:
            continue
        reached = [*temperatures, free] if name == "expansion" and free is not None else temperatures
        check_range(found.curve, min(reached), max(reached), name.replace("_", " "))


def _check_balance(case: Case) -> None:
    """Whether pressures push a body along an axis along which nothing holds it."""
    held, pressure = case.supports.held, case.supports.pressure
    if "fixed" in held.values():
        return
    for low, high in list(pairwise(FACES))[::2]:
        push = [float(pressure.get(name, 0.0)) * len(case.grid.at_face(name)) for name in (low, high)]
        if low not in held and high not in held and abs(push[0] - push[1]) > 1e-9 * max(map(abs, push)):
            raise InputError(
                f"the pressure on the component moves it along {low[0]}, for nothing holds it there",
                fix=f"support {low} or {high}, or press on both alike",
            )
