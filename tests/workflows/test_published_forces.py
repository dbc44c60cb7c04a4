"""Studies that start from the files in which published forces come."""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from phono3py import Phono3py
from phono3py.file_IO import write_FORCES_FC2, write_FORCES_FC3
from phonopy.structure.atoms import PhonopyAtoms

from hashigo.calculators.engines import get_engine
from hashigo.calculators.frames import iter_frames, read_header
from hashigo.study import load_study
from hashigo.workflows.inputs import prepare

SMALL = """\
structure: {structure}
reference: {reference}
until: {until}
potential: {{members: 2, cutoff: 4, radial_functions: 3, max_power: 1, invariant_max_l: [2, 2], max_force_error: 10}}
"""


def forces_on(cells):
    out = []
    for cell in cells:
        atoms = Atoms(cell.symbols, cell=cell.cell, positions=cell.positions, pbc=True)
        atoms.calc = get_engine("tersoff").calculator({}, None)
        out.append(atoms.get_forces())
    return np.array(out)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Silicon as phono3py writes it: anharmonic supercells of 8 atoms, harmonic ones of 64."""
    folder = tmp_path_factory.mktemp("published")
    unit = bulk("Si", "diamond", 5.432, cubic=True)
    crystal = Phono3py(
        PhonopyAtoms(symbols=unit.get_chemical_symbols(), cell=unit.cell.array, positions=unit.positions),
        supercell_matrix=[1, 1, 1], phonon_supercell_matrix=[2, 2, 2], primitive_matrix="F", log_level=0,
    )  # fmt: skip
    crystal.generate_displacements(distance=0.03, number_of_snapshots=8, random_seed=1)
    crystal.generate_fc2_displacements(distance=0.03, number_of_snapshots=2, random_seed=2)
    crystal.save(folder / "phono3py_disp.yaml", settings={"force_sets": False})
    crystal.forces = forces_on(crystal.supercells_with_displacements)
    crystal.phonon_forces = forces_on(crystal.phonon_supercells_with_displacements)
    crystal.save(folder / "all.yaml", settings={"force_sets": True})
    with lzma.open(folder / "phono3py_params.yaml.xz", "wb") as file:
        file.write((folder / "all.yaml").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # phono3py takes no other name of displacements of all atoms
        write_FORCES_FC3(crystal.dataset, crystal.forces)
        write_FORCES_FC2(crystal.phonon_dataset, crystal.phonon_forces)
    frames = []
    for cell in crystal.supercells_with_displacements:
        frames.append(Atoms(cell.symbols, cell=cell.cell, positions=cell.positions, pbc=True))
        frames[-1].calc = get_engine("tersoff").calculator({}, None)
        frames[-1].get_forces()
    write(folder / "frames.xyz", frames)
    unit.write(folder / "silicon.cif")
    bulk("Si", "diamond", 5.432).write(folder / "primitive.vasp", format="vasp")
    # Another origin, other axes, and a lattice constant measured rather than computed.
    turned = bulk("Si", "diamond", 5.43)
    turned.rotate(30, (1, 2, 3), rotate_cell=True)
    turned.positions += [0.3, 0.1, 0.2]
    turned.write(folder / "turned.cif")
    return folder


@pytest.fixture
def place(published, tmp_path):
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)

    def make(structure="silicon.cif", reference="phono3py_params.yaml.xz", until="potential"):
        (tmp_path / "study.yaml").write_text(
            SMALL.format(structure=structure, reference=reference, until=until)
        )
        return tmp_path / "study.yaml"

    return make, tmp_path


@pytest.mark.parametrize("structure", ["silicon.cif", "primitive.vasp", "turned.cif", "phono3py_disp.yaml"])
@pytest.mark.parametrize(
    ("reference", "sizes"),
    [
        ("phono3py_params.yaml.xz", [8] * 8 + [64] * 2),
        ("FORCES_FC3", [8] * 8 + [64] * 2),
        ("FORCES_FC2", [64] * 2),
        ("frames.xyz", [8] * 8),
    ],
)
def test_the_same_crystal_in_any_setting_takes_them(place, structure, reference, sizes):
    make, _ = place
    prepared = prepare(load_study(make(structure, reference, until="reference")))
    assert [len(frame.symbols) for frame in iter_frames(prepared.frames)] == sizes
    cell = np.array(read_header(prepared.frames)["structure"]["cell"])
    assert abs(np.linalg.det(cell)) / len(read_header(prepared.frames)["structure"]["symbols"]) == (
        pytest.approx(5.432**3 / 8, rel=1e-4)
    )


def test_a_run_takes_both_supercells_and_the_second_is_cached(workplace, published):
    shutil.copytree(published, workplace.folder, dirs_exist_ok=True)
    texts = []
    for structure in ("phono3py_params.yaml.xz", "primitive.vasp"):
        (workplace.folder / "study.yaml").write_text(
            SMALL.format(structure=structure, reference="phono3py_params.yaml.xz", until="potential")
        )
        done = workplace.run("run", "study.yaml")
        assert done.returncode == 0, done.stdout + done.stderr
        texts.append(done.stdout)
    potential = [next(line for line in text.splitlines() if "Potential: done" in line) for text in texts]
    assert "from the cache" not in potential[0]
    assert "from the cache" in potential[1]


def write_other_displacements(folder):
    """Displacement file of pairs, and the forces of an earlier one with another distance."""
    unit = bulk("Si", "diamond", 5.432, cubic=True)
    crystal = Phono3py(
        PhonopyAtoms(symbols=unit.get_chemical_symbols(), cell=unit.cell.array, positions=unit.positions),
        supercell_matrix=[1, 1, 1],
        primitive_matrix="F",
        log_level=0,
    )
    crystal.generate_displacements(distance=0.03)
    count = len(crystal.supercells_with_displacements)
    write_FORCES_FC3(crystal.dataset, np.zeros((count, 8, 3)), filename=folder / "FORCES_FC3")
    crystal.generate_displacements(distance=0.05)
    crystal.save(folder / "phono3py_disp.yaml", settings={"force_sets": False})


def broken(text, name):
    lines = text.splitlines()
    number = next(i for i, line in enumerate(lines) if line.strip() and not line.startswith("#"))
    if name == "nan":
        words = lines[number].split()
        lines[number] = " ".join([*words[:-1], "nan"])
    else:
        del lines[number]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("nan", "forces of frame 0 of FORCES_FC3 is not finite"),
        ("cut", "FORCES_FC3 has 63 lines, no multiple of the 8 atoms"),
        ("other", "they are of different calculations"),
    ],
)
def test_damaged_forces_are_a_sentence_and_exit_code_2(place, damage, message):
    make, folder = place
    study = make(reference="FORCES_FC3")
    forces = folder / "FORCES_FC3"
    if damage == "other":
        write_other_displacements(folder)
    else:
        forces.write_text(broken(forces.read_text(), damage))
    done = subprocess.run(
        [sys.executable, "-m", "hashigo", "run", str(study)],
        env={**os.environ, "AIIDA_PATH": str(folder / "aiida")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "aiida").exists()
