"""What a training of any kind of potential is given: the parameters that all share, and frames that serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hashigo.calculators.frames import Frame, check_frame, frame_identity
from hashigo.calculators.workers.resampling import groups
from hashigo.errors import InputError

#: With fewer frames nothing is left to resample after one is held out and one folded away.
MIN_FRAMES = 4

#: Parameters that every kind of potential may read, and their defaults; errors in eV/Å, energies in eV.
COMMON: dict[str, Any] = {
    "members": 8,
    "held_out": 0.2,
    "seed": 0,
    "atomic_energies": {},
    "max_force_error": None,
}


def complete_section(
    parameters: Mapping[str, Any], defaults: Mapping[str, Any], whose: str
) -> dict[str, Any]:
    """Fill in defaults of the section "potential", and check what all kinds of potentials share.

    Args:
        parameters: any of the defaults; lengths in Å, energies in eV, forces in eV/Å.
        defaults: all that may be given, `COMMON` among them; same units.
        whose: parameters they are, for the message.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(defaults))
    if unknown:
        raise InputError(
            f"potential.{unknown[0]} is not a parameter of {whose}", fix=f"known are {', '.join(defaults)}"
        )
    section = {**defaults, **parameters}
    if section["members"] < 2:
        raise InputError(
            f"potential.members is {section['members']}, and a committee needs at least 2 to have a spread",
            fix=f"set potential.members to {COMMON['members']} or so",
        )
    if not 0 < section["held_out"] < 1:
        raise InputError(
            f"potential.held_out is {section['held_out']}, not a share of the frames between 0 and 1",
            fix=f"set potential.held_out to {COMMON['held_out']} or so",
        )
    return section


def usable_frames(frames: Sequence[Frame], name: str) -> tuple[list[Frame], list[Frame]]:
    """Check frames, and set those of free atoms apart.

    Args:
        frames: all of a file.
        name: the file's name, for messages.

    Returns:
        Frames to train on, and frames of free atoms.

    Raises:
        InputError: when a frame is not finite or comes twice, or there are too few to train on and hold out.
    """
    for index, frame in enumerate(frames):
        check_frame(frame, index, name)
    atoms = [frame for frame in frames if frame.kind == "atom"]
    bulk = [frame for frame in frames if frame.kind != "atom"]
    if len(bulk) < MIN_FRAMES or all(len(members) < 2 for members in groups([f.kind for f in bulk]).values()):
        raise InputError(
            f"{name} has {len(bulk)} frames to train on, too few to hold one out and resample the others",
            fix=f"give at least {MIN_FRAMES} frames, two or more of a kind; 10 supercells are a fair start",
        )
    _refuse_repeats(frames, name)
    bare = [index for index, frame in enumerate(frames) if frame.kind != "atom" and frame.forces is None]
    if bare:
        raise InputError(
            f"frame {bare[0]} of {name} has no forces ({len(bare)} of {len(bulk)} frames have none)",
            fix="compute it with forces or leave it out; energy and stress may be missing",
        )
    return bulk, atoms


def _refuse_repeats(frames: Sequence[Frame], name: str) -> None:
    first: dict[str, int] = {}
    for index, frame in enumerate(frames):
        known = first.setdefault(frame_identity(frame.cell, frame.positions, frame.symbols, ""), index)
        if known != index and frame.kind != "atom":
            raise InputError(
                f"frames {known} and {index} of {name} are the same configuration: the potential would be tested on "
                "what it was trained on",
                fix=f"`hashigo frames merge {name} -o NEW.h5` keeps one where their forces agree; else delete one in "
                f"the text that `hashigo frames convert {name} NEW.xyz` writes",
            )
