from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.units import GPa

from hashigo.calculators.frames import Frame, write_frames
from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import training
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import primitive
from hashigo.calculators.workers.lattice.elastic import relax, stiffness
from hashigo.calculators.workers.polynomial import load_committee
from hashigo.errors import InputError, WorkerError

#: Few features and members, so that a test takes a second.
QUICK = {"members": 2, "cutoff": 4.0, "radial_functions": 3, "invariant_max_l": [2, 2]}


def train(folder: Path, frames: list[Frame], header: dict[str, Any] | None = None, **parameters: Any) -> Path:
    write_frames(folder / "frames.h5", frames, {"atomic_energies": {"Si": 0.0}} if header is None else header)
    job = Job("training", {**QUICK, **parameters}, {"frames": folder / "frames.h5"}, folder / "potential.h5")
    training.run(job)
    return job.output


def test_the_potential_has_the_stiffness_of_its_reference(tersoff_potential: Path, diamond: Any) -> None:
    model = load_committee(tersoff_potential).mean
    relaxed = relax(model, primitive(diamond))
    assert (4 * relaxed.get_volume()) ** (1 / 3) == pytest.approx(5.4320, rel=1e-4)
    constants = stiffness(model, relaxed)
    assert constants[0, 0] == pytest.approx(142.5, rel=0.01)
    assert constants[0, 1] == pytest.approx(75.4, rel=0.01)
    assert constants[3, 3] == pytest.approx(69.0, rel=0.01)


def test_held_out_errors_are_small_and_told_with_their_units(tersoff_potential: Path) -> None:
    with ResultReader(tersoff_potential) as result:
        assert result.quantities() == ["energy_error", "force_error", "stress_error"]
        assert result.quantity("force_error").unit == "eV/Å"
        assert result.quantity("force_error").value[0] < 1e-3
        assert result.quantity("stress_error").value[0] < 0.05
        assert result.quantity("energy_error").value[0] < 1e-4
        note = result.note("training")
        assert note["frames"]["displaced"]["held_out"] == 1
        assert note["frames"]["strained"]["held_out"] == 3
        assert (note["n_train"], note["n_test"], note["members"]) == (15, 4, 4)
        calibration = result.note("calibration")
        assert set(calibration["scales"]) == {"energy", "force", "stress"}
        assert calibration["held_out"]["forces"]["rows"] == 3 * (64 + 3 * 8)
        assert result.note("gate")["passed"]


def test_parity_of_the_held_out_frames_is_what_the_saved_models_say(
    tersoff_potential: Path, tersoff_frames: list[Frame]
) -> None:
    committee = load_committee(tersoff_potential)
    with ResultReader(tersoff_potential) as result:
        indices = result.note("training")["held_out"]
        bulk = [frame for frame in tersoff_frames if frame.kind != "atom"]
        held_out = [bulk[index] for index in indices]
        said = committee.mean.evaluate([frame.atoms() for frame in held_out])
        votes = [member.evaluate([frame.atoms() for frame in held_out]) for member in committee.members]
        forces = np.concatenate([one.forces.ravel() for one in said])
        np.testing.assert_allclose(result.array("parity/forces/predicted"), forces, atol=1e-8)
        stress = np.concatenate([one.stress for one in said]) / GPa
        np.testing.assert_allclose(result.array("parity/stress/predicted"), stress, atol=1e-7)
        energies = [one.energy / len(f.symbols) for one, f in zip(said, held_out, strict=True)]
        np.testing.assert_allclose(result.array("parity/energy/predicted"), energies, atol=1e-9)
        spread = np.std([np.concatenate([e.forces.ravel() for e in vote]) for vote in votes], axis=0, ddof=1)
        np.testing.assert_allclose(result.array("parity/forces/committee"), spread, atol=1e-8)
        reference = np.concatenate([frame.forces.ravel() for frame in held_out])
        np.testing.assert_allclose(result.array("parity/forces/reference"), reference)
        error = np.sqrt(np.mean((forces - reference) ** 2))
        assert result.quantity("force_error").value[0] == pytest.approx(error, rel=1e-4)
        assert len(result.array("parity/forces/train_predicted")) == 3 * sum(
            len(frame.symbols) for index, frame in enumerate(bulk) if index not in indices
        )


