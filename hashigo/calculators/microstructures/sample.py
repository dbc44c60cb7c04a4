"""What files of microstructures hold, and what is made of it: grains without gaps in their numbers, and periodic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.microstructures.pieces import label_pieces, without_crumbs
from hashigo.calculators.workers.homogenization.materials import CRYSTAL
from hashigo.errors import InputError

Floats = NDArray[np.float64]
#: Most voxels that a file may have, number, and most bytes of a file: beyond, no worker could hold it.
MOST_VOXELS, MOST_BYTES = 2**30, 2**33
#: Most grey levels of an image that can be meant as phases, number.
MOST_LEVELS = 32


@dataclass(frozen=True)
class Imported:
    """A microstructure as its file has it.

    Attributes:
        name: of the file.
        ids: number of the grain, or grey level, of each voxel, shape (nz, ny, nx), indices.
        quaternions: orientation by number of the grain, crystal to sample axes, scalar last, shape (n_rows, 4),
            dimensionless; NaN where there is none; None in a file without orientations.
        phases: name of the phase by number of the grain, one for each row; None where the file has no phases.
        levels: whether the numbers are grey levels, each a phase of its own.
        voxel: edge of a voxel in the file's unit of length; None where it has none, dimensionless.
    """

    name: str
    ids: NDArray[np.int64]
    quaternions: Floats | None = None
    phases: Sequence[str] | None = None
    levels: bool = False
    voxel: float | None = None


@dataclass(frozen=True)
class Sample:
    """A periodic microstructure whose grains are numbered from 0 without gaps.

    Attributes:
        grain_id: grain of each voxel, shape (nz, ny, nx), indices.
        material: of each grain, shape (n_grains,), index; 0 is the study's crystal.
        quaternions: crystal to sample axes, scalar last, shape (n_grains, 4), dimensionless; None without.
        numbers: of the grains in the file, shape (n_grains,), indices.
        mirrored: axes along which it was mirrored, e.g. "xy".
    """

    grain_id: NDArray[np.int32]
    material: NDArray[np.int32]
    quaternions: Floats | None
    numbers: NDArray[np.int64]
    mirrored: str = ""


def check_size(path: Path) -> None:
    """Make sure that a file is there and can be held.

    Raises:
        InputError: when it cannot.
    """
    if not path.is_file():
        raise InputError(
            f"{path} does not exist, or is no file",
            fix="check mesoscale.microstructure and mesoscale.texture; file names are relative to the study",
        )
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path.name} has more than {MOST_BYTES / 2**30:g} GiB", fix="cut a part out of it")


def check_voxels(name: str, shape: Sequence[int]) -> None:
    """Make sure that a grid has some voxels, and not too many.

    Args:
        name: of the file.
        shape: number of voxels along each axis.

    Raises:
        InputError: when it has not.
    """
    count = int(np.prod([int(n) for n in shape], dtype=object))
    if min(int(n) for n in shape) < 1 or count < 2:
        raise InputError(f"{name} has a grid of {'×'.join(str(n) for n in shape)} voxels, too few")
    if count > MOST_VOXELS:
        raise InputError(f"{name} has {count} voxels, more than {MOST_VOXELS}", fix="cut a part out of it")


def cubic_voxels(name: str, spacing: Sequence[float]) -> None:
    """Make sure that voxels are cubes.

    Args:
        name: of the file.
        spacing: edges of a voxel along x, y, z, any unit of length.

    Raises:
        InputError: tells the edges.
    """
    edges = np.asarray(spacing, dtype=float)
    if not np.isfinite(edges).all() or edges.min() <= 0 or np.ptp(edges) > 1e-3 * edges.max():
        shown = ", ".join(f"{edge:g}" for edge in edges)
        raise InputError(f"the voxels of {name} are no cubes: their edges are {shown}", fix="resample it")


def whole_numbers(name: str, values: NDArray[np.generic]) -> NDArray[np.int64]:
    """Numbers of grains as integers.

    Args:
        name: of the file.
        values: shape (nz, ny, nx), indices; floats do when they are whole.

    Raises:
        InputError: when there are others, or negative ones.
    """
    if values.dtype.kind not in "iufb":
        raise InputError(f"{name} holds no numbers of grains but {values.dtype}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(f"{name} has voxels that are no numbers (NaN or infinite)")
    if values.dtype.kind == "f" and not (values == np.rint(values)).all():
        raise InputError(
            f"{name} has voxels that are no whole numbers", fix="give the number of each one's grain"
        )
    if values.size and (values.min() < 0 or values.max() > 2**53):
        raise InputError(f"{name} has voxels of grain {values.min():.0f}; numbers count from 0")
    return np.asarray(values, dtype=np.int64)


@dataclass(frozen=True)
class Reading:
    """How a file is to be read.

    Attributes:
        periodic: "check", "assume" or "mirror".
        pieces: "check" that a grain of the crystal hangs together, "keep" it as it is, or "separate" its pieces.
        phases: material by the file's name of a phase, or grey level.
        materials: names of the study's materials beside the crystal.
    """

    periodic: str = "check"
    pieces: str = "check"
    phases: Mapping[str, str] = field(default_factory=dict)
    materials: Sequence[str] = ()


def settle(imported: Imported, reading: Reading) -> Sample:
    """Number grains without gaps, find their material and orientation, and make sure that the sample is periodic.

    Args:
        imported: what the file holds.
        reading: how it is to be read.

    Raises:
        InputError: names the grain, phase or axis at fault.
    """
    known = np.unique(imported.ids)
    names = _phase_names(imported, known)
    idle = next((name for name in reading.phases if name not in names), None)
    if idle is not None:
        what = "grain" if imported.phases is None and not imported.levels else "phase or grey level"
        raise InputError(
            f"{imported.name} has no {what} {idle}, which mesoscale.microstructure.phases names",
            fix=f"leave it out; there are {_some(sorted(set(names)))}",
        )
    alone = len(set(names)) == 1
    material = np.array([_material(imported, name, reading, alone) for name in names])
    ids, mirrored = _made_periodic(imported, reading.periodic)
    piece, numbers = _in_pieces(
        imported, ids, mirrored, reading.pieces, dict(zip(known, material, strict=True))
    )
    material = material[np.searchsorted(known, numbers)].astype(np.int32)
    quaternions = None
    if imported.quaternions is not None:
        quaternions = _orientations(imported, numbers, material)
    return Sample(piece.astype(np.int32), material, quaternions, numbers, mirrored)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")


def _in_pieces(
    imported: Imported, ids: NDArray[np.int64], mirrored: str, pieces: str, material: Mapping[Any, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Grain of each voxel without gaps, and number in the file of each grain."""
    numbers, grain = np.unique(ids, return_inverse=True)
    whole = grain.reshape(ids.shape), numbers
    if pieces == "keep":
        return whole
    piece, own = without_crumbs(*label_pieces(ids))
    if mirrored or pieces == "separate":
        return piece, own  # a grain that does not reach the face is in two pieces once it is mirrored
    found, count = np.unique(own, return_counts=True)
    torn = [(number, n) for number, n in zip(found, count, strict=True) if n > 1 and material[number] == 0]
    if torn:
        raise InputError(
            f"grain {torn[0][0]} of {imported.name} is in {torn[0][1]} pieces",
            fix="set mesoscale.microstructure.pieces to separate, which makes each a grain of its own, or to keep",
        )
    return whole


