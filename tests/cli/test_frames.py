"""`hashigo frames` as a user calls it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.frames import Frame, read_frames, write_frames
from hashigo.calculators.workers.training_inputs import usable_frames
from hashigo.errors import InputError
from hashigo.study.structures import structure_content


@pytest.fixture
def place(tmp_path):
    unit = bulk("Al", cubic=True)
    cell = unit.repeat(2)
    rng = np.random.default_rng(0)

    def frame(**changes):
        values = {
            "cell": cell.cell.array, "positions": cell.positions + rng.normal(size=(32, 3)) * 0.01,
            "symbols": ("Al",) * 32, "energy": -1.0, "forces": rng.normal(size=(32, 3)) * 0.1,
        }  # fmt: skip
        return Frame(**{**values, **changes})

    header = {"structure": structure_content(unit), "engine": "emt", "first_principles": False}
    many = [frame() for _ in range(10)] + [frame(kind="strained", energy=None) for _ in range(5)]
    write_frames(tmp_path / "a.h5", many, header)
    write_frames(tmp_path / "b.h5", [*many[:4], frame()], header)
    unit.write(tmp_path / "al.cif")

    def call(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "hashigo", "frames", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return call, tmp_path, frame, header


def test_show_tells_what_is_there_and_what_is_missing(place):
    call, *_ = place
    text = call("show", "a.h5").stdout
    for line in (
        "10 displaced, 5 strained",
        "15 of 32 atoms, 2×2×2",
        "energy of 5 frames",
        "stress of 15 frames",
    ):
        assert line in text
    found = json.loads(call("show", "a.h5", "--json").stdout)
    assert found["kinds"] == {"displaced": 10, "strained": 5}
    assert found["first_principles"] is False


def test_merge_drops_duplicates_and_split_keeps_every_frame(place):
    call, folder, *_ = place
    done = call("merge", "a.h5", "b.h5", "-o", "m.h5")
    assert "wrote 16 frames to m.h5; 4 duplicates were dropped" in done.stdout
    call("split", "m.h5", "--share", "0.75", "--seed", "3", "-o", "x.h5", "-o", "y.h5")
    one, two = read_frames(folder / "x.h5"), read_frames(folder / "y.h5")
    assert (len(one), len(two)) == (12, 4)
    assert {f.identity for f in one} | {f.identity for f in two} == {
        f.identity for f in read_frames(folder / "m.h5")
    }
    call("split", "m.h5", "--kind", "strained", "-o", "s.h5")
    assert {f.kind for f in read_frames(folder / "s.h5")} == {"strained"}


def test_convert_tells_what_is_lost_and_writes_over_nothing(place):
    call, folder, *_ = place
    done = call("convert", "a.h5", "phonopy_params.yaml.xz")
    assert done.returncode == 0, done.stderr
    assert "5 frames of kind 'strained': left out" in done.stdout
    again = call("convert", "a.h5", "phonopy_params.yaml.xz")
    assert again.returncode == 2
    assert "phonopy_params.yaml.xz is there already" in again.stderr
    assert call("convert", "a.h5", "phonopy_params.yaml.xz", "--force").returncode == 0
    assert call("convert", "phonopy_params.yaml.xz", "f.xyz").returncode == 0
    assert "give it with --structure" in call("convert", "f.xyz", "FORCE_SETS").stderr
    assert call("convert", "f.xyz", "FORCE_SETS", "--structure", "al.cif").returncode == 0
    back = call("convert", "FORCE_SETS", "back.h5")
    assert back.returncode == 0, back.stderr
    first, last = read_frames(folder / "a.h5")[0], read_frames(folder / "back.h5")[0]
    shift = last.positions[:, None] - first.positions[None]
    order = np.linalg.norm((shift / first.cell[0, 0] + 0.5) % 1 - 0.5, axis=-1).argmin(axis=1)
    np.testing.assert_allclose(last.forces, first.forces[order], atol=3e-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "no.h5"), "frames file no.h5 does not exist"),
        (("show", "al.cif"), "al.cif is of no known format of frames"),
        (("show", "a.h5", "--from", "abc"), "there is no format 'abc'"),
        (("convert", "a.h5", "vasprun.xml"), "is only read, not written"),
        (("convert", "a.h5", "no/where.h5"), "lies in a folder that does not exist"),
        (("convert", "a.h5", "a.h5", "--force"), "a.h5 would be written over while it is read"),
        (("split", "a.h5", "-o", "x.h5"), "give either --share or --kind"),
        (("split", "a.h5", "--kind", "atom", "-o", "x.h5"), "no frame of a.h5 is left for x.h5"),
        (("merge", "a.h5", "ge.h5", "-o", "x.h5"), "ge.h5 is not of the crystal of a.h5"),
        (("merge", "a.h5", "other.h5", "-o", "x.h5"), "other.h5 has another engine than a.h5"),
        (
            ("merge", "a.h5", "wrong.h5", "-o", "x.h5"),
            "is the same structure as a frame of a.h5, with other forces",
        ),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(place, arguments, message):
    call, folder, frame, header = place
    ge = bulk("Ge", cubic=True)
    ge_frame = Frame(ge.cell.array, ge.positions, ("Ge",) * 8, -1.0, np.zeros((8, 3)))
    write_frames(folder / "ge.h5", [ge_frame], {"structure": structure_content(ge), "engine": "emt"})
    write_frames(folder / "other.h5", [frame()], {**header, "engine": "vasp"})
    same = read_frames(folder / "a.h5")[0]
    write_frames(
        folder / "wrong.h5", [Frame(same.cell, same.positions, same.symbols, -1.0, same.forces * 2)], header
    )
    before = sorted(folder.iterdir())
    done = call(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert sorted(folder.iterdir()) == before


def test_a_file_that_appears_meanwhile_is_not_replaced(place, monkeypatch):
    from click.testing import CliRunner

    from hashigo.calculators.formats import extended_xyz
    from hashigo.cli import hashigo

    _, folder, *_ = place
    monkeypatch.chdir(folder)
    output = folder / "late.xyz"
    write = extended_xyz.FORMAT.write

    def late(path, frames, header):
        output.write_text("somebody else's")
        return write(path, frames, header)

    monkeypatch.setitem(extended_xyz.FORMAT.__dict__, "write", late)
    before = sorted(folder.iterdir())
    done = CliRunner().invoke(hashigo, ["frames", "convert", "a.h5", "late.xyz"])
    assert done.exit_code != 0
    assert "late.xyz is there already" in str(done.exception)
    assert output.read_text() == "somebody else's"
    assert sorted(folder.iterdir()) == sorted([*before, output])
    assert CliRunner().invoke(hashigo, ["frames", "convert", "a.h5", "late.xyz", "--force"]).exit_code == 0
    assert "Lattice" in output.read_text()


def test_displacements_may_lie_elsewhere(place):
    call, folder, *_ = place
    assert call("convert", "a.h5", "FORCE_SETS").returncode == 0
    (folder / "phonopy_disp.yaml").rename(folder / "other.yaml")
    assert "no phonopy_disp.yaml" in call("convert", "FORCE_SETS", "back.h5").stderr
    done = call("convert", "FORCE_SETS", "back.h5", "--displacements", "other.yaml")
    assert done.returncode == 0, done.stderr
    assert len(read_frames(folder / "back.h5")) == 10
    wrong = call("convert", "a.h5", "c.h5", "--displacements", "other.yaml")
    assert wrong.returncode == 2
    assert "a.h5 says itself which structures its forces are of" in wrong.stderr
    missing = call("convert", "FORCE_SETS", "d.h5", "--displacements", "none.yaml")
    assert missing.returncode == 2
    assert "none.yaml does not exist" in missing.stderr


def test_what_a_training_refuses_as_the_same_configuration_can_be_removed(place):
    call, folder, frame, header = place
    many = [frame() for _ in range(5)]
    for case, other in (("settings", many[2].forces), ("forces", many[2].forces + 0.1)):
        again = replace(many[2], energy=0.0, forces=other, settings="other")
        write_frames(folder / "twice.h5", [*many, again], header)
        with pytest.raises(
            InputError, match=r"frames 2 and 5 of twice\.h5 are the same configuration"
        ) as caught:
            usable_frames(read_frames(folder / "twice.h5"), "twice.h5")
        merge, convert = re.findall(r"`hashigo frames (.*?)`", caught.value.fix)
        done = call(*merge.split())
        if case == "settings":
            assert done.returncode == 0, done.stderr
            assert len(usable_frames(read_frames(folder / "NEW.h5"), "NEW.h5")[0]) == 5
            continue
        assert done.returncode == 2
        assert call(*convert.split()).returncode == 0
        lines = (folder / "NEW.xyz").read_text().splitlines(keepends=True)
        (folder / "NEW.xyz").write_text("".join(lines[: -len(lines) // 6]))
        assert call("convert", "NEW.xyz", "kept.h5").returncode == 0
        assert len(usable_frames(read_frames(folder / "kept.h5"), "kept.h5")[0]) == 5
