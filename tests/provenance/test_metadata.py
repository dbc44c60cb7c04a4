from __future__ import annotations

import pytest

from hashigo.errors import InputError
from hashigo.provenance.metadata import Organisation, read_metadata


def read(**fields):
    return read_metadata({"licence": "CC-BY-4.0", **fields}, title="run 7")


def test_the_least_study():
    metadata = read()
    assert (metadata.title, metadata.authors, metadata.default_access) == ("run 7", (), "open")
    assert metadata.licence == "https://spdx.org/licenses/CC-BY-4.0"


def test_a_licence_may_be_an_address():
    metadata = read(licence="https://example.org/terms")
    assert (metadata.licence, metadata.licence_id) == ("https://example.org/terms", "")


@pytest.mark.parametrize("licence", [None, "", "free for all"])
def test_no_licence_is_an_error_with_a_remedy(licence):
    with pytest.raises(InputError, match="licence") as error:
        read(licence=licence)
    assert "set licence: in the study" in error.value.fix


@pytest.mark.parametrize(
    ("affiliation", "expected"),
    [
        ("Brown University", Organisation("Brown University")),
        (
            "Brown University (https://ror.org/05gq02987)",
            Organisation("Brown University", "https://ror.org/05gq02987", "https://ror.org/05gq02987"),
        ),
        (
            {"name": "Brown University", "ror": "https://ror.org/05gq02987", "url": "https://www.brown.edu/"},
            Organisation("Brown University", "https://ror.org/05gq02987", "https://www.brown.edu/"),
        ),
    ],
)
def test_affiliations(affiliation, expected):
    author = read(
        authors=[{"name": "J", "orcid": "0000-0002-1825-0097", "affiliation": affiliation}]
    ).authors[0]
    assert author.affiliation == expected
    assert author.orcid == "https://orcid.org/0000-0002-1825-0097"


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"access": {"reference": "secret"}}, r"access\.reference"),
        ({"access": "secret"}, "access"),
        ({"authors": [{"orcid": "0000-0002-1825-0097"}]}, r"authors\[0\]"),
        ({"authors": [{"name": "J"}, {"name": "K", "orcid": "12"}]}, r"authors\[1\]\.orcid"),
    ],
)
def test_what_is_wrong_is_named(fields, where):
    with pytest.raises(InputError, match=where) as error:
        read(**fields)
    assert error.value.fix
