"""The vocabulary: every entry complete, every unit a real one."""

from __future__ import annotations

import pint
import pytest

from hashigo.errors import InputError
from hashigo.quantities import quantity, vocabulary


def test_units_are_real_and_descriptions_are_sentences():
    registry = pint.UnitRegistry()
    registry.define("atom = []")
    for entry in vocabulary().values():
        registry.Unit(entry.unit)
        assert entry.description.endswith("."), entry.name
        assert entry.symbol
        assert all(isinstance(n, int) for n in entry.shape)


def test_unknown_quantity_is_named():
    with pytest.raises(InputError, match="no quantity 'hardness'"):
        quantity("hardness")
