"""What `potential.json` says of a published potential: schema version 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import packages_distributions, version
from typing import Any

import numpy as np

from hashigo.calculators.data import FramesData, PotentialData
from hashigo.calculators.engines import get_engine
from hashigo.calculators.published import FORMAT, SCHEMA_VERSION
from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.models import DEFAULT, get_kind
from hashigo.errors import InputError
from hashigo.provenance.metadata import Author, Metadata
from hashigo.provenance.records import Graph
from hashigo.quantities import quantity
from hashigo.version import VERSION
from hashigo.workflows.method import first_principles, label

#: Array of the parity data, and quantity of its error.
ERRORS = {"energy": "energy_error", "forces": "force_error", "stress": "stress_error"}
UNITS = {
    "length": "Å",
    "energy": "eV, of the whole cell",
    "forces": "eV/Å",
    "stress": "eV/Å^3, Voigt xx yy zz yz xz xy, positive under tension (as in ASE)",
}


@dataclass(frozen=True)
class Source:
    """What is published.

    Attributes:
        graph: the run.
        study: its study.
        potential: result of the stage "potential".
        frames: what it was trained on and tested with.
        open: whether the training set, and what repeats it, may leave.
    """

    graph: Graph
    study: Mapping[str, Any]
    potential: PotentialData
    frames: FramesData
    open: bool

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What the training wrote down of itself."""
        with self.potential.reader() as reader:
            return dict(reader.note("training") or {})

    @cached_property
    def header(self) -> dict[str, Any]:
        """What holds for all reference frames."""
        return self.frames.header()

    def parts(self) -> dict[str, list[int]]:
        """Indices of the frames trained on, held out, and of free atoms, counted as in the file of frames; number."""
        kinds = [frame.kind for frame in self.frames.iter_frames()]
        # The training counts without the free atoms.
        bulk = [index for index, kind in enumerate(kinds) if kind != "atom"]
        held_out = {bulk[index] for index in self.summary.get("held_out", [])}
        return {
            "trained_on": [index for index in bulk if index not in held_out],
            "held_out": sorted(held_out),
            "free_atoms": [index for index, kind in enumerate(kinds) if kind == "atom"],
        }


def kind_of(summary: Mapping[str, Any]) -> str:
    """Kind of a trained model.

    Args:
        summary: what the training wrote down of itself.

    Raises:
        InputError: when it was not trained: a universal potential is others' to publish.
    """
    kind = str(summary.get("model") or DEFAULT)
    if not summary.get("members"):
        raise InputError(
            f"the potential is {kind} as it is, which this run did not train",
            fix="take it from its authors; `hashigo export --as crate` hands on the run's results",
        )
    return kind


