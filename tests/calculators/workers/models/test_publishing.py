"""A published potential of another kind than polynomial: loaded from its folder as from the stage's result."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from hashigo.calculators.published import CARD, load_potential
from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.polynomial import load_committee
from hashigo.errors import InputError


def test_the_spread_is_that_of_the_scaled_members(register, train, small_frames, tmp_path):
    register("springs", "stub_springs:KIND")
    path = train("springs", members=3)
    with ResultReader(path) as reader:
        record = reader.note("calibration")
        blobs = [
            reader.array(f"potential/{n}").tobytes() for n in ("mean", *(f"members/{i}" for i in range(3)))
        ]
    names = ["mean.npz", *(f"member{i}.npz" for i in range(3))]
    folder = tmp_path / "published"
    folder.mkdir()
    for name, blob in zip(names, blobs, strict=True):
        (folder / name).write_bytes(blob)
    card = {
        "format": "hashigo-potential", "schema_version": 1, "kind": "springs", "elements": ["Si"],
        "model_files": {"mean": names[0], "members": names[1:]}, "calibration": {"record": record},
        "files": [{"path": n, "sha256": hashlib.sha256(b).hexdigest()} for n, b in zip(names, blobs, strict=True)],
    }  # fmt: skip
    (folder / CARD).write_text(json.dumps(card))
    atoms = small_frames[0].atoms()
    atoms.calc = load_potential(folder, committee=True)
    known = load_committee(path).evaluate_all([atoms])[0]
    np.testing.assert_array_equal(atoms.get_forces(), known.mean.forces)
    np.testing.assert_array_equal(atoms.calc.results["forces_spread"], known.component_force_spread)
    # The members themselves stand at another distance.
    assert record["member_factor"] != pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("kind", ["chgnet", "mattersim", "orb"])
def test_a_folder_that_names_an_engine_is_refused_whatever_is_installed(kind, tmp_path):
    blob = json.dumps({"engine": "emt", "settings": {}, "offsets": {}}).encode()
    (tmp_path / "mean.npz").write_bytes(blob)
    card = {
        "format": "hashigo-potential", "schema_version": 1, "kind": kind, "elements": ["Cu"],
        "model_files": {"mean": "mean.npz", "members": []},
        "files": [{"path": "mean.npz", "sha256": hashlib.sha256(blob).hexdigest()}],
    }  # fmt: skip
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(InputError, match=f"of kind '{kind}', which is never published") as caught:
        load_potential(tmp_path)
    assert "do not use this folder" in caught.value.fix
