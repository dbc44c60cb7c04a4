"""Everything a study names, read and checked before anything is stored or started (no AiiDA here)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from hashigo.calculators.engines import get_engine
from hashigo.calculators.engines.espresso_polar import require_response, wants_polar
from hashigo.calculators.engines.protocols import defaults
from hashigo.calculators.formats import find_format, read_source
from hashigo.calculators.formats.born import read_born, with_charges
from hashigo.calculators.formats.unit_cell import with_unit_cell
from hashigo.calculators.frames import Frame, iter_frames, read_header, write_frames
from hashigo.calculators.workers.dynamics.lammps import find_program, no_heat_flux
from hashigo.calculators.workers.dynamics.lammps_files import check_cell
from hashigo.calculators.workers.evaluation import overlap
from hashigo.calculators.workers.models import get_kind
from hashigo.errors import InputError
from hashigo.scheduler_profiles.model import load_site
from hashigo.study.model import Study
from hashigo.study.structures import (
    difference,
    read_structure_file,
    standardise,
    structure_content,
    structure_from_content,
)
from hashigo.study.supercell import resolve
from hashigo.study.voxels import read_voxels
from hashigo.workflows.ahead import check_component, check_mesoscale
from hashigo.workflows.sample import read_sample

#: Most atoms of a supercell: beyond, its force constants alone would fill a node's memory.
MAX_ATOMS = 2000

#: Fewest frames of the crystal that can be split into training and test.
MIN_FRAMES = 4


@dataclass(frozen=True)
class Prepared:
    """A study whose files were read.

    Attributes:
        content: the study as plain values, with the engine's settings complete.
        structure: as in the user's file.
        frames: file of reference frames, or None when an engine computes them.
        microstructure: what the mesoscale takes from files, or None.
        body: voxels of the component, or None.
        scratch: folder of files that were converted; it is deleted with this object.
    """

    study: Study
    content: dict[str, Any]
    structure: Atoms
    frames: Path | None
    microstructure: Path | None = None
    body: Path | None = None
    scratch: Any = field(default=None, repr=False, compare=False)


def prepare(study: Study) -> Prepared:
    """Read and check all that a study names.

    Raises:
        InputError: names the file or key that is wrong.
    """
    site = load_site(study.site)
    kind = get_kind(study.potential.model)
    trains = study.until not in ("structure", "reference") or study.learning is not None
    if trains:
        kind.require()
    structure = read_structure_file(study.path(study.structure.file))
    standard = standardise(structure, study.structure.tolerance)
    problem = overlap(Frame(standard.cell.array, standard.positions, tuple(standard.get_chemical_symbols())))
    if problem:
        raise InputError(f"in {study.structure.file} {problem}", fix="mend the structure")
    content = resolve(study.model_dump(mode="json"), standard)
    _check_sizes(content, len(standard))
    if study.green_kubo is not None:
        _check_green_kubo(study, standard, site.codes)
    elements = sorted(set(standard.get_chemical_symbols()))
    if trains:
        chosen = kind.complete(kind.resolve(study.potential.settings, study.folder, elements))
        kind.check(chosen, elements)
        if study.learning is not None and not kind.trains(chosen):
            raise InputError(
                f"learning chooses frames by the uncertainty of a committee, and potential.model '{kind.name}' is used "
                "as it is",
                fix="choose a model that is trained, or leave out the section learning",
            )
        content["potential"]["settings"] = chosen
    frames = None
    scratch = tempfile.TemporaryDirectory(prefix="hashigo-")
    charges = _charges(study, structure)
    if study.reference.data:
        given = study.path(study.reference.data)
        frames = _converted(given, Path(scratch.name), [structure, standard])
        if charges is not None:
            frames = _charged(frames, Path(scratch.name), charges)
        _check_frames(frames, given.name, standard, study)
    else:
        assert study.reference.engine is not None
        engine = get_engine(study.reference.engine)
        engine.require(site.codes, site.id)
        settings, recommended = engine.resolve(study.reference.settings, study.folder, elements)
        fallback = defaults(engine, study.reference.protocol, recommended, settings, elements)
        content["reference"]["settings"] = engine.complete({**fallback, **settings})
        engine.check(content["reference"]["settings"], elements)
        if charges is not None:
            with_charges({"structure": structure_content(standard)}, charges)  # of this crystal?
            content["reference"].update(charges=charges, polar=False)
        if wants_polar(content["reference"], set(elements)):
            require_response(site.codes, site.id)
    microstructure = read_sample(study, content, Path(scratch.name))
    body = _body(study, content, Path(scratch.name))
    check_mesoscale(study, content, microstructure)
    return Prepared(study, content, structure, frames, microstructure, body, scratch)


def as_written(content: Mapping[str, Any]) -> dict[str, Any]:
    """A study as it can be read again, of the content of a prepared one.

    Args:
        content: of `Prepared`.
    """
    reference = {key: value for key, value in content["reference"].items() if key != "charges"}
    return {**content, "reference": reference}


def _check_sizes(content: Any, n_atoms: int, path: str = "") -> None:
    for key, value in content.items() if isinstance(content, dict) else ():
        where = f"{path}{key}"
        if key == "supercell" and n_atoms * prod(value) > MAX_ATOMS:
            raise InputError(
                f"{where} makes a cell of {n_atoms * prod(value)} atoms, more than {MAX_ATOMS}",
                fix="repeat the conventional cell less, or let images be nearer",
            )
        _check_sizes(value, n_atoms, f"{where}.")


def _check_green_kubo(study: Study, standard: Atoms, codes: Mapping[str, str]) -> None:
    if study.reference.engine is None:
        raise InputError(
            "green_kubo needs an engine as the reference, whose potential LAMMPS has, and not a file of frames",
            fix="leave the section green_kubo out, or name the engine as reference.engine",
        )
    if get_engine(study.reference.engine).lammps is None:
        raise no_heat_flux(study.reference.engine)
    check_cell(standard)
    find_program((codes["lmp"],) if "lmp" in codes else ())


def _converted(path: Path, folder: Path, cells: list[Atoms]) -> Path:
    """The file itself, or frames of another format as a file of the project's own; equal content gives equal files."""
    form = None if path.is_dir() or not path.is_file() else find_format(path)
    if form is None or form.name == "hdf5":
        return path
    source = with_unit_cell(lambda: read_source(path), cells)
    frames = folder / "frames.h5"
    write_frames(frames, source.frames, source.header)
    return frames


