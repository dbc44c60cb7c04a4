from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from aiida import orm
from aiida.engine import ToContext, WorkChain, calcfunction, run_get_node
from ase.build import bulk

from hashigo.calculators.data import FramesData, PotentialData
from hashigo.calculators.engines.tersoff import silicon
from hashigo.calculators.frames import read_frames, write_frames
from hashigo.calculators.results import ResultReader
from hashigo.calculators.sampling import sample
from hashigo.calculators.workers import training
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.polynomial import load_committee
from hashigo.calculators.workers.potential import AseModel
from hashigo.errors import InputError
from hashigo.provenance import potential
from hashigo.provenance.formats import Format, export_format
from hashigo.provenance.payload import describe
from hashigo.provenance.policy import PrivacyFailure
from hashigo.provenance.potential import FORMAT
from hashigo.provenance.potential_content import kind_of

STUDY = {
    "title": "Tersoff's silicon", "licence": "CC-BY-4.0", "seed": 0,
    "authors": [{"name": "Josiah Carberry", "orcid": "0000-0002-1825-0097"}],
}  # fmt: skip
MODEL = {"members": 3, "cutoff": 5.0, "radial_functions": 4, "invariant_max_l": [2, 2]}
#: Energy of a free atom: looked for in packages that must not hold it.
FREE_ATOM = -1.23456789


@calcfunction
def trained(frames, file):
    return PotentialData(orm.load_node(file.value).base.attributes.get("path"))


class PotentialStep(WorkChain):
    """A stage that hands on what was trained outside."""

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.input("frames", valid_type=FramesData)
        spec.input("file", valid_type=orm.Str)
        spec.output("result", valid_type=PotentialData)
        spec.outline(cls.hand_on)

    def hand_on(self):
        self.out("result", trained(self.inputs.frames, self.inputs.file))


class PotentialLadder(WorkChain):
    """A ladder of one stage."""

    @classmethod
    def define(cls, spec):
        super().define(spec)
        spec.input("study", valid_type=orm.Dict)
        spec.input("frames", valid_type=FramesData)
        spec.input("learned", valid_type=FramesData, required=False)
        spec.input("file", valid_type=orm.Str)
        spec.output_namespace("stages", valid_type=orm.Data, dynamic=True)
        spec.outline(cls.train, cls.take_result)

    def train(self):
        frames = self.inputs.learned if "learned" in self.inputs else self.inputs.frames
        inputs = {"frames": frames, "file": self.inputs.file}
        step = self.submit(PotentialStep, **inputs, metadata={"call_link_label": "potential"})
        return ToContext(step=step)

    def take_result(self):
        self.out("stages.potential", self.ctx.step.outputs.result)


def tersoff_frames():
    model = AseModel(silicon(), ["Si"])
    sampling = {
        "supercell": (1, 1, 1), "displaced": 8, "displacement": 0.03,
        "strained": 8, "strain": 0.02, "volumes": 4, "volume_range": 0.06,
    }  # fmt: skip
    for frame in sample(bulk("Si", "diamond", 5.432, cubic=True), sampling, seed=1, settings="tersoff"):
        if frame.kind == "atom":
            yield replace(frame, energy=FREE_ATOM, forces=np.zeros((1, 3)))
        else:
            known = model.evaluate([frame.atoms()])[0]
            energy = known.energy + len(frame.symbols) * FREE_ATOM
            yield replace(
                frame, energy=energy, forces=known.forces, stress=known.stress, origin="Tersoff 1988"
            )


@pytest.fixture(scope="module")
def stage_file(tmp_path_factory):
    """Result of a training, beside its frames."""
    folder = tmp_path_factory.mktemp("training")
    header = {"engine": "tersoff", "settings": {}, "first_principles": False}
    write_frames(folder / "frames.h5", tersoff_frames(), header)
    training.run(Job("training", MODEL, {"frames": folder / "frames.h5"}, folder / "potential.h5"))
    return folder / "potential.h5"


def run_with(frames, result, **more):
    """A run whose potential is a file."""
    place = orm.Dict({"path": str(result)}).store()
    inputs = {"study": orm.Dict(STUDY), "frames": FramesData(frames), "file": orm.Str(place.uuid), **more}
    node = run_get_node(PotentialLadder, **inputs)[1]
    assert node.is_finished_ok, node.exit_message
    return node


@pytest.fixture(scope="module")
def run(aiida_profile, stage_file):
    """A run with a potential."""
    return run_with(stage_file.with_name("frames.h5"), stage_file)


@pytest.fixture(scope="module")
def package(run, tmp_path_factory):
    """The potential, published."""
    return FORMAT.write(run, tmp_path_factory.mktemp("published") / "silicon")


@pytest.fixture(scope="module")
def card(package):
    return json.loads((package / "potential.json").read_text())


def python(code, folder):
    """Run a fresh interpreter in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ROUND_TRIP = """
