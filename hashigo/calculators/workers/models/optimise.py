"""Training of one network: weighted squares of its errors, Adam, and a step that fades away."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.fitting import ENERGY, FORCE, SCALES, STRESS
from hashigo.calculators.workers.models.network import Network, computing_in
from hashigo.calculators.workers.resampling import Indices
from hashigo.errors import WorkerError

#: Longest gradient of a step, in units of the median of those before: one bad batch does not undo many steps.
_LONGEST = 10.0


@dataclass(frozen=True)
class Schedule:
    """How a network is trained.

    Attributes:
        epochs: number of times that all frames are seen.
        learning_rate: Adam's first step, dimensionless; it falls to 0 as half a cosine.
        batch_size: number of frames of a step.
        weights: of ENERGY, FORCE and STRESS errors, each in units of `fitting.SCALES`, dimensionless.
    """

    epochs: int
    learning_rate: float
    batch_size: int
    weights: Mapping[int, float]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Schedule:
        """The schedule of complete settings."""
        weights = {
            kind: float(settings[f"{name}_weight"])
            for kind, name in ((ENERGY, "energy"), (FORCE, "force"), (STRESS, "stress"))
        }
        return cls(settings["epochs"], settings["learning_rate"], settings["batch_size"], weights)


def train(
    network: Network,
    frames: Sequence[Frame],
    chosen: Indices,
    schedule: Schedule,
    seed: int,
    name: str,
    tell: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Train a network in place.

    Args:
        network: to be trained.
        frames: all frames.
        chosen: indices of those to train on, with repetition where drawn again, shape (n_chosen,), dimensionless.
        schedule: of the training.
        seed: of the order in which frames are seen.
        name: of the network, for messages.
        tell: told the number of epochs done.

    Raises:
        WorkerError: when the loss is no number any more.
    """
    import torch  # optional package

    generator = np.random.default_rng(seed)
    weights = [weight for weight in network.module.parameters() if weight.requires_grad]
    optimiser = torch.optim.Adam(weights, lr=schedule.learning_rate, amsgrad=True)
    steps = schedule.epochs * math.ceil(len(chosen) / schedule.batch_size)
    fading = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
    lengths: list[float] = []
    with computing_in(network.precision):
        graphs = {int(index): network.graph(frames[index].atoms()) for index in np.unique(chosen)}
        targets = {index: _Target.of(frames[index], graph.offset, network) for index, graph in graphs.items()}
        network.module.train()
        for epoch in range(schedule.epochs):
            for drawn in _batches(generator.permutation(chosen), schedule.batch_size):
                predicted = network.predict([graphs[index] for index in drawn], True)
                loss = _loss(predicted, [targets[index] for index in drawn], schedule)
                optimiser.zero_grad()
                loss.backward()
                longest = _LONGEST * float(np.median(lengths)) if lengths else math.inf
                length = float(torch.nn.utils.clip_grad_norm_(weights, longest))
                if not math.isfinite(float(loss.detach())) or not math.isfinite(length):
                    raise diverged(name, f"its loss in epoch {epoch + 1} is not a number")
                lengths = [*lengths[-99:], length]
                optimiser.step()
                fading.step()
            tell(epoch + 1)
        network.module.eval()


def diverged(name: str, what: str) -> WorkerError:
    """The error of a training that came to nothing.

    Args:
        name: of the network.
        what: says how it was noticed.
    """
    return WorkerError(
        f"the training of {name} diverged: {what}",
        fix="lower potential.settings.learning_rate, or raise potential.settings.epochs",
    )


@dataclass(frozen=True)
class _Target:
    """What was computed of a frame, as tensors, the energy without the graph's offset; None where it was not."""

    n_atoms: int
    weight: float
    energy: Any
    forces: Any
    stress: Any

    @classmethod
    def of(cls, frame: Frame, offset: float, network: Network) -> _Target:
        import torch  # optional package
        from ase.stress import voigt_6_to_full_3x3_stress

        def tensor(value: Any) -> Any:
            if value is None:
                return None
            return torch.tensor(np.asarray(value), dtype=torch.get_default_dtype(), device=network.device)

        energy = None if frame.energy is None else frame.energy - offset
        stress = None if frame.stress is None else voigt_6_to_full_3x3_stress(np.asarray(frame.stress))
        return cls(len(frame.symbols), frame.weight, tensor(energy), tensor(frame.forces), tensor(stress))


def _loss(predicted: tuple[Any, Any, Any], targets: Sequence[_Target], schedule: Schedule) -> Any:
    """Mean over the frames of the mean square of each kind of error."""
    energies, forces, stresses = predicted
    total, start = 0.0, 0
    for index, target in enumerate(targets):
        end = start + target.n_atoms
        pairs = (
            (ENERGY, energies[index] / target.n_atoms, target.energy, target.n_atoms),
            (FORCE, forces[start:end], target.forces, 1),
            (STRESS, stresses[index], target.stress, 1),
        )
        for kind, value, known, divisor in pairs:
            if known is not None:
                scaled = (value - known / divisor) / SCALES[kind]
                total = total + schedule.weights[kind] * target.weight**2 * (scaled**2).mean()
        start = end
    return total / len(targets)


def _batches(order: Indices, size: int) -> list[list[int]]:
    return [[int(i) for i in order[start : start + size]] for start in range(0, len(order), size)]
