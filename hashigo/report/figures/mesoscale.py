"""Figures of the stage "mesoscale": slices through the microstructure and its fields, and its grains."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hashigo.errors import InputError
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import (
    COLOURS,
    GREY,
    LINES,
    MARKERS,
    PLANES,
    WARNING,
    line_look,
    panels,
    styled,
)

_STAGE = "mesoscale"
#: Stress in MPa below which there is none to show.
LEAST_STRESS = 1e-3
#: Field, title with unit, factor to that unit, colour map that is even in lightness.
_FIELDS = (
    ("von_mises", "von Mises stress (MPa)", 1e3, "cividis"),
    ("heat_flux", "heat flux (MW/m²)", 1e-6, "cividis"),
)


@styled
def slices(results: Results) -> Figure:
    """Grains, stress and heat flux in a middle plane of the first polycrystal.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no slice.
    """
    grains = results.array(_STAGE, "slice/grain_id")
    note = results.note(_STAGE, "fields")
    fields = [field for field in _FIELDS if results.has(_STAGE, f"slice/{field[0]}")]
    figure, axes = panels(1 + len(fields), 3.1, layout="compressed")
    rows, columns = grains.shape
    edge, unit = float(note.get("edge") or columns), str(note.get("length_unit") or "voxel")
    extent = (0, edge, 0, edge * rows / columns)
    look: dict[str, Any] = {"origin": "lower", "extent": extent, "interpolation": "nearest"}
    axes[0].imshow(_shuffled(grains), cmap=_tints(), vmin=0, vmax=11, **look)
    across, up = PLANES[results.note(_STAGE, "slice").get("normal", "z")]
    count = len(np.unique(grains))
    axes[0].set_title(f"{count} {'grain' if count == 1 else 'grains'} in this plane")
    for panel, (name, title, factor, colours) in zip(axes[1:], fields, strict=True):
        picture = panel.imshow(results.array(_STAGE, f"slice/{name}") * factor, cmap=colours, **look)
        panel.set_title(title)
        bar = figure.colorbar(picture, ax=panel, location="bottom", shrink=0.9, aspect=25)
        bar.outline.set_linewidth(0.5)
    for panel in axes:
        _borders(panel, grains, edge)
        panel.grid(visible=False)
        panel.set_xlabel(f"${across}$ ({unit})")
    axes[0].set_ylabel(f"${up}$ ({unit})")
    return figure


#: Histogram, label with unit, factor to that unit.
_HISTOGRAMS = (
    ("von_mises", "von Mises stress (MPa)", 1e3),
    ("heat_flux", "heat flux (MW/m²)", 1e-6),
)


@styled
def distributions(results: Results) -> Figure:
    """How stress and heat flux are distributed over the volume of the first polycrystal.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no histogram.
    """
    found = [one for one in _HISTOGRAMS if results.has(_STAGE, f"histogram/{one[0]}")]
    if not found:
        raise InputError("no distribution of a field was kept")
    figure, axes = panels(len(found), 2.4)
    for panel, (name, label, factor) in zip(axes, found, strict=True):
        edges = results.array(_STAGE, f"histogram/{name}/edges") * factor
        density = results.array(_STAGE, f"histogram/{name}/density") / factor
        panel.stairs(density, edges, fill=True, color=COLOURS[4], alpha=0.6)
        panel.stairs(density, edges, color=COLOURS[0])
        mean = float((density * np.diff(edges) * 0.5 * (edges[1:] + edges[:-1])).sum())
        panel.axvline(mean, color=COLOURS[1], linestyle="--", label=f"mean {mean:.3g}")
        panel.set_xlabel(label)
        panel.set_ylim(bottom=0)
        panel.legend()
    axes[0].set_ylabel("density over the volume")
    return figure


@styled
def stress_between_grains(results: Results) -> Figure:
    """Largest principal stress that a change of temperature leaves, in a plane, and how stresses are distributed.

    Args:
        results: of a run.

    Raises:
        InputError: when it was not computed, or there is none but rounding, as between grains that expand alike.
    """
    plane = 1e3 * results.array(_STAGE, "slice/thermal_principal")
    if np.abs(plane).max() < LEAST_STRESS:
        raise InputError("there is no stress between the grains")
    share = results.array(_STAGE, "thermal_stress/probability")
    note = results.note(_STAGE, "fields")
    figure, (picture, curves) = panels(2, 3.0)
    edge, unit = float(note.get("edge") or plane.shape[1]), str(note.get("length_unit") or "voxel")
    extent = (0.0, edge, 0.0, edge * plane.shape[0] / plane.shape[1])
    most = float(np.abs(plane).max())
    shown = picture.imshow(
        plane, cmap="RdBu_r", vmin=-most, vmax=most, origin="lower", extent=extent, interpolation="nearest"
    )
    _borders(picture, results.array(_STAGE, "slice/grain_id"), edge)
    picture.grid(visible=False)
    across, up = PLANES[results.note(_STAGE, "slice").get("normal", "z")]
    picture.set_xlabel(f"${across}$ ({unit})")
    picture.set_ylabel(f"${up}$ ({unit})")
    bar = figure.colorbar(shown, ax=picture, shrink=0.9)
    bar.set_label("largest principal stress (MPa)")
    bar.outline.set_linewidth(0.5)
    names = (("von_mises", "von Mises"), ("principal", "largest principal"))
    for index, (name, label) in enumerate(names):
        values = 1e3 * results.array(_STAGE, f"thermal_stress/{name}")
        look = line_look(index)
        curves.plot(values.mean(axis=0), share, label=label, **look)
        curves.fill_betweenx(
            share, values.min(axis=0), values.max(axis=0), color=look["color"], alpha=0.25, lw=0
        )
    change = results.note(_STAGE, "thermal_stress")
    curves.set_title(f"at {change['temperature']:g} K, free of stress at {change['stress_free']:g} K")
    curves.set_xlabel("stress (MPa)")
    curves.set_ylabel("share of the volume below")
    curves.set_ylim(0, 1)
    curves.legend()
    return figure


@styled
def grain_sizes(results: Results) -> Figure:
    """Diameters of the grains of all polycrystals with a log-normal distribution, and their numbers of neighbours.

    Args:
        results: of a run.

    Raises:
        InputError: when there are no statistics, or fewer than two grains.
    """
    diameters = results.array(_STAGE, "statistics/diameter")
    note = results.note(_STAGE, "grains")
    if len(diameters) < 2:
        raise InputError("one grain has no distribution of sizes")
    figure, (sizes, neighbours) = panels(2, 2.6)
    sizes.hist(diameters, bins="auto", density=True, color=COLOURS[4], edgecolor="white", linewidth=0.5)
    fit, asked = note["diameter"]["log_normal"], note["asked"].get("size_spread")
    span = np.linspace(0.5 * diameters.min(), 1.15 * diameters.max(), 300)
    if fit["spread"] > 0:
        label = f"log-normal, σ = {fit['spread']:.2f}"
        sizes.plot(span, _log_normal(span, fit["median"], fit["spread"]), color=COLOURS[0], label=label)
    if asked:
        # Of mean 1: the median of a log-normal distribution is that over exp(σ²/2).
        drawn = _log_normal(span, float(np.exp(-0.5 * asked**2)), asked)
        sizes.plot(span, drawn, color=COLOURS[1], linestyle="--", label=f"asked for, σ = {asked:.2f}")
    sizes.set_xlabel("sphere-equivalent diameter over its mean")
    sizes.set_ylabel("density")
    if fit["spread"] > 0 or asked:
        sizes.legend()
    number = results.array(_STAGE, "statistics/neighbours").astype(int)
    counts = np.bincount(number)
    neighbours.bar(
        np.arange(len(counts)), counts / counts.sum(), color=COLOURS[4], edgecolor="white", linewidth=0.5
    )
    neighbours.axvline(number.mean(), color=COLOURS[1], linestyle="--", label=f"mean {number.mean():.1f}")
    neighbours.set_xlim(number.min() - 1, number.max() + 1)
    neighbours.set_xlabel("neighbours of a grain")
    neighbours.set_ylabel("share")
    neighbours.legend()
    return figure


@styled
def representative(results: Results) -> Figure:
    """An effective property over the number of grains, and its scatter over their inverse root.

    Args:
        results: of a run.

    Raises:
        InputError: when the representative volume was not looked for.
    """
    grains, mean, scatter, count = (
        results.array(_STAGE, f"representative/{name}")
        for name in ("grains", "mean", "scatter", "realisations")
    )
    note = results.note(_STAGE, "representative")
    figure, (means, scatters) = panels(2, 2.6)
    inverse = 1.0 / np.sqrt(grains)
    for column, name in enumerate(note["values"]):
        relative = mean[:, column] / mean[-1, column]
        error = scatter[:, column] / np.sqrt(count) * relative
        look: dict[str, Any] = {"color": COLOURS[column], "marker": MARKERS[column]}
        means.errorbar(grains, relative, error, linestyle=LINES[column], label=name, **look)
        scatters.plot(inverse, 100 * scatter[:, column], linestyle="none", label=name, **look)
    means.axhspan(
        1 - note["tolerance"], 1 + note["tolerance"], color=GREY, alpha=0.2, lw=0, label="tolerance"
    )
    means.set_xscale("log", base=2)
    means.set_xticks(grains, [f"{number:g}" for number in grains])
    means.set_xlabel("grains of a sample")
    means.set_ylabel("mean over that of the largest")
    means.legend()
    span = np.array([0.0, 1.05 * inverse.max()])
    scatters.plot(span, 100 * note["scatter"] * span, color=GREY, linestyle="--", label="in proportion")
    scatters.set_xlim(0.0, float(span[1]))
    scatters.set_ylim(bottom=0)
    scatters.set_xlabel("1 / √grains")
    scatters.set_ylabel("scatter of a realisation (%)")
    scatters.legend()
    if not note["converged"]:
        means.set_title("not converged", color=WARNING)
    return figure


def _log_normal(diameter: NDArray[Any], median: float, spread: float) -> NDArray[Any]:
    """Density of a log-normal distribution."""
    exponent = -0.5 * (np.log(diameter / median) / spread) ** 2
    return np.asarray(np.exp(exponent) / (diameter * spread * np.sqrt(2 * np.pi)))


def _shuffled(grains: NDArray[Any]) -> NDArray[Any]:
    """A tint for each grain; neighbours seldom share one, and borders are drawn anyway."""
    return np.asarray(np.random.default_rng(0).permutation(int(grains.max()) + 1)[grains] % 12)


def _tints() -> ListedColormap:
    """Twelve light tints of the palette, of different lightness in black and white."""
    base = np.array(
        [[0, 114, 178], [213, 94, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [230, 159, 0]]
    )
    shades = [1 - (1 - base / 255) * strength for strength in (0.35, 0.75)]
    return ListedColormap(np.concatenate(shades).tolist())


def _borders(axes: Axes, grains: NDArray[Any], edge: float) -> None:
    """Lines between voxels of different grains."""
    step = edge / grains.shape[1]
    segments = []
    for row, column in np.argwhere(grains[:, 1:] != grains[:, :-1]):
        segments.append([((column + 1) * step, row * step), ((column + 1) * step, (row + 1) * step)])
    for row, column in np.argwhere(grains[1:] != grains[:-1]):
        segments.append([(column * step, (row + 1) * step), ((column + 1) * step, (row + 1) * step)])
    axes.add_collection(LineCollection(segments, colors="black", linewidths=0.6, rasterized=True))