def test_a_seed_gives_the_same_file_and_another_seed_another(
    tmp_path: Path, tersoff_frames: list[Frame]
) -> None:
    first = train(tmp_path, tersoff_frames).read_bytes()
    assert train(tmp_path, tersoff_frames).read_bytes() == first
    assert train(tmp_path, tersoff_frames, seed=1).read_bytes() != first


def test_offsets_of_the_energy_do_not_change_forces(tmp_path: Path, tersoff_frames: list[Frame]) -> None:
    offset = -100.0
    shifted = [replace(f, energy=f.energy + offset * len(f.symbols)) for f in tersoff_frames]
    atoms = tersoff_frames[0].atoms()
    first = load_committee(train(tmp_path, tersoff_frames)).mean.evaluate([atoms])[0]
    second = load_committee(train(tmp_path, shifted, atomic_energies={"Si": offset})).mean.evaluate([atoms])[
        0
    ]
    np.testing.assert_allclose(second.forces, first.forces, atol=1e-6)
    assert second.energy - first.energy == pytest.approx(offset * len(atoms), abs=1e-6)


def test_without_energies_of_free_atoms_the_frames_give_an_offset(
    tmp_path: Path, tersoff_frames: list[Frame]
) -> None:
    with ResultReader(train(tmp_path, tersoff_frames, header={})) as result:
        assert "not energies of free atoms" in result.note("training")["atomic_energies_source"]
        assert result.quantity("force_error").value[0] < 0.05


def test_frames_without_stress_and_energy_are_used_for_what_they_have(
    tmp_path: Path, tersoff_frames: list[Frame]
) -> None:
    bare = [replace(f, stress=None, energy=f.energy if i % 2 else None) for i, f in enumerate(tersoff_frames)]
    with ResultReader(train(tmp_path, bare)) as result:
        assert result.quantities() == ["energy_error", "force_error"]
        assert result.note("training")["frames"]["strained"]["without_stress"] == 13
        assert len(result.array("parity/stress/predicted")) == 0


def test_frames_of_free_atoms_are_not_fitted(tmp_path: Path, tersoff_frames: list[Frame]) -> None:
    atom = Frame(np.eye(3) * 10, np.zeros((1, 3)), ("Si",), -0.5, np.zeros((1, 3)), kind="atom")
    with ResultReader(train(tmp_path, [*tersoff_frames, atom], header={})) as result:
        note = result.note("training")
        assert note["atomic_energies"] == {"Si": -0.5}
        assert "atom" not in note["frames"]


