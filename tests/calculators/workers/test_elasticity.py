from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.units import GPa

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import elasticity
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import primitive, write_structure
from hashigo.calculators.workers.lattice.moduli import hill_moduli
from hashigo.calculators.workers.polynomial import load_committee
from hashigo.calculators.workers.potential import AseModel, Committee, Evaluation, Model
from hashigo.errors import InputError, WorkerError

TERSOFF = {"potential": {"engine": "tersoff", "parameters": {}}}


def job(folder: Path, atoms: Atoms, trained: Path | None = None, **parameters: Any) -> Job:
    write_structure(folder / "structure.json", atoms)
    inputs = {"structure": folder / "structure.json"}
    if trained is not None:
        inputs["potential"] = trained
    return Job(
        "elasticity", parameters, inputs, folder / "elasticity.h5", progress_path=folder / "progress.json"
    )


def test_tersoff_silicon_has_its_known_cell_and_stiffness(tmp_path: Path) -> None:
    task = job(tmp_path, bulk("Si", "diamond", 5.40, cubic=True), **TERSOFF)
    elasticity.run(task)
    with ResultReader(task.output) as result:
        np.testing.assert_allclose(result.quantity("lattice_parameters").value[0], 5.4320, atol=5e-4)
        stiffness = result.quantity("stiffness").value[0]
        for known, found in ((142.5, stiffness[0, 0]), (75.4, stiffness[0, 1]), (69.0, stiffness[3, 3])):
            assert found == pytest.approx(known, rel=0.005)
        assert result.quantity("density").value[0] == pytest.approx(2327.9, rel=1e-3)
        assert result.quantity("bulk_modulus").value[0] == pytest.approx((142.5 + 2 * 75.4) / 3, rel=0.005)
        assert result.quantity("zener_ratio").value[0] == pytest.approx(2 * 69.0 / (142.5 - 75.4), rel=0.01)
        density = result.quantity("density").value[0]
        shear = result.quantity("shear_modulus").value[0]
        assert result.quantity("sound_velocity_transverse").value[0] == pytest.approx(
            np.sqrt(shear * 1e9 / density)
        )
        # along x run two transverse waves and a longitudinal one
        row, column = result.array("sound/polar").tolist().index(90.0), 0
        expected = np.sqrt(np.array([69.0, 69.0, 142.5]) * 1e9 / density)
        np.testing.assert_allclose(result.array("sound/velocity")[row, column], expected, rtol=0.003)
        assert not result.has("sound/spread")
        assert result.quantity("stiffness").members is None
        assert result.quantity("stiffness").standard_uncertainty is None
        assert result.note("born_stability")["stable"]
        assert result.note("relaxed") == {"symbols": ["Si"] * 8}
        assert result.array("relaxed/positions").shape == (8, 3)
    assert json.loads((tmp_path / "progress.json").read_text())["done"] == 1


def test_members_are_aligned_and_make_the_model_part_of_the_uncertainty(
    tmp_path: Path, tersoff_potential: Path, diamond: Atoms
) -> None:
    task = job(tmp_path, diamond, tersoff_potential)
    elasticity.run(task)
    with ResultReader(task.output) as result:
        record = result.quantity("stiffness")
        assert record.members is not None
        assert record.members.shape == (4, 1, 6, 6)
        assert record.value[0, 0, 0] == pytest.approx(142.5, rel=0.01)
        np.testing.assert_allclose(record.components["model"], record.members.std(axis=0, ddof=1))
        np.testing.assert_allclose(record.standard_uncertainty, record.components["model"])
        assert record.calibrated is load_committee(tersoff_potential).calibrated
        shear = result.quantity("shear_modulus").members
        debye = result.quantity("debye_temperature")
        assert debye.members is not None
        assert debye.members.shape == (4, 1)
        assert debye.value[0] == pytest.approx(np.mean(debye.members), rel=0.02)
        assert result.array("sound/spread").shape == result.array("sound/velocity").shape
        volumes = result.quantity("cell_volume").members
        cells = result.array("members/cell")
        assert shear is not None
        assert volumes is not None
        for index in range(4):
            moduli = hill_moduli(record.members[index, 0])
            assert shear[index, 0] == pytest.approx(moduli.shear)
            assert volumes[index, 0] == pytest.approx(np.linalg.det(cells[index]))
        assert result.array("members/positions").shape == (4, 8, 3)


def test_two_ranks_give_what_one_gives(tmp_path: Path, tersoff_potential: Path, diamond: Atoms) -> None:
    serial = job(tmp_path, diamond, tersoff_potential)
    elasticity.run(serial)

    class Rank:
        """One of two ranks, run one after the other."""

        size = 2
        kept: list[Any] = []

        def __init__(self, rank: int) -> None:
            self.rank = rank

        def gather(self, value: Any, root: int = 0) -> list[Any] | None:
            self.kept.append(value)
            return self.kept[::-1] if self.rank == root else None

    second = job(tmp_path, diamond, tersoff_potential)
    for rank in (1, 0):
        second.comm, second.output = Rank(rank), tmp_path / f"rank{rank}.h5"
        elasticity.run(second)
    assert not (tmp_path / "rank1.h5").exists()
    assert (tmp_path / "rank0.h5").read_bytes() == serial.output.read_bytes()


