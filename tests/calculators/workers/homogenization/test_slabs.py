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

#: Run by every rank: halos and transposes of a field that each rank makes whole and cuts.
PROGRAM = """
import json
import numpy as np
from mpi4py import MPI
from hashigo.calculators.workers.homogenization.slabs import Slabs
slabs = Slabs((7, 6, 5), MPI.COMM_WORLD)
field = np.random.default_rng(0).random((7, 2, 6, 5))
a, b = slabs.planes.start, slabs.planes.stop
padded = np.concatenate([field[:1], field[a:b], field[:1]])
slabs.fill_halo(padded)
spectrum = np.ascontiguousarray(field[a:b].transpose(2, 0, 1, 3))
rows = slabs.rows.stop - slabs.rows.start
received = np.empty(rows * (7 - b + a) * 2 * 5)
slabs.to_rows(spectrum, received)
blocks, start = [], 0
for planes in slabs.all_planes:
    if planes == slabs.planes:
        blocks.append(spectrum[slabs.rows])
        continue
    size = rows * (planes.stop - planes.start) * 10
    blocks.append(received[start : start + size].reshape(rows, -1, 2, 5))
    start += size
back = np.zeros_like(spectrum)
back[slabs.rows] = spectrum[slabs.rows]
slabs.to_planes(received, back)
same = {
    "halo": padded - field[np.arange(a - 1, b + 1) % 7],
    "before": slabs.with_plane_before(field[a:b]) - field[np.arange(a - 1, b) % 7],
    "rows": np.concatenate(blocks, axis=1) - field.transpose(2, 0, 1, 3)[slabs.rows],
    "planes": back - spectrum,
    "total": slabs.total(field[a:b].sum(axis=0)) - field.sum(axis=0),
}
worst = {name: slabs.comm.allreduce(float(np.abs(value).max()), op=MPI.MAX) for name, value in same.items()}
if slabs.comm.rank == 0:
    print(json.dumps(worst))
"""


def test_split_is_even_to_one():
    assert [(part.start, part.stop) for part in split(7, 3)] == [(0, 2), (2, 4), (4, 7)]


def test_pieces_cover_the_range_evenly_for_the_threads():
    slabs = Slabs(SHAPE, SerialComm(), threads=2)
    assert [(piece.start, piece.stop) for piece in slabs.pieces(7, 3)] == [(0, 1), (1, 3), (3, 5), (5, 7)]
    assert [(piece.start, piece.stop) for piece in slabs.pieces(1, 0)] == [(0, 1)]
    assert slabs.each(lambda piece: piece.start, slabs.pieces(7, 3)) == [0, 1, 3, 5]


def test_serial_halo_is_periodic():
    field = np.random.default_rng(0).random((4, 2))
    padded = np.concatenate([field[:1], field, field[:1]])
    slabs = Slabs((4, 2, 2), SerialComm())
    slabs.fill_halo(padded)
    assert np.array_equal(padded, field[[3, 0, 1, 2, 3, 0]])
    assert np.array_equal(slabs.with_plane_before(field), field[[3, 0, 1, 2, 3]])


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
    assert max(errors.pop("total"), 1e-14) < 1e-13
    assert max(errors.values()) == 0.0, errors
