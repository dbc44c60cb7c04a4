"""Figures of the stage "mesoscale": slices through the microstructure and its fields."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hashigo.report.figures.source import Results
from hashigo.report.figures.style import panels, styled

_STAGE = "mesoscale"
#: Field, title with unit, factor to that unit, colour map that is even in lightness.
_FIELDS = (
    ("von_mises", "von Mises stress (MPa)", 1e3, "cividis"),
    ("heat_flux", "heat flux (MW/m²)", 1e-6, "cividis"),
)


@styled
def slices(results: Results) -> Figure:
    """Grains, stress and heat flux in the middle plane of the first polycrystal.

    Args:
        results: of a run.

    Raises:
        InputError: when there is no slice.
    """
    grains = results.array(_STAGE, "slice/grain_id")
    note = results.note(_STAGE, "fields")
    fields = [field for field in _FIELDS if results.has(_STAGE, f"slice/{field[0]}")]
    figure, axes = panels(1 + len(fields), 3.1, layout="compressed")
    edge, unit = float(note.get("edge") or len(grains)), str(note.get("length_unit") or "voxel")
    look: dict[str, Any] = {"origin": "lower", "extent": (0, edge, 0, edge), "interpolation": "nearest"}
    axes[0].imshow(_shuffled(grains), cmap=_tints(), vmin=0, vmax=11, **look)
    axes[0].set_title(f"{len(np.unique(grains))} grains in this plane")
    for panel, (name, title, factor, colours) in zip(axes[1:], fields, strict=True):
        picture = panel.imshow(results.array(_STAGE, f"slice/{name}") * factor, cmap=colours, **look)
        panel.set_title(title)
        bar = figure.colorbar(picture, ax=panel, location="bottom", shrink=0.9, aspect=25)
        bar.outline.set_linewidth(0.5)
    for panel in axes:
        _borders(panel, grains, edge)
        panel.grid(visible=False)
        panel.set_xlabel(f"$x$ ({unit})")
    axes[0].set_ylabel(f"$y$ ({unit})")
    return figure


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
    step = edge / len(grains)
    segments = []
    for row, column in np.argwhere(grains[:, 1:] != grains[:, :-1]):
        segments.append([((column + 1) * step, row * step), ((column + 1) * step, (row + 1) * step)])
    for row, column in np.argwhere(grains[1:] != grains[:-1]):
        segments.append([(column * step, (row + 1) * step), ((column + 1) * step, (row + 1) * step)])
    axes.add_collection(LineCollection(segments, colors="black", linewidths=0.6, rasterized=True))
