"""What a component is made of: the table's or the polycrystal's properties, or those given by hand; never beyond."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.component.ladder import (
    MEAN,
    Variant,
    check_range,
    chosen,
    given_properties,
    material,
    read_properties,
    variants,
)
from hashigo.calculators.workers.component.material import Curve, constant
from hashigo.errors import InputError


def test_curves_hold_between_known_temperatures_and_integrate_exactly():
    kelvin = np.array([300.0, 400.0, 500.0])
    curve = Curve(kelvin, np.array([1.0, 2.0, 3.0]))
    assert curve(np.array([350.0, 450.0])) == pytest.approx([1.5, 2.5])
    assert curve.integral(np.array([500.0, 300.0]), 300.0) == pytest.approx([400.0, 0.0])
    assert curve.integral(np.array([600.0, 200.0]), 500.0) == pytest.approx([300.0, -400.0 - 100.0])
    fixed = constant([2.0, 3.0])
    assert fixed.integral(np.array([310.0]), 300.0) == pytest.approx(np.array([[20.0, 30.0]]))


def test_beyond_what_is_known_is_one_sentence():
    curve = Curve(np.array([300.0, 400.0]), np.array([1.0, 2.0]), remedy="add temperatures")
    check_range(curve, 300.0, 400.0, "conductivity")
    with pytest.raises(
        InputError, match="is at 410 K after a while, and its conductivity is known from 300 to 400 K"
    ):
        check_range(curve, 300.0, 410.0, "conductivity", " after a while")
    single = Curve(np.array([300.0]), np.array([1.0]), remedy="add temperatures")
    with pytest.raises(InputError, match="known at 300 K only"):
        check_range(single, 300.0, 301.0, "conductivity")
    check_range(constant(1.0), 1.0, 1e4, "conductivity")


def test_properties_by_hand_are_numbers_or_tables():
    found = given_properties(
        {
            "conductivity": {"300.0": [1.0, 2.0, 3.0], "500.0": 4.0},
            "density": 2330.0,
            "heat_capacity": 700.0,
            "youngs_modulus": {"300": 160.0, "500": 150.0},
            "poisson_ratio": 0.25,
            "expansion": {"300": 1e-6, "400": 2e-6},
        },
        "component.material",
    )
    made = material({name: one.curve for name, one in found.items()}, 300.0)
    assert made.conductivity.values.tolist() == [[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]]
    assert made.heat(np.array([300.0])) == pytest.approx(2330 * 700)
    assert made.stiffness.values[1, 0, 0] == pytest.approx(150 * 0.75 / 1.25 / 0.5)
    assert made.stiffness.values[0, 5, 5] == pytest.approx(160 / 2.5)
    assert made.expansion.integral(np.array([400.0]), 300.0)[0, :3] == pytest.approx(1.5e-4)


def test_what_is_not_positive_is_refused():
    found = given_properties(
        {"conductivity": 1.0, "density": -1.0, "heat_capacity": 1.0}, "component.material"
    )
    with pytest.raises(InputError, match="density of the component is not positive"):
        material({name: one.curve for name, one in found.items()}, 300.0)


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


def test_a_variant_moves_what_it_names(ladder):
    found = read_properties(ladder, {}, 100.0, stress=False)
    mean, member = chosen(found, MEAN), chosen(found, Variant("m", member=2))
    shifted = chosen(found, Variant("s", shifted=("conductivity", "mesh")))
    assert np.all(member["conductivity"].values > mean["conductivity"].values)
    assert shifted["conductivity"].values == pytest.approx(1.1 * mean["conductivity"].values)
    assert shifted["density"].values == pytest.approx(mean["density"].values)


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
