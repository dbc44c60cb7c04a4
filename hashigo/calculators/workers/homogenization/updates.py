"""Compiled loops of the solver: the updates of conjugate gradients, and the preconditioner in Fourier space."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from hashigo.calculators.workers.homogenization.kernels import FAST


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def advance(u: Any, r: Any, p: Any, q: Any, step: Any, scale: float, out: Any) -> None:
    """Take a step along the search direction, and copy the scaled residual to another precision.

    Args:
        u: unknown, changed, shape (planes, components, ny, width), voxels or K.
        r: residual, changed, shape of `u`, GPa or W/(m K) times K.
        p: search direction, shape of `u`, voxels or K.
        q: forces of it, shape of `u`, GPa or W/(m K) times K.
        step: length of the step, repeated along a row, shape (width,), dimensionless.
        scale: factor of the copy, 1/GPa or 1/(W/(m K)).
        out: copy of the residual, shape of `u`, voxels or K.
    """
    for i in range(u.shape[0]):
        for c in range(u.shape[1]):
            for j in range(u.shape[2]):
                ur, rr, pr, qr, to = u[i, c, j], r[i, c, j], p[i, c, j], q[i, c, j], out[i, c, j]
                for k in range(step.size):
                    ur[k] += step[k] * pr[k]
                    left = rr[k] - step[k] * qr[k]
                    rr[k] = left
                    to[k] = left * scale


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def turn(p: Any, z: Any, share: Any) -> None:
    """The next search direction: the preconditioned residual and a share of the last direction.

    Args:
        p: search direction, changed, shape (planes, components, ny, width), voxels or K.
        z: preconditioned residual, shape of `p`, voxels or K.
        share: of the last direction, repeated along a row, shape (width,), dimensionless.
    """
    for i in range(p.shape[0]):
        for c in range(p.shape[1]):
            for j in range(p.shape[2]):
                pr, zr = p[i, c, j], z[i, c, j]
                for k in range(share.size):
                    pr[k] = zr[k] + share[k] * pr[k]


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def precondition(
    spectrum: Any, mass: Any, stiff: Any, slope: Any, weight: Any, ratio: float, lanes: Any
) -> Any:
    """Apply, in place, the inverse of the operator of a homogeneous isotropic medium of unit shear modulus.

    In Fourier space the operator of both discretisations is made of products over the axes of three functions: the
    mass matrix of a line of elements, its stiffness matrix, and its first derivative.

    Args:
        spectrum: Fourier transform of the scaled residual, shape (rows, nz, components, frequencies along x · loads),
            voxels or K.
        mass: mass function along z, y, x, one array of shape (n,) each, dimensionless.
        stiff: stiffness function along z, y, x, one array of shape (n,) each, dimensionless.
        slope: derivative function along z, y, x, one array of shape (n,) each, dimensionless.
        weight: how often a frequency along x stands for itself and its conjugate, shape (n,), count.
        ratio: (λ + μ) / μ of the medium, dimensionless; not used with one component.
        lanes: an entry for each load, shape (loads,), dimensionless.

    Returns:
        Product of what came and what is left, summed over the frequencies, for each load, shape (loads,), the square of
        the unit of `spectrum`.
    """
    rows, nz, components, _ = spectrum.shape
    shift = len(lanes)
    product = np.zeros(shift)
    mz, my, mx = mass
    sz, sy, sx = stiff
    dz, dy, dx = slope
    for j in range(rows):
        for i in range(nz):
            myz, syz, szy = my[j] * mz[i], sy[j] * mz[i], my[j] * sz[i]
            dyz, dym, dzm = dy[j] * dz[i], dy[j] * mz[i], my[j] * dz[i]
            line = spectrum[j, i]
            for k in range(mx.size):
                xx, yy, zz = sx[k] * myz, mx[k] * syz, mx[k] * szy
                square = xx + yy + zz
                at = k * shift
                # No derivative sees the mean, nor, on the rotated scheme, a wave at the Nyquist frequency of two axes.
                if square < 1e-12:
                    line[:, at : at + shift] = 0.0
                elif components == 1:
                    inverse = line.real.dtype.type(1.0 / square)
                    for lane in range(shift):
                        value = line[0, at + lane]
                        product[lane] += weight[k] * inverse * (value.real**2 + value.imag**2)
                        line[0, at + lane] = value * inverse
                else:
                    xy, xz, yz = ratio * dx[k] * dym, ratio * dx[k] * dzm, ratio * mx[k] * dyz
                    a, b, c = square + ratio * xx, square + ratio * yy, square + ratio * zz
                    cxx, cxy, cxz = b * c - yz * yz, xz * yz - xy * c, xy * yz - xz * b
                    cyy, cyz, czz = a * c - xz * xz, xy * xz - a * yz, a * b - xy * xy
                    one = 1.0 / (a * cxx + xy * cxy + xz * cxz)
                    cxx, cxy, cxz = cxx * one, cxy * one, cxz * one
                    cyy, cyz, czz = cyy * one, cyz * one, czz * one
                    for lane in range(shift):
                        u, v, w = line[0, at + lane], line[1, at + lane], line[2, at + lane]
                        p = cxx * u + cxy * v + cxz * w
                        q = cxy * u + cyy * v + cyz * w
                        r = cxz * u + cyz * v + czz * w
                        product[lane] += weight[k] * (
                            u.real * p.real
                            + u.imag * p.imag
                            + v.real * q.real
                            + v.imag * q.imag
                            + w.real * r.real
                            + w.imag * r.imag
                        )
                        line[0, at + lane], line[1, at + lane], line[2, at + lane] = p, q, r
    return product
