"""MACE and SevenNet: a tiny committee on Tersoff's silicon, from scratch and from a checkpoint."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from hashigo.calculators.engines import Workspace, get_engine
from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.models import get_kind
from hashigo.calculators.workers.polynomial import load_committee
from hashigo.errors import InputError, WorkerError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

MODULES = {"mace": "mace", "sevennet": "sevenn"}
TINY = {
    "mace": {"channels": 4, "r_max": 3.2, "layers": 1, "radial_functions": 4, "epochs": 20, "learning_rate": 0.03},
    "sevennet": {"channels": 4, "r_max": 3.2, "layers": 2, "radial_functions": 4, "epochs": 20, "learning_rate": 0.03},
}  # fmt: skip


@pytest.fixture(params=["mace", "sevennet"])
def model(request, heavy_package):
    heavy_package(MODULES[request.param])
    return request.param


def assert_slopes(model, atoms, step=2e-4):
    """Forces [eV/Å] and stress [eV/Å^3] are derivatives of the energy."""

    def slope(change):
        ends = [atoms.copy(), atoms.copy()]
        for end, sign in zip(ends, (step, -step), strict=True):
            change(end, sign)
        above, below = model.evaluate(ends)
        return (above.energy - below.energy) / (2 * step)

    def move(end, size):
        end.positions[3, 1] += size

    def shear(end, size):
        strain = np.array([[0, size / 2, 0], [size / 2, 0, 0], [0, 0, size]])
        end.set_cell(end.cell.array @ (np.eye(3) + strain), scale_atoms=True)

    said = model.evaluate([atoms])[0]
    assert slope(move) == pytest.approx(-said.forces[3, 1], abs=1e-5)
    assert slope(shear) / atoms.get_volume() == pytest.approx(said.stress[2] + said.stress[5], abs=1e-6)


def test_a_committee_from_scratch(model, train_once, small_frames):
    path = train_once(model, TINY[model])
    with ResultReader(path) as result:
        reference = result.array("parity/forces/reference")
        # Learned: less than half of the error of no potential at all.
        assert result.quantity("force_error").value[0] < 0.5 * np.sqrt(np.mean(reference**2))
        predicted, spread = (result.array(f"parity/forces/{name}") for name in ("predicted", "spread"))
        held_out = [small_frames[index] for index in result.note("training")["held_out"]]
        blob = result.array("potential/members/1").tobytes()
    assert spread.min() > 0
    # Nothing in it needs a pickle.
    with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)
    committee = load_committee(path)
    assert len(committee.members) == 2
    said = committee.mean.evaluate([frame.atoms() for frame in held_out])
    np.testing.assert_allclose(np.concatenate([one.forces.ravel() for one in said]), predicted, atol=1e-12)
    atoms = held_out[0].atoms()
    assert_slopes(committee.members[0], atoms)
    alone = committee.mean.evaluate([atoms])[0]
    assert alone.energy == pytest.approx(said[0].energy, abs=1e-9)
    with pytest.raises(InputError, match="has Ge, the potential was trained on Si only"):
        committee.mean.evaluate([bulk("Ge")])


def blobs(path):
    with ResultReader(path) as result:
        return [result.array(f"potential/{name}").tobytes() for name in ("mean", "members/0", "members/1")]


def test_the_same_seed_gives_the_same_networks_and_another_others(model, train, train_once):
    first = blobs(train_once(model, TINY[model]))
    assert blobs(train(model, members=2, settings=TINY[model])) == first
    others = blobs(train(model, members=2, settings=TINY[model], seed=1))
    assert len({*first, *others}) == 6


def test_a_training_that_runs_away_is_named(model, train):
    settings = {**TINY[model], "epochs": 3, "learning_rate": 1e6}
    with pytest.raises(WorkerError, match="the training of the mean model diverged"):
        train(model, members=2, settings=settings)


def checkpoint_of(model, train_once, folder):
    """A MACE checkpoint as its authors give them, a pickle of the module; for SevenNet weights of the wheel."""
    if model == "sevennet":
        return {"weights": "7net-0"}
    import torch

    with ResultReader(train_once(model, TINY[model])) as result:
        trained = get_kind("mace").load(result.array("potential/mean").tobytes())
    trained.evaluate([])
    torch.save(trained._network.module, folder / "trained.model")
    return {"checkpoint": str(folder / "trained.model")}


def test_a_checkpoint_as_it_is_and_trained_further(model, train, train_once, tmp_path, small_frames):
    start = checkpoint_of(model, train_once, tmp_path)
    path = train(model, "as_it_is.h5", settings={**start, "epochs": 0})
    atoms = small_frames[0].atoms()
    said = load_committee(path).mean.evaluate([atoms])[0]
    engine = get_engine(model)
    given = {"checkpoint": start["checkpoint"]} if "checkpoint" in start else {"model": start["weights"]}
    atoms.calc = engine.calculator(engine.complete(given), Workspace())
    # The engine of SevenNet computes in single precision.
    np.testing.assert_allclose(said.forces, atoms.get_forces(), atol=1e-9 if model == "mace" else 1e-4)
    np.testing.assert_allclose(said.stress, atoms.get_stress(), atol=1e-10 if model == "mace" else 1e-5)
    assert said.energy == pytest.approx(small_frames[0].energy, abs=0.5)
    settings = {**start, "epochs": 2, "learning_rate": 1e-3}
    further = train(model, "further.h5", frames=small_frames[:12], members=2, settings=settings)
    with ResultReader(path) as before, ResultReader(further) as after:
        assert before.note("training")["members"] == 0
        assert after.note("training")["members"] == 2
        assert after.quantity("force_error").value[0] < before.quantity("force_error").value[0]


def test_an_element_that_a_checkpoint_does_not_know_is_named(
    heavy_package, train, train_once, tmp_path, small_frames
):
    heavy_package("mace")
    start = checkpoint_of("mace", train_once, tmp_path)
    frames = [replace(frame, symbols=("Ge",) * 8) for frame in small_frames]
    with pytest.raises(InputError, match=r"checkpoint trained\.model does not know Ge"):
        train("mace", "other.h5", frames=frames, atomic_energies={"Ge": 0.0}, settings={**start, "epochs": 0})