def card_content(source: Source, metadata: Metadata, models: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `potential.json`, without the list of files.

    Args:
        source: what is published.
        metadata: title, people and licence.
        models: paths of the files "mean" and "members".
    """
    summary = source.summary
    with source.potential.reader() as reader:
        errors = {"held_out": _errors(reader, ""), "training": _errors(reader, "train_")}
        calibration = _calibration(reader)
        region = _region(reader, source.open)
        gate = reader.note("gate")
        task_version = int(reader.file.attrs["task_version"])
    settings = dict(summary.get("settings") or {})
    return {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "title": metadata.title,
        "description": str(source.study.get("description") or _description(source)),
        "authors": [_author(author) for author in metadata.authors],
        "licence": {"id": metadata.licence_id, "url": metadata.licence},
        "kind": kind_of(summary),
        "library": get_kind(kind_of(summary)).module,
        "elements": list(summary.get("elements") or []),
        "cutoff": {"value": settings.get("cutoff"), "unit": "Å"},
        "units": UNITS,
        "energy_zero": _energy_zero(source),
        "model_files": dict(models),
        "settings": settings,
        "n_features": summary.get("n_features"),
        "committee": {"members": len(models["members"]), "made_by": summary.get("committee", "")},
        "seeds": {"study": source.study.get("seed"), "training": settings.get("seed")},
        "errors": errors,
        "calibration": calibration,
        "trained_region": region,
        "gate": gate,
        "training_set": _training_set(source),
        "reference": _reference(source),
        "software": _software(source.graph, task_version, get_kind(kind_of(summary)).module),
        "run": {"uuid": source.graph.root.uuid, "potential": source.potential.uuid},
    }


def _description(source: Source) -> str:
    elements = ", ".join(source.summary.get("elements") or [])
    return f"Interatomic potential for {elements}, learned by hashigo from {source.summary.get('n_train')} frames."


def _author(author: Author) -> dict[str, str]:
    affiliation = author.affiliation.name if author.affiliation else ""
    return {"name": author.name, "orcid": author.orcid, "affiliation": affiliation}


def _energy_zero(source: Source) -> dict[str, Any]:
    energies = source.summary.get("atomic_energies") or {}
    if source.open:
        says = "energies compare with the reference's, as those of the free atoms are added"
        origin = source.summary.get("atomic_energies_source", "")
    else:
        energies = {}
        says = "energies count from the free atoms, whose energies stay out with the training set"
        origin = "left out"
    return {"says": says, "atomic_energies": {"values": energies, "unit": "eV", "source": origin}}


def _errors(reader: ResultReader, prefix: str) -> dict[str, Any]:
    """Root-mean-square errors of the mean model, in the units of the vocabulary."""
    out = {}
    for name, error in ERRORS.items():
        if not reader.has(f"parity/{name}/{prefix}reference"):
            continue
        reference, predicted = (
            reader.array(f"parity/{name}/{prefix}{part}") for part in ("reference", "predicted")
        )
        if len(reference):
            value = float(np.sqrt(np.mean((predicted - reference) ** 2)))
            out[error] = {"value": value, "unit": quantity(error).unit, "values": len(reference)}
    return out


def _calibration(reader: ResultReader) -> dict[str, Any]:
    """The training's own record, and what its intervals and the committee cover of the frames held out."""
    note = dict(reader.note("calibration") or {})
    calibrated = bool(note.get("calibrated"))
    return {
        "calibrated": calibrated,
        "lacking": "" if calibrated else str(note.get("lacking") or "the training made no calibration"),
        "method": note.get("method", ""),
        "record": note or None,
        "coverage": {
            name: _coverage(reader, name) for name in ERRORS if reader.has(f"parity/{name}/reference")
        },
    }


#: Share of the values held out that each part of the parity data should cover, and what it is called.
_INTERVALS = {"spread": "within_68", "interval_95": "within_95", "committee": "within_committee_spread"}


def _coverage(reader: ResultReader, name: str) -> dict[str, Any]:
    """Shares of the values held out that are covered; dimensionless."""
    reference, predicted = (reader.array(f"parity/{name}/{part}") for part in ("reference", "predicted"))
    error = np.abs(predicted - reference)
    out: dict[str, Any] = {"values": len(error)}
    for part, key in _INTERVALS.items():
        if len(error) and reader.has(f"parity/{name}/{part}"):
            out[key] = float(np.mean(error <= reader.array(f"parity/{name}/{part}")))
    return out


def _region(reader: ResultReader, with_cell: bool) -> dict[str, Any] | None:
    """In which region it was trained; the cell is the reference's."""
    note = reader.note("region")
    if note is None:
        return None
    out = {
        "largest_strain": {"value": note["strain"], "unit": "dimensionless"},
        "root_mean_square_force": {"value": note["force"], "unit": "eV/Å"},
    }
    return {**out, "cell": {"value": note["cell"], "unit": "Å"}} if with_cell else out


def _training_set(source: Source) -> dict[str, Any]:
    summary = source.summary
    counts = {key: summary.get(key) for key in ("n_train", "n_test")}
    out = {"included": source.open, **counts, "kinds": summary.get("frames")}
    if source.open:
        # Counted from 0 in training/frames.h5.
        return {**out, **source.parts(), "units": "eV, eV/Å, eV/Å^3, Å; see the attributes of each dataset"}
    return {**out, "reason": "The study closes the reference: its frames, and what repeats them, stay out."}


def _reference(source: Source) -> dict[str, Any]:
    header = source.header
    name = str(header.get("engine") or "")
    truth = first_principles(source.frames)
    out = {
        "engine": name,
        "title": _title(name),
        "first_principles": truth,
        "mark": label(truth),
    }
    if not source.open:
        return out
    origins = sorted({frame.origin for frame in source.frames.iter_frames()} - {""})
    return {**out, "settings": header.get("settings"), "computed_by": origins}


def _title(name: str) -> str:
    try:
        return get_engine(name).title
    except InputError:  # frames made elsewhere, or by an engine that is not installed here
        return name or "not stated"


def _software(graph: Graph, task_version: int, library: str) -> dict[str, Any]:
    jobs = [p for p in graph.processes.values() if p.stage == "potential" and p.kind == "calculation"]
    recorded = dict(jobs[-1].versions) if jobs else {}
    names = packages_distributions().get(library)
    installed = version(names[0]) if names else None
    return {
        "trained_with": {
            "aiida-hashigo": recorded.get("plugin"),
            "aiida-core": recorded.get("core"),
            "task_version": task_version,
        },
        "exported_with": {"aiida-hashigo": VERSION, library: installed},
    }
