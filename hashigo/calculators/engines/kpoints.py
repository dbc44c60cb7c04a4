"""k-point meshes of one density for cells, supercells and strained cells: shared by all plane-wave engines."""

from __future__ import annotations

from typing import Any

import numpy as np

from hashigo.calculators.engines import Setting

#: The same two settings for every engine that samples the Brillouin zone.
KPOINT_SPACING = Setting(0.3, "Distance of k-points, with the factor 2π.", "1/Å")
SHIFTED_MESH = Setting(True, "Shift the k-mesh by half a step in each direction.")


def kpoint_mesh(cell: Any, spacing: float) -> list[int]:
    """Mesh along each reciprocal vector, the same density for a cell and its supercells.

    Args:
        cell: lattice vectors as rows, shape (3, 3), Å.
        spacing: wanted distance of k-points, 1/Å (with the factor 2π).

    Rounded, not rounded up: a strained cell keeps the mesh of the unstrained one, or its energy would jump.
    """
    lengths = np.linalg.norm(2 * np.pi * np.linalg.inv(np.asarray(cell)).T, axis=1)
    return [max(1, round(length / spacing)) for length in lengths]
