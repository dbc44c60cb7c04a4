from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from phono3py import Phono3py
from phono3py.file_IO import write_FORCES_FC3

from hashigo.calculators.workers.lattice.force_constants import phonopy_cell
from hashigo.calculators.workers.lattice.phono3py_files import conductivity_from_phono3py
from hashigo.errors import InputError


@pytest.fixture(scope="module")
def folder(tersoff, diamond, tmp_path_factory):
    """Files of one small supercell, as phono3py's user makes them."""
    path = tmp_path_factory.mktemp("phono3py")
    crystal = Phono3py(
        phonopy_cell(diamond), supercell_matrix=[1, 1, 1], primitive_matrix="auto", log_level=0
    )
    crystal.generate_displacements(distance=0.03)
    cells = [
        Atoms(c.symbols, cell=c.cell, positions=c.positions, pbc=True)
        for c in crystal.supercells_with_displacements
    ]
    crystal.forces = np.array([evaluation.forces for evaluation in tersoff.evaluate(cells)])
    crystal.save(path / "phono3py_disp.yaml", settings={"force_sets": False})
    write_FORCES_FC3(crystal.dataset, crystal.forces, filename=str(path / "FORCES_FC3"))
    crystal.produce_fc3()
    crystal.produce_fc2()
    crystal.symmetrize_fc3()
    crystal.symmetrize_fc2()
    crystal.mesh_numbers = [5, 5, 5]
    crystal.init_phph_interaction()
    crystal.run_thermal_conductivity(temperatures=[300.0])
    return path, float(crystal.thermal_conductivity.kappa[0, 0, :3].mean())


def test_files_give_what_phono3py_gives(folder):
    path, expected = folder
    # phono3py.load makes the force constants symmetric in a way of its own.
    assert conductivity_from_phono3py(path, 5, 300.0) == pytest.approx(expected, rel=5e-3)


def test_missing_and_broken_files_are_named(folder, tmp_path):
    with pytest.raises(InputError, match=r"has no file phono3py_disp\.yaml"):
        conductivity_from_phono3py(tmp_path, 5, 300.0)
    (tmp_path / "phono3py_disp.yaml").write_bytes((folder[0] / "phono3py_disp.yaml").read_bytes())
    with pytest.raises(InputError, match="has no file FORCES_FC3"):
        conductivity_from_phono3py(tmp_path, 5, 300.0)
    (tmp_path / "FORCES_FC3").write_text("0.1 0.2 0.3\n")
    with pytest.raises(InputError, match="cannot be read"):
        conductivity_from_phono3py(tmp_path, 5, 300.0)