def _body(study: Study, content: Mapping[str, Any], folder: Path) -> Path | None:
    """Voxels of the component, where the study names a file of them; equal voxels give equal files.

    What cannot be computed of it is told now, and not at the end of the ladder.
    """
    if study.component is None:
        return None
    mask = study.component.mask
    voxels = None if mask is None else read_voxels(study.path(mask))
    check_component(study, content, voxels)
    if voxels is None:
        return None
    np.save(folder / "body.npy", voxels)
    return folder / "body.npy"


def _charges(study: Study, structure: Atoms) -> dict[str, Any] | None:
    return None if study.reference.born is None else read_born(study.path(study.reference.born), structure)


def _charged(path: Path, folder: Path, charges: Mapping[str, Any]) -> Path:
    """The same frames with Born charges in their header."""
    charged = folder / "charged.h5"
    write_frames(charged, iter_frames(path), with_charges(read_header(path), charges))
    return charged


def _check_frames(path: Path, name: str, standard: Atoms, study: Study) -> None:
    elements = set(standard.get_chemical_symbols())
    count = 0
    for index, frame in enumerate(iter_frames(path)):
        if frame.kind == "atom":
            continue  # a free atom: its energy is the zero of the potential's energies
        count += 1
        if set(frame.symbols) != elements:
            raise InputError(
                f"frame {index} of {name} holds {_list(set(frame.symbols))}, "
                f"but {study.structure.file} holds {_list(elements)}",
                fix="give the structure that the frames belong to (structure.file), or its frames (reference.data)",
            )
        if frame.forces is None:
            raise InputError(f"frame {index} of {name} has no forces", fix="leave it out or compute it")
        problem = overlap(frame)
        if problem:
            raise InputError(f"in frame {index} of {name} {problem}", fix="leave the frame out")
    if count < MIN_FRAMES and study.until not in ("structure", "reference"):
        raise InputError(
            f"{name} holds {count} frames of the crystal, too few to train on and to test with",
            fix=f"give at least {MIN_FRAMES}",
        )
    header = read_header(path)
    if "structure" in header:
        own = standardise(structure_from_content(header["structure"]), study.structure.tolerance)
        reason = difference(own, standard)
        if reason:
            raise InputError(
                f"{study.structure.file} is not the crystal of {name}: {reason}",
                fix="give the structure that the frames belong to (structure.file), or its frames (reference.data)",
            )


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
