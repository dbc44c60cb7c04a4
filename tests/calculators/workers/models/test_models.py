"""The register of kinds, and what each says of its settings before anything runs."""

from __future__ import annotations

import pytest

from hashigo.calculators.workers import models
from hashigo.calculators.workers.models import get_kind, kind_names
from hashigo.errors import InputError, MissingComponent

NEURAL = ("mace", "sevennet")


def test_all_kinds_are_registered_under_their_names():
    assert {"polynomial", "mace", "sevennet", "chgnet", "mattersim", "orb"} <= set(kind_names())
    assert all(get_kind(name).name == name for name in kind_names())


def test_an_unknown_model_is_named_with_those_known(train):
    with pytest.raises(InputError, match=r"potential\.model 'mice' is not known") as caught:
        train("mice")
    assert "mace, mattersim" in caught.value.fix


def test_an_installation_older_than_its_source_is_told(monkeypatch):
    monkeypatch.setattr(models, "entry_points", lambda **group: [])
    for found in (models.get_kind, models.kind_names):
        found.cache_clear()
    with pytest.raises(MissingComponent, match="older than its source"):
        get_kind("polynomial")
    for found in (models.get_kind, models.kind_names):
        found.cache_clear()


@pytest.mark.parametrize("name", ["mace", "sevennet", "chgnet", "polynomial"])
def test_a_missing_package_is_named_with_its_extra(name, monkeypatch):
    monkeypatch.setattr(models, "find_spec", lambda module: None)
    extra = {"polynomial": "potential"}.get(name, name)
    with pytest.raises(MissingComponent, match=f"potential.model '{name}' needs the Python module") as caught:
        get_kind(name).require()
    assert f"pip install 'aiida-hashigo[{extra}]'" in caught.value.fix


@pytest.mark.parametrize("name", NEURAL)
def test_settings_are_completed_once_and_for_all(name):
    kind = get_kind(name)
    settings = kind.complete({"r_max": "0.4 nm", "epochs": 10})
    assert (settings["r_max"], settings["epochs"], settings["precision"]) == (4.0, 10, "float64")
    assert kind.complete(settings) == settings
    kind.check(settings, ["Si"])
    assert kind.ranks(settings) == 0
    assert kind.ranks({**settings, "device": "cuda"}) == 1
    assert "3 trainings of 10 epochs" in kind.needs({"members": 2, "settings": settings})


@pytest.mark.parametrize("name", NEURAL)
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"epochs": -1}, r"epochs is -1, and must be 0 or more"),
        ({"epochs": 0}, r"epochs is 0, and there is no checkpoint"),
        ({"channels": 0}, r"channels is 0, and must be 1 or more"),
        ({"batch_size": True}, r"batch_size is True"),
        ({"learning_rate": 0.0}, r"learning_rate is 0, and must be positive"),
        ({"r_max": "-4 Å"}, r"r_max is -4, and must be positive"),
        ({"force_weight": -1.0}, r"has weights 1, -1, 1 of energy, force and stress"),
        ({"device": "gpu"}, r"device is 'gpu'"),
        ({"precision": "half"}, r"precision is 'half'"),
        ({"depth": 3}, r"depth is no setting of model"),
        ({"checkpoint": "gone.pt"}, r"checkpoint gone\.pt of model .* is not there"),
        ({"checkpoint": "gone.pt", "r_max": 4.0}, r"r_max is given, and the checkpoint brings its own"),
    ],
)
def test_settings_that_make_no_training_are_named(name, given, sentence):
    kind = get_kind(name)
    with pytest.raises(InputError, match=sentence):
        kind.check(kind.complete(given), ["Si"])


def test_weights_of_the_wheel_and_a_checkpoint_exclude_each_other(tmp_path):
    kind = get_kind("sevennet")
    with pytest.raises(InputError, match="weights is '7net-9'"):
        kind.check(kind.complete({"weights": "7net-9"}), ["Si"])
    file = tmp_path / "weights.pt"
    file.write_bytes(b"weights")
    with pytest.raises(InputError, match="both weights and checkpoint"):
        kind.check(kind.complete({"weights": "7net-0", "checkpoint": str(file)}), ["Si"])
    settings = kind.complete({"weights": "7net-0", "epochs": 0})
    kind.check(settings, ["Si"])
    assert "r_max" not in settings
    assert kind.needs({"members": 8, "settings": settings}) == "SevenNet as it is, not trained"


@pytest.mark.parametrize("name", ["mace", "mattersim"])
def test_a_study_keeps_a_checkpoint_by_name_and_digest(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HASHIGO_FILES", str(tmp_path / "store"))
    (tmp_path / "weights.pt").write_bytes(b"weights")
    kind = get_kind(name)
    settings = kind.complete(kind.resolve({"checkpoint": "weights.pt"}, tmp_path, ["Si"]))
    assert settings["checkpoint"] == "weights.pt"
    assert len(settings["checkpoint_sha256"]) == 64
    kind.check(settings, ["Si"])
    # A run that is taken up again is prepared in another folder, from what was kept.
    again = kind.complete(kind.resolve(settings, tmp_path / "elsewhere", ["Si"]))
    kind.check(again, ["Si"])
    assert again == settings
