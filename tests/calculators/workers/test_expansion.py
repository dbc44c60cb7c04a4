from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from hashigo.calculators.frames import Frame, write_frames
from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import elasticity, expansion
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.cell_grid import CUBIC, RELAXED, UNIAXIAL, family, grid_points
from hashigo.calculators.workers.lattice.crystal import write_structure
from hashigo.calculators.workers.lattice.expansion_result import write
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells
from hashigo.calculators.workers.potential import Committee
from hashigo.errors import InputError

SMALL = {"temperatures": [0.0, 100.0, 300.0], "volumes": 5, "supercell": [1, 1, 1], "mesh": 6}


@pytest.fixture(scope="module")
def settings():
    return expansion.check_settings(SMALL)


@pytest.fixture(scope="module")
def silicon(tersoff, diamond, settings):
    return expansion.compute(
        Committee(tersoff, (tersoff,) * 2), RelaxedCells(diamond, (diamond,) * 2), settings
    )


def test_silicon_by_tersoff_keeps_the_identities_of_thermodynamics(silicon, settings, tmp_path):
    path = tmp_path / "result.h5"
    write(path, silicon, settings, 1)
    with ResultReader(path) as reader:
        found = {name: reader.quantity(name) for name in reader.quantities()}
        note = reader.note("expansion")
        volume, constant = reader.array("thermal/volume"), reader.array("thermal/heat_capacity_volume")
        assert reader.note("gate")["passed"]
    assert set(found) == {
        "thermal_expansion", "thermal_lattice_parameters", "thermal_density", "quasiharmonic_bulk_modulus",
        "isobaric_heat_capacity", "specific_heat", "gibbs_energy",
    }  # fmt: skip
    alpha = found["thermal_expansion"].value
    assert np.abs(alpha[0]).max() < 1e-12
    assert alpha[2] == pytest.approx(np.eye(3) * alpha[2, 0, 0], abs=1e-12)
    # C_p - C_V = T V α_V² B_T; the conventional cell holds four primitive cells.
    molar = 96485.33212 / 4
    gap = found["isobaric_heat_capacity"].value[2] - constant[2] * molar
    bulk = found["quasiharmonic_bulk_modulus"].value[2] / 160.21766
    assert gap == pytest.approx(300 * volume[2] * np.trace(alpha[2]) ** 2 * bulk * molar, rel=1e-4)
    assert found["specific_heat"].value[2] == pytest.approx(
        found["isobaric_heat_capacity"].value[2] / (2 * 28.085e-3), rel=1e-3
    )
    assert found["thermal_lattice_parameters"].value[2] == pytest.approx([volume[2] ** (1 / 3)] * 3)
    # Equal members have no spread; every part of the error is there.
    assert found["thermal_expansion"].components["model"] == pytest.approx(np.zeros((3, 3, 3)), abs=1e-15)
    assert set(found["thermal_expansion"].components) == {"fit", "mesh", "supercell", "model"}
    assert note["cell"] == CUBIC
    assert note["absent"] == []


def test_temperatures_whose_cell_leaves_the_grid_have_no_numbers(tersoff, diamond, tmp_path):
    settings = expansion.check_settings(
        {**SMALL, "temperatures": [0.0, 3000.0], "volume_range": [0.97, 1.012]}
    )
    result = expansion.compute(Committee(tersoff, ()), RelaxedCells(diamond), settings)
    write(tmp_path / "result.h5", result, settings, 1)
    with ResultReader(tmp_path / "result.h5") as reader:
        assert [c["temperature"] for c in reader.quantity("thermal_expansion").conditions] == [0.0]
        assert reader.note("expansion")["absent"] == [3000.0]
        assert not reader.note("expansion")["converged"]


def test_families_of_cells():
    def crystal(cell):
        return Atoms("Si", cell=cell, pbc=True)

    assert family(crystal([3, 3, 3])) == CUBIC
    assert family(crystal([3, 3, 4])) == UNIAXIAL
    assert family(crystal([3, 3, 4, 90, 90, 120])) == UNIAXIAL
    assert family(crystal([3, 3.5, 4])) == RELAXED
    assert grid_points(UNIAXIAL, 5, (0.95, 1.06)).shape == (25, 2)
    assert grid_points(CUBIC, 5, (0.95, 1.06))[[0, -1], 0] == pytest.approx(np.log([0.95, 1.06]))


