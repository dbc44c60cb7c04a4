from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.microstructures.orientations import read_orientations
from hashigo.errors import InputError


def listed(path, text):
    path.write_text(text, encoding="utf-8")
    return read_orientations(path)


def test_quaternions_and_bunges_angles_of_the_same_orientation(tmp_path):
    """φ1 = 90° turns the crystal's x axis to the sample's y; Φ = 90° then its z axis into the sample's xy plane."""
    angles = listed(tmp_path / "a.txt", "phi1 Phi phi2\n90 0 0\n90 90 0  # two\n")
    first, second = Rotation.from_quat(angles.quaternions)
    assert first.apply([1, 0, 0]) == pytest.approx([0, 1, 0], abs=1e-15)
    assert second.apply([1, 0, 0]) == pytest.approx([0, 1, 0], abs=1e-15)
    assert second.apply([0, 0, 1]) == pytest.approx([1, 0, 0], abs=1e-15)
    half = np.sqrt(0.5)
    same = listed(tmp_path / "b.csv", f"qx,qy,qz,qw,weight\n0,0,{half},{half},3\n0.5,0.5,0.5,0.5,1\n")
    assert np.abs(np.sum(same.quaternions * angles.quaternions, axis=1)) == pytest.approx([1, 1])
    assert list(same.weights) == [3, 1]


def test_lines_may_tell_their_grain(tmp_path):
    found = listed(tmp_path / "a.txt", "grain phi1 Phi phi2\n3 90 0 0\n1 0 0 0\n")
    assert np.isnan(found.quaternions[[0, 2]]).all()
    assert found.quaternions[1] == pytest.approx([0, 0, 0, 1])
    assert found.quaternions[3] == pytest.approx([0, 0, np.sqrt(0.5), np.sqrt(0.5)])


def test_weights_go_with_their_grains(tmp_path):
    found = listed(tmp_path / "a.txt", "grain weight phi1 Phi phi2\n2 5 90 0 0\n0 3 0 0 0\n1 1 45 0 0\n")
    assert list(found.weights) == [3, 1, 5]
    assert found.quaternions[2] == pytest.approx([0, 0, np.sqrt(0.5), np.sqrt(0.5)])


def test_a_phase_that_would_be_a_book_is_not_written_out(tmp_path):
    """Ten aliases of ten aliases … are small until they are made a text."""
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    text = f"a0: &a0 [x]\n{levels}material: [{{constituents: [{{O: [1, 0, 0, 0], phase: *a11}}]}}]\n"
    with pytest.raises(InputError, match=r"phase of material 0 of a.yaml is no name"):
        listed(tmp_path / "a.yaml", text)


DAMASK = """
homogenization: {direct: {N_constituents: 1}}
phase: {Si: null, pore: null}
material:
- constituents: [{phase: Si, O: [0.5, 0.5, 0.5, 0.5], v: 1.0}]
  homogenization: direct
- constituents: [{phase: pore, v: 1.0}]
  homogenization: direct
"""


def test_orientations_of_damask(tmp_path):
    """Scalar first, P = -1: these numbers turn the crystal's x to y, y to z and z to x (checked against damask 3.1)."""
    found = listed(tmp_path / "material.yaml", DAMASK)
    assert found.phases == ["Si", "pore"]
    assert Rotation.from_quat(found.quaternions[0]).apply(np.eye(3)) == pytest.approx(
        np.roll(np.eye(3), 1, axis=1)
    )
    assert np.isnan(found.quaternions[1]).all()


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.txt", "1 2 3\n", "first line of a.txt does not name its columns"),
        ("a.txt", "phi1 Phi\n1 2\n", "columns of a.txt are neither"),
        ("a.txt", "phi1 Phi phi2 qx\n1 2 3 4\n", "columns of a.txt are neither"),
        ("a.txt", "phi1 Phi phi2\n", "a.txt has no orientations"),
        ("a.txt", "phi1 Phi phi2\n1 2 3\n1 two 3\n", "orientation 2 of a.txt is not made of numbers"),
        ("a.txt", "phi1 Phi phi2\n1 2 nan\n", "orientation 1 of a.txt does not have 3 finite numbers"),
        ("a.txt", "qx qy qz qw\n0 0 0 1\n1 1 1 1\n", "quaternion of orientation 2 of a.txt has norm 2"),
        ("a.txt", "phi1 Phi phi2 weight\n1 2 3 -1\n", "weights of a.txt must be positive"),
        ("a.txt", "phi1 Phi phi2 grain\n1 2 3 1\n1 2 3 1\n", "two orientations of one grain"),
        ("a.txt", "phi1 Phi phi2 grain\n1 2 3 1e8\n", "column grain of a.txt has no whole numbers"),
        ("a.yaml", "material: [{constituents: [{O: [2, 0, 0, 0]}]}]", "of a.yaml has norm 2"),
        ("a.yaml", "material: [{constituents: [{O: [.inf, 0, 0, 0]}]}]", "of a.yaml has norm inf"),
        ("a.yaml", "material: 3", "no list 'material'"),
        ("a.yaml", "a: [", "a.yaml is no YAML"),
        (
            "a.yaml",
            "material: [{constituents: [1, 2]}]",
            "material 0 of a.yaml does not have one constituent",
        ),
        ("a.yaml", "a: !!python/object/apply:os.system [ls]", "a.yaml is no YAML"),
    ],
)
def test_bad_lists_are_named(tmp_path, name, text, complaint):
    with pytest.raises(InputError, match=complaint):
        listed(tmp_path / name, text)
