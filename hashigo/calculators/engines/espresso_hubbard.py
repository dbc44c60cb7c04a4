"""Structures with Hubbard terms for aiida-quantumespresso, which writes the card HUBBARD of newer versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Dict, StructureData


def hubbard_structure(structure: StructureData, terms: Mapping[str, float]) -> Any:
    """The same structure with Hubbard terms of Dudarev's form on atomic projectors.

    Args:
        structure: of a frame.
        terms: U of each shell, as in Ni-3d, eV.
    """
    return add_hubbard(structure, Dict(dict(terms)))


@calcfunction
def add_hubbard(structure: StructureData, terms: Dict) -> Any:
    """The calcfunction behind `hubbard_structure`."""
    from aiida_quantumespresso.common.hubbard import Hubbard, HubbardParameters
    from aiida_quantumespresso.data.hubbard_structure import HubbardStructureData

    symbols = [structure.get_kind(site.kind_name).symbol for site in structure.sites]
    found = []
    for name, value in terms.get_dict().items():
        symbol, shell = name.split("-")
        # One atom stands for all of its kind: the card is written by kinds.
        for index in [symbols.index(symbol)] if symbol in symbols else []:
            found.append(HubbardParameters.from_tuple((index, shell, index, shell, value, (0, 0, 0), "U")))
    return HubbardStructureData.from_structure(structure, Hubbard(parameters=found, projectors="atomic"))
