"""Bounds of Hashin and Shtrikman and self-consistent estimates of isotropic aggregates of any crystals.

Grains are of any symmetry, of one material or several, with all orientations alike and in an arrangement without a
preferred direction. Every isotropic reference medium that is softer (stiffer) than all of them in every strain gives a
lower (upper) bound; the best is looked for on the edge of those allowed. The self-consistent estimate takes the
effective medium itself as reference.

Source: Hashin & Shtrikman, J. Mech. Phys. Solids 10, 343 (1962); Walpole, J. Mech. Phys. Solids 14, 151 (1966); Watt &
Peselnick, J. Appl. Phys. 51, 1525 (1980); Brown, Comput. Geosci. 80, 95 (2015); Kröner, Z. Phys. 151, 504 (1958);
Berryman, J. Mech. Phys. Solids 53, 2141 (2005).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hashigo.calculators.workers.homogenization.tensors import Floats

#: References tried on the edge, number, before the best is refined.
TRIED = 200
#: Change of a self-consistent estimate that ends its iteration, relative.
SETTLED = 1e-12
MOST_ITERATIONS = 20_000

#: Dilatation among Mandel's strains, and five deviatoric ones.
_DILATATION = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]) / np.sqrt(3.0)
_DEVIATORIC = np.linalg.svd(_DILATATION[None])[2][1:]


@dataclass(frozen=True)
class Estimates:
    """Of a modulus or a conductivity.

    Attributes:
        lower: lower bound of Hashin and Shtrikman, GPa or W/(m K).
        upper: upper bound of Hashin and Shtrikman, GPa or W/(m K).
        self_consistent: self-consistent estimate, GPa or W/(m K).
    """

    lower: float
    upper: float
    self_consistent: float


def elastic_estimates(stiffness: Floats, fractions: Floats) -> tuple[Estimates, Estimates]:
    """Bulk and shear modulus of an isotropic aggregate.

    Args:
        stiffness: of each material, Mandel, in any axes, shape (n, 6, 6), GPa; zero for a void.
        fractions: of the volume, shape (n,), dimensionless.

    Returns:
        Of the bulk and of the shear modulus, GPa.
    """
    stiffness, fractions = np.asarray(stiffness, dtype=float), np.asarray(fractions, dtype=float)
    blocks = _Blocks(stiffness)

    def moduli(bulk: Floats, shear: Floats) -> Floats:
        return _with_reference(stiffness, fractions, bulk, shear)

    lower = np.zeros(2)
    if blocks.softest > 0:
        lower = _best(lambda share: moduli(*blocks.softer(0.5 * blocks.softest * share)), np.max)
    upper = _best(lambda share: moduli(*blocks.stiffer(0.5 * blocks.stiffest / share)), np.min)
    found = upper
    for _ in range(MOST_ITERATIONS):
        previous = found
        found = moduli(*found[:, None])[:, 0]
        if np.abs(found - previous).max() <= SETTLED * upper.max():
            break
    bulk, shear = (Estimates(float(lower[i]), float(upper[i]), float(found[i])) for i in range(2))
    return bulk, shear


class _Blocks:
    """Stiffnesses in dilatation and deviatoric strains, and the references that are on their edge."""

    def __init__(self, stiffness: Floats) -> None:
        self.dilatation = np.einsum("i,nij,j->n", _DILATATION, stiffness, _DILATATION)
        self.coupling = np.einsum("ai,nij,j->na", _DEVIATORIC, stiffness, _DILATATION)
        self.values, vectors = np.linalg.eigh(
            np.einsum("ai,nij,bj->nab", _DEVIATORIC, stiffness, _DEVIATORIC)
        )
        self.squares = np.einsum("nab,na->nb", vectors, self.coupling) ** 2
        self.softest = float(self.values[:, 0].min())
        self.stiffest = float(self.values[:, -1].max())

    def softer(self, shear: Floats) -> tuple[Floats, Floats]:
        """Largest bulk moduli with which the references are softer, and their shear moduli; both of shape (k,)."""
        return self._edge(shear).min(axis=0), shear

    def stiffer(self, shear: Floats) -> tuple[Floats, Floats]:
        """Least bulk moduli with which the references are stiffer, and their shear moduli; both of shape (k,)."""
        return self._edge(shear).max(axis=0), shear

    def _edge(self, shear: Floats) -> Floats:
        """Bulk modulus at which the difference is singular: Schur's complement of the deviatoric part."""
        gap = self.values[:, :, None] - 2.0 * shear
        ratio = np.divide(self.squares[:, :, None], gap, out=np.zeros(gap.shape), where=gap != 0)
        # Where it does not couple to the dilatation an eigenvalue may be reached.
        touching = (gap == 0) & (self.squares[:, :, None] > 1e-20 * self.stiffest**2)
        return np.where(touching.any(axis=1), np.nan, (self.dilatation[:, None] - ratio.sum(axis=1)) / 3.0)


