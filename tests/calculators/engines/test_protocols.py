"""Protocols give defaults of the first-principles engines; explicit settings win; the plan shows them."""

from __future__ import annotations

import pytest

from hashigo.calculators.engines import engine_names, get_engine
from hashigo.calculators.engines.protocols import defaults, told
from hashigo.errors import InputError
from hashigo.study import load_study
from hashigo.workflows.inputs import prepare

ENGINES = [
    name
    for name in engine_names()
    if get_engine(name).first_principles and "kpoint_spacing" in get_engine(name).settings
]


def test_all_engines_that_sample_the_zone_are_here():
    assert {"abinit", "cp2k", "fhi_aims", "gpaw", "quantum_espresso", "siesta", "vasp"} <= set(ENGINES)


@pytest.mark.parametrize("name", ENGINES)
def test_each_protocol_is_stricter_than_the_one_before(name):
    engine = get_engine(name)
    rows = [
        engine.complete(defaults(engine, protocol, {}, {}, ["Al"]))
        for protocol in ("fast", "balanced", "precise")
    ]
    for key in {"kpoint_spacing", "scf_threshold", "smearing"} & set(engine.settings):
        values = [row[key] for row in rows]
        assert values[0] > values[1] > values[2] > 0, key
    if engine.settings.get("cutoff"):
        cutoffs = [row["cutoff"] for row in rows]
        assert cutoffs[0] == engine.settings["cutoff"].default
        assert cutoffs[0] < cutoffs[1] < cutoffs[2]


def test_widths_are_in_the_engines_own_unit_and_distribution():
    widths = {
        name: defaults(get_engine(name), "balanced", {}, {}, ["Al"])["smearing"]
        for name in ("quantum_espresso", "abinit", "vasp", "gpaw")
    }
    assert widths["quantum_espresso"] == pytest.approx(0.02)
    assert widths["abinit"] == pytest.approx(0.01)
    assert widths["vasp"] == pytest.approx(0.02 * 13.605693, rel=1e-5)
    assert widths["vasp"] / widths["gpaw"] == pytest.approx(2.565, abs=0.001)


@pytest.mark.parametrize("elements", [["Si"], ["Al", "O"], ["As", "Ga"]])
def test_crystals_with_other_elements_than_metals_get_no_smearing(elements):
    assert "smearing" not in defaults(get_engine("quantum_espresso"), "fast", {}, {}, elements)


def test_explicit_settings_win_over_recommended_ones_and_those_over_defaults():
    engine = get_engine("quantum_espresso")
    recommended = {"cutoff": 50.0, "density_cutoff": 400.0}
    precise = defaults(engine, "precise", recommended, {"kpoint_spacing": 0.5}, ["Si"])
    assert (precise["cutoff"], precise["density_cutoff"]) == (65.0, 520.0)
    assert "kpoint_spacing" not in precise
    assert defaults(engine, None, recommended, {}, ["Si"]) == recommended
    assert defaults(engine, None, recommended, {"cutoff": "120 Ry"}, ["Si"]) == {"density_cutoff": 480.0}
    assert defaults(engine, None, {}, {}, ["Si"]) == {}


def test_magnetic_elements_get_moments_and_their_oxides_hubbard_terms():
    espresso, abinit = get_engine("quantum_espresso"), get_engine("abinit")
    oxide = defaults(espresso, "fast", {}, {}, ["Ni", "O"])
    assert (oxide["spin"], oxide["hubbard"]) == ({"Ni": 5.0}, {"Ni-3d": 6.2})
    assert oxide["smearing"] == 0.0275
    assert "spin Ni 5 μB, hubbard Ni-3d 6.2 eV" in told(espresso, espresso.complete(oxide))
    assert defaults(espresso, "fast", {}, {}, ["Fe"]).get("hubbard") is None
    assert defaults(abinit, "fast", {}, {}, ["Fe", "O"])["spin"] == {"Fe": 5.0}
    # What the study says wins, also where it says that there is no moment.
    bare = defaults(espresso, "fast", {}, {"spin": {}, "hubbard": {}}, ["Ni", "O"])
    assert not {"spin", "hubbard", "smearing"} & set(bare)


def test_engines_without_k_points_have_no_protocol():
    with pytest.raises(InputError, match="engine 'tersoff' has no protocols"):
        defaults(get_engine("tersoff"), "fast", {}, {}, ["Si"])


STUDY = """\
until: reference
structure: silicon.cif
reference:
  engine: quantum_espresso
  protocol: precise
  settings: {pseudopotentials: {Si: Si.pz-vbc.UPF}, cutoff: 24 Ry}
"""


def test_the_plan_shows_what_the_protocol_sets(workplace, require_program, require_module):
    require_program("pw.x", "quantum-espresso")
    require_module("aiida_quantumespresso", "qe")
    path = workplace.folder / "precise.yaml"
    path.write_text(STUDY)
    settings = prepare(load_study(path)).content["reference"]["settings"]
    assert (settings["cutoff"], settings["kpoint_spacing"]) == (24, 0.1)
    words = told(get_engine("quantum_espresso"), settings)
    assert words == "kpoint_spacing 0.1 1/Å, cutoff 24 Ry, scf_threshold 1e-10 Ry"
    done = workplace.run("plan", "precise.yaml")
    assert done.returncode == 0, done.stderr
    assert "protocol precise: kpoint_spacing 0.1 1/Å" in " ".join(done.stdout.split())
    path.write_text(STUDY.replace("precise", "exact"))
    done = workplace.run("plan", "precise.yaml")
    assert done.returncode == 2
    assert "reference.protocol" in done.stderr
