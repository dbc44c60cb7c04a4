"""Figures of the stage "elasticity": how stiff the crystal is in each direction."""

from __future__ import annotations

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


@styled
def moduli_and_bounds(results: Results) -> Figure:
    """Effective bulk and shear modulus of the polycrystal between their bounds.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no polycrystal.
    """
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
                bound = float(results.array("mesoscale", f"bounds/{kind}/{row}"))
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
