"""What is written of a polycrystal for the report."""

from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers.homogenization.output import write_slices


@pytest.mark.parametrize(("along", "normal"), [(0, "y"), (1, "z"), (2, "z")])
def test_the_slice_cuts_several_layers(tmp_path, along, normal):
    grains = np.moveaxis(np.broadcast_to([0, 0, 1, 1], (2, 3, 4)), 2, along)
    with ResultWriter(tmp_path / "r.h5", task="mesoscale", task_version=1) as writer:
        write_slices(writer, {"grain_id": grains, "heat_flux": np.ones((*grains.shape, 3))})
    with ResultReader(tmp_path / "r.h5") as reader:
        assert reader.note("slice") == {"normal": normal}
        shown = reader.array("slice/grain_id")
        assert set(np.unique(shown)) == {0, 1}
        assert np.allclose(reader.array("slice/heat_flux"), np.sqrt(3))
        assert reader.array("slice/heat_flux").shape == shown.shape
