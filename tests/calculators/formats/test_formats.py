"""Frames go to every format and come back; what is wrong with a file is one sentence."""

from __future__ import annotations

import lzma
import sqlite3
import subprocess
from contextlib import closing

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.units import Bohr, Rydberg

from hashigo.calculators.engines.quantum_espresso import find_pseudopotential
from hashigo.calculators.formats import find_format, read_source
from hashigo.calculators.formats.unit_cell import with_unit_cell
from hashigo.calculators.frames import Frame
from hashigo.errors import InputError
from hashigo.study.structures import read_structure_file, structure_content, structure_from_content


def emt_frame(cell: Atoms, seed: int, **changes) -> Frame:
    atoms = cell.copy()
    atoms.positions += np.random.default_rng(seed).normal(size=(len(cell), 3)) * 0.02
    atoms.calc = EMT()
    values = {
        "cell": atoms.cell.array, "positions": atoms.positions, "symbols": tuple(atoms.get_chemical_symbols()),
        "energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress(),
        "origin": "EMT",
    }  # fmt: skip
    return Frame(**{**values, **changes})


@pytest.fixture(scope="module")
def unit():
    return bulk("Al", cubic=True)


@pytest.fixture(scope="module")
def header(unit):
    return {"structure": structure_content(unit), "engine": "emt", "first_principles": False}


@pytest.fixture(scope="module")
def displaced(unit):
    """Supercells of two sizes in phonopy's order of atoms."""
    from phonopy.structure.atoms import PhonopyAtoms
    from phonopy.structure.cells import get_supercell

    def make(n):
        cell = get_supercell(
            PhonopyAtoms(symbols=unit.get_chemical_symbols(), cell=unit.cell.array, positions=unit.positions),
            np.eye(3, dtype=int) * n,
        )
        return Atoms(cell.symbols, cell=cell.cell, positions=cell.positions, pbc=True)

    return [emt_frame(make(2), seed) for seed in range(4)] + [emt_frame(make(3), 9)]


def compare(frames, back, precision, stress=True):
    assert len(frames) == len(back)
    for one, two in zip(frames, back, strict=True):
        np.testing.assert_allclose(two.cell, one.cell, atol=precision)
        np.testing.assert_allclose(two.positions, one.positions, atol=precision)
        np.testing.assert_allclose(two.forces, one.forces, atol=precision)
        assert two.symbols == one.symbols
        assert two.kind == one.kind
        if stress:
            np.testing.assert_allclose(two.stress, one.stress, atol=precision)


@pytest.mark.parametrize(("name", "precision"), [("f.h5", 0), ("f.xyz", 2e-8), ("f.db", 1e-14)])
def test_formats_of_single_frames_keep_all_of_a_frame(tmp_path, displaced, header, name, precision):
    extra = {"magnetic_moments": np.full(32, 0.5), "charges": np.linspace(-1, 1, 32), "weight": 2.5}
    frames = [
        emt_frame(bulk("Al", cubic=True).repeat(2), 1, **extra),
        emt_frame(bulk("Al", "fcc", a=4.1), 2, kind="strained", forces=None, stress=None),
        Frame(np.eye(3) * 15, np.zeros((1, 3)), ("Al",), energy=1.5, forces=np.zeros((1, 3)), kind="atom"),
    ]
    lost = find_format(tmp_path / name).write(tmp_path / name, iter(frames), header)
    source = read_source(tmp_path / name)
    back = list(source.frames)
    assert source.labelled
    assert (source.header == header) == (lost == [])
    assert [f.kind for f in back] == [f.kind for f in frames]
    assert [f.weight for f in back] == [2.5, 1.0, 1.0]
    assert [f.energy for f in back] == pytest.approx([f.energy for f in frames], abs=1e-8)
    compare(frames[:1], back[:1], precision)
    np.testing.assert_allclose(back[0].charges, extra["charges"], atol=precision)
    np.testing.assert_allclose(back[0].magnetic_moments, extra["magnetic_moments"], atol=precision)
    assert back[1].forces is None
    assert back[1].stress is None
    assert back[0].origin == "EMT"
    assert [item.name for item in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "precision", "sizes"),
    [
        ("phonopy_params.yaml", 1e-13, 1),
        ("phonopy_params.yaml.xz", 1e-13, 1),
        ("phono3py_params.yaml.gz", 1e-13, 2),
        ("FORCE_SETS", 1e-8, 1),
        ("FORCE_SETS.xz", 1e-8, 1),
        ("FORCES_FC3", 1e-8, 1),
        ("FORCES_FC2.bz2", 1e-8, 1),
    ],
)
def test_phonopys_files_keep_displacements_forces_and_cell(
    tmp_path, displaced, header, name, precision, sizes
):
    polar = {
        "born_charges": [(np.eye(3) * 0.1).tolist()] * 4,
        "dielectric": (np.eye(3) * 2).tolist(),
        "origin": name,
    }
    frames = displaced if sizes == 2 else displaced[:4]
    path = tmp_path / name
    lost = find_format(path).write(path, iter(frames), {**header, "polar": polar})
    assert any("stress" in sentence for sentence in lost)
    source = read_source(path)
    compare(frames, list(source.frames), precision, stress=False)
    assert source.header["structure"]["cell"] == pytest.approx(np.array(header["structure"]["cell"]))
    if "params" in name:
        assert source.header["polar"]["born_charges"] == pytest.approx(np.array(polar["born_charges"]))
        assert [f.energy for f in read_source(path).frames] == pytest.approx([f.energy for f in frames])
        assert len(read_structure_file(path)) == 4
    again = tmp_path / "again"
    again.mkdir()
    find_format(again / name).write(again / name, read_source(path).frames, source.header)
    compare(list(read_source(path).frames), list(read_source(again / name).frames), precision, stress=False)


