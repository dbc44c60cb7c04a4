"""Parameters of the task "mesoscale"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hashigo.calculators.workers.homogenization.boundary import BoundaryModel
from hashigo.calculators.workers.homogenization.recipe import grid_shape
from hashigo.calculators.workers.homogenization.representative import Wanted
from hashigo.errors import InputError

TASK = "mesoscale"


@dataclass(frozen=True)
class Settings:
    """Parameters of the task.

    Attributes:
        grains: number of grains in the periodic box.
        voxels: number of voxels along each edge, or along x, y, z.
        microstructure: how they are arranged; with materials and texture as in the study.
        grain_sizes: mean grain diameters, nm.
        realisations: number of random polycrystals.
        seed: seed of the random numbers.
        tolerance: relative residual of the solver, dimensionless.
        precision: of the solver's fields, double or single.
        bound_tolerance: how far an effective tensor may be outside the bounds of its sample, dimensionless.
        boundary: what a grain boundary does.
        representative: what is asked of the representative volume; None where it is not looked for.
        thermal_stress: temperature at which a sample is free of stress (stress_free), and the one it is brought to
            (temperature), K; None for no such problem.
    """

    grains: int = 50
    voxels: int | tuple[int, int, int] = 33
    microstructure: Mapping[str, Any] = field(default_factory=dict)
    materials: Mapping[str, Any] = field(default_factory=dict)
    texture: Mapping[str, Any] = field(default_factory=dict)
    grain_sizes: tuple[float, ...] = ()
    realisations: int = 3
    seed: int = 0
    tolerance: float = 1e-6
    precision: str = "double"
    bound_tolerance: float = 1e-4
    boundary: BoundaryModel = field(default_factory=BoundaryModel)
    representative: Wanted | None = None
    thermal_stress: Mapping[str, float] | None = None

    @classmethod
    def read(cls, parameters: Mapping[str, Any]) -> Settings:
        """Take the settings from the parameters of a job.

        Raises:
            InputError: when a parameter is unknown or out of range.
        """
        known = {name: parameters[name] for name in parameters if name in cls.__dataclass_fields__}
        unknown = sorted(set(parameters) - set(known))
        if unknown:
            raise InputError(f"task '{TASK}' has no parameter '{unknown[0]}'")
        known["grain_sizes"] = tuple(float(value) for value in known.get("grain_sizes", ()))
        known["boundary"] = BoundaryModel.read(known.get("boundary", "modes"))
        known["representative"] = Wanted.read(known.get("representative"))
        settings = cls(**known)
        settings._check()
        return settings

    def _check(self) -> None:
        limits: dict[str, tuple[Any, bool]] = {
            "grains": (self.grains, self.grains >= 1),
            "voxels": (self.voxels, math.prod(grid_shape(self.voxels)) >= 2),
            "realisations": (self.realisations, self.realisations >= 1),
            "seed": (self.seed, self.seed >= 0),
            "precision": (self.precision, self.precision in ("double", "single")),
            "tolerance": (self.tolerance, 0 < self.tolerance < 1),
            "bound_tolerance": (self.bound_tolerance, self.bound_tolerance >= 0),
            "grain_sizes": (self.grain_sizes, all(size > 0 for size in self.grain_sizes)),
        }
        for name, (value, valid) in limits.items():
            if not valid:
                raise InputError(f"parameter '{name}' of task '{TASK}' is out of range: {value}")
