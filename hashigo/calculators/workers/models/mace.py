"""MACE, from scratch or from a checkpoint (Batatia et al., Adv. Neural Inf. Process. Syst. 35, 11423, 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from hashigo.calculators.engines import Setting
from hashigo.calculators.workers.models.network import Network, computing_in
from hashigo.calculators.workers.models.neural import NeuralKind, Statistics
from hashigo.errors import InputError

#: Arguments of the constructor that are texts in a header: sums of representations, and classes by their name.
_IRREPS = ("hidden_irreps", "MLP_irreps", "edge_irreps")
_CLASSES = ("interaction_cls", "interaction_cls_first", "readout_cls")
#: Names of the functions that a readout may use.
_GATES = ("silu", "tanh", "sigmoid", "relu")

_SETTINGS = {
    "channels": Setting(16, "Number of features of each symmetry."),
    "max_l": Setting(1, "Highest angular number of the features, 0 for scalars only."),
    "max_ell": Setting(2, "Highest angular number of the neighbours' directions."),
    "correlation": Setting(2, "Neighbours that a product of a layer connects, 1 to 3."),
    "layers": Setting(2, "Number of layers."),
    "radial_functions": Setting(8, "Number of radial basis functions."),
}


class MaceNetwork(Network):
    """A MACE network.

    Args:
        configuration: arguments of its constructor, JSON-serialisable.
        elements: chemical symbols, in order of their atomic numbers.
        device: "cpu" or "cuda".
        precision: "float64" or "float32".
    """

    kind = "mace"

    def __init__(
        self, configuration: Mapping[str, Any], elements: Sequence[str], device: str, precision: str
    ) -> None:
        _allow_tables()
        from mace.modules import ScaleShiftMACE
        from mace.tools import AtomicNumberTable

        self._configuration = dict(configuration)
        with computing_in(precision):
            module = ScaleShiftMACE(**_arguments(configuration))
        super().__init__(module, elements, device, precision)
        self._table = AtomicNumberTable([atomic_numbers[symbol] for symbol in elements])
        self._cutoff = float(configuration["r_max"])

    def configuration(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return dict(self._configuration)

    def _graph(self, atoms: Atoms) -> Any:
        from mace.data import AtomicData, config_from_atoms  # optional package

        return AtomicData.from_config(config_from_atoms(atoms), z_table=self._table, cutoff=self._cutoff)

    def _predict(self, graphs: Sequence[Any], training: bool) -> tuple[Any, Any, Any]:
        from mace.tools import torch_geometric  # optional package

        batch = torch_geometric.batch.Batch.from_data_list(list(graphs)).to(self.device)
        said = self.module(batch.to_dict(), training=training, compute_stress=True)
        return said["energy"], said["forces"], said["stress"]


def _allow_tables() -> None:
    """Import the package before e3nn, so that e3nn can read the tables that come with it as a pickle."""
    import mace  # noqa: F401  (optional package)


def _arguments(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments of a configuration; a name in it can only choose among the package's own classes."""
    _allow_tables()
    import torch
    from e3nn import o3
    from mace.modules import interaction_classes, readout_classes

    known = {**interaction_classes, **readout_classes}
    out = dict(configuration)
    for name in _IRREPS:
        out[name] = None if out.get(name) is None else o3.Irreps(out[name])
    for name in _CLASSES:
        if out.get(name) is not None:
            out[name] = _choice(known, out[name])
    gates = {name: getattr(torch, name, None) or getattr(torch.nn.functional, name) for name in _GATES}
    out["gate"] = None if out["gate"] is None else _choice(gates, out["gate"])
    for name in ("atomic_energies", "atomic_inter_scale", "atomic_inter_shift"):
        out[name] = np.array(out[name])
    return {name: value for name, value in out.items() if value is not None or name == "gate"}


def _choice(known: Mapping[str, Any], name: str) -> Any:
    if name not in known:
        raise InputError(f"a MACE network needs '{name}', which the installed mace-torch does not have")
    return known[name]


def _fresh(settings: Mapping[str, Any], elements: Sequence[str], found: Statistics) -> MaceNetwork:
    """A network with random weights, drawn by PyTorch's generator."""
    ordered = sorted(elements, key=lambda symbol: atomic_numbers[symbol])
    channels, max_l = settings["channels"], settings["max_l"]
    block = "RealAgnosticResidualInteractionBlock"
    configuration = {
        "r_max": settings["r_max"],
        "num_bessel": settings["radial_functions"],
        "num_polynomial_cutoff": 5,
        "max_ell": settings["max_ell"],
        "interaction_cls": block,
        "interaction_cls_first": block,
        "num_interactions": settings["layers"],
        "num_elements": len(ordered),
        "hidden_irreps": " + ".join(f"{channels}x{order}{'eo'[order % 2]}" for order in range(max_l + 1)),
        "MLP_irreps": "16x0e",
        "gate": "silu",
        "atomic_energies": [0.0] * len(ordered),
        "avg_num_neighbors": found.neighbours,
        "atomic_numbers": [atomic_numbers[symbol] for symbol in ordered],
        "correlation": settings["correlation"],
        "radial_type": "bessel",
        "atomic_inter_scale": found.force,
        "atomic_inter_shift": 0.0,
    }
    return MaceNetwork(configuration, ordered, settings["device"], settings["precision"])


def _from_checkpoint(path: str, settings: Mapping[str, Any]) -> MaceNetwork:
    """The network of a checkpoint file, which is a pickle of the whole module."""
    _allow_tables()
    import torch
    from mace.tools.scripts_utils import extract_config_mace_model

    module = torch.load(path, map_location="cpu", weights_only=False)
    configuration = _plain(extract_config_mace_model(module))
    elements = [chemical_symbols[int(number)] for number in configuration["atomic_numbers"]]
    network = MaceNetwork(configuration, elements, settings["device"], settings["precision"])
    network.take_over(network.offsets, {k: v.detach().numpy() for k, v in module.state_dict().items()})
    return network


def _plain(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments as a JSON-serialisable mapping."""
    if "error" in configuration:
        raise InputError(
            "the checkpoint is no ScaleShiftMACE network", fix="take one of energies and forces alone"
        )
    if len(configuration["heads"]) != 1:
        raise InputError(
            f"the checkpoint has {len(configuration['heads'])} heads: {', '.join(configuration['heads'])}",
            fix="extract one head of it with mace_select_head",
        )
    if configuration.get("embedding_specs") is not None:
        raise InputError("the checkpoint needs charges or spins of the cell, which frames do not give")
    out: dict[str, Any] = {}
    for name, value in configuration.items():
        if name in _CLASSES or name == "gate":
            out[name] = getattr(value, "__name__", None)
        elif name in _IRREPS:
            out[name] = None if value is None else str(value)
        elif name not in ("cueq_config", "oeq_config", "embedding_specs"):
            out[name] = value.tolist() if hasattr(value, "tolist") else value
    return out


KIND = NeuralKind(
    name="mace",
    title="MACE",
    module="mace",
    extra="mace",
    architecture=_SETTINGS,
    fresh=_fresh,
    from_checkpoint=_from_checkpoint,
    build=MaceNetwork,
    distribution="mace-torch",
).kind()
