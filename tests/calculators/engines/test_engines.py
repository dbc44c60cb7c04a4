"""Engines are found by name, and their settings are checked before anything runs."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.engines import Workspace, engine_names, get_engine
from hashigo.errors import InputError


def test_registered_engines():
    assert {"quantum_espresso", "tersoff", "emt"} <= set(engine_names())
    assert get_engine("quantum_espresso").first_principles
    assert not get_engine("tersoff").first_principles
    with pytest.raises(InputError, match="'wasp' is not known"):
        get_engine("wasp")


def test_settings_take_units_and_name_mistakes():
    engine = get_engine("quantum_espresso")
    assert engine.complete({"cutoff": "340.1424 eV"})["cutoff"] == pytest.approx(25.0, rel=1e-5)
    with pytest.raises(InputError, match=r"reference\.settings\.cutof is no setting"):
        engine.complete({"cutof": 20})
    with pytest.raises(InputError, match=r"cutoff: '20 kg' cannot be converted to Ry"):
        engine.complete({"cutoff": "20 kg"})
    with pytest.raises(InputError, match="shifted_mesh is 3"):
        engine.complete({"shifted_mesh": 3})


def test_walltime_is_no_part_of_a_frames_identity():
    engine = get_engine("quantum_espresso")
    one, two = (engine.signature(engine.complete({"walltime": w})) for w in ("1 h", "2 h"))
    assert one == two
    assert one != engine.signature(engine.complete({"cutoff": 41}))


def test_elements_are_checked():
    get_engine("tersoff").check({}, ["Si"])
    with pytest.raises(InputError, match="silicon only, not C, Si"):
        get_engine("tersoff").check({}, ["C", "Si"])
    with pytest.raises(InputError, match="not Fe"):
        get_engine("emt").check({}, ["Al", "Fe"])


def test_tersoff_silicon_has_its_published_cohesive_energy():
    atoms = bulk("Si", "diamond", 5.432, cubic=True)
    atoms.calc = get_engine("tersoff").calculator({}, Workspace())
    # Tersoff (1988), set T3: 4.63 eV/atom at 5.432 Å.
    assert atoms.get_potential_energy() / 8 == pytest.approx(-4.63, abs=0.005)
    assert np.abs(atoms.get_stress()).max() < 1e-4


def test_emt_energy_is_additive():
    calculator = get_engine("emt").calculator({}, Workspace())
    cell = bulk("Al", cubic=True)
    cell.calc = calculator
    single = cell.get_potential_energy()
    double = cell.repeat((2, 1, 1))
    double.calc = calculator
    assert double.get_potential_energy() == pytest.approx(2 * single, rel=1e-10)


@pytest.mark.parametrize("name", ["abinit", "cp2k", "fhi_aims", "gpaw", "siesta", "vasp"])
def test_moments_and_widths_that_no_engine_takes_are_refused(name):
    engine = get_engine(name)
    for settings, sentence in (
        ({"spin": {"fe": 2}}, "spin names fe, which is not in the crystal"),
        ({"spin": {"Fe": "much"}}, r"spin\.Fe is 'much'"),
        ({"smearing": float("nan")}, "smearing is nan"),
        ({"scf_threshold": float("inf")}, "scf_threshold is inf"),
    ):
        with pytest.raises(InputError, match=sentence):
            engine.check(engine.complete(settings), ["Fe", "O"])


@pytest.mark.parametrize("name", ["cutoff", "kpoint_spacing", "scf_threshold", "walltime"])
def test_quantum_espresso_refuses_senseless_numbers(name):
    engine = get_engine("quantum_espresso")
    with pytest.raises(InputError, match=f"{name} is 0, and engine 'quantum_espresso' needs more than 0"):
        engine.check(engine.complete({name: 0}), ["Si"])
