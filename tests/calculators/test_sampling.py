"""Configurations are reproducible, and a larger set contains the smaller one."""

from __future__ import annotations

import numpy as np

from hashigo.calculators.sampling import sample

SAMPLING = {
    "supercell": [2, 2, 2], "displaced": 2, "displacement": 0.03, "strained": 2, "strain": 0.01, "volumes": 3,
    "volume_range": 0.06,
}  # fmt: skip


def test_going_from_two_to_four_keeps_the_first_two(diamond):
    small = {f.identity for f in sample(diamond, SAMPLING, 0, "s") if f.kind == "displaced"}
    large = {
        f.identity for f in sample(diamond, {**SAMPLING, "displaced": 4}, 0, "s") if f.kind == "displaced"
    }
    assert len(small) == 2
    assert small < large


def test_displacements_and_volumes_are_as_asked(diamond):
    frames = sample(diamond, SAMPLING, 0, "s")
    kinds = [frame.kind for frame in frames]
    assert (kinds.count("displaced"), kinds.count("strained"), kinds.count("atom")) == (2, 5, 1)
    ideal = diamond.repeat((2, 2, 2)).positions
    np.testing.assert_allclose(np.linalg.norm(frames[0].positions - ideal, axis=1), 0.03)
    volumes = [abs(np.linalg.det(f.cell)) / diamond.get_volume() for f in frames[4:7]]
    np.testing.assert_allclose(volumes, [0.94, 1.0, 1.06])


def test_seed_changes_everything(diamond):
    one, two = ({f.identity for f in sample(diamond, SAMPLING, s, "s") if f.kind != "atom"} for s in (0, 1))
    assert not one & two


def test_free_atoms_can_be_left_out_and_the_others_stay_as_they_are(diamond):
    frames = sample(diamond, {**SAMPLING, "free_atoms": False}, 0, "s")
    assert [f.identity for f in frames] == [f.identity for f in sample(diamond, SAMPLING, 0, "s")][:-1]