def frames_at(tersoff, diamond, ratios):
    """Undisplaced cells and singly displaced supercells, as finite displacements make them."""
    frames = []
    for ratio in ratios:
        cell = diamond.copy()
        cell.set_cell(diamond.cell.array * ratio ** (1 / 3), scale_atoms=True)
        supercell = cell.repeat((2, 2, 2))
        supercell.positions[0] += [0.02, 0.013, 0.005]
        for atoms, kind in ((cell, "strained"), (supercell, "displaced")):
            known = tersoff.evaluate([atoms])[0]
            frame = Frame(atoms.cell.array, atoms.positions, tuple(atoms.symbols), kind=kind)
            frames.append(replace(frame, energy=known.energy, forces=known.forces))
    return frames


def test_frames_at_several_volumes_give_what_their_potential_gives(tersoff, diamond, tmp_path):
    given = {
        **SMALL,
        "temperatures": [200.0],
        "supercell": [2, 2, 2],
        "volumes": 5,
        "volume_range": [0.96, 1.04],
    }
    settings = expansion.check_settings(given)
    by_frames = expansion.from_reference(
        diamond, frames_at(tersoff, diamond, np.geomspace(0.96, 1.04, 5)), settings
    )
    by_potential = expansion.compute(Committee(tersoff, ()), RelaxedCells(diamond), settings)
    values = []
    for name, result in (("frames", by_frames), ("potential", by_potential)):
        write(tmp_path / f"{name}.h5", result, settings, 1)
        with ResultReader(tmp_path / f"{name}.h5") as reader:
            values.append(reader.quantity("thermal_expansion").value[0, 0, 0])
            marks = reader.quantity("thermal_expansion").marks
            assert ("from the reference's frames" in marks) == (name == "frames")
    assert values[0] == pytest.approx(values[1], rel=0.02)


def test_the_task_compares_the_potential_with_frames_of_several_volumes(tersoff, diamond, tmp_path):
    inputs = {name: tmp_path / f"{name}.h5" for name in ("frames", "elasticity")}
    inputs["structure"] = tmp_path / "structure.json"
    write_structure(inputs["structure"], diamond)
    potential = {"potential": {"engine": "tersoff", "parameters": {}}}
    elasticity.run(Job("elasticity", potential, {"structure": inputs["structure"]}, inputs["elasticity"]))
    write_frames(inputs["frames"], frames_at(tersoff, diamond, np.geomspace(0.96, 1.04, 5)), {})
    given = {**potential, **SMALL, "supercell": [2, 2, 2], "volume_range": [0.96, 1.04]}
    expansion.run(Job("expansion", given, inputs, tmp_path / "result.h5"))
    with ResultReader(tmp_path / "result.h5") as reader:
        note = reader.note("expansion")
    assert note["spot_check"]["rms"] == pytest.approx(0, abs=1e-6)
    assert note["spot_check"]["equilibrium_volume_ratio"] == pytest.approx(1, abs=1e-6)
    # Only the fit differs, over other cells: the potential's lie around its own relaxed one.
    cross = note["cross_check"]
    assert cross["temperatures"] == SMALL["temperatures"]
    assert cross["expansion_potential"] == pytest.approx(cross["expansion_reference"], rel=0.02, abs=1e-9)


def test_frames_of_one_volume_say_why_nothing_is_compared(tersoff, diamond, settings):
    assert "no reference frames" in expansion.cross_check(diamond, [], settings)
    one = frames_at(tersoff, diamond, [1.0])
    assert "at 1 volumes" in expansion.cross_check(diamond, one, settings)


def test_too_few_volumes_of_frames_are_one_sentence(tersoff, diamond, settings):
    with pytest.raises(InputError, match="at 4 volumes; an expansion from them needs 5"):
        expansion.from_reference(diamond, frames_at(tersoff, diamond, [0.97, 0.99, 1.01, 1.03]), settings)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"volume": 3}, "expansion.volume is not a parameter"),
        ({"volume_range": [1.01, 1.1]}, "it must hold 1"),
        ({"volumes": 4}, "less than 5"),
    ],
)
def test_settings_that_make_no_sense(parameters, sentence):
    with pytest.raises(InputError, match=sentence):
        expansion.check_settings(parameters)
