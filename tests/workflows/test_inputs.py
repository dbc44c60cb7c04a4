"""All that a study names is checked before anything is stored or started."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.frames import Frame, read_header, write_frames
from hashigo.calculators.workers import models
from hashigo.errors import InputError, MissingComponent
from hashigo.study import load_study, study_from
from hashigo.study.structures import structure_content
from hashigo.workflows import potential
from hashigo.workflows.inputs import as_written, prepare


@pytest.fixture
def place(tmp_path, diamond):
    diamond.write(tmp_path / "si.cif")
    frame = Frame(
        cell=diamond.cell.array, positions=diamond.positions, symbols=("Si",) * 8, energy=-1.0,
        forces=np.zeros((8, 3)),
    )  # fmt: skip

    def make(frames=None, header=None, **study):
        write_frames(
            tmp_path / "f.h5", frames or [frame] * 4, header or {"structure": structure_content(diamond)}
        )
        lines = {"structure": "si.cif", "reference": "f.h5", **study}
        (tmp_path / "study.yaml").write_text("\n".join(f"{key}: {value}" for key, value in lines.items()))
        return load_study(tmp_path / "study.yaml")

    return make, frame, tmp_path


def test_a_good_study_is_complete(place):
    make, _, folder = place
    prepared = prepare(make())
    assert prepared.frames == folder / "f.h5"
    assert prepared.content["potential"]["members"] == 8


def test_engine_settings_are_completed(place):
    make, *_ = place
    prepared = prepare(make(reference="{engine: tersoff}"))
    assert prepared.content["reference"]["settings"] == {}
    assert prepared.frames is None


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"structure": "no.cif"}, r"no\.cif does not exist"),
        ({"reference": "no.h5"}, r"no\.h5 does not exist"),
        ({"reference": "si.cif"}, r"si\.cif is of no known format of frames"),
        ({"phonons": "{supercell: [10, 10, 10]}"}, r"phonons\.supercell makes a cell of 8000 atoms"),
        ({"reference": "."}, "is a folder"),
        ({"structure": "."}, "is a folder"),
        ({"site": "moon"}, "site 'moon' is not known"),
        ({"reference": "{engine: abacus}"}, "engine 'abacus' is not known"),
        ({"reference": "{engine: emt}"}, "not Si"),
        ({"reference": "{engine: quantum_espresso}"}, "none for element Si"),
    ],
)
def test_what_is_missing_is_named(place, study, message):
    make, *_ = place
    with pytest.raises(InputError, match=message):
        prepare(make(**study))


def test_another_crystals_frames_are_refused(place):
    make, frame, _ = place
    with pytest.raises(InputError, match=r"frame 1 of f\.h5 holds Ge, but si\.cif holds Si"):
        prepare(make(frames=[frame, replace(frame, symbols=("Ge",) * 8)]))
    other = bulk("Si", "bcc", 3.1, cubic=True)
    with pytest.raises(InputError, match=r"si\.cif is not the crystal of f\.h5: Si2 against Si8"):
        prepare(make(header={"structure": structure_content(other)}))


def test_too_few_frames_are_refused_unless_nothing_is_trained(place):
    make, frame, _ = place
    with pytest.raises(InputError, match=r"f\.h5 holds 1 frames of the crystal, too few"):
        prepare(make(frames=[frame]))
    prepare(make(frames=[frame], until="reference"))


def test_free_atoms_of_a_compound_are_no_other_crystal(place):
    make, frame, _ = place
    atom = replace(
        frame, cell=np.eye(3) * 10, positions=np.zeros((1, 3)), symbols=("Si",), forces=None, kind="atom"
    )
    prepared = prepare(make(frames=[atom, *[frame] * 4]))
    assert prepared.frames is not None


def test_a_missing_library_is_named_before_anything_starts(place, monkeypatch):
    make, *_ = place
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    with pytest.raises(MissingComponent, match="pypolymlp") as caught:
        prepare(make())
    assert "aiida-hashigo[potential]" in caught.value.fix


def test_settings_of_a_network_are_completed_and_checked_before_anything_starts(place, monkeypatch):
    make, *_ = place
    monkeypatch.setattr(models, "find_spec", lambda name: "there")
    prepared = prepare(make(potential="{model: mace, members: 3, settings: {epochs: 5, r_max: 0.4 nm}}"))
    settings = prepared.content["potential"]["settings"]
    assert (settings["epochs"], settings["r_max"], settings["learning_rate"]) == (5, 4.0, 0.01)
    with pytest.raises(InputError, match=r"potential\.settings\.epoch is no setting of model 'mace'"):
        prepare(make(potential="{model: mace, settings: {epoch: 5}}"))
    with pytest.raises(InputError, match=r"potential\.model 'mice' is not known"):
        prepare(make(potential="{model: mice}"))
    with pytest.raises(InputError, match=r"checkpoint gone\.model of model 'mace' is not there"):
        prepare(make(potential="{model: mace, settings: {checkpoint: gone.model}}"))


def test_learning_needs_a_potential_that_is_trained(place, monkeypatch):
    make, *_ = place
    monkeypatch.setattr(models, "find_spec", lambda name: "there")
    with pytest.raises(
        InputError, match=r"uncertainty of a committee, and potential\.model 'chgnet' is used as it is"
    ):
        prepare(
            make(
                reference="{engine: tersoff}",
                potential="{model: chgnet}",
                learning="{until: {stiffness: 0.05}}",
            )
        )
    prepare(
        make(reference="{engine: tersoff}", potential="{model: mace}", learning="{until: {stiffness: 0.05}}")
    )


def test_the_stage_gets_what_its_model_reads_and_nothing_else(place, monkeypatch):
    make, *_ = place
    monkeypatch.setattr(models, "find_spec", lambda name: "there")
    plain = potential.STAGE.parameters(prepare(make()).content)
    assert not {"model", "settings"} & set(plain)
    network = prepare(make(potential="{model: sevennet, settings: {epochs: 5}}")).content
    given = potential.STAGE.parameters(network)
    assert set(given) == {"model", "settings", "members", "held_out", "max_force_error", "seed"}
    assert potential.PotentialWorkChain.most_ranks(given) == 0
    assert potential.PotentialWorkChain.most_ranks(plain) == 1
    assert potential.STAGE.needs(network) == "SevenNet: 9 trainings of 5 epochs"
    as_it_is = prepare(make(potential="{model: chgnet}")).content
    assert set(potential.STAGE.parameters(as_it_is)) == {"model", "settings", "max_force_error", "seed"}
    assert "not trained" in potential.STAGE.needs(as_it_is)


def test_frames_without_forces_are_refused(place):
    make, frame, _ = place
    with pytest.raises(InputError, match=r"frame 0 of f\.h5 has no forces"):
        prepare(make(frames=[replace(frame, forces=None)]))


def test_overlapping_atoms_are_refused_in_the_structure_and_in_frames(place, diamond):
    make, frame, folder = place
    near = diamond.positions.copy()
    near[1] = near[0] + [0.1, 0, 0]
    with pytest.raises(InputError, match=r"in frame 1 of f\.h5 atoms 0 \(Si\) and 1 \(Si\) overlap"):
        prepare(make([frame, replace(frame, positions=near), frame, frame]))
    study = make()
    diamond.positions[1] = near[1]
    diamond.write(folder / "si.cif")
    with pytest.raises(InputError, match=r"in si\.cif atoms 0 \(Si\) and .* overlap"):
        prepare(study)


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({}, "green_kubo needs an engine as the reference"),
        ({"reference": "{engine: emt}"}, "heat flux of engine 'emt' is not known"),
        (
            {"reference": "{engine: tersoff}", "green_kubo": "{supercell: [9, 9, 9]}"},
            r"green_kubo\.supercell makes a cell of 5832 atoms",
        ),
    ],
)
def test_a_heat_flux_that_cannot_be_had_is_refused_before_anything_runs(place, study, message):
    make, *_ = place
    with pytest.raises(InputError, match=message):
        prepare(make(**{"green_kubo": "{}", **study}))


def test_lammps_must_be_there(place, monkeypatch):
    make, _, folder = place
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(MissingComponent, match=r"program 'lmp' \(LAMMPS\) is not installed"):
        prepare(make(reference="{engine: tersoff}", green_kubo="{}"))


def test_born_charges_of_a_file_stand_in_the_header_of_the_frames(tmp_path):
    alloy = bulk("AlNi", "rocksalt", 4.8, cubic=True)
    alloy.write(tmp_path / "alloy.cif")
    frame = Frame(
        cell=alloy.cell.array, positions=alloy.positions, symbols=tuple(alloy.get_chemical_symbols()),
        energy=-1.0, forces=np.zeros((8, 3)),
    )  # fmt: skip
    write_frames(tmp_path / "f.h5", [frame] * 4, {"structure": structure_content(alloy)})
    (tmp_path / "BORN").write_text(
        "14.4\n3.1 0 0 0 3.1 0 0 0 3.1\n1.9 0 0 0 1.9 0 0 0 1.9\n-1.9 0 0 0 -1.9 0 0 0 -1.9\n"
    )

    def prepared(reference):
        text = f"structure: alloy.cif\nreference: {reference}\n"
        (tmp_path / "study.yaml").write_text(text)
        return prepare(load_study(tmp_path / "study.yaml"))

    given = prepared("{data: f.h5, born: BORN}")
    header = read_header(given.frames)
    assert len(header["polar"]["born_charges"]) == 8
    assert header["polar"]["origin"] == "BORN"
    computed = prepared("{engine: emt, born: BORN}")
    assert computed.content["reference"]["charges"]["dielectric"][0][0] == pytest.approx(3.1)
    assert computed.content["reference"]["polar"] is False
    assert study_from(as_written(computed.content)).reference.born == "BORN"
    with pytest.raises(InputError, match="BORN2 does not exist"):
        prepared("{data: f.h5, born: BORN2}")
    with pytest.raises(InputError, match="give either 'born'"):
        prepared("{engine: quantum_espresso, born: BORN, polar: true}")
