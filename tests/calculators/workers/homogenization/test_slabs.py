from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.slabs import Slabs, split
from hashigo.calculators.workers.job import SerialComm
from hashigo.errors import InputError

SHAPE = (7, 6, 5)

#: Run by every rank: transforms and halos of a field that each rank makes whole and cuts.
PROGRAM = """
import json, sys
import numpy as np
from mpi4py import MPI
from hashigo.calculators.workers.homogenization.slabs import Slabs
slabs = Slabs((7, 6, 5), MPI.COMM_WORLD)
field = np.random.default_rng(0).random((2, 7, 6, 5))
mine = np.ascontiguousarray(field[:, slabs.planes])
spectrum = slabs.forward(mine)
whole = np.fft.rfftn(field, axes=(1, 2, 3))
following = field[:, [slabs.planes.stop % 7]]
padded = slabs.padded(mine)
other = np.random.default_rng(slabs.planes.start).random(padded.shape)
errors = {
    "forward": np.abs(spectrum - whole[:, :, slabs.rows]).max(),
    "padded": np.abs(padded - np.concatenate([mine, following], axis=1)).max(),
    # folded is the adjoint of padded.
    "adjoint": abs(slabs.dot(padded, other) - slabs.dot(mine, slabs.folded(other))),
    "backward": np.abs(slabs.backward(spectrum) - mine).max(),
    "total": np.abs(slabs.total(mine.sum(axis=(1, 2, 3))) - field.sum(axis=(1, 2, 3))).max(),
}
worst = {name: slabs.comm.allreduce(float(value), op=MPI.MAX) for name, value in errors.items()}
if slabs.comm.rank == 0:
    print(json.dumps(worst))
"""


def test_split_is_even_to_one():
    assert [(part.start, part.stop) for part in split(7, 3)] == [(0, 2), (2, 4), (4, 7)]


def test_serial_transform_is_numpys():
    slabs = Slabs(SHAPE, SerialComm())
    field = np.random.default_rng(0).random((2, *SHAPE))
    spectrum = slabs.forward(field)
    assert np.allclose(spectrum, np.fft.rfftn(field, axes=(1, 2, 3)))
    assert np.allclose(slabs.backward(spectrum), field)


def test_serial_folding_is_the_adjoint_of_padding():
    slabs = Slabs(SHAPE, SerialComm())
    generator = np.random.default_rng(1)
    field, other = generator.random((2, *SHAPE)), generator.random((2, SHAPE[0] + 1, *SHAPE[1:]))
    assert np.vdot(slabs.padded(field), other) == pytest.approx(np.vdot(field, slabs.folded(other)))


def test_more_ranks_than_planes_is_an_error():
    class Ranks:
        rank, size = 0, 9

    with pytest.raises(InputError, match="9 MPI ranks are more than the 6 planes"):
        Slabs(SHAPE, Ranks())


@pytest.mark.parametrize("ranks", [2, 3])
def test_uneven_slabs_over_mpi(ranks, require_program):
    require_program("mpirun", "openmpi-bin")
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment["OMP_NUM_THREADS"] = "1"
    command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--allow-run-as-root", sys.executable]
    done = subprocess.run(
        [*command, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    errors = json.loads(done.stdout.splitlines()[-1])
    assert max(errors.values()) < 1e-12, errors