def phono3py_of(unit, phonon=False):
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(symbols=unit.get_chemical_symbols(), cell=unit.cell.array, positions=unit.positions)
    lattice = Phono3py(
        cell, supercell_matrix=[2, 2, 2], phonon_supercell_matrix=[3, 3, 3] if phonon else None,
        primitive_matrix="F", log_level=0,
    )  # fmt: skip
    lattice.generate_displacements(distance=0.03, cutoff_pair_distance=3.0)
    return lattice


def forces_of(cells):
    out = []
    for cell in cells:
        if cell is None:
            out.append(None)
            continue
        atoms = Atoms(cell.symbols, cell=cell.cell, positions=cell.positions, pbc=True)
        atoms.calc = EMT()
        out.append(atoms.get_forces())
    return out


def test_pairs_of_displacements_and_harmonic_supercells_of_phono3py(tmp_path, unit):
    from phono3py.file_IO import write_FORCES_FC2, write_FORCES_FC3

    lattice = phono3py_of(unit, phonon=True)
    cells = lattice.supercells_with_displacements
    forces = forces_of(cells)
    harmonic = forces_of(lattice.phonon_supercells_with_displacements)
    lattice.save(tmp_path / "phono3py_disp.yaml", settings={"force_sets": False})
    computed = [f for f in forces if f is not None]
    assert len(computed) < len(forces)  # pairs beyond the cut-off are not computed
    write_FORCES_FC3(lattice.dataset, computed, filename=tmp_path / "FORCES_FC3")
    write_FORCES_FC2(lattice.phonon_dataset, harmonic, filename=tmp_path / "FORCES_FC2")

    found = list(read_source(tmp_path / "FORCES_FC3").frames)
    expected = [(c, f) for c, f in zip(cells, forces, strict=True) if c is not None]
    moved = [(c, f) for c, f in expected if np.abs(c.positions - lattice.supercell.positions).max() > 1e-8]
    assert [len(f.symbols) for f in found] == [32] * len(moved) + [108] * len(harmonic)
    for frame, (cell, force) in zip(found, moved, strict=False):
        np.testing.assert_allclose(frame.positions, cell.positions, atol=1e-10)
        np.testing.assert_allclose(frame.forces, force, atol=1e-9)
    np.testing.assert_allclose(found[-1].forces, harmonic[-1], atol=1e-9)
    assert len(list(read_source(tmp_path / "FORCES_FC2").frames)) == len(harmonic)


def test_units_follow_the_calculator_that_the_file_names(tmp_path, unit):
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(
        symbols=["Al"] * 4, cell=unit.cell.array / Bohr, scaled_positions=unit.get_scaled_positions()
    )
    lattice = Phonopy(
        cell, supercell_matrix=[2, 2, 2], primitive_matrix="F", calculator="qe", log_level=0
    )  # fmt: skip
    lattice.generate_displacements(distance=0.02)
    moved = lattice.supercells_with_displacements[0]
    atoms = Atoms(moved.symbols, cell=moved.cell * Bohr, scaled_positions=moved.scaled_positions, pbc=True)
    atoms.calc = EMT()
    lattice.forces = [atoms.get_forces() / (Rydberg / Bohr)]
    lattice.save(tmp_path / "phonopy_params.yaml", settings={"force_sets": True})
    source = read_source(tmp_path / "phonopy_params.yaml")
    (frame,) = source.frames
    assert source.header["engine"] == "qe"
    assert source.header["first_principles"] is True
    np.testing.assert_allclose(
        structure_from_content(source.header["structure"]).cell.array, unit.cell.array, atol=1e-6
    )
    np.testing.assert_allclose(frame.positions, atoms.positions, atol=1e-6)
    np.testing.assert_allclose(frame.forces, atoms.get_forces(), atol=1e-6)


