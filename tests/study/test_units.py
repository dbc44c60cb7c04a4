"""Numbers with units."""

from __future__ import annotations

import pytest

from hashigo.study.units import convert


@pytest.mark.parametrize(
    ("written", "unit", "value"),
    [(3, "Å", 3.0), ("3", "Å", 3.0), ("0.5 nm", "Å", 5.0), ("1 µm", "nm", 1000.0), ("-2e-1 THz", "THz", -0.2),
     ("1 Ry", "eV", 13.605693), ("2 h", "s", 7200.0), ("0.3 1/Å", "1/Å", 0.3)],
)  # fmt: skip
def test_conversion(written, unit, value):
    assert convert(written, unit) == pytest.approx(value)


@pytest.mark.parametrize("written", ["", "nm", True, None, [1], "1 nm; import os"])
def test_what_is_no_number_is_refused(written):
    with pytest.raises(ValueError, match=r"number|unit"):
        convert(written, "Å")
