"""Calcfunctions between nodes of frames: sampling, gathering, merging. Few frames are in memory at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Dict, Int, List, Str, StructureData

from hashigo.calculators.data import FramesData
from hashigo.calculators.engines import get_engine
from hashigo.calculators.frames import Frame, write_frames
from hashigo.calculators.sampling import sample
from hashigo.calculators.workers.frame_store import in_order
from hashigo.study.structures import structure_content, structure_from_content

#: Version of `gather_frames` and of the engines' `read`: a corrected reading serves no frames of an earlier one.
GATHERING = 1


def frames_node(frames: Iterable[Frame], header: Mapping[str, Any]) -> FramesData:
    """An unstored node of frames."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.h5"
        write_frames(path, frames, header)
        return FramesData(path)


@calcfunction
def sample_frames(structure: StructureData, parameters: Dict) -> FramesData:
    """Configurations to be computed, without energies."""
    given = parameters.get_dict()
    engine = get_engine(given["engine"])
    atoms = structure.get_ase()
    frames = sample(atoms, given["sampling"], given["seed"], engine.signature(given["settings"]))
    header = {
        "structure": structure_content(atoms),
        "supercell": list(given["sampling"]["supercell"]),
        "engine": engine.name,
        "first_principles": engine.first_principles,
        "settings": given["settings"],
    }
    return frames_node(frames, header)


@calcfunction
def frame_structure(frames: FramesData, index: Any) -> StructureData:
    """One configuration as a structure node for the engine's own plugin."""
    return StructureData(ase=next(islice(frames.iter_frames(), index.value, None)).atoms())


@calcfunction
def gather_frames(sampled: FramesData, engine: Str, version: Int, **outputs: Any) -> FramesData:
    """Frames with what the engine computed of each; `outputs` are named frame_INDEX__PORT, `version` is GATHERING."""
    from types import SimpleNamespace

    read = get_engine(engine.value).read
    assert read is not None
    ports: dict[int, dict[str, Any]] = {}
    for label, node in outputs.items():
        number, port = label.removeprefix("frame_").split("__")
        ports.setdefault(int(number), {})[port] = node

    def computed() -> Iterator[Frame]:
        for index, frame in enumerate(sampled.iter_frames()):
            if index not in ports:
                continue
            values = read(SimpleNamespace(**ports[index]))
            if frame.kind == "atom":
                values["stress"] = None
            yield replace(frame, **values)

    return frames_node(computed(), sampled.header())


@calcfunction
def missing_frames(sampled: FramesData, known: List) -> FramesData:
    """The sampled configurations whose identities are not known yet."""
    have = set(known.get_list())
    return frames_node((f for f in sampled.iter_frames() if f.identity not in have), sampled.header())


@calcfunction
def add_frames(sampled: FramesData, chosen: FramesData) -> FramesData:
    """The sampled configurations and those chosen after them, for the same engine."""

    def both() -> Iterator[Frame]:
        settings, seen = "", set(identities(sampled))
        for frame in sampled.iter_frames():
            settings = frame.settings
            yield frame
        for frame in chosen.iter_frames():
            added = replace(frame, settings=settings, stored_identity="")
            if added.identity not in seen:
                yield added

    return frames_node(both(), sampled.header())


@calcfunction
def merge_frames(sampled: FramesData, **computed: FramesData) -> FramesData:
    """Computed frames in the order in which they were sampled."""
    have = {identity for node in computed.values() for identity in identities(node)}
    with tempfile.TemporaryDirectory() as name:
        files = []
        for label, node in computed.items():
            folder = Path(name) / label
            folder.mkdir()
            files.append(node.local_path(folder))
        wanted = [identity for identity in dict.fromkeys(identities(sampled)) if identity in have]
        return frames_node(in_order(files, wanted), sampled.header())


def identities(frames: FramesData) -> list[str]:
    """Identities of all frames of a node, in order."""
    return list(frames.base.attributes.get("identities"))


def first_of_each(frames: FramesData, wanted: Sequence[str]) -> Iterator[tuple[int, Frame]]:
    """Index and frame of each wanted identity; equal frames are taken once.

    Args:
        frames: where they are.
        wanted: identities.
    """
    left = set(wanted)
    for index, frame in enumerate(frames.iter_frames()):
        if frame.identity in left:
            left.remove(frame.identity)
            yield index, frame
        if not left:
            return


@calcfunction
def split_atoms(frames: FramesData) -> FramesData:
    """Move the energies of free atoms into the header: they are not configurations of the crystal."""
    atoms = {f.symbols[0]: f.energy for f in frames.iter_frames() if f.kind == "atom"}
    crystals = (f for f in frames.iter_frames() if f.kind != "atom")
    return frames_node(crystals, {**frames.header(), "atomic_energies": atoms})


@calcfunction
def reference_cell(frames: FramesData) -> StructureData:
    """The undisplaced conventional cell that the frames were made from."""
    return StructureData(ase=structure_from_content(frames.header()["structure"]))
