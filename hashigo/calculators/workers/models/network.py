"""What the kinds of neural networks share: evaluation in batches, precision, and their way to bytes and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from hashigo.calculators.workers.models.packing import pack, unpack
from hashigo.calculators.workers.potential import Evaluation, element_indices
from hashigo.errors import InputError, WorkerError

#: Atoms that are evaluated at a time.
_ATOMS = 512


@dataclass(frozen=True)
class Graph:
    """Atoms as a network sees them.

    Attributes:
        content: the package's own graph.
        n_atoms: number of atoms.
        offset: energy of its atoms that is not left to the network, eV.
    """

    content: Any
    n_atoms: int
    offset: float


class Network(ABC):
    """A neural network with its way from atoms to graphs.

    Attributes:
        kind: `potential.model` of the study.
        module: PyTorch module with the weights.
        elements: chemical symbols it knows, in its own order.
        device: "cpu" or "cuda".
        precision: "float64" or "float32".
        offsets: energy of an atom of each element that is added to the network's, eV.
    """

    kind: str

    def __init__(self, module: Any, elements: Sequence[str], device: str, precision: str) -> None:
        import torch  # optional package

        if device == "cpu":
            # Ranks share the members; sums over more threads would differ in their last digits.
            torch.set_num_threads(1)
        self.module = module.to(device=device, dtype=getattr(torch, precision))
        self.elements = tuple(elements)
        self.device = device
        self.precision = precision
        self.offsets = dict.fromkeys(self.elements, 0.0)

    @abstractmethod
    def _graph(self, atoms: Atoms) -> Any:
        """The package's own graph."""

    @abstractmethod
    def _predict(self, graphs: Sequence[Any], training: bool) -> tuple[Any, Any, Any]:
        """As `predict`, of the package's own graphs."""

    @abstractmethod
    def configuration(self) -> dict[str, Any]:
        """What the network is built from, JSON-serialisable."""

    def graph(self, atoms: Atoms) -> Graph:
        """Atoms with their neighbours.

        Args:
            atoms: periodic atoms; lengths in Å.
        """
        offset = sum(self.offsets[symbol] for symbol in atoms.get_chemical_symbols())
        return Graph(self._graph(atoms), len(atoms), offset)

    def predict(self, graphs: Sequence[Graph], training: bool) -> tuple[Any, Any, Any]:
        """Energies [eV] without offsets, forces [eV/Å], stresses [eV/Å^3, positive under tension] as tensors.

        Args:
            graphs: of `graph`.
            training: whether the results can be differentiated by the weights.

        Returns:
            Of shapes (n_graphs,), (n_atoms of all, 3) and (n_graphs, 3, 3).
        """
        return self._predict([graph.content for graph in graphs], training)

    def pack(self) -> bytes:
        """The network as bytes; no pickle is among them."""
        state = {name: value.detach().cpu().numpy() for name, value in self.module.state_dict().items()}
        header = {
            "kind": self.kind,
            "elements": list(self.elements),
            "device": self.device,
            "precision": self.precision,
            "offsets": self.offsets,
            "configuration": self.configuration(),
        }
        return pack(header, state)

    def take_over(self, offsets: Mapping[str, float], state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `pack` has written.

        Args:
            offsets: energy of an atom of each element, eV.
            state: weights and constants by name, of any shape, in the network's own units.

        Raises:
            InputError: when they are those of another network.
        """
        import torch  # optional package

        self.offsets = {symbol: float(offsets[symbol]) for symbol in self.elements}
        try:
            self.module.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
        except RuntimeError as error:
            raise InputError(
                f"the weights do not fit a network of model '{self.kind}' as it is installed here: "
                f"{' '.join(str(error).split())[:200]}",
                fix="install the version of its package that the potential file names",
            ) from None

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Evaluate structures; their order is kept.

        Args:
            structures: periodic atoms; lengths in Å.

        Raises:
            InputError: when a structure has an element that the network does not know.
        """
        for atoms in structures:
            element_indices(atoms, self.elements)
        out: list[Evaluation] = []
        self.module.eval()
        with computing_in(self.precision):
            for start, end in _chunks([len(atoms) for atoms in structures]):
                out += self._evaluate([self.graph(atoms) for atoms in structures[start:end]])
        return out

    def _evaluate(self, graphs: Sequence[Graph]) -> list[Evaluation]:
        energies, forces, stresses = (
            np.asarray(part.detach().cpu().numpy(), dtype=float) for part in self.predict(graphs, False)
        )
        ends = np.cumsum([graph.n_atoms for graph in graphs])[:-1]
        return [
            Evaluation(float(energy) + graph.offset, force, full_3x3_to_voigt_6_stress(stress))
            for graph, energy, force, stress in zip(
                graphs, energies, np.split(forces, ends), stresses, strict=True
            )
        ]


class NeuralModel:
    """A network of a potential file as a model; it is built when it is first asked.

    Args:
        blob: of `Network.pack`.
        build: makes the network, with any weights, from (configuration, elements, device, precision).
    """

    def __init__(
        self, blob: bytes, build: Callable[[Mapping[str, Any], Sequence[str], str, str], Network]
    ) -> None:
        self._header, self._state = unpack(blob)
        self._build = build
        self._network: Network | None = None

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols it knows, in its own order."""
        return tuple(self._header["elements"])

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Evaluate structures; their order is kept.

        Args:
            structures: periodic atoms; lengths in Å.

        Raises:
            InputError: when a structure has an element that the network does not know.
        """
        if self._network is None:
            import torch  # optional package

            header = self._header
            device = header["device"] if torch.cuda.is_available() else "cpu"
            network = self._build(header["configuration"], header["elements"], device, header["precision"])
            network.take_over(header["offsets"], self._state)
            self._network, self._state = network, {}
        return self._network.evaluate(structures)


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Have PyTorch make its numbers in one precision, and leave it as it was.

    Args:
        precision: "float64" or "float32".
    """
    import torch  # optional package

    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, precision))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def usable_device(device: str) -> str:
    """The device, when PyTorch has it.

    Args:
        device: "cpu" or "cuda".

    Raises:
        WorkerError: when there is no such device here.
    """
    import torch  # optional package

    if device == "cuda" and not torch.cuda.is_available():
        raise WorkerError(
            "potential.settings.device is cuda, and PyTorch finds no GPU here",
            fix="set potential.settings.device to cpu, or run on a node with a GPU and its driver",
        )
    return device


def _chunks(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = total = 0
    for index, size in enumerate(sizes):
        if index > start and total + size > _ATOMS:
            yield start, index
            start, total = index, 0
        total += size
    if start < len(sizes):
        yield start, len(sizes)
