"""CP2K: its input, its tables, and a real run."""

from __future__ import annotations

import pytest

from hashigo.calculators.engines import get_engine
from hashigo.errors import InputError, WorkerError

SETTINGS = {"cutoff": "200 Ry", "relative_cutoff": "40 Ry", "kpoint_spacing": 3.0, "scf_threshold": 1e-8}


def test_missing_tables_entries_are_named(monkeypatch, tmp_path):
    (tmp_path / "GTH_POTENTIALS").write_text("Si GTH-PBE-q4 GTH-PBE\n    2 2\n")
    (tmp_path / "BASIS_MOLOPT").write_text("Si DZVP-MOLOPT-SR-GTH\n 1\nO DZVP-MOLOPT-SR-GTH\n")
    monkeypatch.setenv("CP2K_DATA_DIR", str(tmp_path))
    engine = get_engine("cp2k")
    settings = engine.complete({})
    engine.check(settings, ["Si"])
    with pytest.raises(InputError, match="GTH_POTENTIALS has no pseudopotential 'GTH-PBE' for O"):
        engine.check(settings, ["O", "Si"])
    with pytest.raises(InputError, match="BASIS_MOLOPT has no basis set 'TZV' for Si"):
        engine.check({**settings, "basis_sets": {"Si": "TZV"}}, ["Si"])


@pytest.mark.slow
def test_forces_and_stress_are_slopes_of_the_energy(require_program, make_calculator, crystal, slopes):
    require_program("cp2k.psmp", "cp2k and cp2k-data")
    atoms = crystal("Si", 5.43)
    atoms.calc = make_calculator("cp2k", **SETTINGS)
    slopes(atoms, 1e-3, 1e-3)
    assert atoms.calc.version.startswith("20")


@pytest.mark.slow
def test_without_convergence_there_is_no_number(require_program, make_calculator, crystal):
    require_program("cp2k.psmp", "cp2k and cp2k-data")
    atoms = crystal("Si", 5.43)
    atoms.calc = make_calculator("cp2k", **{**SETTINGS, "scf_steps": 2})
    with pytest.raises(WorkerError, match="self-consistency was not reached"):
        atoms.get_potential_energy()
