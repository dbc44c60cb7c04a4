"""SevenNet: trained from scratch, or from a checkpoint (Park et al., J. Chem. Theory Comput. 20, 4857, 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from hashigo.calculators.engines import Setting
from hashigo.calculators.engines.sevennet import MODELS
from hashigo.calculators.workers.models.network import Network, computing_in
from hashigo.calculators.workers.models.neural import NeuralKind, Statistics
from hashigo.errors import InputError

#: Where the components 3 × 3 stand in SevenNet's xx, yy, zz, xy, yz, zx.
_PLACES = (0, 3, 5, 3, 1, 4, 5, 4, 2)

_SETTINGS = {
    "channels": Setting(16, "Number of features of each symmetry."),
    "max_l": Setting(1, "Highest angular number of features and directions."),
    "layers": Setting(3, "Number of layers."),
    "radial_functions": Setting(8, "Number of radial basis functions."),
}


class SevenNetwork(Network):
    """A SevenNet network.

    Args:
        configuration: what the package builds a model from, JSON-serialisable.
        elements: chemical symbols, in the order of the network.
        device: "cpu" or "cuda".
        precision: "float64" or "float32".
    """

    kind = "sevennet"

    def __init__(
        self, configuration: Mapping[str, Any], elements: Sequence[str], device: str, precision: str
    ) -> None:
        from sevenn.model_build import build_E3_equivariant_model  # optional package

        self._configuration = dict(configuration)
        types = {atomic_numbers[symbol]: index for index, symbol in enumerate(elements)}
        with computing_in(precision):
            module = build_E3_equivariant_model({**_defaults(), **configuration, "_type_map": types})
        super().__init__(module, elements, device, precision)
        self._cutoff = float(configuration["cutoff"])
        # The package's one-hot vectors are in single precision, whatever that of the weights.
        self.module.onehot_idx_to_onehot.register_forward_hook(_in_precision)

    def configuration(self) -> dict[str, Any]:
        """What the package builds the model from."""
        return dict(self._configuration)

    def _graph(self, atoms: Atoms) -> Any:
        import torch  # optional package
        from sevenn.atom_graph_data import AtomGraphData
        from sevenn.train.dataload import unlabeled_atoms_to_graph
        from sevenn.util import dtype_correct

        content = unlabeled_atoms_to_graph(atoms, self._cutoff)
        content.pop("data_info", None)
        precision = torch.get_default_dtype()
        return AtomGraphData(**{name: dtype_correct(value, precision) for name, value in content.items()})

    def _predict(self, graphs: Sequence[Any], training: bool) -> tuple[Any, Any, Any]:
        from torch_geometric.data import Batch  # optional package

        self.module.train(training)
        said = self.module(Batch.from_data_list([graph.clone() for graph in graphs]).to(self.device))
        stress = -said["inferred_stress"][:, list(_PLACES)].reshape(-1, 3, 3)
        return said["inferred_total_energy"], said["inferred_force"], stress


def _in_precision(module: Any, given: Any, data: Any) -> Any:
    import torch  # optional package

    for name in ("x", "node_attr"):
        data[name] = data[name].to(torch.get_default_dtype())
    return data


def _defaults() -> dict[str, Any]:
    from sevenn._const import DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG  # optional package

    return dict(DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG)


def _fresh(settings: Mapping[str, Any], elements: Sequence[str], found: Statistics) -> SevenNetwork:
    """A network with random weights, drawn by PyTorch's generator."""
    ordered = sorted(elements, key=lambda symbol: atomic_numbers[symbol])
    configuration = {
        "cutoff": settings["r_max"],
        "channel": settings["channels"],
        "lmax": settings["max_l"],
        "num_convolution_layer": settings["layers"],
        "radial_basis": {"radial_basis_name": "bessel", "bessel_basis_num": settings["radial_functions"]},
        "is_parity": False,
        "self_connection_type": "linear",
        "conv_denominator": found.neighbours,
        "shift": 0.0,
        "scale": found.force,
        "_number_of_species": len(ordered),
    }
    return SevenNetwork(configuration, ordered, settings["device"], settings["precision"])


def _from_checkpoint(path: str, settings: Mapping[str, Any]) -> SevenNetwork:
    """The network of a checkpoint file, which is a pickle; names are those of weights in the wheel."""
    from sevenn.util import load_checkpoint  # optional package

    checkpoint = load_checkpoint(path)
    given = checkpoint.config
    if given.get("use_modality"):
        raise InputError(
            f"the checkpoint {path} serves several methods of computation at once",
            fix="take one of a single method, e.g. weights 7net-0",
        )
    types = sorted(given["_type_map"].items(), key=lambda pair: pair[1])
    kept = [*_defaults(), "shift", "scale", "_number_of_species"]
    configuration = {name: _plain(given[name]) for name in kept if name in given}
    elements = [chemical_symbols[int(number)] for number, _ in types]
    network = SevenNetwork(configuration, elements, settings["device"], settings["precision"])
    state = checkpoint.build_model().state_dict()
    network.take_over(network.offsets, {name: value.numpy() for name, value in state.items()})
    return network


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value


KIND = NeuralKind(
    name="sevennet",
    title="SevenNet",
    module="sevenn",
    extra="sevennet",
    architecture=_SETTINGS,
    fresh=_fresh,
    from_checkpoint=_from_checkpoint,
    build=SevenNetwork,
    distribution="sevenn",
    wheel=MODELS,
).kind()
