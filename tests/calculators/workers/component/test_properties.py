"""What members and errors make of a material; nothing beyond what is known."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.component.ladder import read_properties
from hashigo.calculators.workers.component.material import Curve, constant
from hashigo.calculators.workers.component.properties import MEAN, Variant, check_range, chosen
from hashigo.errors import InputError


def test_beyond_what_is_known_is_one_sentence():
    curve = Curve(np.array([300.0, 400.0]), np.array([1.0, 2.0]), remedy="add temperatures")
    check_range(curve, 300.0, 400.0, "conductivity")
    with pytest.raises(
        InputError, match="is at 410 K after a while, and its conductivity is known from 300 to 400 K"
    ):
        check_range(curve, 300.0, 410.0, "conductivity", " after a while")
    single = Curve(np.array([300.0]), np.array([1.0]), remedy="add temperatures")
    with pytest.raises(InputError, match="known at 300 K only"):
        check_range(single, 300.0, 301.0, "conductivity")
    check_range(constant(1.0), 1.0, 1e4, "conductivity")


def test_a_variant_moves_what_it_names(ladder):
    found = read_properties(ladder, {}, 100.0, stress=False)
    mean, member = chosen(found, MEAN), chosen(found, Variant("m", member=2))
    shifted = chosen(found, Variant("s", shifted=("conductivity", "mesh")))
    assert np.all(member["conductivity"].values > mean["conductivity"].values)
    assert shifted["conductivity"].values == pytest.approx(1.1 * mean["conductivity"].values)
    assert shifted["density"].values == pytest.approx(mean["density"].values)
