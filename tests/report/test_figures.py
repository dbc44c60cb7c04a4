"""Figures: all of them from full results, none of them an error from partial ones."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from contextlib import ExitStack

import numpy as np
import pytest

from hashigo.calculators.results import ResultReader, ResultWriter
from hashigo.errors import InputError
from hashigo.report.figures import PLANNED, Results, draw_all
from hashigo.report.figures.conductivity import distinct_axes
from hashigo.report.figures.crystal import direction_path, youngs_modulus
from hashigo.report.figures.dynamics import broadened
from hashigo.report.figures.mesoscale import stress_between_grains
from hashigo.report.figures.style import axis_label, evenly, isotropic, look, middle, svg

OF_STAGE = {
    "learning": {"learning"},
    "potential": {"parity", "reliability"},
    "potential_search": {"search"},
    "elasticity": {"directional-modulus", "sound-velocities"},
    "phonons": {"bands", "thermal-properties", "gruneisen", "modes"},
    "conductivity": {"kappa-temperature", "kappa-mesh", "kappa-cumulative"},
    "green_kubo": {"green-kubo"},
    "expansion": {"thermal-expansion"},
    "thermoelasticity": {"thermal-stiffness"},
    "dynamics": {"equation-of-state", "arrangement", "velocity-spectrum"},
    "mesoscale": {
        "kappa-grain-size",
        "bounds",
        "slices",
        "field-distributions",
        "stress-between-grains",
        "grain-sizes",
        "representative-volume",
    },
    "component": {"component-history", "component-slices"},
}


def test_every_planned_figure_is_drawn_from_full_results(results):
    pictures = draw_all(results)
    assert [picture.name for picture in pictures] == [plan.name for plan in PLANNED]
    for picture in pictures:
        root = ElementTree.fromstring(picture.svg)
        assert root.tag.endswith("svg")
        # Glyphs are paths: no font is asked for, and nothing else is.
        assert not root.findall(".//{http://www.w3.org/2000/svg}text")
        assert "http" not in "".join(
            value for node in root.iter() for key, value in node.attrib.items() if key.endswith("href")
        )


@pytest.mark.parametrize("stage", OF_STAGE)
def test_a_stage_that_has_not_run_leaves_its_figures_out(result_files, stage):
    with ExitStack() as stack:
        readers = {
            name: stack.enter_context(ResultReader(path))
            for name, path in result_files.items()
            if name != stage
        }
        drawn = {picture.name for picture in draw_all(Results(readers))}
    assert drawn == set().union(*OF_STAGE.values()) - OF_STAGE[stage]


def test_an_empty_run_has_no_figures():
    assert draw_all(Results({})) == []


def test_equal_results_give_equal_pictures(results):
    plan = next(plan for plan in PLANNED if plan.name == "bands")
    assert svg(plan.draw(results)) == svg(plan.draw(results))


def test_drawing_leaves_matplotlib_as_it_was(results):
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw_all(results)
    assert dict(matplotlib.rcParams) == before
    with look():
        assert matplotlib.rcParams["svg.fonttype"] == "path"


def plan_of(name):
    return next(plan for plan in PLANNED if plan.name == name)


def texts(figure):
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


@pytest.mark.parametrize(
    "name",
    ["kappa-temperature", "kappa-mesh", "kappa-cumulative", "kappa-grain-size", "representative-volume"],
)
def test_what_is_not_converged_is_marked_in_the_figure(results, name):
    plan = next(plan for plan in PLANNED if plan.name == name)
    assert "not converged" in texts(plan.draw(results))


def test_a_potential_without_a_spread_has_points_without_bars(tmp_path):
    path = tmp_path / "potential.h5"
    with ResultWriter(path, task="training", task_version=1) as writer:
        for prefix, count in (("", 12), ("train_", 0)):
            for name in ("reference", "predicted"):
                writer.array(f"parity/forces/{prefix}{name}", np.linspace(-1, 1, count), units="eV/Å")
    plan = next(plan for plan in PLANNED if plan.name == "parity")
    with ResultReader(path) as reader:
        shown = texts(plan.draw(Results({"potential": reader})))
    assert "held out" in shown
    assert "spread" not in shown


def test_one_mesh_has_no_series_and_no_uncertainty(tmp_path):
    with ResultWriter(tmp_path / "k.h5", task="conductivity", task_version=1) as writer:
        writer.quantity(
            "lattice_thermal_conductivity",
            np.eye(3),
            conditions=[{"temperature": 300.0}],
            converged=False,
        )
        writer.array("mesh/series", [7], units="dimensionless")
        writer.array("mesh/kappa", np.eye(3)[None, None], units="W/(m K)")
    with ResultReader(tmp_path / "k.h5") as reader:
        pictures = draw_all(Results({"conductivity": reader}))
        assert [picture.name for picture in pictures] == ["kappa-temperature"]
        assert "uncertainty not known" in texts(
            plan_of("kappa-temperature").draw(Results({"conductivity": reader}))
        )


def test_parity_says_its_error_and_the_uncertainty_of_a_prediction(results):
    said = texts(plan_of("parity").draw(results))
    assert "RMSE" in said
    assert "standard uncertainty" in said
    assert "2 meV/Å" in said


def test_the_search_marks_what_was_chosen(results):
    figure = plan_of("search").draw(results)
    said = texts(figure)
    assert "chosen" in said
    assert "best + one standard error" in said
    for axes, height in zip(figure.axes, (1.3, 0.21), strict=True):
        mark = next(line for line in axes.lines if line.get_label() == "chosen")
        assert mark.get_xydata().tolist() == [[20.0, height]]
    rule = next(line for line in figure.axes[1].lines if "standard error" in str(line.get_label()))
    assert list(rule.get_ydata()) == [pytest.approx(0.22)] * 2


def test_the_path_over_directions_is_made_of_neighbours_and_passes_the_axes():
    polar, azimuth = np.linspace(0, 90, 19), np.arange(0.0, 360.0, 5.0)
    steps, names = direction_path(polar, azimuth)
    assert [name for _, name in names] == ["z", "x", "y", "z", "xy"]
    vectors = np.array(
        [
            [np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)]
            for p, a in ((np.radians(polar[i]), np.radians(azimuth[j])) for i, j in steps)
        ]
    )
    np.testing.assert_allclose(np.sum(vectors[1:] * vectors[:-1], axis=1), np.cos(np.radians(5)), atol=1e-12)
    axes = {"x": [1, 0, 0], "y": [0, 1, 0], "z": [0, 0, 1], "xy": [0.5**0.5, 0.5**0.5, 0]}
    for place, name in names:
        np.testing.assert_allclose(vectors[place], axes[name], atol=1e-12)


def test_youngs_modulus_of_a_cubic_crystal_along_its_axes():
    c11, c12, c44 = 160.0, 60.0, 80.0
    stiffness = np.diag([c11] * 3 + [c44] * 3)
    stiffness[:3, :3] += c12 * (1 - np.eye(3))
    along = youngs_modulus(
        stiffness, np.array([[1.0, 0, 0], [0, 1.0, 1.0], [1.0, 1.0, 1.0]]) / np.sqrt([[1], [2], [3]])
    )
    s11 = (c11 + c12) / ((c11 - c12) * (c11 + 2 * c12))
    s12 = -c12 / ((c11 - c12) * (c11 + 2 * c12))
    anisotropy = s11 - s12 - 0.5 / c44
    # Nye (1957): 1/E = s11 - 2 (s11 - s12 - s44/2) (l²m² + m²n² + n²l²).
    exact = [1 / (s11 - 2 * anisotropy * share) for share in (0.0, 0.25, 1 / 3)]
    np.testing.assert_allclose(along, exact, rtol=1e-12)


def test_axes_that_are_equal_by_symmetry_are_drawn_once():
    tensors = np.array([np.diag([2.0, 2.0, 5.0])])
    assert distinct_axes(tensors) == [("xx", 0), ("zz", 2)]
    assert distinct_axes(np.eye(3)[None]) == [("xx", 0)]


def test_a_broadened_mode_has_its_width_and_area():
    frequency = np.linspace(0, 20, 801)
    seen = broadened(frequency, (np.abs(frequency - 10) < 0.001) / 0.025, 0.8)
    assert seen.sum() * 0.025 == pytest.approx(1.0)
    assert np.ptp(frequency[seen > seen.max() / 2]) == pytest.approx(0.8, abs=0.05)


def test_grain_sizes_stand_beside_what_was_asked_for(results):
    figure = plan_of("grain-sizes").draw(results)
    said = texts(figure)
    assert "log-normal, σ = 0.34" in said
    assert "asked for, σ = 0.35" in said
    # A density has area one.
    for line in figure.axes[0].lines:
        assert np.trapezoid(*line.get_xydata().T[::-1]) == pytest.approx(1.0, abs=0.03)


def test_grains_that_expand_alike_have_no_picture_of_their_stress(tmp_path):
    path = tmp_path / "mesoscale.h5"
    with ResultWriter(path, task="mesoscale", task_version=1) as writer:
        writer.array("slice/thermal_principal", np.full((4, 4), 1e-10), units="GPa")
        writer.array("thermal_stress/probability", [0.5], units="dimensionless")
    with ResultReader(path) as reader, pytest.raises(InputError, match="no stress between the grains"):
        stress_between_grains(Results({"mesoscale": reader}))


def test_small_helpers():
    assert axis_label("effective_thermal_conductivity").endswith("$κ_{\\mathrm{eff}}$ (W/(m K))")
    assert axis_label("density").endswith("(kg/m³)")
    assert middle(np.array([200.0, 310.0, 900.0])) == 1
    assert evenly(10, 3, 2) == [2, 4, 9]
    assert evenly(2, 4) == [0, 1]
    assert isotropic(np.diag([1.0, 2.0, 6.0])) == pytest.approx(3.0)


def test_bounds_are_shown_at_every_temperature(tmp_path):
    kelvin = [600.0, 300.0, 900.0]
    with ResultWriter(tmp_path / "m.h5", task="mesoscale", task_version=1) as writer:
        for kind, value in (("bulk", 100.0), ("shear", 50.0)):
            curve = value * (1 - 1e-4 * np.array(kelvin))
            conditions = [{"temperature": t} for t in kelvin]
            writer.quantity(
                f"effective_{kind}_modulus", curve, conditions=conditions, components={"model": 0.01 * curve}
            )
            factors = {
                "voigt": 1.1,
                "reuss": 0.9,
                "hashin_shtrikman_lower": 0.95,
                "hashin_shtrikman_upper": 1.05,
            }
            for name, factor in factors.items():
                writer.array(f"bounds/{kind}/{name}", factor * curve, units="GPa")
    with ResultReader(tmp_path / "m.h5") as reader:
        figure = plan_of("bounds").draw(Results({"mesoscale": reader}))
    assert "Hashin–Shtrikman" in texts(figure)
    assert "self-consistent" not in texts(figure)
    points = figure.axes[0].containers[0].lines[0].get_xydata()
    assert points[:, 0].tolist() == sorted(kelvin)
    assert points[:, 1] == pytest.approx(100.0 * (1 - 1e-4 * np.sort(kelvin)))
