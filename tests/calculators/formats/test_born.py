"""Born charges from files of their own."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from ase.build import bulk, make_supercell

from hashigo.calculators.formats.born import read_born, with_charges
from hashigo.errors import InputError
from hashigo.study.structures import structure_content

BORN = """14.399652
3.1 0 0 0 3.1 0 0 0 3.1
1.95 0 0 0 1.95 0 0 0 1.95
-1.93 0 0 0 -1.93 0 0 0 -1.93
"""


@pytest.fixture(scope="module")
def oxide():
    return bulk("MgO", "rocksalt", 4.21, cubic=True)


def written(folder, text, name="BORN"):
    (folder / name).write_text(text)
    return folder / name


def test_phonopys_born_is_spread_over_the_cell_of_the_structure(tmp_path, oxide):
    found = read_born(written(tmp_path, BORN), oxide)
    charges = np.array(found["born_charges"])
    assert charges.shape == (8, 3, 3)
    # The sum rule is applied where they are used.
    assert np.trace(charges, axis1=1, axis2=2) / 3 == pytest.approx(
        np.where(oxide.numbers == 12, 1.95, -1.93)
    )
    assert np.diag(found["dielectric"]) == pytest.approx([3.1] * 3)
    assert found["origin"] == "BORN"


def test_charges_follow_the_axes_of_the_frames(tmp_path):
    """A tetragonal crystal whose structure file has its unique axis along x, and whose frames have it along z."""
    given = bulk("MgO", "rocksalt", 4.21, cubic=True)
    given.set_cell([4.4, 4.21, 4.21], scale_atoms=True)
    text = "14.4\n3.5 0 0 0 3.1 0 0 0 3.1\n2.1 0 0 0 1.9 0 0 0 1.9\n-2.1 0 0 0 -1.9 0 0 0 -1.9\n"
    charges = read_born(written(tmp_path, text), given)
    from hashigo.study.structures import standardise

    standard = standardise(given)
    header = with_charges({"structure": structure_content(standard)}, charges)
    assert len(header["polar"]["born_charges"]) == len(standard)
    assert np.abs(np.diag(header["polar"]["born_charges"][0])) == pytest.approx([1.9, 1.9, 2.1])
    assert np.diag(header["polar"]["dielectric"]) == pytest.approx([3.1, 3.1, 3.5])


def test_plain_yaml_has_a_tensor_for_each_atom(tmp_path, oxide):
    signs = np.where(oxide.numbers == 12, 1.0, -1.0)
    content = {
        "born_charges": (1.94 * signs[:, None, None] * np.eye(3)).tolist(),
        "dielectric": (3.1 * np.eye(3)).tolist(),
    }
    found = read_born(written(tmp_path, yaml.safe_dump(content), "born.yaml"), oxide)
    assert np.array(found["born_charges"]) == pytest.approx(np.array(content["born_charges"]))
    content["born_charges"].pop()
    with pytest.raises(InputError, match=r"born\.yaml holds 7 Born tensors, and the structure has 8 atoms"):
        read_born(written(tmp_path, yaml.safe_dump(content), "born.yaml"), oxide)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "\n".join(BORN.splitlines()[:3]),
            r"BORN holds one Born tensor, and the crystal has 2 atoms .*Mg, O",
        ),
        (BORN + "1 0 0 0 1 0 0 0 1\n", r"BORN holds 3 Born tensors, and the crystal has 2 atoms"),
        (BORN.replace("1.95 0 0 0 1.95", "1.95 0 0 1.95"), "below its first line each has nine numbers"),
        ("", "below its first line each has nine numbers"),
        (BORN.replace("3.1", "x"), r"BORN cannot be read as phonopy's BORN"),
        (BORN.replace("3.1", "-3.1"), "not positive"),
    ],
)
def test_a_file_of_the_wrong_shape_is_named_with_what_to_do(tmp_path, oxide, text, message):
    with pytest.raises(InputError, match=message) as found:
        read_born(written(tmp_path, text), oxide)
    assert found.value.fix


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("born_charges: [[1, 2], [3]]\n", "'born_charges' in b.yaml is no list of 3x3 tensors"),
        ("born_charges: [\n", "b.yaml is no YAML"),
        ("a: 1\n", "b.yaml"),
    ],
)
def test_yaml_of_the_wrong_shape_is_named(tmp_path, oxide, text, message):
    with pytest.raises(InputError, match=message):
        read_born(written(tmp_path, text, "b.yaml"), oxide)


def test_charges_of_another_crystal_are_refused(tmp_path, oxide):
    charges = read_born(written(tmp_path, BORN), oxide)
    other = make_supercell(bulk("MgO", "wurtzite", 3.2, 5.2), np.eye(3))
    with pytest.raises(InputError, match="another crystal"):
        with_charges({"structure": structure_content(other)}, charges)


def test_frames_without_a_structure_take_that_of_the_charges(tmp_path, oxide):
    charges = read_born(written(tmp_path, BORN), oxide)
    header = with_charges({}, charges)
    assert header["structure"]["symbols"] == oxide.get_chemical_symbols()
    assert set(header["polar"]) == {"born_charges", "dielectric", "origin"}
