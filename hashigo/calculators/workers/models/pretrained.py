"""Universal potentials that are used as they are: engines of this package, without training and without a spread."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from hashigo.calculators.engines import Engine, Workspace, get_engine
from hashigo.calculators.engines.universal import stored_checkpoint, with_digest
from hashigo.calculators.frames import read_frames, read_header
from hashigo.calculators.workers.fitting import atomic_energies
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.models import Kind, get_kind
from hashigo.calculators.workers.models.committee import check_section
from hashigo.calculators.workers.models.offsets import energy_offsets
from hashigo.calculators.workers.models.rows import rows_of
from hashigo.calculators.workers.models.writing import Trained, write
from hashigo.calculators.workers.potential import AseModel, Evaluation
from hashigo.calculators.workers.training_inputs import usable_frames
from hashigo.errors import InputError

WHERE = "potential.settings"


class PretrainedModel:
    """An engine as a model; its calculator is made when it is first asked.

    Args:
        engine: with a calculator.
        settings: complete, of the engine.
        offsets: energy of an atom of each element that is added to the engine's, eV.
    """

    def __init__(self, engine: Engine, settings: Mapping[str, Any], offsets: Mapping[str, float]) -> None:
        self._engine = engine
        self._settings = settings
        self._offsets = offsets
        self._model: AseModel | None = None

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols: all, for the engine itself refuses what it does not know."""
        return tuple(chemical_symbols[1:])

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Evaluate structures one by one; their order is kept.

        Args:
            structures: periodic atoms; lengths in Å.
        """
        if self._model is None:
            assert self._engine.calculator is not None
            calculator = self._engine.calculator(dict(self._settings), Workspace())
            self._model = AseModel(calculator, self.elements)
        return [
            Evaluation(
                one.energy + sum(self._offsets.get(s, 0.0) for s in atoms.get_chemical_symbols()),
                one.forces,
                one.stress,
            )
            for atoms, one in zip(structures, self._model.evaluate(structures), strict=True)
        ]


def run(job: Job, name: str) -> None:
    """Compare an engine with the input "frames", all of them held out, and write it as a potential without members.

    Args:
        job: with the section "potential" as parameters.
        name: of the kind.

    Raises:
        InputError: when settings or frames do not serve.
        MissingComponent: when the engine's package is not installed.
    """
    if not job.is_root:
        return
    kind = get_kind(name)
    kind.require()
    section = check_section(job.parameters)
    settings = kind.complete(section["settings"])
    path = Path(job.inputs["frames"])
    frames, atoms = usable_frames(read_frames(path), path.name)
    elements = sorted({symbol for frame in frames for symbol in frame.symbols})
    kind.check(settings, elements)
    energies, source = atomic_energies(frames, atoms, section["atomic_energies"], read_header(path))
    engine = get_engine(name)
    offsets = energy_offsets(frames, PretrainedModel(engine, settings, {}))
    content = {"engine": name, "settings": settings, "offsets": offsets}
    blob = json.dumps(content, sort_keys=True).encode()
    rows = rows_of(frames, [kind.load(blob)], energies)
    every = np.arange(len(frames))
    write(job, kind, Trained(frames, every[:0], every, rows, [blob], energies, source), section, settings)
    job.progress(1, 1, "compared")


def _load(blob: bytes, name: str) -> PretrainedModel:
    """The engine of a potential file, which is that of its kind."""
    try:
        content = json.loads(blob.decode())
        engine, settings, offsets = content["engine"], dict(content["settings"]), dict(content["offsets"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"the potential file names no engine that can be used: {error!r}") from None
    if engine != name:
        raise InputError(
            f"the potential file is of model '{name}', and names the engine {engine!r}",
            fix="do not use this file: it was not written by hashigo",
        )
    if settings.get("checkpoint") and not settings.get("checkpoint_sha256"):
        raise InputError(
            f"the potential file names a checkpoint of '{name}' without its SHA-256, so any file could stand for it",
            fix="train it again, with the checkpoint there",
        )
    return PretrainedModel(get_engine(name), settings, offsets)


def _kind(name: str) -> Kind:
    engine = get_engine(name)
    checkpoint = "checkpoint" in engine.settings
    return Kind(
        name=name,
        title=engine.title,
        run=partial(run, name=name),
        load=partial(_load, name=name),
        settings=engine.settings,
        keys=("max_force_error",),
        module=engine.module,
        extra=engine.extra,
        obtain=engine.obtain,
        resolve=lambda settings, folder, elements: (
            stored_checkpoint(f"model '{name}'", settings, folder, WHERE) if checkpoint else dict(settings)
        ),
        fill=lambda given, settings: with_digest(settings) if checkpoint else settings,
        check=engine.check,
        needs=lambda section: f"{engine.title} as it is, not trained",
        trains=lambda settings: False,
        own=False,
    )


CHGNET = _kind("chgnet")
MATTERSIM = _kind("mattersim")
ORB = _kind("orb")
