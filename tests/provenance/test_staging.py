from __future__ import annotations

import pytest

from hashigo.errors import InputError
from hashigo.provenance.staging import MARK, staged


def test_a_folder_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "new" / "package"
    with staged(target) as folder:
        (folder / MARK).write_text("{}")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == [MARK]
    assert [path.name for path in target.parent.iterdir()] == ["package"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["package", "package.zip"])
def test_nothing_is_left_half_written(tmp_path, name, error):
    def write():
        with staged(tmp_path / name) as folder:
            (folder / "a").write_text("a")
            raise error

    with pytest.raises(error):
        write()
    assert list(tmp_path.iterdir()) == []


def test_equal_content_gives_equal_archives(tmp_path):
    for name in ("a.zip", "b.zip"):
        with staged(tmp_path / name) as folder:
            (folder / MARK).write_text("{}")
            (folder / "data").mkdir()
            (folder / "data" / "x").write_text("1")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_only_packages_are_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "mine.zip").write_bytes(b"something else")
    for name in ("mine", "mine.zip", "mine/thesis.tex"):
        with pytest.raises(InputError, match="no package"), staged(tmp_path / name, overwrite=True):
            pass
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    with staged(tmp_path / "empty") as folder:
        (folder / MARK).write_text("{}")
    assert (tmp_path / "empty" / MARK).is_file()