def make_force_sets(folder, displaced, header):
    folder.mkdir(exist_ok=True)
    find_format(folder / "FORCE_SETS").write(folder / "FORCE_SETS", iter(displaced[:4]), header)
    return folder / "FORCE_SETS"


def test_bad_files_are_one_sentence(tmp_path, displaced, header):
    path = make_force_sets(tmp_path / "a", displaced, header)
    text = path.read_text().splitlines()

    def said(path):
        with pytest.raises(InputError) as error:
            list(read_source(path).frames)
        return error.value.message

    path.write_text("\n".join(text[:-3]))
    assert "has 125 lines, no multiple of the 32 atoms" in said(path)
    path.write_text("\n".join(["nan nan nan nan x nan", *text]))
    assert "line 1 of FORCE_SETS is no line of forces" in said(path)
    path.write_text("32\nnan\n")
    assert "does not begin with numbers of atoms and displacements" in said(path)
    (path.parent / "phonopy_disp.yaml").unlink()
    path.write_text("\n".join(text))
    assert "no phonopy_disp.yaml or phonopy.yaml or phonopy_params.yaml lies beside it" in said(path)

    packed = tmp_path / "phonopy_params.yaml.xz"
    find_format(packed).write(packed, iter(displaced[:4]), header)
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    assert said(packed) == "phonopy_params.yaml.xz is truncated or damaged"
    text = lzma.decompress(whole).decode()
    packed.with_suffix("").write_text(text.replace("phonopy:", "phonopy:\n  calculator: abacab", 1))
    assert "calculator 'abacab', whose units phonopy does not know" in said(packed.with_suffix(""))
    packed.with_suffix("").write_text("a: !!python/object/apply:os.system ['touch /tmp/never']")
    assert "is not YAML at line 1" in said(packed.with_suffix(""))
    packed.with_suffix("").write_text("unit: 1")
    assert "is YAML but not of phonopy or phono3py" in said(packed.with_suffix(""))
    (tmp_path / "x.xyz").write_text('2\nLattice="1 0 0 0 1 0 0 0 1"\nAl 0 0 0\n')
    assert "frame 0 of x.xyz cannot be read: the file ends within it" in said(tmp_path / "x.xyz")
    (tmp_path / "x.db").write_text("hello")
    assert "is no SQLite database" in said(tmp_path / "x.db")
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as database:
        database.execute("CREATE TABLE own (id INTEGER)")
    before = foreign.read_bytes()
    assert "cannot be read as an ASE database: no such table: systems" in said(foreign)
    assert foreign.read_bytes() == before
    (tmp_path / "y.xyz").write_text('1\nLattice="9 0 0 0 9 0 0 0 9" energy=low\nAl 0 0 0\n')
    assert "frame 0 of y.xyz cannot be read: could not convert string to float: 'low'" in said(
        tmp_path / "y.xyz"
    )
    (tmp_path / "vasprun.xml").write_text("<modeling><calculation></modeling>")
    assert "vasprun.xml is cut or damaged" in said(tmp_path / "vasprun.xml")


def test_displacements_of_another_calculation_are_refused(tmp_path, unit):
    from phono3py.file_IO import write_FORCES_FC3

    lattice = phono3py_of(unit)
    computed = [f for f in forces_of(lattice.supercells_with_displacements) if f is not None]
    write_FORCES_FC3(lattice.dataset, computed, filename=tmp_path / "FORCES_FC3")
    lattice.generate_displacements(distance=0.05, cutoff_pair_distance=3.0)
    lattice.save(tmp_path / "phono3py_disp.yaml", settings={"force_sets": False})
    with pytest.raises(InputError, match="they are of different calculations"):
        read_source(tmp_path / "FORCES_FC3")


VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <kpoints><varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1</v></varray></kpoints>
 <parameters><separator name="electronic"><i name="NELM">{nelm}</i><i name="EDIFF">0.1</i></separator></parameters>
 <atominfo><array name="atoms"><set><rc><c>Si</c><c>1</c></rc><rc><c>Si</c><c>1</c></rc></set></array></atominfo>
 <structure name="initialpos">
  <crystal><varray name="basis"><v>0 2.7 2.7</v><v>2.7 0 2.7</v><v>2.7 2.7 0</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v><v>0.25 0.25 0.26</v></varray>
 </structure>
 <calculation>
  <scstep><energy><i name="e_fr_energy">{before}</i><i name="e_0_energy">-9.8</i></energy></scstep>
  <scstep><energy><i name="e_fr_energy">-10.5</i><i name="e_0_energy">-10.4</i></energy></scstep>
  <structure>
   <crystal><varray name="basis"><v>0 2.7 2.7</v><v>2.7 0 2.7</v><v>2.7 2.7 0</v></varray></crystal>
   <varray name="positions"><v>0 0 0</v><v>0.25 0.25 0.26</v></varray>
  </structure>
  <varray name="forces"><v>0.1 0.2 0.3</v><v>-0.1 -0.2 -0.3</v></varray>
  <varray name="stress"><v>10 1 2</v><v>1 20 3</v><v>2 3 30</v></varray>
  <energy><i name="e_fr_energy">-10.5</i><i name="e_0_energy">0</i></energy>
 </calculation>
