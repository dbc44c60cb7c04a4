from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.calculators.workers import mesoscale
from hashigo.calculators.workers.handover_table import Column, HandoverTable
from hashigo.calculators.workers.homogenization.bounds import Margin
from hashigo.calculators.workers.homogenization.ensemble import Ensemble
from hashigo.calculators.workers.homogenization.inputs import ONE_SAMPLE
from hashigo.calculators.workers.homogenization.output_conduction import _relative_parts
from hashigo.calculators.workers.homogenization.peers import own
from hashigo.calculators.workers.homogenization.problem_file import read_problem
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.mesh_series import MeshSeries
from hashigo.errors import InputError

SIZES = [50.0, 500.0]
PARAMETERS = {"grains": 8, "voxels": 9, "grain_sizes": SIZES, "realisations": 2}
MODES = 60


def cubic(c11, c12, c44):
    stiffness = np.diag([c11 - c12] * 3 + [c44] * 3).astype(float)
    stiffness[:3, :3] += c12
    return stiffness


CUBIC = cubic(168.4, 121.4, 75.4)
MEMBERS = [cubic(168.4 + d, 121.4, 75.4 - d) for d in (-2.0, 0.0, 2.0)]


def write_handover(
    path,
    stiffness,
    members=None,
    *,
    temperatures=(300.0,),
    conductivity=None,
    electronic=None,
    slope=None,
    bulk=(None, None),
    expansion=None,
):
    """The table of the crystal's properties; with a slope (1/K) the stiffness changes with temperature."""
    kelvin = np.array(temperatures)
    factor = np.ones(len(kelvin)) if slope is None else 1 + slope * kelvin

    def column(name, value, **more):
        rows = np.array([np.asarray(value)] * len(kelvin))
        return Column(name, rows, "made up", fixed=slope is None, **more)

    def stiff(name):
        rows = factor[:, None, None] * np.asarray(stiffness)
        stack = None if members is None else np.array(members)[:, None] * factor[None, :, None, None]
        return Column(name, rows, "made up", members=stack, fixed=slope is None)

    kappa = crystal_conductivity(mode_arrays())[[0, 1]] if conductivity is None else conductivity
    by_temperature = dict(zip((200.0, 300.0), kappa, strict=True))
    lattice = np.array([by_temperature.get(t, 1.0) * np.eye(3) for t in temperatures])
    error, factors = bulk
    own = {
        "components": {} if error is None else {"mesh": error * lattice},
        "members": None if factors is None else np.array(factors)[:, None, None, None] * lattice,
    }
    table = HandoverTable(
        kelvin,
        column("thermal_lattice_parameters", [4.0] * 3),
        column("thermal_density", 8000.0),
        stiff("isothermal_stiffness"),
        stiff("adiabatic_stiffness"),
        Column("lattice_thermal_conductivity", lattice, "made up", **own),
        column("specific_heat", 400.0),
        electronic,
        thermal_expansion=expansion_column(expansion, kelvin),
    )
    with ResultWriter(path, task="handover", task_version=1) as writer:
        table.write(writer)


def expansion_column(value, kelvin):
    """Of members that expand by a tenth less and more, with an error of 5 % from the mesh."""
    if value is None:
        return None
    rows = np.array([value] * len(kelvin))
    members = np.array([0.9, 1.0, 1.1])[:, None, None, None] * rows
    return Column("thermal_expansion", rows, "made up", {"mesh": 0.05 * rows}, members)


def write_expansion(path, value, temperatures=(200.0, 600.0, 1000.0)):
    """The expansion's result: a constant."""
    column = expansion_column(value, np.array(temperatures))
    with ResultWriter(path, task="expansion", task_version=1) as writer:
        conditions = [{"temperature": kelvin} for kelvin in temperatures]
        writer.quantity("thermal_expansion", column.value, conditions=conditions, members=column.members)
    return path


def mode_arrays(factor=1.0):
    """Modes of a made-up cubic crystal at 200 and 300 K: long paths carry much of the heat."""
    generator = np.random.default_rng(11)
    speed = generator.uniform(500.0, 8000.0, MODES)
    outer = np.zeros((MODES, 6))
    outer[:, :3] = speed[:, None] ** 2 / 3.0
    lifetime = factor * 10.0 ** generator.uniform(-12.0, -10.0, MODES)
    return {
        "volume": 8.0 * MODES * 4e-29 / 3.0,
        "weight": np.full(MODES, 8.0),
        "speed": speed,
        "velocity_outer": outer,
        "heat_capacity": np.full((2, MODES), 1.2e-23),
        "lifetime": np.array([1.5 * lifetime, lifetime]),
    }


def crystal_conductivity(modes):
    carrier = modes["weight"] * modes["heat_capacity"] * modes["lifetime"]
    return carrier @ modes["velocity_outer"][:, 0] / modes["volume"]


def write_conductivity(path, factors=(0.9, 1.0, 1.1)):
    sets = {"fine": mode_arrays(), "coarse/mean": mode_arrays(0.8)}
    sets.update({f"coarse/members/{i}": mode_arrays(0.8 * factor) for i, factor in enumerate(factors)})
    kappa = crystal_conductivity(sets["fine"])[:, None, None] * np.eye(3)
    with ResultWriter(path, task="conductivity", task_version=1) as writer:
        writer.quantity(
            "lattice_thermal_conductivity",
            kappa,
            conditions=[{"temperature": 200.0}, {"temperature": 300.0}],
            components={"mesh": 0.05 * kappa},
            converged=False,
        )
        writer.array("temperatures", [200.0, 300.0], units="K")
        for group, arrays in sets.items():
            for name, array in arrays.items():
                writer.array(f"modes/{group}/{name}", array, units="SI")


