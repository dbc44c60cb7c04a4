"""Compiled loops of the solver: constitutive law on the rotated scheme, preconditioner in Fourier space.

Displacements (temperatures) live on the corners of the voxels, strains (gradients) in their centres. The
derivative in a centre is the mean of the four edge differences around it, which is Willot's rotated scheme
and the trilinear hexahedron with reduced integration. Arrays are indexed z, y, x; a field on this rank's
planes carries one more plane, the first of the next rank.

Source: Willot, C. R. Mécanique 343, 232 (2015).
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

# Sums may be reordered for speed; NaN must stay NaN, so no more than that.
FAST = {"reassoc", "contract", "nsz"}
RSQRT2 = 1.0 / math.sqrt(2.0)


@numba.njit(cache=True, fastmath=FAST)
def _differences(field: Any, i: int, j: int, jp: int, along: Any, dy: Any, dz: Any) -> None:
    """For each corner of a row of voxels: the sum of four rows, and their differences along y and z."""
    for k in range(along.size):
        a, b = field[i, j, k], field[i, jp, k]
        c, d = field[i + 1, j, k], field[i + 1, jp, k]
        along[k] = a + b + c + d
        dy[k] = (b - a) + (d - c)
        dz[k] = (c - a) + (d - b)


@numba.njit(cache=True, fastmath=FAST)
def _scatter(force: Any, i: int, j: int, jp: int, fx: Any, fy: Any, fz: Any) -> None:
    """Adjoint of the derivative: add a row of fluxes to the corners."""
    n = fx.size
    for k in range(n):
        km = k - 1 if k > 0 else n - 1
        x = 0.25 * (fx[km] - fx[k])
        y = 0.25 * (fy[km] + fy[k])
        z = 0.25 * (fz[km] + fz[k])
        force[i, j, k] += x - y - z
        force[i, jp, k] += x + y - z
        force[i + 1, j, k] += x - y + z
        force[i + 1, jp, k] += x + y + z


@numba.njit(cache=True, fastmath=FAST)
def elastic_row(u: Any, phase: Any, table: Any, load: Any, i: int, j: int, buffers: Any, stress: Any) -> None:
    """Mandel stress of a row of voxels.

    Args:
        u: displacement with one more plane, shape (3, planes + 1, ny, nx), voxels.
        phase: phase of each voxel, shape (planes, ny, nx), indices.
        table: Mandel stiffness of each phase, shape (n_phases, 6, 6), GPa.
        load: mean Mandel strain, shape (6,), dimensionless.
        i: index of the plane.
        j: index of the row.
        buffers: scratch, shape (9, nx), dimensionless.
        stress: result, shape (6, nx), GPa.
    """
    ny, nx = phase.shape[1], phase.shape[2]
    jp = j + 1 if j + 1 < ny else 0
    for c in range(3):
        _differences(u[c], i, j, jp, buffers[3 * c], buffers[3 * c + 1], buffers[3 * c + 2])
    for k in range(nx):
        kp = k + 1 if k + 1 < nx else 0
        xx = 0.25 * (buffers[0, kp] - buffers[0, k])
        xy = 0.25 * (buffers[1, kp] + buffers[1, k])
        xz = 0.25 * (buffers[2, kp] + buffers[2, k])
        yx = 0.25 * (buffers[3, kp] - buffers[3, k])
        yy = 0.25 * (buffers[4, kp] + buffers[4, k])
        yz = 0.25 * (buffers[5, kp] + buffers[5, k])
        zx = 0.25 * (buffers[6, kp] - buffers[6, k])
        zy = 0.25 * (buffers[7, kp] + buffers[7, k])
        zz = 0.25 * (buffers[8, kp] + buffers[8, k])
        e0 = load[0] + xx
        e1 = load[1] + yy
        e2 = load[2] + zz
        e3 = load[3] + RSQRT2 * (yz + zy)
        e4 = load[4] + RSQRT2 * (xz + zx)
        e5 = load[5] + RSQRT2 * (xy + yx)
        law = table[phase[i, j, k]]
        for a in range(6):
            stress[a, k] = (
                law[a, 0] * e0
                + law[a, 1] * e1
                + law[a, 2] * e2
                + law[a, 3] * e3
                + law[a, 4] * e4
                + law[a, 5] * e5
            )


@numba.njit(cache=True, fastmath=FAST)
def elastic_forces(u: Any, phase: Any, table: Any, load: Any, force: Any, total: Any) -> None:
    """Stress of each voxel and the forces that it puts on the corners.

    Args:
        u: displacement with one more plane, shape (3, planes + 1, ny, nx), voxels.
        phase: phase of each voxel, shape (planes, ny, nx), indices.
        table: Mandel stiffness of each phase, shape (n_phases, 6, 6), GPa.
        load: mean Mandel strain, shape (6,), dimensionless.
        force: result, the forces are added to it, shape of `u`, GPa.
        total: result, sum of the Mandel stress over the voxels, shape (6,), GPa.
    """
    planes, ny, nx = phase.shape
    buffers = np.empty((9, nx))
    stress = np.empty((6, nx))
    shear = np.empty((3, nx))
    total[:] = 0.0
    for i in range(planes):
        for j in range(ny):
            jp = j + 1 if j + 1 < ny else 0
            elastic_row(u, phase, table, load, i, j, buffers, stress)
            for a in range(6):
                row = 0.0
                for k in range(nx):
                    row += stress[a, k]
                total[a] += row
            for a in range(3):
                for k in range(nx):
                    shear[a, k] = RSQRT2 * stress[3 + a, k]
            _scatter(force[0], i, j, jp, stress[0], shear[2], shear[1])
            _scatter(force[1], i, j, jp, shear[2], stress[1], shear[0])
            _scatter(force[2], i, j, jp, shear[1], shear[0], stress[2])


@numba.njit(cache=True, fastmath=FAST)
def elastic_field(u: Any, phase: Any, table: Any, load: Any, flux: Any) -> None:
    """Mandel stress of each voxel.

    Args:
        u: displacement with one more plane, shape (3, planes + 1, ny, nx), voxels.
        phase: phase of each voxel, shape (planes, ny, nx), indices.
        table: Mandel stiffness of each phase, shape (n_phases, 6, 6), GPa.
        load: mean Mandel strain, shape (6,), dimensionless.
        flux: result, shape (6, planes, ny, nx), GPa.
    """
    planes, ny, nx = phase.shape
    buffers = np.empty((9, nx))
    for i in range(planes):
        for j in range(ny):
            elastic_row(u, phase, table, load, i, j, buffers, flux[:, i, j])


@numba.njit(cache=True, fastmath=FAST)
def thermal_row(u: Any, phase: Any, table: Any, load: Any, i: int, j: int, buffers: Any, flux: Any) -> None:
    """Conductivity times gradient of a row of voxels.

    Args:
        u: temperature with one more plane, shape (1, planes + 1, ny, nx), K.
        phase: phase of each voxel, shape (planes, ny, nx), indices.
        table: conductivity of each phase, shape (n_phases, 3, 3), W/(m K).
        load: mean gradient, shape (3,), K per voxel.
        i: index of the plane.
        j: index of the row.
        buffers: scratch, shape (3, nx), K.
        flux: result, shape (3, nx), W/(m K) times K per voxel.
    """
    ny, nx = phase.shape[1], phase.shape[2]
    jp = j + 1 if j + 1 < ny else 0
    _differences(u[0], i, j, jp, buffers[0], buffers[1], buffers[2])
    for k in range(nx):
        kp = k + 1 if k + 1 < nx else 0
        gx = load[0] + 0.25 * (buffers[0, kp] - buffers[0, k])
        gy = load[1] + 0.25 * (buffers[1, kp] + buffers[1, k])
        gz = load[2] + 0.25 * (buffers[2, kp] + buffers[2, k])
        law = table[phase[i, j, k]]
        for a in range(3):
            flux[a, k] = law[a, 0] * gx + law[a, 1] * gy + law[a, 2] * gz


@numba.njit(cache=True, fastmath=FAST)
def thermal_forces(u: Any, phase: Any, table: Any, load: Any, force: Any, total: Any) -> None:
    """Flux of each voxel and its balance on the corners.

    Args:
        u: temperature with one more plane, shape (1, planes + 1, ny, nx), K.
        phase: phase of each voxel, shape (planes, ny, nx), indices.
        table: conductivity of each phase, shape (n_phases, 3, 3), W/(m K).
        load: mean gradient, shape (3,), K per voxel.
        force: result, the balance is added to it, shape of `u`, W/(m K) times K per voxel.
        total: result, sum over the voxels, shape (3,), W/(m K) times K per voxel.
    """
    planes, ny, nx = phase.shape
    buffers = np.empty((3, nx))
    flux = np.empty((3, nx))
    total[:] = 0.0
    for i in range(planes):
        for j in range(ny):
            jp = j + 1 if j + 1 < ny else 0
            thermal_row(u, phase, table, load, i, j, buffers, flux)
            for a in range(3):
                row = 0.0
                for k in range(nx):
                    row += flux[a, k]
                total[a] += row
            _scatter(force[0], i, j, jp, flux[0], flux[1], flux[2])


@numba.njit(cache=True, fastmath=FAST)
def thermal_field(u: Any, phase: Any, table: Any, load: Any, flux: Any) -> None:
    """Conductivity times gradient of each voxel.

    Args:
        u: temperature with one more plane, shape (1, planes + 1, ny, nx), K.
        phase: phase of each voxel, shape (planes, ny, nx), indices.
        table: conductivity of each phase, shape (n_phases, 3, 3), W/(m K).
        load: mean gradient, shape (3,), K per voxel.
        flux: result, shape (3, planes, ny, nx), W/(m K) times K per voxel.
    """
    planes, ny, nx = phase.shape
    buffers = np.empty((3, nx))
    for i in range(planes):
        for j in range(ny):
            thermal_row(u, phase, table, load, i, j, buffers, flux[:, i, j])


@numba.njit(cache=True, fastmath=FAST)
def precondition(spectrum: Any, sines: Any, cosines: Any, stiffness: float, coupling: float) -> None:
    """Apply, in place, the inverse of the operator of a homogeneous isotropic medium.

    On the rotated scheme the derivative in Fourier space is a real vector times a phase common to its
    components, so that only the real vector is left here.

    Args:
        spectrum: Fourier transform of the residual, shape (1 or 3, nz, ny, nx), any unit.
        sines: sine of half the phase per voxel along z, y and x, one array of shape (n,) each, dimensionless.
        cosines: cosine of it, one array of shape (n,) each, dimensionless.
        stiffness: shear modulus (GPa) or conductivity (W/(m K)) of the medium.
        coupling: (λ + μ) / (λ + 2μ) of the medium, dimensionless; not used with one component.
    """
    components, nz, ny, nx = spectrum.shape
    sz, sy, sx = sines
    cz, cy, cx = cosines
    for i in range(nz):
        for j in range(ny):
            ccx, scy, csz = cz[i] * cy[j], cz[i] * sy[j], sz[i] * cy[j]
            for k in range(nx):
                qx, qy, qz = 2.0 * sx[k] * ccx, 2.0 * cx[k] * scy, 2.0 * cx[k] * csz
                square = qx * qx + qy * qy + qz * qz
                # No derivative sees the mean, nor a wave at the Nyquist frequency of two axes.
                inverse = 1.0 / (stiffness * square) if square > 1e-20 else 0.0
                if components == 1:
                    spectrum[0, i, j, k] *= inverse
                else:
                    rx, ry, rz = spectrum[0, i, j, k], spectrum[1, i, j, k], spectrum[2, i, j, k]
                    along = 0.0 * rx
                    if square > 1e-20:
                        along = coupling * (qx * rx + qy * ry + qz * rz) / square
                    spectrum[0, i, j, k] = inverse * (rx - along * qx)
                    spectrum[1, i, j, k] = inverse * (ry - along * qy)
                    spectrum[2, i, j, k] = inverse * (rz - along * qz)
