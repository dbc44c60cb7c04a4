from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hashigo.calculators.workers.committee.tables import obstacle, real_form
from hashigo.calculators.workers.fitting import polymlp_parameters
from hashigo.calculators.workers.training import DEFAULTS

pytest.importorskip("pypolymlp")


def parameters(**settings: Any) -> Any:
    model = {**DEFAULTS, "radial_functions": 2, "invariant_max_l": [4, 4], **settings}
    return polymlp_parameters(["Cl", "Na"], model, {"Cl": 0.0, "Na": 0.0})[0]


@pytest.mark.parametrize("settings", [{}, {"invariant_order": 4, "invariant_max_l": [4, 3, 2]}])
def test_the_real_form_has_the_value_of_the_complex_one(settings: dict[str, Any]) -> None:
    gtinv = parameters(**settings).model.gtinv
    generator = np.random.default_rng(0)
    real, full = generator.normal(size=25), np.empty(25, dtype=complex)
    for degree in range(5):
        full[degree**2 + degree] = real[degree**2]
        for m in range(1, degree + 1):
            value = complex(*real[degree**2 + 2 * m - 1 : degree**2 + 2 * m + 1])
            full[degree**2 + degree - m] = value
            full[degree**2 + degree + m] = (-1) ** m * value.conjugate()
    for sequence, weights in zip(gtinv.lm_seq, gtinv.lm_coeffs, strict=True):
        sequence, weights = np.array(sequence), np.array(weights)
        heads, monomials = real_form(sequence, weights)
        known = weights @ full[sequence].prod(axis=1)
        assert monomials @ real[heads].prod(axis=1) == pytest.approx(known.real, abs=1e-11)


def test_what_stands_in_the_way_is_told() -> None:
    known = parameters()

    def changed(**fields: Any) -> list[Any]:
        return [replace(known, model=replace(known.model, **fields))]

    assert obstacle([known, known]) is None
    assert obstacle(changed(model_type=2, max_p=1)) is None
    assert "multiplies invariants" in str(obstacle(changed(model_type=2)))
    assert "not rotational invariants" in str(obstacle(changed(feature_type="pair", model_type=2)))
    assert "of type 'bessel'" in str(obstacle(changed(pair_type="bessel")))
    fewer = {pair: [0] for pair in known.model.pair_params_conditional}
    assert "different radial functions" in str(obstacle(changed(pair_params_conditional=fewer)))
    assert "hybrid" in str(obstacle([replace(known, type_full=False)]))
    assert "different features" in str(obstacle([known, *changed(cutoff=5.0)]))