def keep_meshes(path, meshes=(9, 11), tolerance=0.05):
    """Add meshes on which modes of long paths are missing, the more the coarser the mesh."""
    fine = mode_arrays()
    longest = np.argsort(fine["speed"] * fine["lifetime"][1])[::-1]
    with h5py.File(path, "r+") as file:
        data = file["data"]
        data["mesh/series"] = [*meshes, 13]
        data.attrs["mesh"] = json.dumps({"tolerance": tolerance})
        for mesh in meshes:
            weight = fine["weight"].copy()
            weight[longest[: (13 - mesh) // 2 * 3]] *= 0.5
            for name, array in {**fine, "weight": weight}.items():
                data[f"modes/meshes/{mesh}/{name}"] = array


@pytest.fixture
def inputs(tmp_path):
    write_handover(tmp_path / "handover.h5", CUBIC, MEMBERS)
    write_conductivity(tmp_path / "conductivity.h5")
    return {name: tmp_path / f"{name}.h5" for name in ("handover", "conductivity")}


def run(inputs, path, **parameters):
    job = Job(task="mesoscale", parameters={**PARAMETERS, **parameters}, inputs=inputs, output=path)
    mesoscale.run(job)
    return ResultReader(path)


@pytest.mark.parametrize(
    ("name", "boundary"),
    [("stiffness", "modes"), ("conductivity", "modes"), ("conductivity", {"kapitza": 1e-9})],
)
def test_the_problem_is_kept_for_other_solvers(inputs, tmp_path, name, boundary):
    with run(inputs, tmp_path / "m.vtkhdf", boundary=boundary, realisations=1) as reader:
        problem, found = read_problem(reader, name)
    assert own.solve(problem, 1e-6).tensor == pytest.approx(found, rel=1e-9, abs=1e-9)


def test_quantities_with_their_uncertainty(inputs, tmp_path):
    with run(inputs, tmp_path / "m.vtkhdf") as reader:
        assert reader.quantities() == [
            "effective_bulk_modulus",
            "effective_shear_modulus",
            "effective_stiffness",
            "effective_thermal_conductivity",
        ]
        bulk, shear = reader.quantity("effective_bulk_modulus"), reader.quantity("effective_shear_modulus")
        assert bulk.value[0] == pytest.approx((168.4 + 2 * 121.4) / 3, rel=1e-10)
        # C11 changes by 2 GPa from member to member, K by a third of it.
        assert bulk.components["model"][0] == pytest.approx(2.0 / 3.0, rel=1e-6)
        assert bulk.components["sampling"][0] < 1e-8
        assert 40.0 < shear.value[0] < 55.0
        samples = reader.array("realisations/stiffness")
        stiffness = reader.quantity("effective_stiffness")
        assert np.allclose(stiffness.value, samples.mean(axis=0))
        assert np.allclose(stiffness.components["sampling"], samples.std(axis=0, ddof=1) / np.sqrt(2))
        total = stiffness.components["model"] ** 2 + stiffness.components["sampling"] ** 2
        assert np.allclose(stiffness.standard_uncertainty, np.sqrt(total))


def test_conductivity_of_small_grains_with_its_uncertainty(inputs, tmp_path):
    crystal = crystal_conductivity(mode_arrays())[1]
    with run(inputs, tmp_path / "m.vtkhdf") as reader:
        record = reader.quantity("effective_thermal_conductivity")
        assert record.conditions == [{"temperature": 300.0, "grain_size": size} for size in SIZES]
        small, large = np.trace(record.value, axis1=1, axis2=2) / 3.0
        assert 0.0 < small < large < crystal
        assert np.allclose(record.components["mesh"], 0.05 * np.abs(record.value))
        assert set(record.components) == {"mesh", "model", "sampling"}
        # A tenth more lifetime is less than a tenth more conductivity where boundaries scatter too.
        model = record.components["model"][:, 0, 0] / record.value[:, 0, 0]
        assert 0.01 < model[0] < model[1] < 0.1
        assert not record.converged
        assert record.members.shape == (3, 2, 3, 3)


def test_the_mesh_matters_less_in_small_grains(inputs, tmp_path):
    keep_meshes(inputs["conductivity"])
    sizes = [2.0, 50.0, 500.0, 1e9]
    write_handover(inputs["handover"], CUBIC, MEMBERS, temperatures=(200.0, 300.0))
    with run(inputs, tmp_path / "m.vtkhdf", grain_sizes=sizes) as reader:
        record = reader.quantity("effective_thermal_conductivity")
    assert set(record.components) == {"mesh", "model", "sampling"}
    assert not record.converged
    relative = (record.components["mesh"] / np.abs(record.value))[:, 0, 0].reshape(2, 4)
    assert (np.diff(relative, axis=1) > 0).all()
    assert relative[1, 0] < 0.5 * relative[1, 3]
    # The grains of a large-grained sample are the single crystal: its own series of meshes.
    fine = mode_arrays()
    with h5py.File(inputs["conductivity"]) as file:
        weights = [file[f"data/modes/meshes/{mesh}/weight"][()] for mesh in (9, 11)] + [fine["weight"]]
    kappa = np.array([crystal_conductivity({**fine, "weight": weight}) for weight in weights])
    series = MeshSeries(np.array([9, 11, 13]), kappa[:, :, None, None] * np.eye(3))
    assert relative[:, 3] == pytest.approx(series.relative_error(), rel=1e-5)


def test_the_conductivity_of_grains_converges_by_its_own_mesh_error(inputs, tmp_path):
    keep_meshes(inputs["conductivity"], meshes=(11,), tolerance=0.05)
    for sizes, converged in (([2.0], True), ([2.0, 1e9], False)):
        with run(inputs, tmp_path / "m.vtkhdf", grain_sizes=sizes) as reader:
            record = reader.quantity("effective_thermal_conductivity")
        relative = (record.components["mesh"] / np.abs(record.value))[:, 0, 0]
        assert bool((relative <= 0.05).all()) is record.converged is converged


def test_without_a_mesh_error_the_uncertainty_is_not_known(inputs, tmp_path):
    with h5py.File(inputs["conductivity"], "r+") as file:
        group = file["quantities/lattice_thermal_conductivity"]
        del group["components"], group["standard_uncertainty"]
    with run(inputs, tmp_path / "m.vtkhdf") as reader:
        record = reader.quantity("effective_thermal_conductivity")
        assert reader.quantity("effective_stiffness").standard_uncertainty is not None
    assert record.components == {}
    assert record.standard_uncertainty is None
    assert record.members.shape == (3, 2, 3, 3)
    assert not record.converged


def test_large_grains_give_the_crystals_conductivity(inputs, tmp_path):
    write_handover(inputs["handover"], CUBIC, temperatures=(200.0, 300.0))
    with run(inputs, tmp_path / "m.vtkhdf", grain_sizes=[1e9]) as reader:
        record = reader.quantity("effective_thermal_conductivity")
    expected = crystal_conductivity(mode_arrays())[:, None, None] * np.eye(3)
    assert np.allclose(record.value, expected, rtol=1e-5, atol=1e-4)
    # The members' ratio on the coarse mesh is carried over to the fine one.
    assert np.allclose(record.members[2], 1.1 * expected, rtol=1e-4, atol=1e-4)


def test_a_temperature_without_modes_is_named(inputs, tmp_path):
    write_handover(inputs["handover"], CUBIC, temperatures=(250.0,))
    with pytest.raises(InputError, match="not computed at 250 K, only at 200, 300 K"):
        run(inputs, tmp_path / "m.vtkhdf")


def test_stiffness_at_temperature(inputs, tmp_path):
    write_handover(inputs["handover"], CUBIC, MEMBERS, temperatures=(200.0, 300.0), slope=-1e-4)
    with run(inputs, tmp_path / "m.vtkhdf", grain_sizes=[100.0]) as reader:
        bulk, shear = reader.quantity("effective_bulk_modulus"), reader.quantity("effective_shear_modulus")
        voigt = reader.array("bounds/shear/voigt")
        assert reader.array("bounds/shear/hashin_shtrikman_lower").shape == (2,)
        assert len(reader.note("gate")["margins"]) == 2 * 2 + 2 * 2
    assert bulk.conditions == [{"temperature": 200.0}, {"temperature": 300.0}]
    # A cubic crystal's polycrystal has the crystal's bulk modulus, and all moduli follow one factor.
    assert bulk.value == pytest.approx((168.4 + 2 * 121.4) / 3 * np.array([0.98, 0.97]), rel=1e-9)
    assert shear.value[1] / shear.value[0] == pytest.approx(0.97 / 0.98, rel=1e-5)
    assert voigt[1] / voigt[0] == pytest.approx(0.97 / 0.98, rel=1e-9)
    assert bulk.members.shape == (3, 2)
    assert bulk.members[2] == pytest.approx((170.4 + 2 * 121.4) / 3 * np.array([0.98, 0.97]), rel=1e-6)


def electrons(value, uncertainty):
    tensor = value * np.eye(3)[None]
    parts = {} if uncertainty is None else {"electronic": uncertainty * tensor}
    marks = () if uncertainty else ("uncertainty of the electronic part not given",)
    return Column("electronic_thermal_conductivity", tensor, "given", parts, marks=marks)


def test_electrons_add_to_what_boundaries_leave_of_phonons(inputs, tmp_path):
    with run(inputs, tmp_path / "without.vtkhdf") as reader:
        alone = reader.quantity("effective_thermal_conductivity")
        assert "effective_lattice_conductivity" not in reader.quantities()
    write_handover(inputs["handover"], CUBIC, MEMBERS, electronic=electrons(390.0, 0.02))
    with run(inputs, tmp_path / "m.vtkhdf") as reader:
        total = reader.quantity("effective_thermal_conductivity")
        lattice = reader.quantity("effective_lattice_conductivity")
        assert "that of the bulk" in reader.note("electrons")["boundaries"]
    assert np.allclose(lattice.value, alone.value, rtol=1e-9)
    assert np.allclose(lattice.components["mesh"], alone.components["mesh"])
    # The made-up crystal conducts the same along all axes: grains of one size differ in nothing.
    assert np.allclose(total.value, lattice.value + 390.0 * np.eye(3), rtol=2e-3, atol=0.05)
    assert np.allclose(total.components["electronic"], 7.8 * np.eye(3))
    # The mesh's part in W/(m K) is the lattice's: electrons do not depend on it.
    assert np.allclose(
        np.trace(total.components["mesh"], axis1=1, axis2=2),
        np.trace(lattice.components["mesh"], axis1=1, axis2=2), rtol=5e-3,
    )  # fmt: skip
    assert total.members.shape == lattice.members.shape == (3, 2, 3, 3)


def test_with_electrons_the_series_of_meshes_tells_the_same_error(inputs, tmp_path):
    keep_meshes(inputs["conductivity"], tolerance=0.001)
    with run(inputs, tmp_path / "without.vtkhdf") as reader:
        alone = reader.quantity("effective_thermal_conductivity").components["mesh"]
    write_handover(inputs["handover"], CUBIC, MEMBERS, electronic=electrons(390.0, 0.02))
    with run(inputs, tmp_path / "m.vtkhdf") as reader:
        record = reader.quantity("effective_thermal_conductivity")
    assert np.allclose(
        np.trace(record.components["mesh"], axis1=1, axis2=2), np.trace(alone, axis1=1, axis2=2), rtol=2e-2
    )


def test_electrons_without_uncertainty_leave_that_of_the_sum_unknown(inputs, tmp_path):
    write_handover(inputs["handover"], CUBIC, MEMBERS, electronic=electrons(390.0, None))
    with run(inputs, tmp_path / "m.vtkhdf") as reader:
        total = reader.quantity("effective_thermal_conductivity")
        assert reader.quantity("effective_lattice_conductivity").standard_uncertainty is not None
    assert total.standard_uncertainty is None


KAPITZA = {"kapitza": {"300.0": 5e-9}, "uncertainty": 0.2}


def test_boundaries_with_a_resistance(inputs, tmp_path):
    write_handover(inputs["handover"], CUBIC, MEMBERS, bulk=(0.05, (0.9, 1.0, 1.1)))
    with run(inputs, tmp_path / "m.vtkhdf", boundary=KAPITZA, grain_sizes=[50.0, 1e9]) as reader:
        record = reader.quantity("effective_thermal_conductivity")
        given, area = reader.quantity("kapitza_resistance"), reader.quantity("boundary_area_density")
        note, estimate = reader.note("boundaries"), reader.array("bounds/conductivity/grains_in_series")
        warning = reader.note("knudsen")["warning"]
        assert reader.note("gate")["passed"]
    crystal = crystal_conductivity(mode_arrays())[1]
    small, large = np.trace(record.value, axis1=1, axis2=2) / 3
    assert large == pytest.approx(crystal, rel=1e-6)
    assert estimate[0] < small < 1.2 * estimate[0] < 0.8 * crystal
    assert record.members.shape == (3, 2, 3, 3)
    assert np.allclose(record.members[2, 1], 1.1 * crystal * np.eye(3), rtol=1e-5, atol=1e-4)
    # Resistances of grains and boundaries in series: each part by its share of the whole.
    own = small / crystal
    assert set(record.components) == {"model", "sampling", "mesh", "boundary"}
    parts = {name: np.trace(part[0]) / 3 / small for name, part in record.components.items()}
    assert parts["mesh"] == pytest.approx(0.05 * own, rel=0.1)
    assert parts["boundary"] == pytest.approx(0.2 * (1 - own), rel=0.1)
    assert (given.value, given.standard_uncertainty) == (5e-9, pytest.approx(1e-9))
    assert area.value[0] == pytest.approx(area.value[1] * 1e9 / 50.0)
    assert note["model"] == "kapitza"
    assert note["area_over_stereology"] == pytest.approx(1.0, abs=0.1)
    assert "Fourier's law fails in grains" in warning
    assert "Fourier's law fails in small grains" in record.marks


def test_without_the_resistances_error_that_of_the_conductivity_is_not_known(inputs, tmp_path):
    write_handover(inputs["handover"], CUBIC, MEMBERS, bulk=(0.05, (0.9, 1.1)))
    with run(inputs, tmp_path / "m.vtkhdf", boundary={"kapitza": 5e-9}, grain_sizes=[1e6]) as reader:
        assert reader.quantity("effective_thermal_conductivity").standard_uncertainty is None
        assert reader.note("knudsen")["warning"] == ""


def test_one_grain_has_no_boundary_to_compare(inputs, tmp_path):
    with run(inputs, tmp_path / "m.vtkhdf", grains=1, realisations=1, boundary=KAPITZA) as reader:
        kappa = reader.quantity("effective_thermal_conductivity").value
        assert reader.note("boundaries")["area_over_stereology"] is None
        assert reader.quantity("boundary_area_density").value == pytest.approx([0.0, 0.0])
    assert np.allclose(kappa, crystal_conductivity(mode_arrays())[1] * np.eye(3), rtol=1e-9, atol=1e-6)


def test_an_uncertainty_of_the_model_without_members_is_not_lost(inputs, tmp_path):
    """A part of the crystal's conductivity is a part of the polycrystal's, by members or as it is."""
    lattice = crystal_conductivity(mode_arrays())[1] * np.eye(3)[None]
    column = Column("lattice_thermal_conductivity", lattice, "made up", {"model": 0.1 * lattice})
    assert _relative_parts(column)["model"] == pytest.approx([0.1])
    assert _relative_parts(replace(column, members=lattice[None])) == {}


def test_mirrors_leave_the_crystals_conductivity(inputs, tmp_path):
    with run(inputs, tmp_path / "m.vtkhdf", boundary={"specularity": 1.0}) as reader:
        value = reader.quantity("effective_thermal_conductivity").value
    assert np.allclose(value, crystal_conductivity(mode_arrays())[1] * np.eye(3), rtol=1e-9, atol=1e-6)


PORES = {
    "microstructure": {"kind": "inclusions", "fraction": 0.15, "inclusions": 3, "material": "pore"},
    "materials": {"pore": "void"},
    "voxels": 12,
}


@pytest.mark.parametrize("boundary", ["modes", KAPITZA])
def test_pores_among_the_grains(inputs, tmp_path, boundary):
    write_handover(inputs["handover"], CUBIC, MEMBERS, bulk=(0.05, (0.9, 1.0, 1.1)))
    with run(inputs, tmp_path / "m.vtkhdf", boundary=boundary, grain_sizes=[1e9], **PORES) as reader:
        shear = reader.quantity("effective_shear_modulus")
        kappa = np.trace(reader.quantity("effective_thermal_conductivity").value[0]) / 3
        bounds = {name: reader.array(f"bounds/shear/{name}") for name in ("reuss", "hashin_shtrikman_upper")}
        stress, gate = reader.file["VTKHDF/CellData/von_mises"][()], reader.note("gate")
        material = reader.array("grains/material")
        solid = reader.array("grains/volume_fraction")[material == 0].sum()
    assert gate["passed"]
    assert bounds["reuss"] == 0.0
    assert 0.5 * bounds["hashin_shtrikman_upper"] < shear.value < bounds["hashin_shtrikman_upper"]
    # Maxwell's bound, which is the upper one of Hashin and Shtrikman.
    crystal = crystal_conductivity(mode_arrays())[1]
    assert 0.7 * crystal < kappa < crystal * solid / (1 + (1 - solid) / 2) * (1 + 1e-3)
    assert stress.min() == 0.0


def test_inclusions_of_another_material(inputs, tmp_path):
    """Glass spheres in grains of the same conductivity change nothing; its stiffness lies between the bounds."""
    crystal = float(crystal_conductivity(mode_arrays())[1])
    glass = {"young": 70.0, "poisson": 0.2, "conductivity": crystal}
    section = {**PORES["microstructure"], "material": "glass"}
    chosen = {**PORES, "microstructure": section, "materials": {"glass": glass}}
    with run(inputs, tmp_path / "m.vtkhdf", grain_sizes=[1e9], **chosen) as reader:
        kappa = reader.quantity("effective_thermal_conductivity").value[0]
        bulk = reader.quantity("effective_bulk_modulus").value
        low, high = (reader.array(f"bounds/bulk/hashin_shtrikman_{end}") for end in ("lower", "upper"))
    assert np.allclose(kappa, crystal * np.eye(3), rtol=1e-5, atol=1e-4)
    assert low * 0.99 < bulk < high * 1.01
    chosen["materials"] = {"glass": {"young": 70.0, "poisson": 0.2}}
    with pytest.raises(InputError, match="material 'glass' has no conductivity"):
        run(inputs, tmp_path / "m.vtkhdf", **chosen)


def test_texture_leaves_out_estimates_of_isotropic_aggregates(inputs, tmp_path):
    with run(inputs, tmp_path / "m.vtkhdf", texture={"kind": "fibre"}) as reader:
        assert reader.has("bounds/shear/voigt")
        assert not reader.has("bounds/shear/hashin_shtrikman_lower")
        assert not reader.has("bounds/conductivity/hashin_shtrikman_lower")


def test_knudsen_numbers(inputs, tmp_path):
    with run(inputs, tmp_path / "m.vtkhdf") as reader:
        note = reader.note("knudsen")
        diameters = reader.array("grains/diameter")
    first, second = note["values"]
    assert first["mean"] == pytest.approx(10.0 * second["mean"])
    assert first["max"] >= first["mean_free_path"] / SIZES[0] / diameters.min() * (1 - 1e-12)
    assert first["max"] > first["mean"] > first["mean_free_path"] / SIZES[0]


def test_fields_slices_and_bounds(inputs, tmp_path):
    path = tmp_path / "m.vtkhdf"
    with run(inputs, path) as reader:
        stiffness = reader.array("realisations/stiffness")[0, 0]
        kappa = reader.array("realisations/conductivity")[0, 0]
        lower, upper = (reader.array(f"bounds/shear/hashin_shtrikman_{end}") for end in ("lower", "upper"))
        assert reader.array("bounds/shear/reuss") < lower < upper < reader.array("bounds/shear/voigt")
        assert lower < reader.array("bounds/shear/self_consistent") < upper
        ends = [reader.array(f"bounds/conductivity/hashin_shtrikman_{end}") for end in ("lower", "upper")]
        assert (ends[0] <= reader.array("bounds/conductivity/self_consistent")).all()
        assert (reader.array("bounds/conductivity/self_consistent") <= ends[1]).all()
        assert reader.array("homogenization/stiffness/iterations").shape == (2, 1, 6)
        assert reader.array("slice/heat_flux").shape == (9, 9)
        gate, planes = reader.note("gate"), reader.array("slice/grain_id")
    assert gate["passed"]
    assert len(gate["margins"]) == 2 + 4
    with h5py.File(path) as file:
        cells = file["VTKHDF/CellData"]
        assert set(cells) == {
            "grain_id", "orientation", "stress", "von_mises", "heat_flux", "displacement_fluctuation",
            "temperature_fluctuation",
        }  # fmt: skip
        assert np.array_equal(cells["grain_id"][4], planes)
        assert np.allclose(cells["stress"][()].mean(axis=(0, 1, 2)), 1e-3 * stiffness[:, 0], atol=1e-5)
        assert np.allclose(
            cells["heat_flux"][()].mean(axis=(0, 1, 2)), -1e6 * kappa[:, 0], rtol=1e-4, atol=1e3
        )


def test_a_laminate_with_glass_conducts_as_layers_in_series_and_side_by_side(inputs, tmp_path):
    layers = {"kind": "laminate", "layers": [["crystal", 0.75], ["glass", 0.25]], "axis": "y"}
    glass = {"glass": {"young": 70.0, "poisson": 0.2, "conductivity": 1.1}}
    parameters = {"voxels": [3, 8, 2], "microstructure": layers, "materials": glass, "grain_sizes": [1e9]}
    with run(inputs, tmp_path / "m.vtkhdf", **parameters) as reader:
        kappa = reader.quantity("effective_thermal_conductivity").value[0]
        note = reader.note("grains")
    crystal = crystal_conductivity(mode_arrays())[1]
    along, across = 0.75 * crystal + 0.25 * 1.1, 1 / (0.75 / crystal + 0.25 / 1.1)
    # Phonons still meet the layers' faces: a relative 1e-5 at a size of a metre.
    assert kappa == pytest.approx(np.diag([along, across, along]), rel=2e-5, abs=1e-8)
    assert note["fraction"] == pytest.approx({"crystal": 0.75, "glass": 0.25})
    assert note["asked"] == {"fraction of crystal": 0.75, "fraction of glass": 0.25}


def test_a_plane_of_voxels_is_a_columnar_sample(inputs, tmp_path):
    with run(inputs, tmp_path / "m.vtkhdf", voxels=[14, 16, 1], realisations=1) as reader:
        stiffness = reader.quantity("effective_stiffness").value[0]
        assert reader.array("slice/grain_id").shape == (16, 14)
        assert reader.note("gate")["passed"]
    assert np.linalg.eigvalsh(stiffness).min() > 0


def test_a_representative_volume_of_either_property(inputs, tmp_path):
    for wanted, columns in (("conductivity", 1), ("stiffness", 2)):
        search = {
            "property": wanted,
            "tolerance": 0.05,
            "fewest_grains": 4,
            "most_grains": 16,
            "most_realisations": 6,
        }
        with run(inputs, tmp_path / "m.vtkhdf", representative=search, realisations=1) as reader:
            note = reader.note("representative")
            grains, count = (reader.array(f"representative/{name}") for name in ("grains", "realisations"))
            mean, values = (reader.array(f"representative/{name}") for name in ("mean", "values"))
            voxels = reader.array("representative/voxels")
            kappa = reader.quantity("effective_thermal_conductivity").value[0]
        assert note["converged"]
        assert max(note["error"], note["drift"]) <= 0.05
        assert note["grains"] == grains[-1]
        assert mean.shape == (len(grains), columns)
        assert len(values) == count.sum()
        assert list(voxels[0]) == [7, 7, 7]
        if wanted == "conductivity":
            assert mean[-1, 0] == pytest.approx(np.trace(kappa) / 3, rel=0.1)
        else:
            # Cubic crystals: every polycrystal has the crystal's bulk modulus.
            assert mean[:, 0] == pytest.approx(np.full(len(grains), (168.4 + 2 * 121.4) / 3), rel=1e-9)
            assert (mean[:, 1] > 40).all()


HEXAGONAL = np.array(
    [
        [163.7, 36.4, 53.0, 0, 0, 0],
        [36.4, 163.7, 53.0, 0, 0, 0],
        [53.0, 53.0, 63.5, 0, 0, 0],
        [0, 0, 0, 38.8, 0, 0],
        [0, 0, 0, 0, 38.8, 0],
        [0, 0, 0, 0, 0, 63.65],
    ]
)


def test_expansion_and_the_stress_between_grains(inputs, tmp_path):
    """Of zinc; its members differ in the expansion alone."""
    alpha = np.diag([15e-6, 15e-6, 61e-6])
    write_handover(
        inputs["handover"], HEXAGONAL, [HEXAGONAL] * 3, temperatures=(200.0, 300.0), expansion=alpha
    )
    inputs["expansion"] = write_expansion(tmp_path / "expansion.h5", alpha)
    path = tmp_path / "m.vtkhdf"
    with run(inputs, path, thermal_stress={"stress_free": 500.0, "temperature": 300.0}) as reader:
        record = reader.quantity("effective_thermal_expansion")
        stress = {name: reader.quantity(f"thermal_{name}_stress") for name in ("von_mises", "principal")}
        assert reader.array("thermal_stress/von_mises").shape == (2, 201)
        note = reader.note("thermal_stress")
        field = reader.file["VTKHDF/CellData/thermal_stress"][()]
        assert reader.array("slice/thermal_von_mises").shape == (9, 9)
        assert {"thermal_principal", "temperature_fluctuation"} <= set(reader.note("fields")["units"])
    assert [row["temperature"] for row in record.conditions] == [200.0, 300.0]
    trace = np.trace(record.value[0]) / 3
    assert 15e-6 < trace < 91e-6 / 3
    assert np.allclose(record.members[2], 1.1 * record.value, rtol=1e-4, atol=1e-11)
    assert np.allclose(record.components["model"], 0.1 * np.abs(record.value), rtol=1e-3, atol=1e-11)
    assert np.allclose(record.components["mesh"], 0.05 * np.abs(record.value), rtol=1e-9, atol=1e-15)
    assert "stiffness of 0 K" in record.marks
    assert np.allclose(note["strain"], -200 * alpha)
    assert np.abs(field.mean(axis=(0, 1, 2))).max() < 1e-6
    for one in stress.values():
        assert one.conditions == [{"temperature": 300.0}]
        assert (np.diff(one.value[0]) > 0).all()
        assert np.allclose(one.components["model"], 0.1 * one.value, rtol=1e-2)
        assert "free of stress at 500 K" in one.marks


def test_one_realisation_of_what_varies_is_marked(inputs, tmp_path):
    """Its uncertainty is the model's alone."""
    alpha = np.diag([1e-5, 1e-5, 3e-5])
    write_handover(inputs["handover"], HEXAGONAL, [HEXAGONAL] * 3, expansion=alpha)
    inputs["expansion"] = write_expansion(tmp_path / "expansion.h5", alpha)
    cooled = {"stress_free": 500.0, "temperature": 300.0}
    layers = {"kind": "laminate", "layers": [["crystal", 0.4], ["crystal", 0.6]]}
    texture = {"kind": "fibre"}
    for count, one in ((1, True), (2, False)):
        path = tmp_path / "m.vtkhdf"
        with run(inputs, path, realisations=count, thermal_stress=cooled) as reader:
            records = [reader.quantity(name) for name in reader.quantities()]
        assert len(records) == 7
        assert all((ONE_SAMPLE in record.marks) is one for record in records)
        assert all(("sampling" in record.components) is not one for record in records if record.components)
    with run(inputs, tmp_path / "m.vtkhdf", microstructure=layers, texture=texture, realisations=1) as reader:
        assert ONE_SAMPLE in reader.quantity("effective_stiffness").marks


def test_stress_needs_an_expansion_that_reaches(inputs, tmp_path):
    wanted = {"stress_free": 1500.0, "temperature": 300.0}
    with pytest.raises(InputError, match="thermal_stress needs the crystal's thermal expansion"):
        run(inputs, tmp_path / "m.vtkhdf", thermal_stress=wanted)
    inputs["expansion"] = write_expansion(tmp_path / "expansion.h5", 1e-5 * np.eye(3))
    with pytest.raises(InputError, match="known from 200 to 1000 K, not at 1500 K"):
        run(inputs, tmp_path / "m.vtkhdf", thermal_stress=wanted)


def test_fluctuations_are_those_of_the_fields(inputs, tmp_path):
    """Their gradients have no mean, and they scale with the grains."""
    path = tmp_path / "m.vtkhdf"
    fluctuations = []
    for size in (50.0, 100.0):
        run(inputs, path, grain_sizes=[size], boundary={"specularity": 1.0}).file.close()
        with h5py.File(path) as file:
            fluctuations.append(file["VTKHDF/CellData/displacement_fluctuation"][()])
    assert fluctuations[0].shape == (9, 9, 9, 3)
    assert np.abs(fluctuations[0].mean(axis=(0, 1, 2))).max() < 1e-5 * np.abs(fluctuations[0]).max()
    assert np.allclose(fluctuations[1], 2 * fluctuations[0], rtol=1e-5, atol=1e-9)


def test_vtk_reads_the_fields(inputs, tmp_path, require_module):
    require_module("vtk", "dev")
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    write_handover(inputs["handover"], HEXAGONAL, expansion=np.eye(3))
    inputs["expansion"] = write_expansion(tmp_path / "expansion.h5", np.diag([1e-5, 1e-5, 3e-5]))
    path = tmp_path / "m.vtkhdf"
    run(inputs, path, thermal_stress={"stress_free": 500.0, "temperature": 300.0}).file.close()
    reader = vtk.vtkHDFReader()
    reader.SetFileName(str(path))
    reader.Update()
    cells = reader.GetOutputDataObject(0).GetCellData()
    with h5py.File(path) as file:
        for name, data in file["VTKHDF/CellData"].items():
            assert np.array_equal(vtk_to_numpy(cells.GetArray(name)).reshape(data.shape), data[()]), name
        assert "thermal_principal" in file["VTKHDF/CellData"]


def test_stiffness_alone(inputs, tmp_path):
    write_handover(inputs["handover"], cubic(168.4, 121.4, 75.4))
    path = tmp_path / "m.vtkhdf"
    with run({"handover": inputs["handover"]}, path, grain_sizes=[], realisations=1) as reader:
        record = reader.quantity("effective_stiffness")
    assert record.components == {}
    assert record.standard_uncertainty is None
    assert record.members is None
    with h5py.File(path) as file:
        assert "heat_flux" not in file["VTKHDF/CellData"]


def test_single_precision_gives_the_same_within_its_tolerance(inputs, tmp_path):
    found = []
    for precision in ("double", "single"):
        reader = run(inputs, tmp_path / f"{precision}.h5", precision=precision, tolerance=1e-4)
        found.append(
            [reader.quantity(f"effective_{name}").value for name in ("stiffness", "thermal_conductivity")]
        )
    for double, single in zip(*found, strict=True):
        assert 0 < np.abs(single - double).max() < 1e-6 * np.abs(double).max()


def test_equal_seeds_give_equal_files(inputs, tmp_path):
    paths = [tmp_path / f"{name}.vtkhdf" for name in "abc"]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        run(inputs, path, seed=seed)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again
    assert first != other


def test_gate_that_just_fails_is_told_with_the_results(inputs, tmp_path, monkeypatch):
    path = tmp_path / "m.vtkhdf"
    found = {"stiffness of realisation 1": Margin(voigt=-1.1e-4, reuss=0.1)}
    monkeypatch.setattr(Ensemble, "margins", lambda self, what: found)
    with run(inputs, path) as reader:
        gate = reader.note("gate")
        assert "effective_stiffness" in reader.quantities()
    assert gate["passed"] is False
    assert gate["name"] == "voigt_reuss_bounds"
    assert "the effective stiffness of realisation 1 violates the Voigt bound" in gate["message"]
    assert "tolerance" in gate["fix"]
    assert gate["margins"]["stiffness of realisation 1"] == {"voigt": -1.1e-4, "reuss": 0.1}


def test_gate_that_just_passes(inputs, tmp_path, monkeypatch):
    found = {"stiffness of realisation 1": Margin(voigt=-0.9e-4, reuss=0.1)}
    monkeypatch.setattr(Ensemble, "margins", lambda self, what: found)
    with run(inputs, tmp_path / "m.vtkhdf") as reader:
        gate = reader.note("gate")
    assert gate["passed"] is True
    assert (gate["message"], gate["fix"]) == ("", "")


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"grains": 500, "voxels": 6}, "6×6×6 voxels is too small for 500 grains"),
        ({"grains": 0}, "parameter 'grains' .* out of range: 0"),
        ({"tolerance": 0.0}, "parameter 'tolerance'"),
        ({"grain_sizes": [-1.0]}, "parameter 'grain_sizes'"),
        ({"grain_sizes": []}, "parameter 'grain_sizes' .* is empty"),
        ({"temperatures": [250.0]}, "no parameter 'temperatures'"),
        ({"grain": 5}, "no parameter 'grain'"),
        ({"boundary": {"kapitza": 1e-9, "specularity": 0.2}}, "never both"),
        ({"boundary": {"kapitza": {"400.0": 1e-9}}}, "not at 300 K"),
    ],
)
def test_bad_parameters_are_named(inputs, tmp_path, parameters, complaint):
    path = tmp_path / "m.vtkhdf"
    with pytest.raises(InputError, match=complaint):
        run(inputs, path, **parameters)
    assert not path.exists()


