"""Universal potentials as they are: compared with the frames, saved, and used without a spread."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.models import pretrained
from hashigo.calculators.workers.polynomial import load_committee
from hashigo.errors import InputError

TERSOFF = pretrained._kind("tersoff")


def test_an_engine_serves_as_the_potential_with_its_zero_moved_to_the_frames(register, train, small_frames):
    register("tersoff", "test_pretrained:TERSOFF")
    shifted = [replace(frame, energy=frame.energy - 100.0 * len(frame.symbols)) for frame in small_frames]
    path = train("tersoff", frames=shifted)
    with ResultReader(path) as result:
        note = result.note("training")
        assert (note["model"], note["members"], note["n_test"]) == ("tersoff", 0, len(small_frames))
        assert result.quantity("energy_error").value[0] == pytest.approx(0, abs=1e-9)
        assert result.quantity("force_error").value[0] == pytest.approx(0, abs=1e-9)
        assert not result.note("calibration")["calibrated"]
    committee = load_committee(path)
    assert committee.members == ()
    said = committee.mean.evaluate([shifted[0].atoms()])[0]
    assert said.energy == pytest.approx(shifted[0].energy, abs=1e-6)
    np.testing.assert_allclose(said.forces, shifted[0].forces, atol=1e-10)


@pytest.mark.parametrize(
    "blob", [b"{}", b"[]", b"\xff", b'{"engine": "tersoff", "settings": null, "offsets": {}}']
)
def test_bytes_that_name_no_engine_are_refused(blob):
    with pytest.raises(InputError, match="names no engine"):
        TERSOFF.load(blob)


def test_a_file_runs_no_engine_but_that_of_its_kind():
    for kind, name in ((TERSOFF, "emt"), (pretrained.CHGNET, "mace"), (pretrained.ORB, None)):
        blob = json.dumps({"engine": name, "settings": {"checkpoint": "/tmp/other"}, "offsets": {}}).encode()
        with pytest.raises(InputError, match=f"is of model '{kind.name}', and names the engine") as caught:
            kind.load(blob)
        assert "do not use" in caught.value.fix


def test_a_checkpoint_is_known_by_its_digest_alone():
    content = {"engine": "mattersim", "settings": {"checkpoint": "/tmp/other"}, "offsets": {}}
    with pytest.raises(InputError, match="without its SHA-256"):
        pretrained.MATTERSIM.load(json.dumps(content).encode())


def test_a_result_of_a_training_cannot_lead_to_another_engine(register, train, tmp_path):
    import h5py

    register("tersoff", "test_pretrained:TERSOFF")
    path = train("tersoff")
    with h5py.File(path, "r+") as file:
        blob = file["data/potential/mean"]
        content = {**json.loads(blob[()].tobytes()), "engine": "emt"}
        changed = np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)
        attributes = dict(blob.attrs)
        del file["data/potential/mean"]
        file["data/potential/mean"] = changed
        file["data/potential/mean"].attrs.update(attributes)
    with pytest.raises(InputError, match="names the engine 'emt'"):
        load_committee(path)


@pytest.mark.slow
def test_chgnet_by_its_wheel(heavy_package, train, small_frames):
    heavy_package("chgnet")
    path = train("chgnet", max_force_error=0.3)
    with ResultReader(path) as result:
        assert result.quantity("force_error").value[0] > 0.001
        assert result.note("training")["settings"]["model"] == "0.3.0"
    said = load_committee(path).mean.evaluate([small_frames[0].atoms()])[0]
    assert said.forces.shape == (8, 3)