import json, sys
import ase.io, hashigo
calculator = hashigo.load_potential(".", committee=True)
out = []
for atoms in ase.io.read("training/held_out.extxyz", ":"):
    atoms.calc = calculator
    out.append([atoms.get_potential_energy(), atoms.get_forces().tolist(), atoms.get_stress().tolist(),
                calculator.results["energy_spread"]])
assert not any(name.split(".")[0] == "aiida" for name in sys.modules)
print(json.dumps(out))
"""


def test_a_fresh_process_gets_the_numbers_of_the_stage(package, card, stage_file):
    out = json.loads(python(ROUND_TRIP, package))
    frames = read_frames(stage_file.with_name("frames.h5"))
    held_out = [frames[index] for index in card["training_set"]["held_out"]]
    assert len(out) == len(held_out) >= 3
    committee = load_committee(stage_file)
    for (energy, forces, stress, spread), frame in zip(out, held_out, strict=True):
        known = committee.mean.evaluate([frame.atoms()])[0]
        votes = [member.evaluate([frame.atoms()])[0].energy for member in committee.members]
        # Positions have 8 digits in extended XYZ.
        assert energy == pytest.approx(known.energy, abs=1e-6)
        np.testing.assert_allclose(forces, known.forces, rtol=0, atol=1e-6)
        np.testing.assert_allclose(stress, known.stress, rtol=0, atol=1e-7)
        assert spread == pytest.approx(np.std(votes, ddof=1), abs=1e-6)
    with ResultReader(stage_file) as reader:
        predicted = reader.array("parity/energy/predicted")
    ours = [
        energy / len(frame.symbols) - FREE_ATOM for (energy, *_), frame in zip(out, held_out, strict=True)
    ]
    np.testing.assert_allclose(ours, predicted, rtol=0, atol=1e-6)


def test_the_examples_of_the_data_card_run(package, card):
    blocks = re.findall(r"```python\n(.*?)```", (package / "README.md").read_text(), flags=re.S)
    assert len(blocks) == 2
    shown = [python(block, package) for block in blocks]
    energies = [float(text.split()[0]) for text in shown]
    assert energies[0] == pytest.approx(card["check"]["energy"]["value"], abs=1e-6)
    # The card says that pypolymlp counts from the free atoms.
    assert energies[1] == pytest.approx(card["check"]["energy_from_free_atoms"]["value"], abs=1e-6)
    assert energies[1] != pytest.approx(energies[0], abs=1)


def test_the_training_set_is_there_and_says_what_was_held_out(package, card, stage_file):
    frames = read_frames(package / "training" / "frames.h5")
    with ResultReader(stage_file) as reader:
        note = reader.note("training")
    bulk_frames = [i for i, frame in enumerate(frames) if frame.kind != "atom"]
    told = card["training_set"]
    assert told["held_out"] == [bulk_frames[i] for i in note["held_out"]]
    assert sorted([*told["trained_on"], *told["held_out"], *told["free_atoms"]]) == list(range(len(frames)))
    assert told["free_atoms"]
    for part in ("trained_on", "held_out"):
        written = ase.io.read(package / "training" / f"{part}.extxyz", ":")
        for atoms, index in zip(written, told[part], strict=True):
            np.testing.assert_allclose(atoms.positions, frames[index].positions, rtol=0, atol=1e-7)
            assert atoms.get_potential_energy() == pytest.approx(frames[index].energy, abs=1e-6)
            np.testing.assert_allclose(atoms.get_forces(), frames[index].forces, rtol=0, atol=1e-7)


def test_the_training_set_is_what_the_job_was_given(stage_file, tmp_path):
    frames = stage_file.with_name("frames.h5")
    write_frames(tmp_path / "first.h5", read_frames(frames)[:5], {"engine": "tersoff"})
    node = run_with(tmp_path / "first.h5", stage_file, learned=FramesData(frames))
    folder = FORMAT.write(node, tmp_path / "out")
    assert len(read_frames(folder / "training" / "frames.h5")) == len(read_frames(frames))


def test_errors_are_those_of_the_stage(card, stage_file):
    with ResultReader(stage_file) as reader:
        for name in ("energy_error", "force_error", "stress_error"):
            told = card["errors"]["held_out"][name]
            record = reader.quantity(name)
            assert told["value"] == pytest.approx(record.value[0], rel=1e-12)
            assert told["unit"] == record.unit
            assert card["errors"]["training"][name]["value"] < 10 * told["value"]


def test_coverage_is_that_of_the_calibration(package, card, stage_file):
    with ResultReader(stage_file) as reader:
        note = reader.note("calibration")
        error = np.abs(reader.array("parity/forces/reference") - reader.array("parity/forces/predicted"))
        spread = reader.array("parity/forces/committee")
    told = card["calibration"]
    assert told["record"] == note
    assert told["calibrated"] == note["calibrated"]
    for name, found in note["held_out"].items():
        assert [told["coverage"][name][key] for key in ("within_68", "within_95")] == found["coverage"]
        assert told["coverage"][name]["values"] == found["rows"]
    assert told["coverage"]["forces"]["within_committee_spread"] == np.mean(error <= spread)
    assert ("Not calibrated" in (package / "README.md").read_text()) == (not note["calibrated"])


def test_the_card_says_what_must_be_known(package, card):
    text = (package / "README.md").read_text()
    for needed in (
        "not first-principles",
        "CC-BY-4.0",
        "Josiah Carberry",
        "5 Å",
        "eV/Å^3",
        "not run",
        "Tersoff 1988",
    ):
        assert needed in text
    assert card["cutoff"] == {"value": 5.0, "unit": "Å"}
    assert card["elements"] == ["Si"]
    assert card["seeds"] == {"study": 0, "training": 0}
    assert card["reference"]["first_principles"] is False
    assert card["software"]["exported_with"]["pypolymlp"]


def test_every_file_has_its_checksum(package, card):
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    lines = (package / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in lines} == files - {"SHA256SUMS"}
    assert {entry["path"] for entry in card["files"]} == files - {"SHA256SUMS", "potential.json"}
    for line in lines:
        total, name = line.split("  ")
        assert describe(package, name).sha256 == total


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_equal_potentials_are_equal_folders(run, package, tmp_path):
    assert content(FORMAT.write(run, tmp_path / "again")) == content(package)


def test_a_closed_reference_keeps_the_potential_unless_the_study_opens_it(run, tmp_path):
    closed = {**STUDY, "access": {"reference": "closed"}}
    with pytest.raises(PrivacyFailure, match="the reference is closed") as error:
        FORMAT.write(run, tmp_path / "out", study=closed)
    assert "access.potential: open" in error.value.fix
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stage", ["reference", "structure"])
def test_an_opened_potential_leaves_without_its_training_set(run, tmp_path, stage_file, stage):
    access = {stage: "closed", "potential": "open"}
    folder = FORMAT.write(run, tmp_path / "out", study={**STUDY, "access": access})
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert not [name for name in names if name.startswith("training")]
    everything = b"".join(content(folder).values())
    assert b"1.2345" not in everything
    assert b"Tersoff 1988" not in everything
    card = json.loads((folder / "potential.json").read_text())
    assert card["check"] is None
    assert set(card["trained_region"]) == {"largest_strain", "root_mean_square_force"}
    assert not {"held_out", "trained_on"} & set(card["training_set"])
    code = (
        "import hashigo; from ase.build import bulk; a = bulk('Si', cubic=True);"
        "a.calc = hashigo.load_potential('.'); print(a.get_potential_energy())"
    )
    known = load_committee(stage_file).mean.evaluate([bulk("Si", cubic=True)])[0].energy
    assert float(python(code, folder)) == pytest.approx(known - 8 * FREE_ATOM, abs=1e-8)


def test_a_kind_that_cannot_leave_out_energies_stays_with_a_closed_reference(run, tmp_path, monkeypatch):
    monkeypatch.setattr(potential, "FORMATS", {})
    access = {"reference": "closed", "potential": "open"}
    with pytest.raises(PrivacyFailure, match="energies of free atoms"):
        FORMAT.write(run, tmp_path / "out", study={**STUDY, "access": access})


def test_a_universal_potential_is_others_to_publish():
    with pytest.raises(InputError, match="chgnet as it is, which this run did not train"):
        kind_of({"model": "chgnet", "members": 0})
    assert kind_of({"members": 8}) == "polynomial"


@pytest.mark.parametrize("access", [{"potential": "restricted"}, "closed"])
def test_a_potential_that_is_not_open_stays(run, tmp_path, access):
    with pytest.raises(PrivacyFailure, match=r"calls the potential (restricted|closed)"):
        FORMAT.write(run, tmp_path / "out", study={**STUDY, "access": access})


def test_without_licence_nothing_leaves(run, tmp_path):
    with pytest.raises(InputError, match="no licence"):
        FORMAT.write(run, tmp_path / "out", study={**STUDY, "licence": None})


def test_a_run_without_potential_is_refused(done, tmp_path):
    with pytest.raises(InputError, match="has no potential"):
        FORMAT.write(done, tmp_path / "out")


def test_what_names_a_person_is_found(stage_file, tmp_path):
    header = {"engine": "tersoff", "settings": {}, "first_principles": False}
    frames = [replace(frame, origin="/home/carberry/run.out") for frame in tersoff_frames()]
    write_frames(tmp_path / "frames.h5", frames, header)
    with pytest.raises(PrivacyFailure, match="an absolute path"):
        FORMAT.write(run_with(tmp_path / "frames.h5", stage_file), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_a_published_potential_is_replaced(run, tmp_path):
    target = FORMAT.write(run, tmp_path / "out")
    with pytest.raises(InputError, match="already"):
        FORMAT.write(run, target)
    FORMAT.write(run, target, overwrite=True)
    (tmp_path / "crate").mkdir()
    (tmp_path / "crate" / "ro-crate-metadata.json").write_text("{}")
    with pytest.raises(InputError, match="no package"):
        FORMAT.write(run, tmp_path / "crate", overwrite=True)


def test_it_is_a_format():
    assert isinstance(FORMAT, Format)
    assert export_format("potential") is FORMAT
