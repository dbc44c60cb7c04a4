"""Published potentials: loaded from their folder alone, and foreign or tampered folders refused in a sentence."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from ase.build import bulk, molecule

from hashigo.calculators.published import CARD, load_potential
from hashigo.calculators.workers.fitting import polymlp_parameters
from hashigo.calculators.workers.polynomial import PolynomialModel, polynomial_text
from hashigo.errors import InputError

MODEL = {
    "cutoff": 4.0, "model_type": 3, "max_power": 2, "invariant_order": 2, "invariant_max_l": [2],
    "radial_functions": 3,
}  # fmt: skip


@pytest.fixture(scope="session")
def texts():
    """Mean and members of a committee for sodium chloride with random coefficients: polymlp.yaml texts."""
    parameters = polymlp_parameters(["Cl", "Na"], MODEL, {"Cl": -1.0, "Na": -2.5})
    generator = np.random.default_rng(0)
    return [polynomial_text(parameters[0], 0.1 * generator.normal(size=134)) for _ in range(5)]


@pytest.fixture
def folder(texts, tmp_path):
    """A folder with the committee's files and the least that a card must say."""
    (tmp_path / "members").mkdir()
    names = ["mean.yaml", *(f"members/{i}.yaml" for i in range(4))]
    for name, text in zip(names, texts, strict=True):
        (tmp_path / name).write_text(text)
    sums = [{"path": n, "sha256": hashlib.sha256((tmp_path / n).read_bytes()).hexdigest()} for n in names]
    card = {
        "format": "hashigo-potential", "schema_version": 1, "kind": "polynomial", "elements": ["Cl", "Na"],
        "model_files": {"mean": names[0], "members": names[1:]}, "files": sums,
    }  # fmt: skip
    (tmp_path / CARD).write_text(json.dumps(card))
    return tmp_path


def rattled():
    """Sodium first: the other order than in the files."""
    atoms = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    atoms.rattle(0.1, seed=3)
    return atoms


def changed(folder, **content):
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **content}))
    return folder


def test_the_calculator_says_what_the_committee_says(folder, texts):
    atoms = rattled()
    atoms.calc = load_potential(folder, committee=True)
    mean, *votes = [PolynomialModel(text).evaluate([atoms])[0] for text in texts]
    close = {"rtol": 1e-10, "atol": 1e-12}
    assert atoms.get_potential_energy() == pytest.approx(mean.energy, rel=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), mean.forces, **close)
    np.testing.assert_allclose(atoms.get_stress(), mean.stress, **close)
    spread = atoms.calc.results
    assert spread["energy_spread"] == pytest.approx(np.std([v.energy for v in votes], ddof=1), rel=1e-9)
    for name, values in (("forces", [v.forces for v in votes]), ("stress", [v.stress for v in votes])):
        np.testing.assert_allclose(spread[f"{name}_spread"], np.std(values, axis=0, ddof=1), **close)


def test_without_committee_there_is_no_spread(folder):
    atoms = rattled()
    atoms.calc = load_potential(folder)
    atoms.get_potential_energy()
    assert "energy_spread" not in atoms.calc.results


def test_stress_is_the_slope_of_the_energy(folder):
    atoms = rattled()
    atoms.calc = load_potential(folder)
    stress, step = atoms.get_stress(), 1e-5
    for index, (i, j) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):
        strain = np.zeros((3, 3))
        strain[i, j] = strain[j, i] = step if i == j else step / 2
        energies = []
        for sign in (1, -1):
            strained = atoms.copy()
            strained.calc = atoms.calc
            strained.set_cell(atoms.cell @ (np.eye(3) + sign * strain), scale_atoms=True)
            energies.append(strained.get_potential_energy())
        slope = (energies[0] - energies[1]) / (2 * step * atoms.get_volume())
        assert stress[index] == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("name", ["../secret.yaml", "/etc/passwd", "members/../../x.yaml", "C:\\x", "..\\x"])
