"""What a frame's own job is given: ranks, walltime and memory of the site, and nothing that changes known hashes."""

from __future__ import annotations

import pytest

from hashigo.calculators.engines import get_engine
from hashigo.scheduler_profiles import computers
from hashigo.scheduler_profiles.model import Site, load_site
from hashigo.workflows.batches import frame_options

#: As in jobs that earlier versions have run; resources and launcher are part of a job's hash.
KNOWN = {
    "resources": {"num_machines": 1, "num_mpiprocs_per_machine": 1},
    "withmpi": False,
    "max_wallclock_seconds": 7200,
}


def test_a_frame_of_one_rank_has_the_options_of_earlier_jobs():
    settings = get_engine("quantum_espresso").complete({})
    assert frame_options(load_site("local"), settings) == KNOWN


@pytest.mark.parametrize(("wanted", "ranks"), [(1, 1), (2, 2), (9, 4)])
def test_ranks_walltime_and_memory_are_within_the_site(monkeypatch, wanted, ranks):
    monkeypatch.setattr(computers, "mpi_works", lambda site: True)
    site = Site(id="x", title="X", cores=4, walltime=600, memory_mb=2000)
    options = frame_options(site, {"ranks": wanted, "walltime": 7200.0})
    assert options["resources"]["num_mpiprocs_per_machine"] == ranks
    assert options["withmpi"] is (ranks > 1)
    assert (options["max_wallclock_seconds"], options["max_memory_kb"]) == (600, 2000 * 1024)
    assert site.n_in_flight(ranks=ranks) == 4 // ranks
    assert site.n_in_flight(ranks=9) == 1
