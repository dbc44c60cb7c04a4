"""Compiled loops of the solver: the balance of voxels, on two discretisations.

Displacements (temperatures) live on the corners of the voxels. All loads are solved at once: a field has the shape
(planes, components, ny, nx · loads), the loads beside each other at each corner, so that rows are long and runs of
voxels of one phase are too, which is what the processor's vectors want. `lanes` is a tuple with an entry for each
load. A field that is differentiated carries the last plane of the rank before and the first one of the next.
Stiffness is in Voigt's notation here, with engineering shear strain, which saves the roots of two.

Two discretisations: "rotated" takes the derivative in a voxel's centre, the mean of the four edges along an axis, which
is Willot's rotated scheme and the trilinear hexahedron with reduced integration; "hexahedra" integrates the trilinear
hexahedron fully, which leaves no mode without energy and so converges with voids.

Source: Willot, C. R. Mécanique 343, 232 (2015); Schneider, Merkert & Kabel, Int. J. Numer. Methods Eng. 109, 1461
(2017).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

# Sums may be reordered for speed; NaN must stay NaN, so no more than that.
FAST = {"reassoc", "contract", "nsz"}
#: Bytes that stay in a core's cache from one plane of a field to the next.
CACHE = 1 << 18


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _differences(a: Any, b: Any, c: Any, d: Any, along: Any, dy: Any, dz: Any, shift: int) -> None:
    """For each corner of a row: the sum of the four rows around, and their differences along y and z."""
    n = a.size
    for k in range(n):
        along[k] = (a[k] + b[k]) + (c[k] + d[k])
        dy[k] = (b[k] - a[k]) + (d[k] - c[k])
        dz[k] = (c[k] - a[k]) + (d[k] - b[k])
    for k in range(shift):
        along[n + k], dy[n + k], dz[n + k] = along[k], dy[k], dz[k]


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _scatter(q0: Any, q1: Any, q2: Any, q3: Any, fx: Any, fy: Any, fz: Any, shift: int) -> None:
    """Adjoint of the derivative: add a row of fluxes, with the last voxels' in front, to its four rows of corners."""
    for k in range(q0.size):
        x = 0.25 * (fx[k] - fx[k + shift])
        y = 0.25 * (fy[k] + fy[k + shift])
        z = 0.25 * (fz[k] + fz[k + shift])
        low, high = x - z, x + z
        q0[k] += low - y
        q1[k] += low + y
        q2[k] += high - y
        q3[k] += high + y


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _elastic_strain(b: Any, e: Any, shift: int) -> None:
    """Strains of a row of voxels, engineering shear, from the sums and differences of three components."""
    for k in range(e.shape[1]):
        kp = k + shift
        e[0, k] = 0.25 * (b[0, kp] - b[0, k])
        e[1, k] = 0.25 * (b[4, kp] + b[4, k])
        e[2, k] = 0.25 * (b[8, kp] + b[8, k])
    for k in range(e.shape[1]):
        kp = k + shift
        e[3, k] = 0.25 * ((b[5, kp] + b[5, k]) + (b[7, kp] + b[7, k]))
        e[4, k] = 0.25 * ((b[2, kp] + b[2, k]) + (b[6, kp] - b[6, k]))
        e[5, k] = 0.25 * ((b[1, kp] + b[1, k]) + (b[3, kp] - b[3, k]))


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _gradient(b: Any, e: Any, shift: int) -> None:
    """Gradients of a row of voxels from the sums and differences of one component."""
    for k in range(e.shape[1]):
        kp = k + shift
        e[0, k] = 0.25 * (b[0, kp] - b[0, k])
        e[1, k] = 0.25 * (b[1, kp] + b[1, k])
        e[2, k] = 0.25 * (b[2, kp] + b[2, k])


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _three_fluxes(law: Any, e: Any, low: int, high: int, o0: Any, o1: Any, o2: Any) -> None:
    """Three fluxes of some voxels of one phase. Slices, and one loop for the three, let the compiler vectorise."""
    if law.shape[1] == 6:
        e0, e1, e2 = e[0, low:high], e[1, low:high], e[2, low:high]
        e3, e4, e5 = e[3, low:high], e[4, low:high], e[5, low:high]
        a0, a1, a2, a3, a4, a5 = law[0, 0], law[0, 1], law[0, 2], law[0, 3], law[0, 4], law[0, 5]
        b0, b1, b2, b3, b4, b5 = law[1, 0], law[1, 1], law[1, 2], law[1, 3], law[1, 4], law[1, 5]
        c0, c1, c2, c3, c4, c5 = law[2, 0], law[2, 1], law[2, 2], law[2, 3], law[2, 4], law[2, 5]
        for k in range(o0.size):
            s, t, u, v, w, x = e0[k], e1[k], e2[k], e3[k], e4[k], e5[k]
            o0[k] = (a0 * s + a1 * t + a2 * u) + (a3 * v + a4 * w + a5 * x)
            o1[k] = (b0 * s + b1 * t + b2 * u) + (b3 * v + b4 * w + b5 * x)
            o2[k] = (c0 * s + c1 * t + c2 * u) + (c3 * v + c4 * w + c5 * x)
    else:
        e0, e1, e2 = e[0, low:high], e[1, low:high], e[2, low:high]
        a0, a1, a2 = law[0, 0], law[0, 1], law[0, 2]
        b0, b1, b2 = law[1, 0], law[1, 1], law[1, 2]
        c0, c1, c2 = law[2, 0], law[2, 1], law[2, 2]
        for k in range(o0.size):
            s, t, u = e0[k], e1[k], e2[k]
            o0[k] = a0 * s + a1 * t + a2 * u
            o1[k] = b0 * s + b1 * t + b2 * u
            o2[k] = c0 * s + c1 * t + c2 * u


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _law(table: Any, phase: Any, e: Any, s: Any, shift: int) -> None:
    """Flux of a row of voxels, run by run of one phase; that of the last voxel comes in front too."""
    n = phase.size
    start = 0
    while start < n:
        law = table[phase[start]]
        stop = start + 1
        while stop < n and phase[stop] == phase[start]:
            stop += 1
        low, high = start * shift, stop * shift
        for a in range(0, e.shape[0], 3):
            o0, o1, o2 = (
                s[a, low + shift : high + shift],
                s[a + 1, low + shift : high + shift],
                s[a + 2, low + shift : high + shift],
            )
            _three_fluxes(law[a : a + 3], e, low, high, o0, o1, o2)
        start = stop
    s[:, :shift] = s[:, n * shift :]


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _add_energy(e: Any, s: Any, sums: Any, shift: int) -> None:
    """Add the products of strains and stresses of a row of voxels to a row of sums."""
    for a in range(e.shape[0]):
        strain, stress = e[a], s[a, shift:]
        for k in range(sums.size):
            sums[k] += float(strain[k]) * float(stress[k])