def test_unstable_crystals_are_named(inputs, tmp_path):
    stable = cubic(168.4, 121.4, 75.4)
    write_handover(inputs["handover"], cubic(100.0, 120.0, 75.4))
    with pytest.raises(InputError, match="stiffness of the crystal is not positive definite"):
        run(inputs, tmp_path / "m.vtkhdf")
    write_handover(inputs["handover"], stable, [stable, cubic(100.0, 120.0, 75.4)])
    with pytest.raises(InputError, match="stiffness of committee member 1 is not positive definite"):
        run(inputs, tmp_path / "m.vtkhdf")


def test_input_without_stiffness_is_named(inputs, tmp_path):
    with pytest.raises(InputError, match="'handover' is no table of the crystal's properties"):
        run({"handover": inputs["conductivity"]}, tmp_path / "m.vtkhdf")
    with pytest.raises(InputError, match="no input 'handover'"):
        run({}, tmp_path / "m.vtkhdf")


def start(folder, inputs, launcher, name, **parameters):
    """Start the worker as the scheduler would."""
    content = {
        "task": "mesoscale",
        "parameters": {**PARAMETERS, **parameters},
        "inputs": {key: path.name for key, path in inputs.items()},
        "output": f"{name}.vtkhdf",
    }
    (folder / "job.json").write_text(json.dumps(content))
    environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = [*launcher, sys.executable, "-m", "hashigo.calculators.workers", str(folder / "job.json")]
    return subprocess.run(
        command, env={**environment, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("boundary", ["modes", KAPITZA])
def test_two_ranks_give_what_one_gives(inputs, tmp_path, require_program, boundary):
    """On nine planes, so that the slabs are uneven; cells of Laguerre."""
    require_program("mpirun", "openmpi-bin")
    launcher = ["mpirun", "-n", "2", "--oversubscribe", "--allow-run-as-root"]
    cells = {"kind": "laguerre", "size_spread": 0.2}
    for name, prefix in (("one", []), ("two", launcher)):
        done = start(tmp_path, inputs, prefix, name, boundary=boundary, microstructure=cells)
        assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "one.vtkhdf") as one, h5py.File(tmp_path / "two.vtkhdf") as two:
        names: list[str] = []
        one.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        # Residuals are small differences of large numbers.
        for name in (name for name in names if "residuals" not in name):
            first, second = one[name][()], two[name][()]
            scale = max(np.abs(first).max(), 1e-6)
            single = first.dtype == np.float32
            assert np.abs(first - second).max() <= (1e-6 if single else 1e-10) * scale, name


def test_error_under_mpi_ends_all_ranks(inputs, tmp_path, require_program):
    require_program("mpirun", "openmpi-bin")
    launcher = ["mpirun", "-n", "2", "--oversubscribe", "--allow-run-as-root"]
    done = start(tmp_path, inputs, launcher, "two", grain_sizes=[])
    assert done.returncode == 2, done.stderr
    assert "is empty" in json.loads((tmp_path / "error.json").read_text())["message"]


def test_one_rank_needs_no_mpi_library(inputs, tmp_path):
    program = (
        "import sys; sys.modules['mpi4py'] = None\n"
        "from pathlib import Path\n"
        "from hashigo.calculators.workers.__main__ import main\n"
        "status = main(Path(sys.argv[1]))\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'aiida']\n"
        "sys.exit(status)\n"
    )
    start(tmp_path, inputs, ["true"], "serial", realisations=1)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "job.json")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "serial.vtkhdf").is_file()
