"""What is written of a component besides its numbers."""

from __future__ import annotations

import numpy as np

from hashigo.calculators.workers.component.case import Case
from hashigo.calculators.workers.component.material import constant
from hashigo.calculators.workers.component.properties import Property
from hashigo.calculators.workers.component.result import _marks


def test_a_mark_of_a_property_names_it():
    cold = Property(constant(np.array(2330.0)), "elasticity", marks=("of 0 K",))
    plain = Property(constant(np.array(700.0)), "phonons", marks=("not first-principles",))
    case = Case.read({"size": [1, 1, 1], "duration": 1, "faces": {"x-": {"temperature": 300}}})
    marks = _marks({"density": cold, "heat_capacity": plain}, case, "temperature")
    assert marks[:2] == ("density of 0 K", "not first-principles")
