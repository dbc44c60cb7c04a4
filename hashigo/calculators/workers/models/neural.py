"""What the kinds of neural networks share: their settings, and how a committee of them is trained.

The mean model is trained on all training frames. Each member starts from other random weights (or from the same
checkpoint), sees the frames in another order, and trains on frames drawn with replacement, each kind among its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from hashigo.calculators.engines import Setting
from hashigo.calculators.engines.universal import (
    DEVICE,
    checkpoint_file,
    checkpoint_settings,
    stored_checkpoint,
    with_digest,
)
from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.models import Kind
from hashigo.calculators.workers.models.committee import run
from hashigo.calculators.workers.models.network import Network, NeuralModel, usable_device
from hashigo.calculators.workers.models.network_settings import (
    RADIUS,
    TRAINING,
    WHERE,
    check_numbers,
    starts_from,
)
from hashigo.calculators.workers.models.offsets import energy_offsets
from hashigo.calculators.workers.models.optimise import Schedule, train
from hashigo.calculators.workers.models.scaled import scaled_committee
from hashigo.calculators.workers.resampling import Indices
from hashigo.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """What a network with random weights takes from the training frames.

    Attributes:
        neighbours: mean number of neighbours of an atom within r_max.
        force: root mean square of the force components, eV/Å.
    """

    neighbours: float
    force: float


@dataclass(frozen=True)
class NeuralKind:
    """A kind of neural network.

    Attributes:
        name: `potential.model` in the study.
        title: as printed.
        module: Python module that must be importable.
        extra: our extra that brings the module.
        distribution: name on PyPI.
        architecture: settings of a network with random weights, beside r_max.
        fresh: such a network, from (complete settings, elements, statistics); PyTorch's generator draws.
        from_checkpoint: network of a checkpoint, from (path, or name of weights in the wheel; complete settings).
        build: network with any weights, from (configuration, elements, device, precision).
        wheel: names of the weights that the package brings.
    """

    name: str
    title: str
    module: str
    extra: str
    distribution: str
    architecture: Mapping[str, Setting]
    fresh: Callable[[Mapping[str, Any], Sequence[str], Statistics], Network]
    from_checkpoint: Callable[[str, Mapping[str, Any]], Network]
    build: Callable[[Mapping[str, Any], Sequence[str], str, str], Network]
    wheel: tuple[str, ...] = ()

    def kind(self) -> Kind:
        """The kind as it is registered."""
        return Kind(
            name=self.name,
            title=self.title,
            run=partial(run, neural=self),
            load=self.load,
            committee=scaled_committee,
            settings=self.settings(),
            keys=("members", "held_out", "max_force_error"),
            module=self.module,
            extra=self.extra,
            obtain="It brings PyTorch, some gigabytes with GPU support.",
            resolve=self.resolve,
            fill=self.fill,
            check=self.check,
            needs=self.needs,
            trains=lambda settings: settings["epochs"] > 0,
            ranks=lambda settings: 0 if settings["device"] == "cpu" and settings["epochs"] else 1,
        )

    def settings(self) -> dict[str, Setting]:
        """All settings by name."""
        given = checkpoint_settings("checkpoint to start from")
        start = {"weights": Setting("", f"Weights of the wheel to start from: {', '.join(self.wheel)}.")}
        return {**TRAINING, **RADIUS, **self.architecture, **(start if self.wheel else {}), **given,
                "device": DEVICE}  # fmt: skip

    def load(self, blob: bytes) -> NeuralModel:
        """The model of a potential file; it computes where it was trained, or on the CPU where no GPU is found.

        Args:
            blob: of `Network.pack`.
        """
        return NeuralModel(blob, self.build)

    def resolve(self, settings: Mapping[str, Any], folder: Path, elements: Sequence[str]) -> dict[str, Any]:
        """Settings without paths: a checkpoint is known by its name and its digest.

        Args:
            settings: as in the study.
            folder: of the study.
            elements: chemical symbols of the structure.
        """
        return stored_checkpoint(f"model '{self.name}'", settings, folder, WHERE)

    def fill(self, given: Mapping[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
        """Complete settings; a network from a checkpoint has none of its architecture.

        Args:
            given: as in the study.
            settings: with defaults.

        Raises:
            InputError: when both a checkpoint and its architecture are given.
        """
        own = [*RADIUS, *self.architecture]
        if not starts_from(settings):
            return settings
        both = [name for name in own if name in given]
        if both:
            raise InputError(
                f"{WHERE}.{both[0]} is given, and the checkpoint brings its own", fix=f"leave out {both[0]}"
            )
        return with_digest({name: value for name, value in settings.items() if name not in own})

    def check(self, settings: Mapping[str, Any], elements: Sequence[str]) -> None:
        """Refuse settings that make no training.

        Args:
            settings: complete.
            elements: chemical symbols of the structure.

        Raises:
            InputError: names the setting.
        """
        check_numbers(settings)
        choices = {"device": ("cpu", "cuda"), "precision": ("float64", "float32")}
        for name, known in {**choices, **({"weights": ("", *self.wheel)} if self.wheel else {})}.items():
            if settings[name] not in known:
                raise InputError(
                    f"{WHERE}.{name} is {settings[name]!r}",
                    fix=f"choose one of: {', '.join(filter(None, known))}",
                )
        if settings.get("weights") and settings["checkpoint"]:
            raise InputError(f"{WHERE} has both weights and checkpoint", fix="give one of them")
        if settings["checkpoint"]:
            checkpoint_file(f"model '{self.name}'", settings, WHERE)
        elif not settings.get("weights") and not settings["epochs"]:
            raise InputError(
                f"{WHERE}.epochs is 0, and there is no checkpoint to be used as it is",
                fix=f"set {WHERE}.checkpoint{' or weights' if self.wheel else ''}, or epochs to 200 or so",
            )

    def needs(self, section: Mapping[str, Any]) -> str:
        """What training needs, in words.

        Args:
            section: "potential" of the study, its settings complete.
        """
        settings = section["settings"]
        if not settings["epochs"]:
            return f"{self.title} as it is, not trained"
        start = f" from {starts_from(settings)}" if starts_from(settings) else ""
        return f"{self.title}{start}: {section['members'] + 1} trainings of {settings['epochs']} epochs"

    def start(
        self, settings: Mapping[str, Any], frames: Sequence[Frame], elements: Sequence[str], seed: int
    ) -> Network:
        """A network before its training.

        Args:
            settings: complete.
            frames: those trained on.
            elements: chemical symbols of the frames.
            seed: of random weights.

        Raises:
            InputError: when a checkpoint does not know an element.
        """
        import torch  # optional package

        usable_device(settings["device"])
        torch.manual_seed(seed)
        if starts_from(settings):
            path = settings.get("weights") or str(checkpoint_file(f"model '{self.name}'", settings, WHERE))
            network = self.from_checkpoint(path, settings)
            unknown = sorted(set(elements) - set(network.elements))
            if unknown:
                raise InputError(
                    f"checkpoint {Path(starts_from(settings)).name} does not know {unknown[0]}",
                    fix="take one that knows all elements of the frames",
                )
        else:
            network = self.fresh(settings, elements, _statistics(frames, settings["r_max"]))
        return network

    def trained(
        self,
        settings: Mapping[str, Any],
        frames: Sequence[Frame],
        chosen: Indices,
        seed: int,
        name: str,
        tell: Callable[[int], None],
    ) -> Network:
        """A trained network.

        Args:
            settings: complete.
            frames: all frames.
            chosen: indices of those to train on, with repetition where drawn again, shape (n_chosen,),
                dimensionless.
            seed: of weights and order.
            name: of the network, for messages.
            tell: told the number of epochs done.

        Raises:
            WorkerError: when the training diverges.
        """
        seen = [frames[index] for index in np.unique(chosen)]
        elements = sorted({symbol for frame in frames for symbol in frame.symbols})
        network = self.start(settings, seen, elements, seed)
        network.offsets = {**network.offsets, **energy_offsets(seen, network)}
        train(network, frames, chosen, Schedule.of(settings), seed, name, tell)
        return network


def _statistics(frames: Sequence[Frame], radius: float) -> Statistics:
    counts = [len(neighbor_list("i", frame.atoms(), radius)) / len(frame.symbols) for frame in frames]
    forces = np.concatenate([np.ravel(frame.forces) for frame in frames if frame.forces is not None])
    return Statistics(max(float(np.mean(counts)), 1.0), max(float(np.sqrt(np.mean(forces**2))), 1e-3))
