from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import expansion, thermoelasticity
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice import expansion_result, thermoelastic_result
from hashigo.calculators.workers.lattice.crystal import point_group, primitive, write_structure
from hashigo.calculators.workers.lattice.elastic import relax, symmetrise
from hashigo.calculators.workers.lattice.expanded import read_expanded
from hashigo.calculators.workers.lattice.relaxed import RelaxedCells
from hashigo.calculators.workers.potential import AseModel, Committee, Evaluation, Model
from hashigo.errors import InputError

GPA = 1 / 160.2176634


class Scaled:
    """A model whose energies are a factor times another's: an equal crystal, stiffer and of higher frequencies."""

    def __init__(self, model: Model, factor: float) -> None:
        self._model, self._factor = model, factor

    @property
    def elements(self) -> tuple[str, ...]:
        return self._model.elements

    def evaluate(self, structures: Any) -> list[Evaluation]:
        return [
            Evaluation(self._factor * one.energy, self._factor * one.forces, self._factor * one.stress)
            for one in self._model.evaluate(structures)
        ]


def computed(
    folder: Path,
    committee: Committee,
    atoms: Atoms,
    temperatures: list[float],
    supercell: list[int],
    mesh: int,
    volumes: int = 5,
) -> tuple[Any, Path]:
    """Expansion and thermoelasticity of a crystal that all models have the cell of; the latter's result and file."""
    cells = RelaxedCells(atoms, (atoms,) * len(committee.members))
    common = {"supercell": supercell, "mesh": mesh}
    settings = expansion.check_settings(
        {
            **common,
            "temperatures": temperatures,
            "volumes": volumes,
            "displacement": 0.01,
            "volume_range": [0.97, 1.05],
        }
    )
    expansion_result.write(
        folder / "expansion.h5", expansion.compute(committee, cells, settings), settings, 1
    )
    expanded = read_expanded(folder / "expansion.h5", len(committee.members))
    settings = thermoelasticity.check_settings(common)
    result = thermoelasticity.compute(committee, cells, expanded, settings)
    thermoelastic_result.write(folder / "result.h5", result, settings, 1)
    return result, folder / "result.h5"


@pytest.fixture(scope="module")
def silicon(tersoff: AseModel, diamond: Atoms, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    committee = Committee(tersoff, (Scaled(tersoff, 0.98), Scaled(tersoff, 1.02)))
    folder = tmp_path_factory.mktemp("silicon")
    return computed(folder, committee, relax(tersoff, diamond), [0.0, 100.0, 300.0, 800.0], [1, 1, 1], 6, 7)


def test_silicon_softens_and_keeps_to_its_thermal_expansion(silicon: tuple[Any, Path]) -> None:
    with ResultReader(silicon[1]) as result, ResultReader(silicon[1].with_name("expansion.h5")) as expanded:
        isothermal = result.quantity("isothermal_stiffness").value
        adiabatic = result.quantity("adiabatic_stiffness").value
        note, gate = result.note("thermoelasticity"), result.note("gate")
        alpha = expanded.quantity("thermal_expansion").value[:, 0, 0]
        bulk = expanded.quantity("quasiharmonic_bulk_modulus").value
        volume = expanded.array("thermal/volume")
        capacity = expanded.array("thermal/heat_capacity_volume")
    # Tersoff's constants at 0 K are 142.5, 75.4 and 69.0 GPa; zero-point motion takes a little.
    np.testing.assert_allclose(isothermal[0, [0, 0, 3], [0, 1, 3]], [140, 74, 67.5], rtol=0.02)
    for i, j in ((0, 0), (0, 1), (3, 3)):
        assert (np.diff(isothermal[:, i, j]) < 0).all()
    np.testing.assert_allclose((isothermal[:, 0, 0] + 2 * isothermal[:, 0, 1]) / 3, bulk, rtol=1e-3)
    stress = np.einsum("tij,j->ti", isothermal, [1, 1, 1, 0, 0, 0]) * alpha[:, None]
    temperatures = np.array([0.0, 100.0, 300.0, 800.0])
    with np.errstate(invalid="ignore"):
        factor = np.nan_to_num(temperatures * volume / capacity) * GPA
    expected = factor[:, None, None] * np.einsum("ti,tj->tij", stress, stress)
    np.testing.assert_allclose(adiabatic - isothermal, expected, atol=2e-3 * expected.max())
    assert expected[3, 0, 0] > 1
    assert note["checks"]["bulk_modulus"] < 1e-3
    assert note["checks"]["expansion"] < 1e-3
    assert note["checks"]["correction"] < 1e-5
    assert "reshaped" not in note["checks"]
    assert gate["passed"]
    assert note["cells"] == 3


def test_members_are_aligned_and_every_error_is_there(silicon: tuple[Any, Path]) -> None:
    with ResultReader(silicon[1]) as result:
        names = set(result.quantities())
        record, debye = result.quantity("adiabatic_stiffness"), result.quantity("debye_temperature")
    assert names == {
        "isothermal_stiffness", "adiabatic_stiffness", "bulk_modulus", "shear_modulus", "young_modulus",
        "poisson_ratio", "universal_anisotropy", "zener_ratio", "sound_velocity_longitudinal",
        "sound_velocity_transverse", "debye_temperature",
    }  # fmt: skip
    assert set(record.components) == {"mesh", "supercell", "strain", "fit", "model"}
    assert record.components["strain"].max() < 0.2
    assert record.components["supercell"][3, 3, 3] > record.components["strain"][3, 3, 3]
    assert record.converged
    assert record.members.shape == (2, 4, 6, 6)
    # Energies scale the static part, and by their root the quanta.
    ratio = record.members[:, :, 0, 0] / record.value[:, 0, 0]
    np.testing.assert_allclose(ratio, [[0.98] * 4, [1.02] * 4], atol=2e-3)
    np.testing.assert_allclose(record.components["model"], record.members.std(axis=0, ddof=1))
    assert debye.value[0] == pytest.approx(np.mean(debye.members[:, 0]), rel=1e-3)


class Bonds:
    """Morse's bonds of a Bravais lattice, each of its natural length in it, in any supercell.

    Args:
        atoms: the conventional cell; lengths in Å.
        longest: bond, Å.
    """

    elements = ("Al",)

    def __init__(self, atoms: Atoms, longest: float) -> None:
        self._cell = primitive(atoms).cell.array
        self._longest = longest

    def evaluate(self, structures: Any) -> list[Evaluation]:
        return [self._one(atoms) for atoms in structures]

    def _one(self, atoms: Atoms) -> Evaluation:
        first, vectors = neighbor_list("iD", atoms, self._longest + 0.4)
        lengths = np.linalg.norm(vectors, axis=1)
        natural = np.linalg.norm(np.rint(vectors @ np.linalg.inv(self._cell)) @ self._cell, axis=1)
        known = natural < self._longest
        first, vectors, lengths, natural = first[known], vectors[known], lengths[known], natural[known]
        strength = np.exp(-(natural - 3.0) / 2)
        gone = 1 - np.exp(-1.3 * (lengths - natural))
        pulls = (2 * 1.3 * strength * gone * (1 - gone) / lengths)[:, None] * vectors
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, first, pulls)
        stress = np.einsum("bi,bj->ij", pulls, vectors) / 2 / atoms.get_volume()
        energy = float(np.sum(strength * gone**2)) / 2
        return Evaluation(energy, forces, stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]])


