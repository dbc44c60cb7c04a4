from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.electrons import LORENZ, electronic_part, metallicity
from hashigo.errors import InputError

DFT = {"engine": "quantum_espresso", "first_principles": True}


def header(**settings):
    return {**DFT, "settings": settings}


def test_lorenz_number_is_sommerfelds():
    # (π²/3)(k_B/e)² with the exact constants of the SI of 2019.
    assert pytest.approx(np.pi**2 / 3 * (1.380649e-23 / 1.602176634e-19) ** 2, rel=1e-12) == LORENZ
    assert pytest.approx(2.44e-8, rel=2e-3) == LORENZ


@pytest.mark.parametrize(
    ("choice", "frames", "elements", "metal"),
    [
        (True, {}, ["Si"], True),
        (False, header(smearing=0.02), ["Al"], False),
        ("auto", {"engine": "emt"}, ["Cu"], True),
        ("auto", {"engine": "tersoff"}, ["Si"], False),
        ("auto", {"engine": "lennard_jones", "settings": {}}, ["Ar"], None),
        ("auto", header(smearing=0.02), ["Al"], True),
        ("auto", header(smearing=0.0), ["Si"], False),
        # An insulator that was given a smearing is a valid crystal.
        ("auto", header(smearing=0.001), ["Si"], None),
        ("auto", header(smearing=0.02, spin={"Ni": 5.0}), ["Ni"], None),
        ("auto", {"engine": "tblite", "settings": {}}, ["Cu"], None),
        ("auto", {"engine": "of somebody else"}, ["Cu"], None),
        ("auto", {}, ["Cu"], None),
    ],
)
def test_what_is_a_metal(choice, frames, elements, metal):
    found = metallicity(choice, frames, elements)
    assert found.metal is metal
    assert found.reason


def test_given_conductivity():
    found = electronic_part({"conductivity": {"300.0": 390, "400.0": [380, 380, 300]}}, [300.0, 400.0])
    assert np.allclose(found.value, [390 * np.eye(3), np.diag([380.0, 380.0, 300.0])])
    assert (found.origin, found.error) == ("given", None)


def test_copper_by_wiedemann_and_franz():
    # Matula, J. Phys. Chem. Ref. Data 8, 1147 (1979): 1.725e-8 ohm m at 300 K; measured, copper conducts 401 W/(m K).
    found = electronic_part({"resistivity": {"300.0": 1.725e-8}, "uncertainty": 0.1}, [300.0])
    assert found.value[0, 0, 0] == pytest.approx(424.9, abs=0.1)
    assert np.allclose(found.error, 0.1 * found.value)
    assert "Wiedemann" in found.origin
    other = electronic_part({"resistivity": {"300.0": 1.725e-8}, "lorenz": 2.2e-8}, [300.0])
    assert other.value[0, 0, 0] == pytest.approx(2.2e-8 * 300 / 1.725e-8)


def test_a_resistivity_that_rises_with_temperature_gives_one_conductivity():
    table = {"resistivity": {str(t): 1e-10 * t for t in (200.0, 300.0, 400.0)}}
    found = electronic_part(table, [250.0, 350.0])
    assert found.value[:, 0, 0] == pytest.approx([LORENZ / 1e-10] * 2, rel=1e-12)
    assert "between known temperatures" in found.origin


def test_beyond_the_table_is_an_error():
    with pytest.raises(InputError, match=r"mesoscale\.electronic\.resistivity is known .* not at 500 K"):
        electronic_part({"resistivity": {"300.0": 1e-8}}, [500.0])