@numba.njit(cache=True, nogil=True)
def _rows_at_once(field: Any) -> int:
    """Number of rows whose four planes stay in a core's cache."""
    return max(4, CACHE // (4 * field.shape[1] * field.shape[3] * field.itemsize))


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _fold(sums: Any, lanes: Any) -> Any:
    """Sum of a row for each load."""
    out = np.zeros(len(lanes))
    for k in range(sums.size):
        out[k % len(lanes)] += sums[k]
    return out


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def elastic_rotated(p: Any, phase: Any, table: Any, q: Any, first: int, last: int, lanes: Any) -> Any:
    """Forces on the corners of some planes, and their work.

    Args:
        p: displacement with a plane of each neighbour, shape (planes + 2, 3, ny, nx · loads), voxels.
        phase: phase of each voxel, first those of the plane before, shape (planes + 1, ny, nx), indices.
        table: Voigt stiffness of each phase, shape (n_phases, 6, 6), GPa.
        q: result, planes from `first` to `last` are set, shape (planes, 3, ny, nx · loads), GPa.
        first: index of the first plane.
        last: index after the last plane.
        lanes: an entry for each load, shape (loads,), dimensionless.

    Returns:
        Work of the stress in the voxels of these planes for each load, shape (loads,), GPa.
    """
    ny, width, shift = p.shape[2], p.shape[3], len(lanes)
    b = np.empty((9, width + shift), p.dtype)
    e = np.empty((6, width), p.dtype)
    s = np.empty((6, width + shift), p.dtype)
    spill = np.empty((3, ny, width), p.dtype)
    sums = np.zeros(width)
    q[first:last] = 0.0
    block = _rows_at_once(p)
    for begin in range(0, ny, block):
        for v in range(first - 1, last):
            low = q[v] if v >= first else spill
            high = q[v + 1] if v + 1 < last else spill
            near, far = p[v + 1], p[v + 2]
            for j in range(begin, min(ny, begin + block)):
                jp = j + 1 if j + 1 < ny else 0
                for c in range(3):
                    d = b[3 * c : 3 * c + 3]
                    _differences(near[c, j], near[c, jp], far[c, j], far[c, jp], d[0], d[1], d[2], shift)
                _elastic_strain(b, e, shift)
                _law(table, phase[v + 1, j], e, s, shift)
                if v >= first:
                    _add_energy(e, s, sums, shift)
                _scatter(low[0, j], low[0, jp], high[0, j], high[0, jp], s[0], s[5], s[4], shift)
                _scatter(low[1, j], low[1, jp], high[1, j], high[1, jp], s[5], s[1], s[3], shift)
                _scatter(low[2, j], low[2, jp], high[2, j], high[2, jp], s[4], s[3], s[2], shift)
    return _fold(sums, lanes)


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def thermal_rotated(p: Any, phase: Any, table: Any, q: Any, first: int, last: int, lanes: Any) -> Any:
    """Balance of heat on the corners of some planes, and its product with the temperature.

    Args:
        p: temperature with a plane of each neighbour, shape (planes + 2, 1, ny, nx · loads), K.
        phase: phase of each voxel, first those of the plane before, shape (planes + 1, ny, nx), indices.
        table: conductivity of each phase, shape (n_phases, 3, 3), W/(m K).
        q: result, planes from `first` to `last` are set, shape (planes, 1, ny, nx · loads), W/(m K) times K.
        first: index of the first plane.
        last: index after the last plane.
        lanes: an entry for each load, shape (loads,), dimensionless.

    Returns:
        Flux times gradient, summed over the voxels of these planes, for each load, shape (loads,), W/(m K) times K^2.
    """
    ny, width, shift = p.shape[2], p.shape[3], len(lanes)
    b = np.empty((3, width + shift), p.dtype)
    e = np.empty((3, width), p.dtype)
    s = np.empty((3, width + shift), p.dtype)
    spill = np.empty((ny, width), p.dtype)
    sums = np.zeros(width)
    q[first:last] = 0.0
    block = _rows_at_once(p)
    for begin in range(0, ny, block):
        for v in range(first - 1, last):
            low = q[v, 0] if v >= first else spill
            high = q[v + 1, 0] if v + 1 < last else spill
            near, far = p[v + 1, 0], p[v + 2, 0]
            for j in range(begin, min(ny, begin + block)):
                jp = j + 1 if j + 1 < ny else 0
                _differences(near[j], near[jp], far[j], far[jp], b[0], b[1], b[2], shift)
                _gradient(b, e, shift)
                _law(table, phase[v + 1, j], e, s, shift)
                if v >= first:
                    _add_energy(e, s, sums, shift)
                _scatter(low[j], low[jp], high[j], high[jp], s[0], s[1], s[2], shift)
    return _fold(sums, lanes)


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _add_four(m: Any, e: Any, f: Any) -> None:
    """Add four forces of some voxels of one phase from four displacements."""
    e0, e1, e2, e3 = e[0], e[1], e[2], e[3]
    a0, a1, a2, a3 = m[0, 0], m[0, 1], m[0, 2], m[0, 3]
    b0, b1, b2, b3 = m[1, 0], m[1, 1], m[1, 2], m[1, 3]
    c0, c1, c2, c3 = m[2, 0], m[2, 1], m[2, 2], m[2, 3]
    d0, d1, d2, d3 = m[3, 0], m[3, 1], m[3, 2], m[3, 3]
    f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
    for k in range(f0.size):
        s, t, u, v = e0[k], e1[k], e2[k], e3[k]
        f0[k] += (a0 * s + a1 * t) + (a2 * u + a3 * v)
        f1[k] += (b0 * s + b1 * t) + (b2 * u + b3 * v)
        f2[k] += (c0 * s + c1 * t) + (c2 * u + c3 * v)
        f3[k] += (d0 * s + d1 * t) + (d2 * u + d3 * v)


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def _element_forces(table: Any, phase: Any, values: Any, forces: Any, shift: int) -> None:
    """Forces of a row of elements on its four lines of corners, run by run of one phase."""
    n, rows = phase.size, values.shape[0]
    forces[:] = 0.0
    start = 0
    while start < n:
        matrix = table[phase[start]]
        stop = start + 1
        while stop < n and phase[stop] == phase[start]:
            stop += 1
        for a in range(0, 2 * rows, 4):
            low, line = (start + a // rows) * shift, a % rows
            f = forces[line : line + 4, low : low + (stop - start) * shift]
            for b in range(0, 2 * rows, 4):
                begin, source = (start + b // rows) * shift, b % rows
                e = values[source : source + 4, begin : begin + (stop - start) * shift]
                _add_four(matrix[a : a + 4, b : b + 4], e, f)
        start = stop


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def hexahedra(p: Any, phase: Any, table: Any, q: Any, first: int, last: int, lanes: Any) -> Any:
    """Forces (balance of heat) on the corners of some planes by the matrices of fully integrated hexahedra.

    Args:
        p: displacement (voxels) or temperature (K), shape (planes + 2, components, ny, nx · loads).
        phase: phase of each voxel, first those of the plane before, shape (planes + 1, ny, nx), indices.
        table: matrix of each phase, as of `element_matrices`, shape (n_phases, 8 · components, 8 · components), GPa or
            W/(m K).
        q: result, planes from `first` to `last` are set, shape (planes, components, ny, nx · loads), GPa or
            W/(m K) times K.
        first: index of the first plane.
        last: index after the last plane.
        lanes: an entry for each load, shape (loads,), dimensionless.

    Returns:
        Work of the forces of the voxels in these planes for each load, shape (loads,), unit of q times that of p.
    """
    components, ny, width, shift = p.shape[1], p.shape[2], p.shape[3], len(lanes)
    values = np.empty((4 * components, width + shift), p.dtype)
    forces = np.empty((4 * components, width + shift), p.dtype)
    spill = np.empty((components, ny, width), p.dtype)
    sums = np.zeros(width + shift)
    q[first:last] = 0.0
    block = _rows_at_once(p)
    for begin in range(0, ny, block):
        for v in range(first - 1, last):
            low = q[v] if v >= first else spill
            high = q[v + 1] if v + 1 < last else spill
            for j in range(begin, min(ny, begin + block)):
                jp = j + 1 if j + 1 < ny else 0
                for corner in range(4):
                    plane, row = p[v + 1 + corner // 2], (jp if corner % 2 else j)
                    for c in range(components):
                        values[corner * components + c, :width] = plane[c, row]
                        values[corner * components + c, width:] = plane[c, row, :shift]
                _element_forces(table, phase[v + 1, j], values, forces, shift)
                if v >= first:
                    _add_energy(values, forces, sums, 0)
                for corner in range(4):
                    target, row = (high if corner // 2 else low), (jp if corner % 2 else j)
                    for c in range(components):
                        to, force = target[c, row], forces[corner * components + c]
                        for k in range(width):
                            to[k] += force[k]
                        for k in range(shift):
                            to[k] += force[width + k]
    return _fold(sums, lanes)


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def corner_loads(phase: Any, table: Any, q: Any, first: int, last: int, lanes: Any) -> None:
    """Forces on the corners of some planes from a constant flux in each voxel.

    Args:
        phase: phase of each voxel, first those of the plane before, shape (planes + 1, ny, nx), indices.
        table: flux of each phase along x, y and z for each component (rows of the stress), and load, shape
            (n_phases, components, 3, loads), GPa or W/(m K).
        q: result, planes from `first` to `last` are set, shape (planes, components, ny, nx · loads), GPa or
            W/(m K) times K.
        first: index of the first plane.
        last: index after the last plane.
        lanes: an entry for each load, shape (loads,), dimensionless.
    """
    ny, nx, shift = phase.shape[1], phase.shape[2], len(lanes)
    width = nx * shift
    f = np.empty((3, width + shift), q.dtype)
    spill = np.empty((ny, width), q.dtype)
    q[first:last] = 0.0
    for v in range(first - 1, last):
        for c in range(q.shape[1]):
            low = q[v, c] if v >= first else spill
            high = q[v + 1, c] if v + 1 < last else spill
            for j in range(ny):
                jp = j + 1 if j + 1 < ny else 0
                for k in range(nx):
                    flux = table[phase[v + 1, j, k], c]
                    for a in range(3):
                        for lane in range(shift):
                            f[a, (k + 1) * shift + lane] = flux[a, lane]
                f[:, :shift] = f[:, width:]
                _scatter(low[j], low[jp], high[j], high[jp], f[0], f[1], f[2], shift)


@numba.njit(cache=True, nogil=True, fastmath=FAST)
def gradients(p: Any, out: Any, first: int, last: int) -> None:
    """Mean strain (gradient) of the voxels of some planes under one load; both discretisations have the same.

    Args:
        p: displacement (voxels) or temperature (K) with a plane of each neighbour, shape
            (planes + 2, components, ny, nx).
        out: result, planes from `first` to `last` are set: engineering strain in Voigt's order (dimensionless), shape
            (planes, ny, 6, nx), or gradient (K per voxel), shape (planes, ny, 3, nx).
        first: index of the first plane.
        last: index after the last plane.
    """
    components, ny, nx = p.shape[1], p.shape[2], p.shape[3]
    b = np.empty((3 * components, nx + 1), p.dtype)
    for v in range(first, last):
        near, far = p[v + 1], p[v + 2]
        for j in range(ny):
            jp = j + 1 if j + 1 < ny else 0
            for c in range(components):
                _differences(
                    near[c, j],
                    near[c, jp],
                    far[c, j],
                    far[c, jp],
                    b[3 * c],
                    b[3 * c + 1],
                    b[3 * c + 2],
                    1,
                )
            if components == 3:
                _elastic_strain(b, out[v, j], 1)
            else:
                _gradient(b, out[v, j], 1)
