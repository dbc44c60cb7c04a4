"""Engines inside Python: forces and stress are derivatives of the energy, and none calls itself first-principles."""

from __future__ import annotations

import pytest

from hashigo.calculators.engines import get_engine
from hashigo.calculators.engines.universal import checkpoint_file
from hashigo.errors import InputError


@pytest.mark.parametrize(
    ("name", "symbol", "constant", "options"),
    [
        ("emt", "Al", 4.05, {"cubic": True}),
        ("tersoff", "Si", 5.43, {"cubic": True}),
        ("lennard_jones", "Ar", 5.3, {"cubic": True}),
    ],
)
def test_forces_and_stress_are_slopes_of_the_energy(
    name, symbol, constant, options, crystal, slopes, make_calculator
):
    atoms = crystal(symbol, constant, **options)
    atoms.calc = make_calculator(name, (symbol,))
    slopes(atoms, 1e-3, 1e-4)
    assert not get_engine(name).first_principles


def test_lennard_jones_refuses_two_kinds_and_senseless_numbers():
    engine = get_engine("lennard_jones")
    with pytest.raises(InputError, match="one kind of atom only, not Ar, Ne"):
        engine.check(engine.complete({}), ["Ar", "Ne"])
    with pytest.raises(InputError, match="sigma is 0, and engine 'lennard_jones' needs more than 0"):
        engine.check(engine.complete({"sigma": 0}), ["Ar"])


def test_tblite_slopes_version_and_limits(crystal, slopes, make_calculator, require_module):
    require_module("tblite", "tblite")
    engine = get_engine("tblite")
    atoms = crystal("Si", 5.43, cubic=True)
    atoms.calc = make_calculator("tblite")
    slopes(atoms, 2e-3, 5e-4)
    assert engine.version(atoms.calc).startswith("tblite 0.")
    assert engine.converged(atoms.calc) is True
    assert not engine.first_principles
    with pytest.raises(InputError, match="no parameters of U: they end with radon"):
        engine.check(engine.complete({}), ["O", "U"])
    with pytest.raises(InputError, match="method is 'PM6'"):
        engine.check(engine.complete({"method": "PM6"}), ["O"])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "module"), [("chgnet", "chgnet"), ("sevennet", "sevenn")])
def test_universal_potentials_with_weights_in_their_wheels(
    name, module, crystal, slopes, make_calculator, heavy_module
):
    heavy_module(module)
    atoms = crystal("Si", 5.43, cubic=True)
    atoms.calc = make_calculator(name)
    slopes(atoms, 5e-3, 5e-4)
    assert get_engine(name).version(atoms.calc)
    assert not get_engine(name).first_principles


@pytest.mark.parametrize("name", ["mace", "mattersim", "orb"])
def test_checkpoints_are_local_files_known_by_their_hash(name, tmp_path):
    engine = get_engine(name)
    assert not engine.first_principles
    with pytest.raises(InputError, match="needs the path of a checkpoint file: nothing is downloaded"):
        engine.check(engine.complete({}), ["Si"])
    with pytest.raises(InputError, match=r"checkpoint gone\.pt .* is not there"):
        engine.check(engine.complete({"checkpoint": str(tmp_path / "gone.pt")}), ["Si"])
    file = tmp_path / "weights.pt"
    file.write_bytes(b"weights")
    settings = engine.complete({"checkpoint": str(file)})
    engine.check(settings, ["Si"])
    moved = tmp_path / "elsewhere.pt"
    moved.write_bytes(b"weights")
    # Another place is the same physics, another file is not.
    assert engine.signature(settings) == engine.signature(engine.complete({"checkpoint": str(moved)}))
    moved.write_bytes(b"other weights")
    assert engine.signature(settings) != engine.signature(engine.complete({"checkpoint": str(moved)}))
    with pytest.raises(InputError, match=r"weights\.pt is not the file whose SHA-256 the settings give"):
        engine.check({**settings, "checkpoint_sha256": "0" * 64}, ["Si"])


def test_a_study_keeps_no_path_of_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("HASHIGO_FILES", str(tmp_path / "store"))
    (tmp_path / "weights.pt").write_bytes(b"weights")
    engine = get_engine("mace")
    settings, _ = engine.resolve({"checkpoint": "weights.pt"}, tmp_path, ["Si"])
    complete = engine.complete(settings)
    assert complete["checkpoint"] == "weights.pt"
    # A job runs in another folder, and finds it by its digest.
    assert checkpoint_file("engine 'mace'", complete).read_bytes() == b"weights"
    with pytest.raises(InputError, match=r"weights\.pt is not the file whose SHA-256 the settings give"):
        engine.resolve({"checkpoint": "weights.pt", "checkpoint_sha256": "0" * 64}, tmp_path, ["Si"])
    (tmp_path / "weights.pt").write_bytes(b"other weights")
    with pytest.raises(InputError, match=r"weights\.pt is not the file"):
        checkpoint_file("engine 'mace'", complete)
