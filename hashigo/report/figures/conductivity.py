"""Figures of the stage "conductivity": over temperature, over the mesh, over the mean free path."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hashigo.calculators.results import QuantityRecord
from hashigo.errors import InputError
from hashigo.report.figures.source import Results
from hashigo.report.figures.style import (
    COLOURS,
    GREY,
    WARNING,
    axis_label,
    evenly,
    isotropic,
    line_look,
    marker_look,
    middle,
    panels,
    styled,
    warn,
)

Floats = NDArray[np.float64]

NOT_CONVERGED = "not converged with the mesh"
_STAGE = "conductivity"
_KAPPA = "lattice_thermal_conductivity"


def distinct_axes(tensors: Floats) -> list[tuple[str, int]]:
    """Names and indices of the diagonal components that differ.

    Args:
        tensors: shape (n, 3, 3), any unit.
    """
    kept: list[tuple[str, int]] = []
    for name, index in (("xx", 0), ("yy", 1), ("zz", 2)):
        same = (np.allclose(tensors[:, index, index], tensors[:, i, i], rtol=1e-3) for _, i in kept)
        if not any(same):
            kept.append((name, index))
    return kept


@styled
def over_temperature(results: Results) -> Figure:
    """Conductivity over temperature with its standard uncertainty.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no conductivity.
    """
    record = results.quantity(_STAGE, _KAPPA)
    temperature = _temperatures(record)
    figure, (axes,) = panels(1, 3.1)
    components = distinct_axes(record.value)
    for order, (name, index) in enumerate(components):
        value = record.value[:, index, index]
        bars = None if record.standard_uncertainty is None else record.standard_uncertainty[:, index, index]
        label = f"$κ$, {_meshes(results)}" if len(components) == 1 else f"$κ_{{{name}}}$"
        axes.errorbar(temperature, value, yerr=bars, label=label, **marker_look(order))
    limit = results.note(_STAGE, "mesh").get("extrapolated")
    if limit:
        style: dict[str, Any] = {"color": GREY, "marker": "o", "markerfacecolor": "none", "linestyle": ":"}
        axes.plot(temperature, limit, label="extrapolated to an infinite mesh, mean of axes", **style)
    axes.set_xlabel(axis_label("temperature"))
    axes.set_ylabel(axis_label(_KAPPA))
    axes.set_ylim(0, None)
    axes.legend()
    if record.standard_uncertainty is None:
        warn(axes, "uncertainty not known: one mesh only")
    elif not record.converged:
        warn(axes, NOT_CONVERGED)
    return figure


def _temperatures(record: QuantityRecord) -> Floats:
    return np.array([condition["temperature"] for condition in record.conditions])


def _meshes(results: Results) -> str:
    if not results.has(_STAGE, "mesh/series"):
        return "finest mesh"
    finest = int(results.array(_STAGE, "mesh/series")[-1])
    return f"mesh {finest}×{finest}×{finest}"


@styled
def over_mesh(results: Results) -> Figure:
    """Conductivity near room temperature over the fineness of the mesh, with its limit.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no series of meshes.
    """
    record = results.quantity(_STAGE, _KAPPA)
    meshes = results.array(_STAGE, "mesh/series")
    row = middle(_temperatures(record))
    kappa = isotropic(results.array(_STAGE, "mesh/kappa"))[:, row]
    if len(meshes) < 2:
        raise InputError("one mesh is no series")
    figure, (axes,) = panels(1, 2.9)
    axes.plot(1 / meshes, kappa, label=f"{_temperatures(record)[row]:g} K", **marker_look(0))
    limit = results.note(_STAGE, "mesh").get("extrapolated")
    if limit:
        inverse, last = 1 / meshes[-3:], kappa[-3:]
        slope = np.sum((inverse - inverse.mean()) * last) / np.sum((inverse - inverse.mean()) ** 2)
        ends = np.array([0.0, inverse.max()])
        line = limit[row] + slope * ends
        axes.plot(ends, line, label="line through the last three", **line_look(1))
        axes.plot(0.0, limit[row], color=COLOURS[1], marker="*", markersize=10, linestyle="none",
                  label=f"limit {limit[row]:.4g} W/(m K)", clip_on=False)  # fmt: skip
    axes.set_xlim(0, None)
    axes.set_xticks([0, *(1 / meshes)], ["0", *(f"1/{mesh}" for mesh in meshes)])
    axes.set_xlabel("1/$N$ of an $N$×$N$×$N$ mesh of wave vectors (dimensionless)")
    axes.set_ylabel(axis_label(_KAPPA, "Mean of the axes,"))
    axes.legend(loc="upper right")
    if not record.converged:
        warn(axes, NOT_CONVERGED)
    return figure


@styled
def cumulative(results: Results) -> Figure:
    """Share of the conductivity carried by phonons of up to a mean free path.

    Args:
        results: of a run.

    Raises:
        InputError: when it was not computed.
    """
    record = results.quantity(_STAGE, _KAPPA)
    paths = results.array(_STAGE, "cumulative/mean_free_path")
    carried = results.array(_STAGE, "cumulative/kappa")
    temperature = _temperatures(record)
    room = middle(temperature)
    figure, (axes,) = panels(1, 2.9)
    for order, row in enumerate(evenly(len(temperature), 4, room)):
        share = carried[row] / carried[row, -1]
        half = float(np.interp(0.5, share, paths))
        label = f"{temperature[row]:g} K, half by {half:.3g} nm"
        axes.plot(paths, share, label=label, **line_look(order))
    axes.axhline(0.5, color=GREY, linewidth=0.7)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("Phonon mean free path $Λ$ (nm)")
    axes.set_ylabel("Share of $κ$ carried up to $Λ$ (dimensionless)")
    axes.legend(loc="upper left")
    if not record.converged:
        axes.set_title(NOT_CONVERGED, color=WARNING, fontweight="bold", loc="right")
    return figure


@styled
def over_grain_size(results: Results) -> Figure:
    """Effective conductivity of the polycrystal over its grain size, with the single crystal's.

    Args:
        results: of a run.

    Raises:
        InputError: when it was not computed.
    """
    record = results.quantity("mesoscale", "effective_thermal_conductivity")
    figure, (axes,) = panels(1, 3.1)
    temperatures = sorted({condition["temperature"] for condition in record.conditions})
    for order, index in enumerate(evenly(len(temperatures), 4)):
        kelvin = temperatures[index]
        rows = [i for i, condition in enumerate(record.conditions) if condition["temperature"] == kelvin]
        rows.sort(key=lambda i: record.conditions[i]["grain_size"])
        size = [record.conditions[i]["grain_size"] for i in rows]
        bars = _mean_uncertainty(record, rows)
        look = marker_look(order)
        label = f"polycrystal, {kelvin:g} K"
        axes.errorbar(size, isotropic(record.value[rows]), yerr=bars, label=label, **look)
        ends = [f"bounds/conductivity/hashin_shtrikman_{end}" for end in ("lower", "upper")]
        if all(results.has("mesoscale", end) for end in ends):
            lower, upper = (results.array("mesoscale", end)[rows] for end in ends)
            axes.fill_between(size, lower, upper, color=look["color"], alpha=0.2, lw=0)
        bulk = _bulk(results, kelvin)
        if bulk is not None:
            axes.axhline(
                bulk,
                color=look["color"],
                linewidth=0.8,
                linestyle=(0, (6, 3)),
                label=f"single crystal, {kelvin:g} K",
            )
    axes.set_xscale("log")
    axes.set_ylim(0, None)
    axes.set_xlabel(axis_label("grain_size", "Mean grain diameter"))
    axes.set_ylabel(axis_label("effective_thermal_conductivity", "Effective conductivity"))
    axes.legend(loc="upper left")
    if not record.converged:
        axes.set_title(NOT_CONVERGED, color=WARNING, fontweight="bold", loc="right")
    return figure


def _mean_uncertainty(record: QuantityRecord, rows: list[int]) -> Floats | None:
    """Uncertainty of the mean of the axes; their errors are taken as fully correlated, which is never too little."""
    if record.standard_uncertainty is None:
        return None
    return isotropic(record.standard_uncertainty[rows])


def _bulk(results: Results, kelvin: float) -> float | None:
    try:
        record = results.quantity(_STAGE, _KAPPA)
    except InputError:
        return None
    for row, condition in enumerate(record.conditions):
        if condition["temperature"] == kelvin:
            return float(isotropic(record.value[row]))
    return None