class Soft:
    """A model with stress against every shear of a cell taken away; softening by its shear stiffness is just enough."""

    def __init__(self, model: Model, cell: np.ndarray, softening: float) -> None:
        self._model, self._cell, self._softening = model, cell, softening

    @property
    def elements(self) -> tuple[str, ...]:
        return self._model.elements

    def evaluate(self, structures: Any) -> list[Evaluation]:
        out = []
        for atoms, known in zip(structures, self._model.evaluate(structures), strict=True):
            strain = np.linalg.solve(self._cell, atoms.cell.array) - np.eye(3)
            extra = -2 * self._softening * GPa * np.array([0, 0, 0, strain[1, 2], strain[0, 2], strain[0, 1]])
            out.append(Evaluation(known.energy, known.forces, known.stress + extra))
        return out


@pytest.mark.parametrize(("shear", "passed"), [(1.0, True), (-1.0, False)])
def test_the_gate_just_passes_and_just_fails_and_the_result_is_kept(
    tmp_path: Path,
    tersoff: AseModel,
    diamond: Atoms,
    monkeypatch: pytest.MonkeyPatch,
    shear: float,
    passed: bool,
) -> None:
    # Tersoff's silicon has C44 = 69.0 GPa; "shear" is what is left of it, GPa.
    soft = Committee(Soft(tersoff, primitive(diamond).cell.array, 69.0 - shear))
    monkeypatch.setattr(elasticity, "committee_for", lambda *_: soft)
    task = job(tmp_path, diamond)
    elasticity.run(task)
    with ResultReader(task.output) as result:
        note, gate = result.note("born_stability"), result.note("gate")
        assert result.quantity("stiffness").value[0, 3, 3] == pytest.approx(shear, abs=0.5)
    assert note["stable"] is gate["passed"] is passed
    assert (note["eigenvalues"][0] > 0) is passed
    assert gate["name"] == "born_stability"
    with ResultReader(task.output) as result:
        # moduli of directions that yield mean nothing
        assert ("debye_temperature" in result.quantities()) is passed
        assert "shear_modulus" in result.quantities()
    if passed:
        assert (gate["message"], gate["fix"]) == ("", "")
    else:
        assert re.fullmatch(
            r"Si8 is elastically unstable: its stiffness has an eigenvalue of -[\d.]+ GPa", gate["message"]
        )
        assert "structure's phase" in gate["fix"]


def test_an_unstable_member_takes_the_spread_of_what_it_does_not_have(
    tmp_path: Path, tersoff: AseModel, diamond: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    unstable = Soft(tersoff, primitive(diamond).cell.array, 75.0)
    committee = Committee(tersoff, (tersoff, unstable))
    monkeypatch.setattr(elasticity, "committee_for", lambda *_: committee)
    task = job(tmp_path, diamond)
    elasticity.run(task)
    with ResultReader(task.output) as result:
        assert result.note("born_stability")["unstable_members"] == [1]
        record = result.quantity("debye_temperature")
        assert record.standard_uncertainty is None
        assert record.marks == (elasticity.UNSTABLE_MEMBER,)
        assert result.quantity("bulk_modulus").standard_uncertainty is not None


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"strain": 0.0}, r"elasticity\.strain is 0\.0"),
        ({"strain": 0.5}, r"elasticity\.strain is 0\.5"),
        ({"force_tolerance": 0.0}, r"elasticity\.force_tolerance is 0\.0 eV/Å"),
        ({"pressure": 1}, r"elasticity\.pressure is not a parameter"),
    ],
)
def test_bad_parameters_are_named(tmp_path: Path, parameters: dict[str, Any], sentence: str) -> None:
    task = job(tmp_path, bulk("Si", "diamond", 5.43, cubic=True), **{**TERSOFF, **parameters})
    with pytest.raises(InputError, match=sentence):
        elasticity.run(task)
    assert not task.output.exists()


def test_another_element_than_the_potentials_is_named(tmp_path: Path, tersoff_potential: Path) -> None:
    task = job(tmp_path, bulk("Ge", "diamond", 5.66, cubic=True), tersoff_potential)
    with pytest.raises(InputError, match="has Ge, the potential was trained on Si only"):
        elasticity.run(task)


def test_a_failure_names_the_model(
    tersoff: AseModel, diamond: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hashigo.calculators.workers.lattice.elastic.MAX_STEPS", 1)
    squeezed = diamond.copy()
    squeezed.set_cell(diamond.cell.array * 0.97, scale_atoms=True)
    with pytest.raises(WorkerError, match="with the mean potential, the relaxation of Si2 did not converge"):
        elasticity.compute(squeezed, Committee(tersoff), elasticity.check_settings({}))


def test_the_worker_starts_from_its_job_file(tmp_path: Path, diamond: Atoms) -> None:
    write_structure(tmp_path / "structure.json", diamond)
    content = {"task": "elasticity", "parameters": TERSOFF, "inputs": {"structure": "structure.json"},
               "output": "result.h5"}  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(content))
    command = [sys.executable, "-m", "hashigo.calculators.workers", "job.json"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert (tmp_path / "result.h5").is_file()