def _phase_names(imported: Imported, numbers: NDArray[np.int64]) -> list[str]:
    if imported.phases is None:
        if imported.levels and len(numbers) > MOST_LEVELS:
            raise InputError(
                f"image {imported.name} has {len(numbers)} grey levels, more than {MOST_LEVELS}",
                fix="segment it, so that each phase has one level",
            )
        return [str(number) for number in numbers]
    beyond = numbers[numbers >= len(imported.phases)]
    if len(beyond):
        raise InputError(f"grain {beyond[0]} of {imported.name} has no phase")
    return [str(imported.phases[number]) for number in numbers]


def _material(imported: Imported, phase: str, reading: Reading, alone: bool) -> int:
    """Index of the material of a phase, perhaps the only one that a voxel is of."""
    known, phases = (CRYSTAL, *reading.materials), reading.phases
    if phase in phases:
        return known.index(phases[phase])
    if imported.phases is None and not (imported.levels and phases):
        return 0  # numbers of grains, or an image that names none
    if phase in known and not phases:
        return known.index(phase)
    if imported.phases is not None and alone and not phases:
        return 0
    what = "grey level" if imported.levels else "phase"
    raise InputError(
        f"{what} {phase} of {imported.name} has no material",
        fix=f"name it in mesoscale.microstructure.phases: {{{phase}: {known[-1]}}}; there are {', '.join(known)}",
    )


def _orientations(imported: Imported, numbers: NDArray[np.int64], material: NDArray[np.int32]) -> Floats:
    """Unit quaternions of the grains; other materials than the crystal need none."""
    table = imported.quaternions
    assert table is not None
    out = np.tile([0.0, 0.0, 0.0, 1.0], (len(numbers), 1))
    for grain, number in enumerate(numbers):
        row = table[number] if number < len(table) else np.full(4, np.nan)
        norm = float(np.linalg.norm(row))
        if np.isfinite(norm) and norm > 1e-6:
            out[grain] = row / norm
        elif material[grain] == 0:
            raise InputError(
                f"grain {number} of {imported.name} has no orientation",
                fix="give one for every grain of the crystal, or none at all: mesoscale.texture then draws them",
            )
    return out


def mismatch(ids: NDArray[np.int64], axis: int) -> tuple[float, float, float]:
    """How much neighbouring planes differ, to judge whether the last is a neighbour of the first.

    Args:
        ids: number of the grain of each voxel, shape (nz, ny, nx), indices.
        axis: index of the axis.

    Returns:
        Share of voxels that differ across the face of the box, largest share between planes inside, and share
        expected of planes that have nothing to do with each other; dimensionless.
    """
    planes = np.moveaxis(ids, axis, 0)
    inside = max((float((a != b).mean()) for a, b in zip(planes[1:], planes[:-1], strict=True)), default=0.0)
    _, counts = np.unique(ids, return_counts=True)
    shares = counts / ids.size
    return float((planes[0] != planes[-1]).mean()), inside, float(1.0 - (shares**2).sum())


def _made_periodic(imported: Imported, periodic: str) -> tuple[NDArray[np.int64], str]:
    """The voxels, mirrored where they must be, and the axes along which they were."""
    ids, mirrored = imported.ids, ""
    if periodic == "assume":
        return ids, mirrored
    for axis in range(3):
        face, inside, unrelated = mismatch(imported.ids, axis)
        # Half way from what neighbours differ by to what strangers do.
        if face <= max(inside, 0.5 * (inside + unrelated)):
            continue
        letter = "zyx"[axis]
        if periodic == "check":
            raise InputError(
                f"{imported.name} is not periodic along {letter}: {100 * face:.0f} % of the voxels change across the "
                f"faces, at most {100 * inside:.0f} % between planes inside",
                fix="set mesoscale.microstructure.periodic to mirror, which mirrors it there, or to assume",
            )
        ids = np.concatenate([ids, np.flip(ids, axis)], axis=axis)
        mirrored += letter
    check_voxels(imported.name, ids.shape)
    return ids, mirrored
