"""Parameters that all kinds of potentials share are checked alike."""

from __future__ import annotations

import pytest

from hashigo.calculators.workers import training
from hashigo.calculators.workers.models import committee
from hashigo.calculators.workers.training_inputs import COMMON
from hashigo.errors import InputError


@pytest.mark.parametrize("check", [training.check_settings, committee.check_section])
def test_every_kind_has_the_same_defaults_and_refusals(check):
    assert COMMON.items() <= check({}).items()
    for given, said in (
        ({"members": 1}, "members is 1, and a committee needs"),
        ({"held_out": 1.0}, "held_out is 1.0, not a share"),
        ({"radius": 3}, "radius is not a parameter of"),
    ):
        with pytest.raises(InputError, match=f"potential.{said}") as caught:
            check(given)
        assert caught.value.fix