</modeling>
"""


def test_vasprun_as_ase_reads_it(tmp_path):
    from ase.io import read

    path = tmp_path / "vasprun.xml"
    path.write_text(VASPRUN.format(nelm=60, before=-10.0))
    (frame,) = read_source(path).frames
    atoms = read(path)
    assert frame.energy == pytest.approx(atoms.get_potential_energy(force_consistent=True))
    np.testing.assert_allclose(frame.forces, atoms.get_forces())
    np.testing.assert_allclose(frame.stress, atoms.get_stress())
    np.testing.assert_allclose(frame.positions, atoms.positions)
    path.write_text(VASPRUN.format(nelm=2, before=-10.0))
    with pytest.raises(InputError, match="ended after NELM = 2 steps, not converged"):
        list(read_source(path).frames)
    path.write_text(VASPRUN.format(nelm=2, before=-10.45))  # by less than EDIFF, at the last step allowed
    assert len(list(read_source(path).frames)) == 1


def test_frames_that_do_not_name_their_unit_cell_get_it(tmp_path, unit, displaced, header):
    shifted = [
        Frame(f.cell, f.positions + np.array([0.7, 0.3, 0.1]), f.symbols, f.energy, f.forces)
        for f in displaced[:4]
    ]
    strained = emt_frame(bulk("Al", cubic=True, a=4.1), 3)
    path = tmp_path / "f.xyz"
    find_format(path).write(path, iter([*shifted, strained]), {})
    path.write_text(
        path.read_text().replace("hashigo_kind=displaced ", "").replace("hashigo_kind=displaced", "")
    )
    source = with_unit_cell(lambda: read_source(path), [bulk("Al", cubic=True, a=4.0), unit])
    found = structure_from_content(source.header["structure"])
    np.testing.assert_allclose(found.cell.array, unit.cell.array, atol=1e-6)
    assert [f.kind for f in source.frames] == ["displaced"] * 4 + ["strained"]
    steps = (shifted[0].positions[:, None] - found.positions[None]) @ np.linalg.inv(found.cell.array)
    assert np.linalg.norm((steps - np.rint(steps)) @ found.cell.array, axis=-1).min(axis=1).max() < 0.15


def test_quantum_espressos_text_and_xml_agree(tmp_path, require_program):
    require_program("pw.x", "quantum-espresso")
    pseudo = find_pseudopotential("Si", {"Si": "Si.pz-vbc.UPF"}).parent
    (tmp_path / "in").write_text(
        f"""&control
calculation='scf', pseudo_dir='{pseudo}', outdir='{tmp_path}', tprnfor=.true., tstress=.true.
/
&system
ibrav=0, nat=2, ntyp=1, ecutwfc=12
/
&electrons
/
ATOMIC_SPECIES
Si 28.08 Si.pz-vbc.UPF
CELL_PARAMETERS angstrom
0 2.7 2.75
2.7 0 2.7
2.7 2.7 0
ATOMIC_POSITIONS crystal
Si 0 0 0
Si 0.25 0.25 0.27
K_POINTS automatic
2 2 2 0 0 0
"""
    )
    done = subprocess.run(["pw.x", "-in", "in"], cwd=tmp_path, capture_output=True, text=True)
    (tmp_path / "pw.out").write_text(done.stdout)
    (text,) = read_source(tmp_path / "pw.out").frames
    (xml,) = read_source(tmp_path / "pwscf.save" / "data-file-schema.xml").frames
    assert text.energy == pytest.approx(xml.energy, rel=1e-6)
    np.testing.assert_allclose(text.positions, xml.positions, atol=1e-5)
    np.testing.assert_allclose(text.forces, xml.forces, atol=1e-5)
    np.testing.assert_allclose(text.stress, xml.stress, atol=1e-6)
    assert np.abs(xml.stress).max() > 0.01
    (tmp_path / "pw.out").write_text(done.stdout + "\n convergence NOT achieved after 1 iterations")
    with pytest.raises(InputError, match="did not converge"):
        list(read_source(tmp_path / "pw.out").frames)
