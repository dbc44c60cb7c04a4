"""Damaged files: whatever is wrong with them, it is told in one sentence that names the file."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from hashigo.calculators.microstructures import read_microstructure
from hashigo.calculators.microstructures.orientations import read_orientations
from hashigo.calculators.microstructures.sample import Reading, settle
from hashigo.errors import InputError

from .files import dream3d_quaternions, eulers, grain_ids, write_dream3d_7, write_dream3d_8, write_vti

IDS = grain_ids()
GREY = (40 * IDS[0]).astype(np.uint8)
MATERIAL = "material:\n- constituents: [{phase: Si, O: [0.5, 0.5, 0.5, 0.5], v: 1.0}]\n"
WRITERS = {
    "a.vti": lambda path: write_vti(path, IDS),
    "b.vti": lambda path: write_vti(path, IDS, "raw"),
    "c.vti": lambda path: write_vti(path, IDS, "appended", "none"),
    "a.dream3d": lambda path: write_dream3d_7(path, IDS, {"AvgEulerAngles": eulers()}),
    "b.dream3d": lambda path: write_dream3d_8(path, IDS, {"AvgQuats": dream3d_quaternions(eulers())}),
    "a.npy": lambda path: np.save(path, IDS),
    "a.npz": lambda path: np.savez_compressed(path, grain_id=IDS, quaternions=np.ones((6, 4))),
    "a.png": lambda path: Image.fromarray(GREY).save(path),
    "a.tif": lambda path: Image.fromarray(GREY).save(path),
    "o.txt": lambda path: path.write_text("phi1 Phi phi2 weight\n" + "1 2 3 4\n" * 5),
    "m.yaml": lambda path: path.write_text(MATERIAL),
}


def damaged(content, generator):
    """Some bytes changed, cut out, put in, or cut off."""
    out = bytearray(content)
    for _ in range(generator.choice([1, 2, 5, 20])):
        kind, place = generator.random(), generator.randrange(max(1, len(out)))
        if kind < 0.6 and out:
            out[place] = generator.randrange(256)
        elif kind < 0.75:
            del out[place : place + generator.randrange(1, 20)]
        elif kind < 0.9:
            out[place:place] = generator.randbytes(generator.randrange(1, 9))
        else:
            out = out[:place]
    return bytes(out)


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_are_told_in_a_sentence(tmp_path, name):
    WRITERS[name](tmp_path / name)
    content, path = (tmp_path / name).read_bytes(), tmp_path / f"x-{name}"
    generator, told = random.Random(name), []
    for _ in range(60):
        path.write_bytes(damaged(content, generator))
        try:
            if path.suffix in (".txt", ".yaml"):
                read_orientations(path)
            else:
                settle(read_microstructure(path), Reading("assume", "keep"))
        except InputError as error:
            told.append(error.message)
    assert told
    assert all(path.name in message and len(message.splitlines()) == 1 for message in told)
