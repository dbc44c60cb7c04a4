"""Figures of the stage "elasticity": how stiff the crystal is, and how fast sound runs, in each direction."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from hashigo.report.figures.source import Results
from hashigo.report.figures.style import COLOURS, WIDE, axis_label, line_look, panels, styled

Floats = NDArray[np.float64]

#: Name of a plane and the two directions that span it, the first of which is at angle 0.
_PLANES = (
    ("plane x–y", (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    ("plane x–z", (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    ("plane y–z", (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    ("diagonal plane xy–z", (0.5**0.5, 0.5**0.5, 0.0), (0.0, 0.0, 1.0)),
)
_FACTORS = np.array([1.0, 1.0, 1.0, 2**0.5, 2**0.5, 2**0.5])


def youngs_modulus(stiffness: Floats, directions: Floats) -> Floats:
    """Young's modulus under tension along directions.

    Args:
        stiffness: Voigt xx, yy, zz, yz, xz, xy, shape (6, 6), GPa.
        directions: unit vectors, shape (n, 3), dimensionless.

    Returns:
        Shape (n,), GPa.

    Source: Nye, Physical Properties of Crystals (1957), chapter VIII.
    """
    compliance = np.linalg.inv(stiffness)
    x, y, z = directions.T
    # Stress of unit tension along each direction, Voigt; it does work on engineering strains.
    stress = np.stack([x * x, y * y, z * z, y * z, x * z, x * y], axis=1)
    return np.asarray(1.0 / np.einsum("ni,ij,nj->n", stress, compliance, stress))


@styled
def directional_modulus(results: Results) -> Figure:
    """Young's modulus of the crystal over direction, in planes that differ.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no stiffness.
    """
    record = results.quantity("elasticity", "stiffness")
    angles = np.linspace(0, 2 * np.pi, 361)
    members = [] if record.members is None else [member[0] for member in record.members]
    figure = Figure(figsize=(WIDE * 0.62, 3.6), layout="constrained")
    axes = figure.add_subplot(projection="polar")
    assert isinstance(axes, PolarAxes)
    shown: list[Floats] = []
    for name, first, second in _PLANES:
        directions = np.outer(np.cos(angles), first) + np.outer(np.sin(angles), second)
        modulus = youngs_modulus(record.value[0], directions)
        # Directions where an unstable crystal yields have no modulus to show.
        if not np.all(modulus > 0) or any(np.allclose(modulus, other, rtol=2e-3) for other in shown):
            continue
        look = line_look(len(shown))
        shown.append(modulus)
        axes.plot(angles, modulus, label=name, **look)
        if len(members) > 1:
            spread = np.std([youngs_modulus(member, directions) for member in members], axis=0, ddof=1)
            axes.fill_between(
                angles, modulus - spread, modulus + spread, color=look["color"], alpha=0.3, lw=0
            )
    axes.set_ylim(0, None)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_rlabel_position(75)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title("Young's modulus $E$ (GPa) by direction")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


#: Corners of a path over directions, in polar angle and azimuth, °: along each line one of them changes.
_PATH = (("z", 0, 0), ("x", 90, 0), ("y", 90, 90), ("z", 0, 90), ("z", 0, 45), ("xy", 90, 45))


def direction_path(polar: Floats, azimuth: Floats) -> tuple[list[tuple[int, int]], list[tuple[int, str]]]:
    """Rows and columns of a grid of directions along great circles through the axes, and names of the corners.

    Args:
        polar: angles from z, shape (n_polar,), °.
        azimuth: angles from x around z, shape (n_azimuth,), °.
    """
    steps: list[tuple[int, int]] = []
    names = [(0, _PATH[0][0])]
    for (_, polar_a, azimuth_a), (name, polar_b, azimuth_b) in pairwise(_PATH):
        if name == names[-1][1]:
            continue  # the same direction, from where another great circle starts
        row_a, row_b = (int(np.argmin(np.abs(polar - angle))) for angle in (polar_a, polar_b))
        column_a, column_b = (int(np.argmin(np.abs(azimuth - angle))) for angle in (azimuth_a, azimuth_b))
        count = max(abs(row_b - row_a), abs(column_b - column_a)) + 1
        rows = np.linspace(row_a, row_b, count).round().astype(int)
        columns = np.linspace(column_a, column_b, count).round().astype(int)
        steps += list(zip(rows.tolist(), columns.tolist(), strict=True))[1 if steps else 0 :]
        names.append((len(steps) - 1, name))
    return steps, names


@styled
def sound_velocities(results: Results) -> Figure:
    """Velocities of the three waves along great circles through the axes.

    Args:
        results: of a run.

    Raises:
        InputError: when there are none.
    """
    polar, azimuth, velocity = (
        results.array("elasticity", f"sound/{name}") for name in ("polar", "azimuth", "velocity")
    )
    steps, names = direction_path(polar, azimuth)
    rows, columns = np.array(steps).T
    place = np.arange(len(steps))
    figure, (axes,) = panels(1, 2.6)
    for branch, name in enumerate(("slow transverse", "fast transverse", "longitudinal")):
        curve, look = velocity[rows, columns, branch] / 1000, line_look(branch)
        axes.plot(place, curve, label=name, **look)
        if results.has("elasticity", "sound/spread"):
            spread = results.array("elasticity", "sound/spread")[rows, columns, branch] / 1000
            axes.fill_between(place, curve - spread, curve + spread, color=look["color"], alpha=0.3, lw=0)
    axes.set_xticks(*zip(*names, strict=True))
    axes.set_xlim(0, place[-1])
    axes.set_ylim(0, None)
    axes.set_ylabel("Velocity of sound (km/s)")
    axes.legend(loc="lower right")
    return figure


@styled
def moduli_and_bounds(results: Results) -> Figure:
    """Effective bulk and shear modulus of the polycrystal between their bounds.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no polycrystal.
    """
    record = results.quantity("mesoscale", "effective_bulk_modulus")
    if len(record.conditions) > 1:
        return _moduli_over_temperature(results)
    figure, axes = panels(2, 2.3, sharey=True)
    rows = {
        "reuss": "Reuss",
        "hashin_shtrikman_lower": "Hashin–Shtrikman −",
        "self_consistent": "self-consistent",
        "effective": "this polycrystal",
        "hashin_shtrikman_upper": "Hashin–Shtrikman +",
        "voigt": "Voigt",
    }
    known = [row for row in rows if row == "effective" or results.has("mesoscale", f"bounds/shear/{row}")]
    for panel, kind in zip(axes, ("bulk", "shear"), strict=True):
        record = results.quantity("mesoscale", f"effective_{kind}_modulus")
        value = float(record.value[0])
        numbers = []
        for place, row in enumerate(known):
            if row == "effective":
                bars = None if record.standard_uncertainty is None else float(record.standard_uncertainty[0])
                panel.errorbar(value, place, xerr=bars, color=COLOURS[1], marker="D", zorder=3)
                numbers += [value - (bars or 0.0), value + (bars or 0.0)]
            elif results.has("mesoscale", f"bounds/{kind}/{row}"):
                bound = float(np.ravel(results.array("mesoscale", f"bounds/{kind}/{row}"))[0])
                panel.plot(bound, place, color=COLOURS[0], marker="|", markersize=13, markeredgewidth=2)
                numbers.append(bound)
        # Bounds that coincide, as those of K of a cubic crystal, would otherwise be drawn far apart.
        reach = max(0.6 * (max(numbers) - min(numbers)), 0.01 * abs(value))
        centre = (max(numbers) + min(numbers)) / 2
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.set_xlim(centre - reach, centre + reach)
        panel.set_xlabel(axis_label(f"effective_{kind}_modulus"))
    axes[0].set_yticks(range(len(known)), [rows[row] for row in known])
    axes[0].set_ylim(-0.6, len(known) - 0.4)
    return figure


def _moduli_over_temperature(results: Results) -> Figure:
    """The same at each temperature."""
    figure, axes = panels(2, 2.8)
    for panel, kind in zip(axes, ("bulk", "shear"), strict=True):
        record = results.quantity("mesoscale", f"effective_{kind}_modulus")
        kelvin = np.array([condition["temperature"] for condition in record.conditions])
        order = np.argsort(kelvin)

        def bound(name: str, kind: str = kind, order: Any = order) -> Any:
            path = f"bounds/{kind}/{name}"
            return results.array("mesoscale", path)[order] if results.has("mesoscale", path) else None

        lower, upper = bound("hashin_shtrikman_lower"), bound("hashin_shtrikman_upper")
        if lower is not None and upper is not None:
            panel.fill_between(
                kelvin[order], lower, upper, color=COLOURS[4], alpha=0.5, lw=0, label="Hashin–Shtrikman"
            )
        lines = (
            ("voigt", "Voigt", "-."),
            ("self_consistent", "self-consistent", "-"),
            ("reuss", "Reuss", ":"),
        )
        for name, label, dashes in lines:
            curve = bound(name)
            if curve is not None:
                panel.plot(kelvin[order], curve, color=COLOURS[0], linestyle=dashes, linewidth=1, label=label)
        bars = None if record.standard_uncertainty is None else record.standard_uncertainty[order]
        panel.errorbar(
            kelvin[order], record.value[order], yerr=bars, color=COLOURS[1], marker="D", linestyle="none",
            label="this polycrystal", zorder=3,
        )  # fmt: skip
        panel.set_xlabel(axis_label("temperature"))
        panel.set_ylabel(axis_label(f"effective_{kind}_modulus"))
    axes[1].legend()
    return figure
