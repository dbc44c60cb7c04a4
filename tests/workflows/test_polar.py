"""Born charges: what ph.x prints, the way back to the conventional cell, and a real run of magnesium oxide."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import yaml
from aiida import orm
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from ase.build import bulk
from phonopy.cui.phonopy_qe_born_script import parse_ph_out

from hashigo.calculators.engines import get_engine
from hashigo.calculators.engines.espresso_polar import read_response, wants_polar
from hashigo.errors import HashigoError, InputError, MissingComponent, WorkerError
from hashigo.scheduler_profiles import model
from hashigo.study import Study, load_study
from hashigo.workflows import inputs
from hashigo.workflows import reference as stage
from hashigo.workflows.frame_nodes import frames_node
from hashigo.workflows.polar import atoms_in_primitive
from hashigo.workflows.reference import ReferenceWorkChain

#: As QE 6.7 prints them; made lopsided, so that a transposed tensor is another one.
PRINTED = """\
     Program PHONON v.6.7MaX starts on 24Nov2026 at  9:15: 0

          Dielectric constant in cartesian axis

          (       3.094134043       0.100000000       0.000000000 )
          (       0.100000000       2.094134043       0.000000000 )
          (       0.000000000      -0.000000000       1.094134043 )

          Effective charges (d Force / dE) in cartesian axis

           atom      1   Mg
      Ex  (        1.92957        0.20000       -0.30000 )
      Ey  (        0.40000        1.82957       -0.00000 )
      Ez  (       -0.00000       -0.50000        1.72957 )
           atom      2   O
      Ex  (       -1.90206        0.00000       -0.00000 )
      Ey  (       -0.00000       -1.90206       -0.00000 )
      Ez  (       -0.00000       -0.00000       -1.90206 )

     PHONON       :      0.66s CPU      1.57s WALL
