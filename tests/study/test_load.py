"""Every mistake in a study file is one sentence with its key path."""

from __future__ import annotations

import json

import pytest

from hashigo.errors import InputError
from hashigo.study import Study, load_study, model, study_from
from hashigo.study.model import Section

SMALL = {"structure": "a.cif", "reference": "r.h5"}


def test_the_smallest_study_is_a_structure_and_a_reference():
    study = study_from(SMALL)
    assert (study.structure.file, study.reference.data) == ("a.cif", "r.h5")
    assert (study.until, study.site, study.seed) == ("mesoscale", "local", 0)


def test_every_field_has_a_description_and_all_but_two_a_default():
    schema = Study.model_json_schema()
    assert schema["required"] == ["structure", "reference"]
    json.dumps(schema)
    sections = [
        value for value in vars(model).values() if isinstance(value, type) and issubclass(value, Section)
    ]
    assert len(sections) > 8
    for section in sections:
        assert all(field.description for field in section.model_fields.values()), section


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"potental": {}}, "unknown key 'potental'"),
        ({"potential": {"cutof": 5}}, r"unknown key 'potential\.cutof'"),
        ({"potential": {"cutoff": "3 kg"}}, r"potential\.cutoff: '3 kg' cannot be converted to Å"),
        (
            {"potential": {"cutoff": "3 parsnips"}},
            r"potential\.cutoff: the unit of '3 parsnips' is not known",
        ),
        ({"potential": {"members": 1}}, "potential: a committee of 1 has no spread"),
        ({"potential": {"invariant_max_l": [4]}}, "one number for each order from 2 to 3"),
        ({"potential": {"settings": {"epochs": 3}}}, "potential: 'settings' are for other models"),
        (
            {"potential": {"model": "mace", "cutoff": 5}},
            "potential: 'cutoff' is for model polynomial; settings of model 'mace' stand in 'settings'",
        ),
        ({"mesoscale": {"grains": 5000}}, r"mesoscale: 33\^3 voxels are too few for 5000 grains"),
        ({"mesoscale": {"grain_sizes": ["1 um", "many"]}}, r"mesoscale\.grain_sizes\.1: 'many' is no number"),
        ({"mesoscale": {"temperatures": [310]}}, "mesoscale.temperatures has 310 K"),
        ({"conductivity": {"meshes": [9, 7]}}, "conductivity: meshes must rise"),
        ({"thermoelasticity": {}}, "takes the cells of the thermal expansion; add 'expansion: {}'"),
        (
            {"thermoelasticity": {}, "expansion": {"force_constants": "reference"}},
            "set expansion.force_constants to potential",
        ),
        ({"reference": {"data": "x.h5", "engine": "emt"}}, "reference: give either 'data'"),
        ({"seed": "x"}, r"seed: give a whole number \(given: 'x'\)"),
        ({"access": {"reference": "secret"}}, r"access\.reference"),
        ({"authors": [{"name": "A", "orcid": "12"}]}, r"authors\.0\.orcid"),
        ({"potential": {"cutoff": float("inf")}}, r"potential\.cutoff"),
        ({"phonons": {"supercell": [50, 1, 1]}}, r"phonons\.supercell\.0"),
        ({"until": "moon"}, "until"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_mistakes_name_the_key(change, message):
    with pytest.raises(InputError, match=message):
        study_from({**SMALL, **change})


def test_a_close_key_is_suggested():
    with pytest.raises(InputError) as caught:
        study_from({**SMALL, "potental": {}})
    assert caught.value.fix == "did you mean 'potential'?"


def test_units_are_converted():
    study = study_from(
        {**SMALL, "mesoscale": {"grain_sizes": ["1 µm", 50]}, "potential": {"cutoff": "0.6 nm"}}
    )
    assert study.mesoscale.grain_sizes == (1000.0, 50.0)
    assert study.potential.cutoff == pytest.approx(6.0)
    assert study_from({**SMALL, "elasticity": {"strain": "0.4 %"}}).elasticity.strain == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("structure: a\nstructure: b\n", "line 2: key 'structure' is given twice"),
        ("structure: [a\n", "line 2"),
        ("- a\n", "holds no keys"),
        ("", "holds no keys"),
        ("structure: !!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
    ],
)
def test_broken_files_are_one_sentence(tmp_path, text, message):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_study(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_study(tmp_path / "study.yaml")
    with pytest.raises(InputError, match="is a folder"):
        load_study(tmp_path)


def test_file_names_are_relative_to_the_study(tmp_path):
    (tmp_path / "si.yaml").write_text("structure: a.cif\nreference: r.h5\npotential:\n")
    study = load_study(tmp_path / "si.yaml")
    assert study.path("a.cif") == tmp_path / "a.cif"
    assert study.name == "si"


@pytest.mark.parametrize(
    ("learning", "message"),
    [
        ({"until": "5 %"}, "learning.until is a section, and a single value is given"),
        (
            {"until": {"stiffness": "2 %"}, "budget": 30},
            "learning.budget is a section, and a single value is given",
        ),
        (
            {"until": {"stiffness": "2 %"}, "budget": {"frames": 8}},
            "the first round alone labels up to 10 frames",
        ),
        ({"until": {"stiffness": "2 %"}, "sources": 3}, "give a list"),
    ],
)
def test_sections_and_lists_that_are_none_are_told_in_plain_words(learning, message):
    content = {"structure": "a.cif", "reference": {"engine": "tersoff"}, "learning": learning}
    with pytest.raises(InputError, match=message) as caught:
        study_from(content)
    assert "Input should be" not in str(caught.value)


@pytest.mark.parametrize(
    ("mesoscale", "complaint"),
    [
        ({"grains": "fifty"}, "mesoscale.grains: give a whole number"),
        ({"materials": ["void"]}, "mesoscale.materials: give keys, each with a value"),
        ({"boundary": {"kapitza": {"cold": 1e-9}}}, "mesoscale.boundary.kapitza.cold: 'cold' is no number"),
        ({"grain_sizes": [100, "0.1 µm"]}, "grain_sizes has 100 twice"),
        ({"temperatures": [300, 300]}, "temperatures has 300 twice"),
        ({"materials": {"pore": "void"}}, "materials has 'pore', of which a microstructure of kind voronoi"),
        ({"texture": {"spread": 5}}, "'spread' is for kind fibre, and says nothing about kind random"),
    ],
)
def test_mistakes_in_the_mesoscale_are_told_by_key_and_in_plain_words(mesoscale, complaint):
    with pytest.raises(InputError) as caught:
        study_from({**SMALL, "mesoscale": mesoscale})
    assert complaint in caught.value.message
    assert "function-" not in caught.value.message
    assert "[key]" not in caught.value.message


def test_a_word_that_is_none_is_told_what_would_do():
    with pytest.raises(InputError) as caught:
        study_from({**SMALL, "mesoscale": {"boundary": "1e-9"}})
    assert "{kapitza: 1.2e-9}" in caught.value.fix


@pytest.mark.parametrize(
    ("boundary", "complaint"),
    [
        ({"kapitza": 1e-9, "specularity": 0.1}, "or has a Kapitza resistance .*, never both"),
        ({"kapitza": {400: 1e-9}}, "boundary.kapitza does not reach 300 K"),
        ({"kapitza": "1 K"}, "mesoscale.boundary.kapitza: '1 K' cannot be converted to m"),
        ({"kapitza": -1}, "must not be negative"),
        ({"kapitz": 1}, "unknown key 'mesoscale.boundary.kapitz'"),
        ({"specularity": 2}, "mesoscale.boundary.specularity"),
        ({"specularity": 0.1, "uncertainty": 0.1}, "'uncertainty' goes with 'kapitza'"),
        ({}, "give 'specularity' or 'kapitza'"),
        ("mode", "mesoscale.boundary: Input should be 'modes'"),
    ],
)
def test_boundaries_that_do_not_do_are_named(boundary, complaint):
    with pytest.raises(InputError, match=complaint):
        study_from({**SMALL, "mesoscale": {"boundary": boundary}})


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({}, "mesoscale.thermal_stress needs the thermal expansion; add the section 'expansion'"),
        (
            {"expansion": {"temperatures": [0, 500]}},
            "stress_free is 1000 K, and expansion.temperatures reach",
        ),
    ],
)
def test_thermal_stress_needs_an_expansion(more, complaint):
    wanted = {"stress_free": 1000, "temperature": 300}
    with pytest.raises(InputError, match=complaint):
        study_from({**SMALL, **more, "mesoscale": {"thermal_stress": wanted}})
    with pytest.raises(InputError, match="temperature is 400 K, which temperatures lacks"):
        study_from({**SMALL, **more, "mesoscale": {"thermal_stress": {**wanted, "temperature": 400}}})
    study = study_from({**SMALL, "expansion": {}, "mesoscale": {"thermal_stress": wanted}})
    assert study.mesoscale.thermal_stress.stress_free == 1000.0


