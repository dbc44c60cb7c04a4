"""The ladder's material: the table's or the polycrystal's, or in its place what is given by hand."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.component.ladder import read_properties
from hashigo.calculators.workers.component.properties import variants
from hashigo.errors import InputError


@pytest.mark.parametrize("size", [100.0, None])
def test_the_ladders_material_is_read_with_members_and_parts(ladder, size):
    found = read_properties(ladder, {}, size, stress=True)
    assert set(found) == {"conductivity", "density", "heat_capacity", "stiffness", "expansion"}
    expected = 40.0 if size else 100.0
    assert found["conductivity"].curve.values[0] == pytest.approx([expected] * 3)
    assert found["conductivity"].members.shape == (3, 3, 3)
    assert set(found["conductivity"].parts) == {"model", "mesh"}
    assert found["stiffness"].curve.constant
    assert found["expansion"].curve.values[0, :3] == pytest.approx(2.5e-6)
    names = [one.name for one in variants(found)]
    assert names[:3] == ["member-0", "member-1", "member-2"]
    assert "conductivity-mesh" in names
    assert not any("model" in name for name in names)


def test_what_is_given_takes_the_place_of_the_ladders(ladder):
    found = read_properties(ladder, {"conductivity": 7.0}, 100.0, stress=False)
    assert found["conductivity"].curve.constant
    assert found["conductivity"].origin == "given in the study"
    assert found["density"].origin != "given in the study"


def test_what_nothing_tells_is_asked_for(ladder):
    with pytest.raises(InputError, match="conductivity of the component is not known"):
        read_properties({}, {"density": 1.0}, None, stress=False)
    with pytest.raises(InputError, match="no conductivity at a grain size of 70 nm"):
        read_properties(ladder, {}, 70.0, stress=False)


def test_the_crystals_density_is_not_taken_for_that_of_a_porous_body(ladder):
    with h5py.File(ladder["mesoscale"], "r+") as file:
        file["data"].create_dataset("grains/material", data=[0, 1])
        file["data"].create_dataset("grains/volume_fraction", data=[0.9, 0.1])
    with pytest.raises(InputError, match=r"0\.1 of the mesoscale's volume is not the crystal, .* density"):
        read_properties(ladder, {}, 100.0, stress=False)
    given = {"density": 2100.0, "heat_capacity": 700.0}
    assert read_properties(ladder, given, 100.0, stress=False)["conductivity"].origin.startswith("mesoscale")


def test_axes_that_are_not_principal_are_refused(ladder, tmp_path):
    value = np.diag([40.0] * 3)
    value[0, 1] = value[1, 0] = 4.0
    with ResultWriter(tmp_path / "meso.h5", task="mesoscale", task_version=1) as writer:
        writer.quantity(
            "effective_thermal_conductivity", value, conditions=[{"temperature": 300.0, "grain_size": 100.0}]
        )
    with pytest.raises(InputError, match="off-diagonal components of 10%"):
        read_properties({**ladder, "mesoscale": tmp_path / "meso.h5"}, {}, 100.0, stress=False)