def test_the_gate_just_passes_and_just_fails_and_keeps_the_potential(
    tmp_path: Path, tersoff_frames: list[Frame]
) -> None:
    with ResultReader(train(tmp_path, tersoff_frames)) as result:
        error = float(result.quantity("force_error").value[0])
        assert result.note("gate") == {
            "name": "held_out_error", "passed": True, "message": "", "fix": "", "value": error, "limit": None,
            "unit": "eV/Å",
        }  # fmt: skip
    for limit, passed in ((error * 1.0001, True), (error * 0.9999, False)):
        with ResultReader(train(tmp_path, tersoff_frames, max_force_error=limit)) as result:
            gate = result.note("gate")
            assert result.has("potential/mean")
        assert gate["passed"] is passed
        assert (gate["value"], gate["limit"]) == (error, limit)
    assert re.fullmatch(
        r"the potential's force error on held-out frames is [\d.]+ meV/Å, above the limit of [\d.]+ meV/Å",
        gate["message"],
    )
    assert "potential.max_force_error" in gate["fix"]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"members": 1}, r"potential\.members is 1, and a committee needs at least 2"),
        ({"held_out": 0.0}, r"potential\.held_out is 0\.0"),
        ({"invariant_max_l": [4]}, r"potential\.invariant_max_l has 1 values"),
        ({"cutoff": 0.5}, r"potential\.cutoff is 0\.5 Å"),
        ({"force_weight": -1.0}, r"potential\.force_weight is -1\.0"),
        ({"radius": 3}, r"potential\.radius is not a parameter"),
        ({"atomic_energies": {"Ge": 0.0}}, r"potential\.atomic_energies has no Si"),
    ],
)
def test_bad_parameters_are_named_before_any_work(
    tmp_path: Path, tersoff_frames: list[Frame], parameters: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        train(tmp_path, tersoff_frames, **parameters)
    assert caught.value.fix or "weight" in sentence
    assert not (tmp_path / "potential.h5").exists()


def test_too_few_frames_are_told(tmp_path: Path, tersoff_frames: list[Frame]) -> None:
    with pytest.raises(InputError, match=r"frames\.h5 has 3 frames to train on, too few") as caught:
        train(tmp_path, tersoff_frames[:3])
    assert "4 frames" in caught.value.fix
    singles = [replace(frame, kind=f"kind {i}") for i, frame in enumerate(tersoff_frames[:5])]
    with pytest.raises(InputError, match="too few to hold one out"):
        train(tmp_path, singles)
    train(tmp_path, tersoff_frames[:4])


def test_a_frame_without_forces_is_named(tmp_path: Path, tersoff_frames: list[Frame]) -> None:
    frames = [*tersoff_frames[:5], replace(tersoff_frames[5], forces=None)]
    with pytest.raises(InputError, match=r"frame 5 of frames\.h5 has no forces \(1 of 6"):
        train(tmp_path, frames)


def test_forces_that_are_not_numbers_are_named(tmp_path: Path, tersoff_frames: list[Frame]) -> None:
    import h5py

    train(tmp_path, tersoff_frames)
    with h5py.File(tmp_path / "frames.h5", "r+") as file:
        forces = file["atoms/force"][()]
        forces[100, 1] = np.nan
        file["atoms/force"][...] = forces
    job = Job("training", QUICK, {"frames": tmp_path / "frames.h5"}, tmp_path / "other.h5")
    with pytest.raises(InputError, match=r"forces of frame 1 of frames\.h5 is not finite"):
        training.run(job)
    assert not job.output.exists()


def test_the_same_configuration_twice_is_refused(tmp_path: Path, tersoff_frames: list[Frame]) -> None:
    again = replace(tersoff_frames[2], energy=0.0, settings="other")
    with pytest.raises(
        InputError, match=r"frames 2 and 19 of frames.h5 are the same configuration"
    ) as caught:
        train(tmp_path, [*tersoff_frames, again])
    assert "hashigo frames merge" in caught.value.fix


def test_a_fit_that_is_worse_than_no_forces_is_a_named_error(
    tmp_path: Path, tersoff_frames: list[Frame]
) -> None:
    generator = np.random.default_rng(0)
    noise = [replace(f, forces=generator.normal(size=f.forces.shape)) for f in tersoff_frames]  # type: ignore[union-attr]
    with pytest.raises(
        WorkerError, match=r"the fit diverged: its force error on held-out frames is [\d.]+ eV/Å"
    ) as caught:
        train(tmp_path, noise)
    assert "potential.radial_functions" in caught.value.fix


def test_members_are_drawn_as_far_from_the_mean_as_cross_fitted_errors_ask_for(
    tersoff_potential: Path,
) -> None:
    with ResultReader(tersoff_potential) as result:
        note = result.note("calibration")
        error = result.array("parity/forces/reference") - result.array("parity/forces/predicted")
        inside = np.abs(error) <= result.array("parity/forces/spread")
        assert note["held_out"]["forces"]["coverage"][0] == pytest.approx(inside.mean())
        inside = np.abs(error) <= result.array("parity/forces/interval_95")
        assert note["held_out"]["forces"]["coverage"][1] == pytest.approx(inside.mean())
        assert note["member_factor"] > 1
        assert load_committee(tersoff_potential).calibrated is note["calibrated"]


def test_too_few_frames_to_calibrate_on_leave_the_spread_uncalibrated(
    tmp_path: Path, tersoff_frames: list[Frame]
) -> None:
    supercells = [frame for frame in tersoff_frames if frame.kind == "displaced"][:2]
    strained = [frame for frame in tersoff_frames if frame.kind == "strained"][:3]
    with ResultReader(train(tmp_path, [*supercells, *strained])) as result:
        note = result.note("calibration")
    assert note["calibrated"] is False
    assert "cannot be calibrated on 3 training frames" in note["lacking"]
    assert note["member_factor"] == 1
