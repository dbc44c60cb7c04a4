"""The files that a study names for its mesoscale, as the one that the worker is given (no AiiDA here)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from hashigo.calculators.microstructures import read_microstructure
from hashigo.calculators.microstructures.orientations import read_orientations
from hashigo.calculators.microstructures.sample import Reading, settle
from hashigo.calculators.workers.homogenization.given import write_given
from hashigo.errors import InputError
from hashigo.study.materials import CRYSTAL
from hashigo.study.model import Study

FILE = "microstructure.h5"


def read_sample(study: Study, content: dict[str, Any], folder: Path) -> Path | None:
    """Read microstructure and orientations, where the study names files of them.

    Args:
        study: the study.
        content: the study as plain values, whose mesoscale gets grid and number of grains of the file.
        folder: where the worker's file is written.

    Returns:
        That file; None where the study names none.

    Raises:
        InputError: names the file, the grain, the phase or the axis at fault.
    """
    grid, origin = _grid(study, content["mesoscale"])
    texture = _texture(study)
    _check_texture(study, content["mesoscale"], grid, texture)
    if study.mesoscale.texture.kind == "list" and study.mesoscale.microstructure.kind == "laminate":
        content["mesoscale"]["realisations"] = 1
    if grid is None and texture is None:
        return None
    path = folder / FILE
    write_given(path, grid=grid, texture=texture, origin=origin)
    return path


def _grid(study: Study, content: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    section = study.mesoscale.microstructure
    if section.file is None:
        return None, {}
    path = study.path(section.file)
    orientations = None if section.orientations is None else study.path(section.orientations)
    imported = read_microstructure(path, orientations)
    reading = Reading(section.periodic, section.pieces, section.phases, list(study.mesoscale.materials))
    sample = settle(imported, reading)
    content["voxels"] = [int(number) for number in sample.grain_id.shape[::-1]]
    content["grains"] = len(sample.numbers)
    if sample.quaternions is not None or study.mesoscale.texture.kind == "list":
        content["realisations"] = 1  # a second one would be the same
    origin: dict[str, Any] = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "mirrored": list(sample.mirrored),
        "orientations": "of the file" if orientations is None else orientations.name,
    }
    if imported.voxel is not None:
        origin["voxel_in_file"] = imported.voxel
    if sample.quaternions is None:
        origin["orientations"] = "none"
    arrays = {"grain_id": sample.grain_id, "material": sample.material, "quaternions": sample.quaternions}
    return {**arrays, "number": sample.numbers}, origin


def _check_texture(
    study: Study, content: dict[str, Any], grid: dict[str, Any] | None, texture: dict[str, Any] | None
) -> None:
    """Whether grains that have orientations are not given others, and a list has enough."""
    kind, section = study.mesoscale.texture.kind, study.mesoscale.microstructure
    if grid is not None and grid["quaternions"] is not None and kind != "random":
        raise InputError(
            f"{section.file} has orientations of its own, and mesoscale.texture gives others",
            fix="leave one out",
        )
    if kind != "list" or texture is None or section.kind == "inclusions":  # which may swallow grains
        return
    grains = content["grains"] if grid is None else int((grid["material"] == 0).sum())
    if section.kind == "laminate":
        grains = sum(name == CRYSTAL for name, _ in section.layers)
    if len(texture["quaternions"]) < grains:
        raise InputError(
            f"{study.mesoscale.texture.file} has {len(texture['quaternions'])} orientations, fewer than the {grains} "
            "grains",
            fix="set texture.kind to odf, which draws from the list, or take fewer grains",
        )


def _texture(study: Study) -> dict[str, Any] | None:
    section = study.mesoscale.texture
    if section.file is None:
        return None
    found = read_orientations(study.path(section.file))
    if np.isnan(found.quaternions).any():
        raise InputError(
            f"{section.file} lacks the orientation of some of its grains", fix="give one on every line"
        )
    return {"quaternions": found.quaternions, "weights": found.weights}
