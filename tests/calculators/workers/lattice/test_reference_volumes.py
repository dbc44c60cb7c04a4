from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from phonopy.qha.eos import get_eos

from hashigo.calculators.frames import Frame
from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers import expansion
from hashigo.calculators.workers.lattice.cell_grid import MARKS, SCALED
from hashigo.calculators.workers.lattice.expansion_result import write
from hashigo.calculators.workers.lattice.reference_volumes import SpotCheck, by_volume, spot_check
from hashigo.calculators.workers.potential import Evaluation

#: 1 GPa in eV/Å^3.
GPA = 1 / 160.21766339999996


class Curve:
    """Energy an atom by Vinet's equation of state, and springs of 5 eV/Å² to the sites of a primitive cell.

    Args:
        volume: of least energy, Å^3 an atom.
        modulus: bulk modulus there, GPa.
    """

    elements = ("Al",)

    def __init__(self, volume: float, modulus: float) -> None:
        self.parameters = [-3.0, modulus * GPA, 4.5, volume]

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Energy, forces and no stress."""
        out = []
        for atoms in structures:
            edges = atoms.cell.lengths() / round(len(atoms) ** (1 / 3))
            moved = atoms.positions - edges * np.rint(atoms.positions / edges)
            curve = get_eos("vinet")(np.array(atoms.get_volume() / len(atoms)), self.parameters)
            energy = len(atoms) * float(curve) + 2.5 * float(np.sum(moved**2))
            out.append(Evaluation(energy, -5.0 * moved, np.zeros(6)))
        return out


def scaled(ratio, edges=(3.0, 3.0, 3.0), repeats=1, shift=0.0):
    atoms = Atoms("Al", cell=np.array(edges) * ratio ** (1 / 3), pbc=True).repeat(repeats)
    atoms.positions[0] += [shift, 0.0, shift / 2]
    return atoms


def frame(atoms, kind, model):
    known = model.evaluate([atoms])[0]
    return Frame(
        atoms.cell.array,
        atoms.positions,
        tuple(atoms.symbols),
        kind=kind,
        energy=known.energy,
        forces=known.forces,
    )


def frames_of(model, ratios, **cell):
    return [
        one
        for ratio in ratios
        for one in (
            frame(scaled(ratio, **cell), "strained", model),
            frame(scaled(ratio, repeats=2, shift=0.02, **cell), "displaced", model),
        )
    ]


def test_frames_are_sorted_by_volume_and_other_shapes_are_left_out():
    model = Curve(27.0, 70.0)
    frames = frames_of(model, [1.02, 0.98])
    sheared = scaled(1.0)
    sheared.set_cell([[3, 0.1, 0], [0, 3, 0], [0, 0, 3]])
    found = by_volume(scaled(1.0), [*frames, frame(sheared, "strained", model)])
    assert [one.atoms.get_volume() / 27 for one in found] == pytest.approx([0.98, 1.02])
    assert [len(one.displaced) for one in found] == [1, 1]
    for one in found:
        assert one.energy == pytest.approx(model.evaluate([one.atoms])[0].energy, abs=1e-9)


def test_a_cell_without_energy_of_its_undisplaced_atoms_has_none():
    displaced = frame(scaled(1.0, repeats=2, shift=0.02), "displaced", Curve(27.0, 70.0))
    (only,) = by_volume(scaled(1.0), [displaced])
    assert only.energy is None
    assert len(only.displaced) == 1


def test_energies_at_volumes_tell_where_the_potential_has_another_minimum_and_modulus():
    reference, potential = Curve(27.0, 70.0), Curve(27.27, 77.0)
    check = spot_check(scaled(1.0), frames_of(reference, np.linspace(0.94, 1.06, 7)), potential)
    assert isinstance(check, SpotCheck)
    assert check.volume == pytest.approx(1.01, abs=1e-5)
    assert check.modulus == pytest.approx((77.0, 70.0), rel=1e-4)
    assert check.displaced == 7
    volumes = 27 * np.linspace(0.94, 1.06, 7)
    gap = get_eos("vinet")(volumes, potential.parameters) - get_eos("vinet")(volumes, reference.parameters)
    assert check.rms == pytest.approx(np.std(gap), rel=1e-6)
    assert check.values()["rms"] == pytest.approx(1000 * check.rms)
    assert check.values()["bulk_modulus_reference"] == pytest.approx(70.0, rel=1e-4)


def test_few_volumes_tell_no_modulus_and_one_tells_nothing():
    model = Curve(27.0, 70.0)
    check = spot_check(scaled(1.0), frames_of(model, [0.98, 1.0, 1.02]), model)
    assert isinstance(check, SpotCheck)
    assert check.rms == pytest.approx(0, abs=1e-12)
    assert check.modulus is None
    assert "bulk_modulus_unit" not in check.values()
    assert "three volumes" in spot_check(scaled(1.0), frames_of(model, [1.0]), model)


def test_frames_of_a_crystal_that_is_not_cubic_say_that_its_shape_is_kept(tmp_path):
    cell = (3.0, 3.0, 3.6)
    settings = expansion.check_settings({"temperatures": [0.0, 300.0], "mesh": 4})
    frames = frames_of(Curve(np.prod(cell), 70.0), np.linspace(0.96, 1.04, 5), edges=cell)
    result = expansion.from_reference(scaled(1.0, edges=cell), frames, settings)
    assert result.kind == SCALED
    write(tmp_path / "result.h5", result, settings, 1)
    with ResultReader(tmp_path / "result.h5") as reader:
        assert reader.quantity("thermal_expansion").marks == (MARKS[SCALED], "from the reference's frames")
