"""A committee whose members stand nearer to the mean, or farther from it, by the factor of the calibration.

A mixture of potentials is a potential: member' = mean + factor (member - mean), in energy, forces and stress alike. So
what later stages compute of the members carries the calibration on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from hashigo.calculators.workers.potential import (
    Committee,
    CommitteeEvaluation,
    Evaluation,
    Model,
    one_by_one,
)


@dataclass(frozen=True)
class ScaledMember:
    """A member at another distance from the mean model.

    Attributes:
        mean: the mean model.
        member: as it was trained.
        factor: what its distance is multiplied with, dimensionless.
    """

    mean: Model
    member: Model
    factor: float

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols it knows, in its own order."""
        return self.member.elements

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Evaluate structures; their order is kept.

        Args:
            structures: periodic atoms; lengths in Å.
        """
        both = zip(self.mean.evaluate(structures), self.member.evaluate(structures), strict=True)
        return [
            Evaluation(
                mean.energy + self.factor * (member.energy - mean.energy),
                mean.forces + self.factor * (member.forces - mean.forces),
                mean.stress + self.factor * (member.stress - mean.stress),
            )
            for mean, member in both
        ]


@dataclass(frozen=True)
class ScaledTogether:
    """Mean and scaled members, each network evaluated once.

    Attributes:
        models: the mean model and the members as they were trained.
        factor: what a member's distance from the mean is multiplied with, dimensionless.
    """

    models: Sequence[Model]
    factor: float

    def evaluate(self, structures: Sequence[Atoms]) -> list[CommitteeEvaluation]:
        """Evaluate structures by all models; their order is kept.

        Args:
            structures: periodic atoms; lengths in Å.
        """
        return [
            CommitteeEvaluation(
                self._scaled(one.energies), self._scaled(one.forces), self._scaled(one.stresses)
            )
            for one in one_by_one(self.models, structures)
        ]

    def _scaled(self, values: Any) -> Any:
        return np.concatenate([values[:1], values[:1] + self.factor * (values[1:] - values[:1])])


def scaled_committee(models: Sequence[Model], calibration: Mapping[str, Any]) -> Committee:
    """The committee of a potential file.

    Args:
        models: the mean model and the members as they were trained.
        calibration: note of the file; its "member_factor" is 1 where it has none.
    """
    factor = float(calibration.get("member_factor", 1.0))
    members = tuple(ScaledMember(models[0], member, factor) for member in models[1:])
    return Committee(models[0], members, ScaledTogether(models, factor))
