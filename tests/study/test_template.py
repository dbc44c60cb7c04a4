"""What `hashigo init` writes is a valid study, and stays one when its comments are taken away."""

from __future__ import annotations

import re

import pytest
import yaml
from ase.build import bulk

from hashigo.study import study_from
from hashigo.study.supercell import resolve
from hashigo.study.template import study_text


@pytest.mark.parametrize("reference", [None, "frames.h5"])
def test_the_template_is_valid_commented_and_uncommented(diamond, reference):
    text = study_text(diamond, "si.cif", reference)
    plain = study_from(yaml.safe_load(text))
    every = study_from(yaml.safe_load(re.sub(r"^( +)# (?=\w+: )", r"\1", text, flags=re.M)))
    assert plain.model_dump() == every.model_dump()


def test_optional_sections_are_valid_when_their_comments_are_taken_away(diamond):
    text = study_text(diamond, "si.cif", None)
    study = study_from(yaml.safe_load(re.sub(r"^# (?=learning:|dynamics:|  )", "", text, flags=re.M)))
    assert study.learning.until.thermal_conductivity == 0.05
    assert study.dynamics.temperatures == (300.0,)


def test_large_cells_are_repeated_less():
    cell = bulk("Al", cubic=True).repeat((4, 1, 1))
    study = study_from(yaml.safe_load(study_text(cell, "al.cif", None)))
    assert resolve(study.model_dump(mode="json"), cell)["phonons"]["supercell"] == [1, 2, 2]
