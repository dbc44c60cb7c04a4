from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from scipy.spatial.transform import Rotation

from hashigo.calculators.frames import Frame, write_frames
from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers import elasticity, phonons, training
from hashigo.calculators.workers.extrapolation import (
    TrainedRegion,
    frames_to_label,
    largest_strain,
    trained_region,
    write_outside,
)
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import write_structure
from hashigo.calculators.workers.polynomial import load_committee


def strained(atoms: Atoms, strain: float) -> Atoms:
    out = atoms.copy()
    out.set_cell(atoms.cell.array @ np.diag([1 + strain, 1.0, 1.0]), scale_atoms=True)
    return out


def shaken(atoms: Atoms, distance: float) -> Atoms:
    out = atoms.copy()
    out.rattle(distance, rng=np.random.RandomState(0))
    return out


@pytest.fixture(scope="module")
def region(tersoff_frames: list[Frame], diamond: Any) -> TrainedRegion:
    return trained_region([frame for frame in tersoff_frames if frame.kind != "atom"], diamond)


def test_the_strain_of_a_repeated_turned_and_deformed_cell(diamond: Atoms) -> None:
    cell = diamond.cell.array
    deformed = strained(diamond.repeat((2, 1, 3)), -0.04)
    assert largest_strain(deformed, cell, 8) == pytest.approx(0.04)
    turned = deformed.copy()
    turned.set_cell(deformed.cell.array @ Rotation.from_rotvec([0, 0, 0.2]).as_matrix(), scale_atoms=True)
    assert largest_strain(turned, cell, 8) == pytest.approx(0.04)
    # Simple shear by γ has the principal stretches (sqrt(4 + γ²) ± γ)/2.
    sheared = diamond.copy()
    sheared.set_cell(cell @ np.array([[1, 0.1, 0], [0, 1, 0], [0, 0, 1.0]]), scale_atoms=True)
    assert largest_strain(sheared, cell, 8) == pytest.approx((np.sqrt(4.01) + 0.1) / 2 - 1)
    assert largest_strain(diamond[:7], cell, 8) is None
    for repeat in (1, 5, 6, 8):
        assert largest_strain(strained(diamond.repeat(repeat), 0.10), cell, 8) == pytest.approx(0.10)
        assert largest_strain(diamond.repeat(repeat), cell, 8) == pytest.approx(0)


def test_a_cell_under_ten_percent_strain_is_outside_and_one_within_the_margin_is_not(
    tersoff_potential: Path, region: TrainedRegion, diamond: Atoms
) -> None:
    committee = load_committee(tersoff_potential)
    limit = 1.5 * region.strain
    cells = [strained(diamond, 0.10), strained(diamond, 0.999 * limit), strained(diamond, 1.001 * limit)]
    found = region.judge(committee, cells)
    assert [one.index for one in found] == [0, 2]
    assert "the cell is strained by 10.0 %, those of the training frames by" in found[0].sentence


def test_atoms_far_from_all_that_was_trained_on_are_outside_and_those_between_are_not(
    tersoff_potential: Path, region: TrainedRegion, diamond: Atoms
) -> None:
    committee = load_committee(tersoff_potential)
    supercell = diamond.repeat(2)
    found = region.judge(committee, [supercell, shaken(supercell, 0.02), shaken(supercell, 0.5)])
    assert [one.index for one in found] == [2]
    assert "the committee's uncertainty of the forces is" in found[0].sentence


def test_the_region_is_kept_with_the_potential(tersoff_potential: Path) -> None:
    region = TrainedRegion.read(tersoff_potential)
    assert region is not None
    assert region.force > 0.1
    # This fixture was trained without a structure.
    assert region.cell is None


def test_frames_to_label_come_back_as_they_were(
    tmp_path: Path, region: TrainedRegion, diamond: Atoms
) -> None:
    cells = [diamond, strained(diamond, 0.10)]
    found = region.judge(load_no_members(), cells)
    with ResultWriter(tmp_path / "result.h5", task="dynamics", task_version=1) as writer:
        write_outside(writer, cells, found, "a cell for a test")
    with ResultReader(tmp_path / "result.h5") as reader:
        gate, frames = reader.note("gate"), frames_to_label(reader)
    assert (gate["name"], gate["passed"], gate["frames"]) == ("trained_region", False, 1)
    assert gate["message"].startswith(
        "a cell for a test leaves the region in which the potential was trained: the cell"
    )
    assert len(frames) == 1
    np.testing.assert_array_equal(frames[0].positions, cells[1].positions)
    assert frames[0].symbols == ("Si",) * 8


def load_no_members() -> Any:
    from hashigo.calculators.workers.potential import Committee

    return Committee(mean=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("displacement", "passed"), [(0.03, True), (0.2, False)])
def test_phonons_from_displacements_far_beyond_the_training_stop_at_the_gate_with_frames_to_label(
    tmp_path: Path, tersoff_potential: Path, diamond: Atoms, displacement: float, passed: bool
) -> None:
    inputs = {"potential": tersoff_potential, "structure": tmp_path / "structure.json"}
    write_structure(inputs["structure"], diamond)
    elasticity.run(Job("elasticity", {}, inputs, tmp_path / "elasticity.h5"))
    inputs["elasticity"] = tmp_path / "elasticity.h5"
    settings = {"displacement": displacement, "mesh": 5, "band_points": 3, "supercell": [1, 1, 1]}
    phonons.run(Job("phonons", settings, inputs, tmp_path / "phonons.h5"))
    with ResultReader(tmp_path / "elasticity.h5") as reader:
        assert reader.note("gate")["name"] == "born_stability"
    with ResultReader(tmp_path / "phonons.h5") as reader:
        assert reader.note("gate")["name"] == "imaginary_mode"
        gate, frames = reader.note("trained_region"), frames_to_label(reader)
    assert (gate is None) is passed
    assert (len(frames) == 0) is passed
    if not passed:
        assert gate["passed"] is False
        assert gate["message"].startswith(
            "the displaced supercell leaves the region in which the potential was trained"
        )


def test_strains_are_counted_from_the_structure_that_the_training_was_given(
    tmp_path: Path, tersoff_frames: list[Frame], diamond: Atoms
) -> None:
    stretched = diamond.copy()
    stretched.set_cell(diamond.cell.array * 1.12, scale_atoms=True)
    # As if the frames had been made for a crystal that is 12 % larger.
    write_structure(tmp_path / "structure.json", stretched)
    near = [f for f in tersoff_frames if f.kind == "displaced"] + [
        f for f in tersoff_frames if f.kind == "strained"
    ]
    write_frames(tmp_path / "frames.h5", near, {"atomic_energies": {"Si": 0.0}})
    quick = {"members": 2, "cutoff": 4.0, "radial_functions": 3, "invariant_max_l": [2, 2]}
    inputs = {"frames": tmp_path / "frames.h5", "structure": tmp_path / "structure.json"}
    training.run(Job("training", quick, inputs, tmp_path / "potential.h5"))
    region = TrainedRegion.read(tmp_path / "potential.h5")
    assert region is not None
    assert region.strain == pytest.approx(1 - 0.94 ** (1 / 3) / 1.12, abs=0.02)
