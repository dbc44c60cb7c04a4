from __future__ import annotations

import pytest

from hashigo.errors import InputError
from hashigo.provenance.crate import FORMAT
from hashigo.provenance.formats import Format, export_format, formats


def test_formats_are_found_by_their_entry_points():
    found = formats()
    assert found["crate"] is FORMAT
    assert all(isinstance(entry, Format) and entry.name == name for name, entry in found.items())


def test_an_unknown_format_names_those_there_are():
    with pytest.raises(InputError, match="'crates'") as error:
        export_format("crates")
    assert "crate" in error.value.fix
