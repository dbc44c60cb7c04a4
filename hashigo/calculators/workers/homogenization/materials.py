"""Materials beside the study's crystal: their tensors in crystal axes, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashigo.calculators.workers.homogenization.microstructure import Indices
from hashigo.calculators.workers.homogenization.tensors import (
    Floats,
    require_positive_definite,
    voigt_to_mandel,
)
from hashigo.errors import InputError

#: Name of the study's crystal among the materials.
CRYSTAL = "crystal"
#: Young's modulus of what is called rigid, GPa; a thousand times diamond's.
RIGID = 1e6


@dataclass(frozen=True)
class Material:
    """What a material is, in its own axes; what was not given is None.

    Attributes:
        name: as in the study.
        stiffness: Voigt matrix, shape (6, 6), GPa; all zero for a void.
        conductivity: shape (3, 3), W/(m K); all zero for a void.
        expansion: linear thermal expansion, shape (3, 3), 1/K.
    """

    name: str
    stiffness: Floats | None
    conductivity: Floats | None
    expansion: Floats | None

    @property
    def is_void(self) -> bool:
        """Whether there is nothing."""
        return self.stiffness is not None and not self.stiffness.any()

    def need(self, what: str) -> Floats:
        """A tensor of it.

        Args:
            what: "stiffness", "conductivity" or "expansion".

        Returns:
            Shape and unit as in the attribute: GPa, W/(m K) or 1/K.

        Raises:
            InputError: when it was not given.
        """
        tensor: Floats | None = getattr(self, what)
        if tensor is None:
            given = "young and poisson, or stiffness," if what == "stiffness" else what
            raise InputError(
                f"material '{self.name}' has no {what}",
                fix=f"give {given} in mesoscale.materials.{self.name}",
            )
        return tensor


def isotropic_stiffness(young: float, poisson: float) -> Floats:
    """Stiffness of an isotropic material.

    Args:
        young: Young's modulus, GPa.
        poisson: Poisson's ratio, dimensionless.

    Returns:
        Voigt matrix, shape (6, 6), GPa.
    """
    shear = young / (2.0 * (1.0 + poisson))
    lame = young * poisson / ((1.0 + poisson) * (1.0 - 2.0 * poisson))
    stiffness = np.diag([2.0 * shear] * 3 + [shear] * 3)
    stiffness[:3, :3] += lame
    return stiffness


def read_materials(section: Mapping[str, Any]) -> tuple[Material, ...]:
    """The materials of a study, in the order that it names them; index k of a grain is entry k - 1.

    Args:
        section: name -> "void", "rigid", or a mapping with some of young (GPa) and poisson, or stiffness (Voigt, GPa);
            conductivity (W/(m K)); expansion (1/K); each of the latter a number, three or a matrix.

    Raises:
        InputError: names the material and what is wrong with it.
    """
    return tuple(_material(name, content) for name, content in section.items())


def _material(name: str, content: Any) -> Material:
    given = {content: True} if isinstance(content, str) else dict(content)
    if given.get("void"):
        return Material(name, np.zeros((6, 6)), np.zeros((3, 3)), np.zeros((3, 3)))
    stiffness = None
    if given.get("rigid"):
        stiffness = isotropic_stiffness(RIGID, 0.0)
    elif given.get("young") is not None:
        stiffness = isotropic_stiffness(float(given["young"]), float(given["poisson"]))
    elif given.get("stiffness") is not None:
        stiffness = _matrix(given["stiffness"], 6, name, "stiffness")
    if stiffness is not None:
        require_positive_definite(voigt_to_mandel(stiffness)[None], "stiffness", [f"material '{name}'"])
    conductivity = None
    if given.get("conductivity") is not None:
        conductivity = _matrix(given["conductivity"], 3, name, "conductivity")
        require_positive_definite(conductivity[None], "conductivity", [f"material '{name}'"])
    expansion = given.get("expansion")
    return Material(
        name,
        stiffness,
        conductivity,
        None if expansion is None else _matrix(expansion, 3, name, "expansion"),
    )


def _matrix(value: Any, size: int, name: str, what: str) -> Floats:
    """A number times the identity, a diagonal, or a matrix."""
    array = np.asarray(value, dtype=float)
    if size == 3 and array.shape in ((), (3,)):
        array = np.diag(np.broadcast_to(array, 3))
    if array.shape != (size, size) or not np.isfinite(array).all():
        raise InputError(f"the {what} of material '{name}' is no {size}×{size} matrix of numbers")
    if np.abs(array - array.T).max() > 1e-8 * np.abs(array).max():
        raise InputError(f"the {what} of material '{name}' is not symmetric")
    return array


def tensors_of(materials: tuple[Material, ...], what: str) -> Floats:
    """One tensor of each material.

    Args:
        materials: those beside the crystal.
        what: "stiffness", "conductivity" or "expansion".

    Returns:
        Shape (n, 6, 6), Mandel, GPa; or (n, 3, 3), W/(m K) or 1/K.

    Raises:
        InputError: names the material that has none.
    """
    size = 6 if what == "stiffness" else 3
    found = np.array([material.need(what) for material in materials]).reshape(-1, size, size)
    return voigt_to_mandel(found) if what == "stiffness" else found


def of_grains(crystal: Floats, others: Floats | None, material: Indices) -> Floats:
    """The tensor of each grain in its own axes.

    Args:
        crystal: of the study's crystal, shape (m, m), or of each grain, (n_grains, m, m), any unit.
        others: of the materials beside it, shape (n_others, m, m), same unit; or None.
        material: of each grain, shape (n_grains,), index.

    Returns:
        Shape (n_grains, m, m), same unit.
    """
    tensors = np.array(np.broadcast_to(crystal, (len(material), *np.shape(crystal)[-2:])))
    if others is not None and len(others):
        tensors[material > 0] = others[material[material > 0] - 1]
    return tensors
