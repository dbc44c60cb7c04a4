from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator

from hashigo.calculators.frames import read_frames, write_frames
from hashigo.calculators.workers import candidates
from hashigo.calculators.workers.candidates import Candidate, alike, distance
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import write_structure
from hashigo.calculators.workers.lattice.force_constants import Fit, build_lattice, random_dataset
from hashigo.calculators.workers.polynomial import load_committee
from hashigo.calculators.workers.potential import AseModel
from hashigo.errors import InputError

QUICK = {
    "supercells": 3,
    "strained": 2,
    "dynamics_steps": 24,
    "sources": ["thermal", "vibrations", "dynamics", "strained"],
}


def job(folder: Path, diamond: Atoms, potential: Path, frames: list, **parameters: object) -> Job:
    write_structure(folder / "structure.json", diamond)
    write_frames(folder / "frames.h5", frames, {"engine": "tersoff"})
    inputs = {"structure": folder / "structure.json", "potential": potential, "frames": folder / "frames.h5"}
    return Job("candidates", {**QUICK, **parameters}, inputs, folder / "chosen.h5")


def test_frames_are_chosen_of_every_source_and_the_same_again(
    tmp_path: Path, tersoff_potential: Path, tersoff_frames: list, diamond: Atoms
) -> None:
    task = job(tmp_path, diamond, tersoff_potential, tersoff_frames)
    candidates.run(task)
    chosen = read_frames(task.output)
    # None is "displaced": these are not small displacements, from which force constants follow.
    assert sorted(frame.kind for frame in chosen[:3]) == ["dynamics", "thermal", "vibrations"]
    assert [frame.kind for frame in chosen[3:]] == ["strained"] * 2
    assert all("uncertainty" in frame.origin for frame in chosen)
    assert all(frame.energy is None and frame.forces is None for frame in chosen)
    first = [frame.identity for frame in chosen]
    candidates.run(task)
    assert [frame.identity for frame in read_frames(task.output)] == first
    other = job(tmp_path, diamond, tersoff_potential, [*tersoff_frames, *chosen])
    candidates.run(other)
    assert not set(first) & {frame.identity for frame in read_frames(other.output)}


def test_thermal_displacements_have_the_mean_square_of_quantum_oscillators(
    tersoff_potential: Path, diamond: Atoms
) -> None:
    committee = load_committee(tersoff_potential)
    settings = candidates.check_settings({"temperatures": [300.0]})
    supercell, frequencies, shapes = candidates._vibrations(committee, diamond, settings)
    # The highest frequency is that of Tersoff's silicon at the zone centre.
    top = frequencies.max() / (2 * np.pi) * units.second / 1e12
    assert top == pytest.approx(16.0, abs=0.2)
    sizes = candidates._amplitudes(frequencies, 300.0)
    # Equipartition holds far above all frequencies: <Q²> = kT/ω².
    hot = candidates._amplitudes(frequencies, 1e5)
    np.testing.assert_allclose(hot**2 * frequencies**2 / (units.kB * 1e5), 1.0, rtol=1e-4)
    exact = np.einsum("m,mai->", sizes**2, shapes**2) / len(supercell)
    made = list(candidates._thermal(committee, None, diamond, settings))  # type: ignore[arg-type]
    sampled = np.mean(
        [np.sum((one.atoms.positions - supercell.positions) ** 2, axis=1).mean() for one in made]
    )
    assert sampled == pytest.approx(exact, rel=0.1)


def test_near_duplicates_are_told_from_different_configurations(diamond: Atoms) -> None:
    generator = np.random.default_rng(0)
    moved = diamond.copy()
    moved.positions += generator.normal(scale=0.05, size=(8, 3))
    near, far = moved.copy(), diamond.copy()
    near.positions += generator.normal(scale=0.01, size=(8, 3))
    far.positions += generator.normal(scale=0.05, size=(8, 3))
    one = Candidate("thermal", moved, diamond)
    assert alike(one, near)
    assert not alike(one, far)
    assert not alike(one, diamond.repeat(2))
    shifted = moved.copy()
    shifted.positions += [1.0, -2.0, 9.0]
    assert distance(moved, shifted) == pytest.approx(0, abs=1e-9)


def test_the_most_uncertain_of_each_source_comes_first_and_one_alike_is_passed_over(diamond: Atoms) -> None:
    generator = np.random.default_rng(0)

    def made(name: str, uncertainty: float) -> Candidate:
        atoms = diamond.copy()
        atoms.positions += generator.normal(scale=0.05, size=(8, 3))
        return Candidate(name, atoms, diamond, uncertainty)

    first, second, third = made("a", 0.1), made("a", 0.3), made("a", 0.2)
    other = made("b", 0.01)
    twin = Candidate("b", second.atoms, diamond, 0.5)
    chosen = candidates._in_turn({"a": [first, second, third], "b": [twin, other]}, 3, [])
    assert chosen == [second, other, third]
    assert candidates._in_turn({"a": [first]}, 3, [first.atoms]) == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sources": ["guess"]}, "learning.sources names 'guess'"),
        ({"sources": []}, "learning.sources is empty"),
        ({"supercells": 0, "strained": 0}, "no configuration is asked for"),
        ({"colour": 1}, "learning.colour is not a parameter"),
    ],
)
def test_strange_settings_are_told(parameters: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        candidates.check_settings(parameters)
    assert caught.value.fix


def test_a_crystal_of_low_symmetry_gets_as_many_snapshots_as_its_force_constants_need() -> None:
    # Four atoms without symmetry: each force constant is its own.
    generator = np.random.default_rng(0)
    cell = np.diag([4.0, 4.6, 5.3]) + generator.uniform(-0.2, 0.2, (3, 3))
    atoms = Atoms("Ar4", cell=cell, scaled_positions=generator.uniform(size=(4, 3)), pbc=True)
    lattice = build_lattice(atoms, [1, 1, 1])
    fit = Fit(lattice, 2)
    count = fit.pairs_needed()
    assert count > 4
    harmonic = AseModel(Hookean(len(lattice.supercell)), ["Ar"])
    dataset = random_dataset(harmonic, lattice, count, 0.01, 0, paired=True)
    assert fit.snapshots_needed(dataset) <= count


class Hookean(Calculator):
    """Atoms that are bound to where they were first seen, by 1 eV/Å^2."""

    implemented_properties = ["energy", "forces", "stress"]

    def __init__(self, count: int) -> None:
        super().__init__()
        self.origin: np.ndarray | None = None

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        if self.origin is None:
            self.origin = atoms.positions.copy()
        forces = self.origin - atoms.positions
        self.results = {"energy": 0.5 * np.sum(forces**2), "forces": forces, "stress": np.zeros(6)}