def _with_reference(stiffness: Floats, fractions: Floats, bulk: Floats, shear: Floats) -> Floats:
    """Bulk and shear modulus <(C + C*)^-1>^-1 - C* by Hill's constraint C* of some references, shape (2, k)."""
    bulk, shear = np.atleast_1d(bulk), np.atleast_1d(shear)
    around_bulk = 4.0 * shear / 3.0
    around_shear = shear * (9.0 * bulk + 8.0 * shear) / (6.0 * (bulk + 2.0 * shear))
    dilatation = np.outer(_DILATATION, _DILATATION)
    constraint = 3.0 * around_bulk[:, None, None] * dilatation
    constraint = constraint + 2.0 * around_shear[:, None, None] * (np.eye(6) - dilatation)
    allowed = np.isfinite(bulk) & (bulk > 0) & (shear > 0)
    constraint[~allowed] = np.eye(6)
    inverse = np.linalg.inv(stiffness[:, None] + constraint)
    mean = np.einsum("n,nkij->kij", fractions, inverse)
    part = np.einsum("i,kij,j->k", _DILATATION, mean, _DILATATION)
    rest = (np.trace(mean, axis1=1, axis2=2) - part) / 5.0
    found = np.array([1.0 / (3.0 * part) - around_bulk, 1.0 / (2.0 * rest) - around_shear])
    found[:, ~allowed] = np.nan
    return found


def _best(moduli: Callable[[Floats], Floats], best: Callable[..., Floats]) -> Floats:
    """The best of each modulus over references, told by a share from 0 to 1 of the way to the edge."""
    from scipy.optimize import minimize_scalar  # seldom needed where a worker starts

    shares = np.linspace(0.0, 1.0, TRIED + 1)[1:]
    tried = moduli(shares)
    sign = -1.0 if best is np.max else 1.0
    found = np.empty(2)
    for which in range(2):
        place = int(np.nanargmin(sign * tried[which]))
        low, high = shares[max(place - 1, 0)], shares[min(place + 1, TRIED - 1)]
        worst = float(np.nanmax(sign * tried[which]))

        def value(share: float, which: int = which, worst: float = worst) -> float:
            one = sign * float(moduli(np.array([share]))[which, 0])
            return one if np.isfinite(one) else worst

        refined = minimize_scalar(value, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
        found[which] = sign * min(float(refined.fun), sign * float(tried[which, place]))
    return found


def conductive_estimates(conductivity: Floats, fractions: Floats) -> Estimates:
    """Conductivity of an isotropic aggregate.

    Args:
        conductivity: of each material or grain, in any axes, shape (n, 3, 3), W/(m K); zero for a void.
        fractions: of the volume, shape (n,), dimensionless.

    Returns:
        In W/(m K).

    Source: Hashin & Shtrikman, J. Appl. Phys. 33, 3125 (1962) and Phys. Rev. 130, 129 (1963); self-consistent:
    Bruggeman, Ann. Phys. 416, 636 (1935); Helsing & Helte, J. Appl. Phys. 69, 3583 (1991).
    """
    values = np.linalg.eigvalsh(np.asarray(conductivity, dtype=float)).clip(min=0.0)
    weights = np.repeat(np.asarray(fractions, dtype=float)[:, None] / 3.0, 3, axis=1)

    def with_reference(reference: float) -> float:
        if reference <= 0:
            return 0.0
        return float(1.0 / (weights / (values + 2.0 * reference)).sum() - 2.0 * reference)

    upper = with_reference(float(values.max()))
    found = upper
    for _ in range(MOST_ITERATIONS):
        previous, found = found, with_reference(found)
        if abs(found - previous) <= SETTLED * upper:
            break
    return Estimates(with_reference(float(values.min())), upper, found)
