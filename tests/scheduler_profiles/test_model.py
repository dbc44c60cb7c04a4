"""Sites are data; mistakes in them are named."""

from __future__ import annotations

import pytest

from hashigo.errors import InputError
from hashigo.scheduler_profiles import model
from hashigo.scheduler_profiles.model import Site, load_site, site_names


def test_every_site_that_comes_with_the_package_is_valid():
    assert "local" in site_names()
    for name in site_names():
        assert load_site(name).id == name


def test_every_field_is_described():
    assert all(field.description for field in Site.model_fields.values())


def test_unknown_site_and_key(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="site 'moon' is not known"):
        load_site("moon")
    monkeypatch.setattr(model, "SITES", tmp_path)
    (tmp_path / "here.yaml").write_text("id: here\ntitle: Here\ncorse: 3\n")
    with pytest.raises(InputError, match=r"site file here\.yaml: corse"):
        load_site("here")


def test_a_study_can_only_lower_the_jobs_in_flight():
    site = Site(id="x", title="X", cores=8, max_in_flight=4)
    assert [site.n_in_flight(asked) for asked in (None, 2, 9)] == [4, 2, 4]
