"""Materials of the mesoscale beside the study's crystal."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, model_validator

from hashigo.study.fields import PerKelvin, Pressure, Section, WattsPerMetreKelvin

_Three = tuple[float, float, float]
_Conductivity = (
    WattsPerMetreKelvin
    | tuple[WattsPerMetreKelvin, WattsPerMetreKelvin, WattsPerMetreKelvin]
    | tuple[_Three, _Three, _Three]
)
_Expansion = PerKelvin | tuple[PerKelvin, PerKelvin, PerKelvin] | tuple[_Three, _Three, _Three]
_Six = tuple[float, float, float, float, float, float]

#: Name of the study's crystal among the materials.
CRYSTAL = "crystal"


class Material(Section):
    """A material beside the crystal, in its own axes; what nothing needs may be left out."""

    young: Pressure | None = Field(None, gt=0, description="Young's modulus of an isotropic one, GPa.")
    poisson: float | None = Field(None, gt=-1, lt=0.5, description="Its Poisson's ratio, dimensionless.")
    stiffness: tuple[_Six, _Six, _Six, _Six, _Six, _Six] | None = Field(
        None, description="Stiffness in place of both, Voigt 6×6, GPa."
    )
    void: bool = Field(False, description="Whether there is nothing; `pore: void` is short for it.")
    rigid: bool = Field(False, description="Whether it hardly deforms: a Young's modulus of 10⁶ GPa.")
    conductivity: _Conductivity | None = Field(
        None, description="Thermal conductivity: a number, three or 3×3, W/(m K)."
    )
    expansion: _Expansion | None = Field(
        None, description="Linear thermal expansion: a number, three or 3×3, 1/K."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if isinstance(data, str):
            if data != "void":
                raise ValueError(
                    "give void, or a section such as {young: 70, poisson: 0.2, conductivity: 1.1}"
                )
            return {"void": True}
        return data

    @model_validator(mode="after")
    def _one_stiffness(self) -> Material:
        given = [self.young is not None, self.stiffness is not None, self.rigid, self.void]
        if sum(given) > 1:
            raise ValueError("give one of 'young' (with 'poisson'), 'stiffness', 'rigid' and 'void'")
        if self.void and (self.conductivity is not None or self.expansion is not None):
            raise ValueError("a void has no conductivity and no expansion")
        if (self.young is None) != (self.poisson is None):
            raise ValueError("'young' and 'poisson' go together")
        for name in ("stiffness", "conductivity"):
            _check_positive(name, getattr(self, name))
        return self

    def lacks(self, expansion: bool) -> str:
        """What the mesoscale needs of it and is not given; "" where nothing is missing.

        Args:
            expansion: whether the thermal expansion is needed.
        """
        if self.void:
            return ""
        if not self.rigid and self.young is None and self.stiffness is None:
            return "stiffness: give young and poisson, or stiffness"
        if self.conductivity is None:
            return "conductivity"
        return "expansion" if expansion and self.expansion is None else ""


def _check_positive(name: str, value: Any) -> None:
    """Numbers are positive, matrices symmetric and positive definite."""
    array = np.asarray(value if value is not None else 1.0, dtype=float)
    if array.ndim < 2:
        positive = bool((array > 0).all())
    else:
        if np.abs(array - array.T).max() > 1e-8 * np.abs(array).max():
            raise ValueError(f"{name} is not symmetric")
        positive = bool(np.linalg.eigvalsh(array)[0] > 0)
    if not positive:
        raise ValueError(f"{name} is not positive definite; no stable material has such a one")


Materials = dict[str, Material]