"""

WITHOUT = "without acoustic sum rule applied (asr)"


def test_printed_tensors_are_read_as_phonopy_reads_them(tmp_path):
    charges, dielectric, version = read_response(PRINTED, 2)
    assert version == "6.7MaX"
    assert charges[0].tolist() == [[1.92957, 0.2, -0.3], [0.4, 1.82957, 0], [0, -0.5, 1.72957]]
    assert charges[1].tolist() == (np.eye(3) * -1.90206).tolist()
    assert dielectric[0].tolist() == [3.094134043, 0.1, 0]
    path = tmp_path / "ph.out"
    # Later versions end the heading so, and phonopy looks for that.
    path.write_text(
        PRINTED.replace("cartesian axis\n\n           atom", f"cartesian axis {WITHOUT}\n\n           atom")
    )
    theirs = parse_ph_out(path, 2)
    np.testing.assert_array_equal(charges, theirs[1])
    np.testing.assert_array_equal(dielectric, theirs[0])


def test_charges_that_the_program_corrected_itself_are_left_alone():
    heading = "Effective charges (d Force / dE) in cartesian axis"
    block = PRINTED.split(heading)[1]
    newer = PRINTED.replace(heading, f"{heading} {WITHOUT}")
    newer += f"\n          {heading} with asr applied: {block.replace('1.92957', '9.99999')}"
    np.testing.assert_array_equal(read_response(newer, 2)[0], read_response(PRINTED, 2)[0])


def test_missing_charges_are_a_sentence():
    with pytest.raises(WorkerError, match="Born charges of 2 atoms for 3"):
        read_response(PRINTED, 3)
    with pytest.raises(WorkerError, match="no dielectric tensor"):
        read_response("Program PHONON v.6.7MaX starts", 2)


def test_atoms_find_their_images():
    primitive = bulk("MgO", "rocksalt", 4.2)
    cell = bulk("MgO", "rocksalt", 4.2, cubic=True)
    found = atoms_in_primitive(cell, primitive)
    assert (primitive.numbers[found] == cell.numbers).all()
    cell.positions[3] += 0.1
    with pytest.raises(HashigoError, match="no primitive cell"):
        atoms_in_primitive(cell, primitive)


def test_which_crystals_get_charges():
    def wanted(elements, engine="quantum_espresso", **changes):
        settings = {"smearing": changes.pop("smearing", 0.0)}
        return wants_polar({"engine": engine, "settings": settings, **changes}, set(elements))

    assert wanted(["Mg", "O"])
    assert not wanted(["Si"])
    assert wanted(["Si"], polar=True)
    assert not wanted(["Mg", "O"], polar=False)
    assert not wanted(["Mg", "O"], smearing=0.01)
    assert not wanted(["Mg", "O"], engine="tersoff")
    with pytest.raises(InputError, match="smearing makes the crystal a metal"):
        wanted(["Mg", "O"], smearing=0.01, polar=True)


def test_the_study_asks_for_them_in_three_ways():
    def read(polar, engine="quantum_espresso"):
        reference = yaml.safe_load(f"{{engine: {engine}, polar: {polar}}}")
        return Study(structure="MgO.cif", reference=reference).reference.polar

    assert [read("auto"), read("true"), read("false")] == ["auto", True, False]
    with pytest.raises(ValueError, match="needs engine quantum_espresso"):
        read("true", "tersoff")
    with pytest.raises(ValueError, match="polar"):
        read("perhaps")


class OneCell(ReferenceWorkChain):
    """Has one frame, of two atoms: free atoms and larger cells would cost more than all the rest."""

    def sample(self):
        failed = super().sample()
        if failed is None:
            frame = next(frame for frame in self.ctx.sampled.iter_frames() if frame.kind != "atom")
            cell = bulk("MgO", "rocksalt", 4.2)
            frame = replace(
                frame, symbols=tuple(cell.symbols), cell=cell.cell.array, positions=cell.positions
            )
            self.ctx.sampled = frames_node([frame], self.ctx.sampled.header()).store()
        return failed


def run_oxide(**changes):
    engine = get_engine("quantum_espresso")
    settings = {
        "pseudopotentials": {"Mg": "Mg.pz-n-vbc.UPF", "O": "O.pz-rrkjus.UPF"},
        "cutoff": 30.0,
        "density_cutoff": 180.0,
        "kpoint_spacing": 0.86,
    }
    sampling = {
        "supercell": [1, 1, 1], "displaced": 0, "displacement": 0.01, "strained": 0, "strain": 0.01,
        "volumes": 1, "volume_range": 0.02,
    }  # fmt: skip
    given = {"engine": engine.name, "settings": engine.complete(settings), "sampling": sampling, "seed": 0}
    structure = orm.StructureData(ase=bulk("MgO", "rocksalt", 4.2, cubic=True))
    return run_get_node(
        OneCell, structure=structure, parameters=orm.Dict(given | changes), site=orm.Str("local")
    )


@pytest.fixture
def programs(aiida_profile_clean, require_program, require_module):
    require_module("aiida_quantumespresso", "qe")
    require_program("pw.x", "quantum-espresso")
    return require_program("ph.x", "quantum-espresso")


def test_real_charges_of_magnesium_oxide(programs):
    outputs, node = run_oxide()
    assert node.is_finished_ok, node.exit_message
    header = outputs["result"].header()
    polar = header["polar"]
    charges, dielectric = np.array(polar["born_charges"]), np.array(polar["dielectric"])
    assert charges.shape == (8, 3, 3)
    symbols = header["structure"]["symbols"]
    assert sorted(symbols) == ["Mg"] * 4 + ["O"] * 4
    # Of this coarse mesh; measured are 1.96 e and 3.0.
    for symbol, charge in zip(symbols, charges, strict=True):
        np.testing.assert_allclose(charge, np.eye(3) * {"Mg": 1.92, "O": -1.92}[symbol], atol=0.03)
    np.testing.assert_allclose(dielectric, np.eye(3) * 3.10, atol=0.03)
    np.testing.assert_allclose(charges.sum(axis=0), 0, atol=1e-8)
    assert "ph.x of Quantum ESPRESSO 6" in polar["origin"]
    assert "the charges added to at most 0.0" in polar["origin"]
    assert len(list(outputs["result"].iter_frames())) == 1


def test_a_failed_response_keeps_the_frames(programs, monkeypatch, tmp_path):
    broken = tmp_path / "ph.x"
    broken.write_text("#!/bin/sh\necho broken\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    outputs, node = run_oxide()
    assert node.exit_status == 420
    assert "reference.polar: false goes without them" in node.exit_message
    assert "polar" not in outputs["result"].header()
    # The frame is taken from the cache; and without charges nothing is missing.
    outputs, node = run_oxide(polar=False)
    assert node.is_finished_ok, node.exit_message
    assert {child.process_label for child in node.called} & {"PhBaseWorkChain", "primitive_cell"} == set()


def test_a_missing_program_is_said_before_anything_is_computed(programs, monkeypatch):
    site = model.load_site("local").model_copy(update={"codes": {"ph.x": "no-such-ph.x"}})
    monkeypatch.setattr(stage, "load_site", lambda name: site)
    _, node = run_oxide()
    assert node.exit_status == 420
    assert "program 'ph.x' is not on the PATH" in node.exit_message
    assert node.called == []


def calculations(node):
    """Ground states and responses of a run, with whether they were taken from the cache."""
    found = [n for n in node.called_descendants if isinstance(n, orm.CalcJobNode)]
    return [
        (n.process_label, n.base.caching.is_created_from_cache) for n in sorted(found, key=lambda n: n.pk)
    ]


@pytest.mark.slow
def test_a_second_run_starts_nothing_and_the_scratch_folder_is_cleaned(programs):
    with enable_caching():
        _, first = run_oxide()
        outputs, second = run_oxide()
    assert first.is_finished_ok, first.exit_message
    assert calculations(first) == [("PwCalculation", False)] * 2 + [("PhCalculation", False)]
    # The frame is known by its identity.
    assert calculations(second) == [("PwCalculation", True), ("PhCalculation", True)]
    assert "polar" in outputs["result"].header()
    for node in first.called_descendants:
        if isinstance(node, orm.CalcJobNode):
            assert not os.path.isdir(node.get_remote_workdir()) or not os.listdir(node.get_remote_workdir())
    # Without ph.x's result in the cache, its ground state, whose scratch folder is gone, is computed anew.
    for node in first.called_descendants + second.called_descendants:
        if node.process_label == "PhCalculation":
            node.base.caching.is_valid_cache = False
    with enable_caching():
        outputs, third = run_oxide()
    assert third.is_finished_ok, third.exit_message
    assert [cached for label, cached in calculations(third) if label == "PwCalculation"] == [True, False]
    assert "polar" in outputs["result"].header()


POLAR_STUDY = """\
until: reference
structure: MgO.cif
reference:
  engine: quantum_espresso
  settings: {pseudopotentials: {Mg: Mg.pz-n-vbc.UPF, O: O.pz-rrkjus.UPF}}
"""


def test_a_missing_program_is_said_when_a_study_is_prepared(programs, monkeypatch, tmp_path):
    bulk("MgO", "rocksalt", 4.2, cubic=True).write(tmp_path / "MgO.cif")
    (tmp_path / "study.yaml").write_text(POLAR_STUDY)
    assert inputs.prepare(load_study(tmp_path / "study.yaml")).frames is None
    site = model.load_site("local").model_copy(update={"codes": {"ph.x": "no-such-ph.x"}})
    monkeypatch.setattr(inputs, "load_site", lambda name: site)
    with pytest.raises(MissingComponent, match=r"need the program ph\.x, which is not on site 'local'"):
        inputs.prepare(load_study(tmp_path / "study.yaml"))
    (tmp_path / "study.yaml").write_text(POLAR_STUDY + "  polar: false\n")
    assert inputs.prepare(load_study(tmp_path / "study.yaml")).frames is None