def centred(*edges: float) -> Atoms:
    return Atoms("Al2", cell=edges, scaled_positions=[[0, 0, 0], [0.5] * 3], pbc=True)


def simple(*parameters: float) -> Atoms:
    return Atoms("Al", cell=parameters, pbc=True)


def test_two_ranks_give_what_one_gives(tmp_path: Path) -> None:
    class Rank:
        """One of two ranks, run one after the other."""

        size = 2
        kept: list[Any] = []

        def __init__(self, rank: int) -> None:
            self.rank = rank

        def gather(self, value: Any, root: int = 0) -> list[Any] | None:
            self.kept.append(value)
            return self.kept[::-1] if self.rank == root else None

    atoms = centred(3.3, 3.3, 3.3)
    committee = Committee(Bonds(atoms, 3.5))
    _, path = computed(tmp_path, committee, atoms, [300.0], [2, 2, 2], 4)
    expanded = read_expanded(tmp_path / "expansion.h5", 0)
    settings = thermoelasticity.check_settings({"supercell": [2, 2, 2], "mesh": 4})
    found = None
    for rank in (1, 0):
        job = Job("thermoelasticity", {}, {}, tmp_path / "rank.h5", comm=Rank(rank))
        found = thermoelasticity.compute(committee, RelaxedCells(atoms), expanded, settings, job)
        assert (found is None) is (rank == 1)
    thermoelastic_result.write(tmp_path / "rank.h5", found, settings, 1)
    assert (tmp_path / "rank.h5").read_bytes() == path.read_bytes()


def test_a_hexagonal_crystal_keeps_to_the_expansion_of_both_its_edges(tmp_path: Path) -> None:
    atoms = simple(3.0, 3.0, 3.4, 90, 90, 120)
    _, path = computed(tmp_path, Committee(Bonds(atoms, 4.6)), atoms, [0.0, 300.0], [2, 2, 2], 6)
    with ResultReader(path) as result:
        checks = result.note("thermoelasticity")["checks"]
        stiffness = result.quantity("adiabatic_stiffness").value[1]
        alpha = result.array("thermal/expansion")[1]
        assert "zener_ratio" not in result.quantities()
    assert "reshaped" not in checks
    assert checks["bulk_modulus"] < 2e-3
    assert checks["expansion"] < 5e-3
    assert checks["correction"] < 1e-4
    rotations = point_group(atoms)
    np.testing.assert_allclose(symmetrise(stiffness, rotations), stiffness, atol=1e-6)
    np.testing.assert_allclose(rotations @ alpha @ rotations.transpose(0, 2, 1) - alpha, 0, atol=1e-12)
    assert alpha[0, 0] != pytest.approx(alpha[2, 2], rel=0.01)


