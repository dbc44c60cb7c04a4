"""Before a run: whether its results can be written."""

from __future__ import annotations

import pytest

from hashigo.cli.run import check_output
from hashigo.errors import InputError


def test_a_file_in_the_way_of_the_results_is_named_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "deep" / "deeper"):
        with pytest.raises(InputError, match="file is a file, and a folder for the results was to be made"):
            check_output(folder)
    check_output(tmp_path / "new" / "deep")
    assert not (tmp_path / "new").exists()