def test_files_outside_the_folder_are_refused(folder, name):
    sums = [{"path": name, "sha256": "0" * 64}]
    with pytest.raises(InputError, match="not inside the folder"):
        load_potential(changed(folder, model_files={"mean": name, "members": []}, files=sums))


def test_a_link_out_of_the_folder_is_refused(folder, tmp_path_factory):
    secret = tmp_path_factory.mktemp("elsewhere") / "mean.yaml"
    secret.write_bytes((folder / "mean.yaml").read_bytes())
    (folder / "mean.yaml").unlink()
    (folder / "mean.yaml").symlink_to(secret)
    with pytest.raises(InputError, match="not inside the folder"):
        load_potential(folder)


def test_a_changed_file_is_refused(folder):
    text = (folder / "members/2.yaml").read_text()
    (folder / "members/2.yaml").write_text(text.replace("cutoff:        4.0", "cutoff:        4.1"))
    load_potential(folder)
    with pytest.raises(InputError, match=r"members/2.yaml' is not what was published"):
        load_potential(folder, committee=True)


def test_a_missing_file_is_named(folder):
    (folder / "mean.yaml").unlink()
    with pytest.raises(InputError, match=r"mean.yaml' is missing"):
        load_potential(folder)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"schema_version": None}, "schema version None"),
        ({"format": "something"}, "does not describe a potential"),
        ({"kind": "oracle"}, "kind 'oracle'"),
        ({"model_files": {"mean": 3, "members": []}}, "incomplete"),
        ({"model_files": "mean.yaml"}, "incomplete"),
        ({"files": [{"path": "mean.yaml"}]}, "incomplete"),
        ({"files": []}, "no checksum of 'mean.yaml'"),
        ({"elements": ["Ge"]}, "names Ge, its files Cl, Na"),
    ],
)
def test_what_a_card_gets_wrong_is_a_sentence(folder, content, match):
    with pytest.raises(InputError, match=match) as error:
        load_potential(changed(folder, **content))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["[1, 2]", "{", "\xff", "null"])
def test_what_is_no_card_is_a_sentence(folder, text):
    (folder / CARD).write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=CARD):
        load_potential(folder)


def test_a_folder_without_card_is_no_potential(tmp_path):
    with pytest.raises(InputError, match=f"holds no {CARD}"):
        load_potential(tmp_path)


def test_a_structure_it_does_not_know_is_a_sentence(folder):
    calculator = load_potential(folder)
    water = molecule("H2O")
    water.calc = calculator
    with pytest.raises(InputError, match="not periodic"):
        water.get_forces()
    germanium = bulk("Ge")
    germanium.calc = calculator
    with pytest.raises(InputError, match="has Ge"):
        germanium.get_forces()


def test_pypolymlps_own_calculator_has_these_forces_and_conventions_of_its_own(folder):
    """What the data card says of it."""
    from pypolymlp.calculator.utils.ase_calculator import PolymlpASECalculator

    ours, theirs = rattled(), rattled()
    ours.calc = load_potential(folder)
    theirs.calc = PolymlpASECalculator(pot=str(folder / "mean.yaml"))
    np.testing.assert_allclose(theirs.get_forces(), ours.get_forces(), rtol=0, atol=1e-12)
    free_atoms = 4 * (-1.0 - 2.5)
    assert theirs.get_potential_energy() + free_atoms == pytest.approx(ours.get_potential_energy(), abs=1e-10)
    virial = theirs.calc.results["stress"]
    stress = -virial[[0, 1, 2, 4, 5, 3]] / theirs.get_volume()
    np.testing.assert_allclose(stress, ours.get_stress(), rtol=0, atol=1e-12)


def test_too_few_members_have_no_spread(folder):
    with pytest.raises(InputError, match="0 members"):
        load_potential(changed(folder, model_files={"mean": "mean.yaml", "members": []}), committee=True)