def test_boundaries_by_word_or_section():
    given = {"kapitza": {"300 K": "1.2e-9 m^2 K/W", 600: 1e-9}, "uncertainty": "20 %"}
    study = study_from({**SMALL, "mesoscale": {"boundary": given, "temperatures": [300]}})
    assert study.mesoscale.boundary.table == {300.0: 1.2e-9, 600.0: 1e-9}
    assert study.mesoscale.boundary.uncertainty == 0.2
    assert study_from(SMALL).mesoscale.boundary == "modes"


@pytest.mark.parametrize(
    ("electronic", "complaint"),
    [
        ({"conductivity": {200: 390}}, "electronic does not reach 300 K"),
        ({"conductivity": {300: -1}}, "values must be positive"),
        ({"conductivity": {300: 390}, "resistivity": {300: 1e-8}}, "either 'conductivity' or 'resistivity'"),
        ({"conductivity": {300: 390}, "lorenz": 2.4e-8}, "'lorenz' goes with 'resistivity'"),
        ({"resistivity": {300: "1 m"}}, "cannot be converted to ohm m"),
    ],
)
def test_electrons_that_are_not_known_are_named(electronic, complaint):
    with pytest.raises(InputError, match=complaint):
        study_from({**SMALL, "mesoscale": {"electronic": electronic}})


def test_electrons_of_a_metal_carry_units():
    given = {"electronic": {"resistivity": {300: "1.7 uohm cm"}}}
    study = study_from({**SMALL, "mesoscale": given})
    assert study.mesoscale.electronic.table == {300.0: 1.7e-8}
    with pytest.raises(InputError, match=r"structure\.metal is false, and mesoscale\.electronic is given"):
        study_from({**SMALL, "structure": {"file": "a.cif", "metal": False}, "mesoscale": given})


def test_no_temperature_of_the_mesoscale_is_out_of_reach():
    with pytest.raises(
        InputError, match=r"mesoscale\.temperatures has 300 K, and phonons\.temperatures reach"
    ):
        study_from({**SMALL, "phonons": {"temperatures": [0, 200]}})
    study_from({**SMALL, "phonons": {"temperatures": [0, 200]}, "until": "conductivity"})