#: Crystals whose shape the expansion relaxes without vibrations.
LOW = {
    "orthorhombic": (centred(3.9, 4.3, 4.9), 5.2),
    "monoclinic": (simple(2.9, 3.2, 3.5, 90, 98, 90), 5.0),
    "triclinic": (simple(2.9, 3.2, 3.5, 83, 98, 86), 5.0),
}


@pytest.mark.parametrize(
    "name",
    ["orthorhombic", *(pytest.param(x, marks=pytest.mark.slow) for x in ("monoclinic", "triclinic"))],
)
def test_a_crystal_of_low_symmetry_is_freed_of_the_stress_that_vibrations_leave(
    name: str, tmp_path: Path
) -> None:
    atoms, longest = LOW[name]
    _, path = computed(tmp_path, Committee(Bonds(atoms, longest)), atoms, [0.0, 300.0, 600.0], [2, 2, 2], 5)
    with ResultReader(path) as result:
        checks = result.note("thermoelasticity")["checks"]
        lattice, alpha = result.array("thermal/lattice"), result.array("thermal/expansion")
        stiffness = result.quantity("isothermal_stiffness").value[2]
        assert result.note("gate")["passed"]
    assert 2e-5 < checks["reshaped"] < 0.01
    assert checks["correction"] < 0.1 * checks["reshaped"]
    assert checks["bulk_modulus"] < 0.02
    rotations = point_group(atoms)
    np.testing.assert_allclose(symmetrise(stiffness, rotations), stiffness, atol=1e-6 * stiffness.max())
    np.testing.assert_allclose(rotations @ alpha[2] @ rotations.transpose(0, 2, 1) - alpha[2], 0, atol=1e-12)
    # the mean rate between two temperatures, from cells that know nothing of it
    gradient = np.linalg.solve(lattice[1], lattice[2]) - np.eye(3)
    rate = (gradient + gradient.T) / 2 / 300
    np.testing.assert_allclose((alpha[1] + alpha[2]) / 2, rate, atol=0.03 * np.abs(rate).max())


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"strains": 0.01}, r"thermoelasticity\.strains is not a parameter"),
        ({"strain": 0.2}, r"thermoelasticity\.strain is 0\.2, not between 0 and 0\.03"),
        ({"displacement": 0.0}, r"thermoelasticity\.displacement is 0\.0 Å"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        thermoelasticity.check_settings(parameters)


def test_another_committee_than_the_expansions_is_named(silicon: tuple[Any, Path]) -> None:
    with pytest.raises(InputError, match="has 3 members, but the thermal expansion is of 2"):
        read_expanded(silicon[1].with_name("expansion.h5"), 3)


def test_imaginary_modes_are_one_sentence(
    silicon: tuple[Any, Path], tersoff: AseModel, diamond: Atoms
) -> None:
    expanded = read_expanded(silicon[1].with_name("expansion.h5"), 0)
    settings = thermoelasticity.check_settings(
        {"supercell": [1, 1, 1], "mesh": 2, "imaginary_tolerance": 5.0}
    )
    with pytest.raises(InputError, match="Si8 has imaginary modes in a strained cell"):
        thermoelasticity.compute(
            Committee(tersoff), RelaxedCells(relax(tersoff, diamond)), expanded, settings
        )


def test_the_task_runs_from_its_files(
    silicon: tuple[Any, Path], tersoff: AseModel, diamond: Atoms, tmp_path: Path
) -> None:
    from hashigo.calculators.workers import elasticity

    write_structure(tmp_path / "structure.json", diamond)
    engine = {"potential": {"engine": "tersoff", "parameters": {}}}
    inputs = {"structure": tmp_path / "structure.json"}
    elasticity.run(Job("elasticity", engine, inputs, tmp_path / "elasticity.h5"))
    inputs["elasticity"] = tmp_path / "elasticity.h5"
    small = {**engine, "supercell": [1, 1, 1], "mesh": 4}
    parameters = {**small, "temperatures": [300.0], "volumes": 5}
    expansion.run(Job("expansion", parameters, inputs, tmp_path / "expansion.h5"))
    inputs["expansion"] = tmp_path / "expansion.h5"
    thermoelasticity.run(Job("thermoelasticity", small, inputs, tmp_path / "result.h5"))
    with ResultReader(tmp_path / "result.h5") as result:
        record = result.quantity("isothermal_stiffness")
        assert result.note("thermoelasticity")["cells"] == 1
    assert record.conditions == [{"temperature": 300.0}]
    assert record.members is None
