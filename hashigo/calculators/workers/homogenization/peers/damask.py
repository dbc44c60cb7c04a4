"""DAMASK's grid solver (3.x) as a second implementation: its input files, and its results (DADF5).

It is AGPL and never imported. It works with finite strains: the loads are so small that the difference does not
matter. Its thermal solver takes no mean gradient, so that conductivities cannot be given to it.

Source: Roters et al., Comput. Mater. Sci. 158, 420 (2019); keys as in the sources of DAMASK 3.
"""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.interface import Homogenizer, Outcome, PeriodicProblem
from hashigo.calculators.workers.homogenization.tensors import (
    PAIRS,
    ROOT2,
    Floats,
    mandel_to_voigt,
    symmetric_matrix,
)
from hashigo.errors import InputError

#: Mandel strain of each load, dimensionless. The stress is off by about as much, relative.
STRAIN = 1e-6
#: Edge of a voxel, m; stiffness does not depend on it.
VOXEL = 1e-6
#: Stiffnesses that differ by less, relative, are one phase, and have the symmetry of a lattice.
SAME = 1e-5
#: Ratio of lattice parameters, which DAMASK asks for and elasticity does not depend on, dimensionless.
RATIO = 1.6
GRID, MATERIAL, LOAD, NUMERICS = "grid.vti", "material.yaml", "load.yaml", "numerics.yaml"

_WEIGHT = np.array([1.0, 1.0, 1.0, ROOT2, ROOT2, ROOT2])
_PASCAL = 1e9


class _Indented(yaml.SafeDumper):
    """Indents lists, as DAMASK's examples do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent a list, too."""
        super().increase_indent(flow, False)


def lattice_constants(stiffness: Floats) -> tuple[str, dict[str, float]] | None:
    """The lattice of DAMASK whose symmetry a stiffness has, cubic before hexagonal before tetragonal.

    Args:
        stiffness: Voigt matrix in crystal axes, shape (6, 6), GPa.

    Returns:
        Name of the lattice, and its constants by name in GPa; None for a stiffness of lower symmetry.
    """
    c = {f"C_{i}{j}": float(stiffness[i - 1, j - 1]) for i in range(1, 7) for j in range(i, 7)}

    def mean(*names: str) -> float:
        return float(np.mean([c[f"C_{name}"] for name in names]))

    cubic = {"C_11": mean("11", "22", "33"), "C_12": mean("12", "13", "23"), "C_44": mean("44", "55", "66")}
    uniaxial = {
        "C_11": mean("11", "22"),
        "C_12": c["C_12"],
        "C_13": mean("13", "23"),
        "C_33": c["C_33"],
        "C_44": mean("44", "55"),
    }
    for name, found in (("cF", cubic), ("hP", uniaxial), ("tI", {**uniaxial, "C_66": c["C_66"]})):
        if np.abs(_matrix(name, found) - stiffness).max() <= SAME * np.abs(stiffness).max():
            return name, found
    return None


def _matrix(lattice: str, c: dict[str, float]) -> Floats:
    """Voigt matrix of a lattice's constants."""
    c13, c33 = c.get("C_13", c["C_12"]), c.get("C_33", c["C_11"])
    c66 = {"cF": c["C_44"], "hP": (c["C_11"] - c["C_12"]) / 2}.get(lattice, c.get("C_66", 0.0))
    matrix = np.diag([c["C_11"], c["C_11"], c33, c["C_44"], c["C_44"], c66])
    matrix[0, 1] = matrix[1, 0] = c["C_12"]
    matrix[:2, 2] = matrix[2, :2] = c13
    return matrix


def _materials(problem: PeriodicProblem) -> dict[str, Any]:
    """Content of material.yaml: one material for each phase of the problem, one phase for each crystal."""
    crystals = mandel_to_voigt(problem.crystal_table)
    turns = np.eye(3)[None].repeat(len(crystals), 0) if problem.rotations is None else problem.rotations
    # DAMASK's quaternions, scalar first, take vectors from sample to crystal axes and are read with P = -1: they are
    # those that take them from crystal to sample axes in the other convention.
    quaternions = Rotation.from_matrix(turns).as_quat()[:, [3, 0, 1, 2]]
    quaternions *= np.where(quaternions[:, :1] < 0, -1.0, 1.0)
    phases: dict[str, Any] = {}
    known: list[tuple[str, Floats]] = []
    materials = []
    for label, crystal, quaternion in zip(problem.labels, crystals, quaternions, strict=True):
        scale = SAME * np.abs(crystal).max()
        name = next((name for name, other in known if np.abs(other - crystal).max() <= scale), "")
        if not name:
            name = f"crystal_{len(known) + 1}"
            known.append((name, crystal))
            phases[name] = _phase(label, crystal)
        constituent = {"phase": name, "v": 1.0, "O": quaternion.tolist()}
        materials.append({"homogenization": "direct", "constituents": [constituent]})
    homogenization = {"direct": {"N_constituents": 1, "mechanical": {"type": "pass"}}}
    return {"homogenization": homogenization, "phase": phases, "material": materials}


def _phase(label: str, crystal: Floats) -> dict[str, Any]:
    found = lattice_constants(crystal)
    if found is None:
        raise InputError(
            f"the stiffness of {label} cannot be given to DAMASK, which knows cubic, hexagonal and tetragonal lattices "
            "(C_11, C_12, C_13, C_33, C_44, C_66) only",
            fix="turn the crystal's axes to those of its symmetry, or check against muSpectre or FANS",
        )
    lattice, constants = found
    pascal = {name: float(f"{value * _PASCAL:.12g}") for name, value in constants.items()}
    mechanical = {
        "output": ["F", "P"],
        "elastic": {"type": "Hooke", **pascal},
        "plastic": {"type": "none"},
    }
    return {"lattice": lattice, **({} if lattice == "cF" else {"c/a": RATIO}), "mechanical": mechanical}


def _gradients() -> Floats:
    """Deformation gradients of the six loads, in Mandel's order, shape (6, 3, 3), dimensionless."""
    return np.asarray(np.eye(3) + STRAIN * symmetric_matrix(np.eye(6) / _WEIGHT))


def write(problem: PeriodicProblem, tolerance: float, folder: Path) -> list[Path]:
    """Write grid, materials, six loads and numerics.

    Args:
        problem: elastic, without eigenstrain; its stiffness in crystal axes has the symmetry of a lattice.
        tolerance: relative, of the balance of stress, dimensionless.
        folder: that is there.

    Returns:
        The files.

    Raises:
        InputError: when DAMASK cannot be given this problem.
    """
    if problem.loads != 6:
        raise InputError(
            "a conductivity cannot be checked against DAMASK, whose thermal solver takes no mean gradient",
            fix="choose muspectre or fans",
        )
    problem.require_plain("DAMASK", voids=False)
    steps = [
        {
            "boundary_conditions": {"mechanical": {"F": gradient.tolist()}},
            "discretization": {"t": 1.0, "N": 1},
        }
        for gradient in _gradients()
    ]
    contents: dict[str, Any] = {
        MATERIAL: _materials(problem),
        LOAD: {"solver": {"mechanical": "spectral_basic"}, "loadstep": steps},
        NUMERICS: {"solver": {"grid": {"mechanical": {"eps_rel_div(P)": tolerance, "N_iter_max": 2000}}}},
    }
    (folder / GRID).write_text(_vti(problem.phase), encoding="utf-8")
    for name, content in contents.items():
        flow = False if name == NUMERICS else None
        text = yaml.dump(content, Dumper=_Indented, sort_keys=False, default_flow_style=flow, width=1000)
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in (GRID, *contents)]


def _vti(phase: NDArray[np.int32]) -> str:
    """VTK ImageData with the cell array "material"."""
    nz, ny, nx = phase.shape
    data = np.ascontiguousarray(phase, dtype="<i4").tobytes()
    packed = base64.b64encode(struct.pack("<I", len(data)) + data).decode()
    extent = f"0 {nx} 0 {ny} 0 {nz}"
    return f"""<?xml version="1.0"?>
<VTKFile type="ImageData" version="0.1" byte_order="LittleEndian" header_type="UInt32">
  <ImageData WholeExtent="{extent}" Origin="0 0 0" Spacing="{VOXEL} {VOXEL} {VOXEL}">
  <Piece Extent="{extent}">
    <CellData>
      <DataArray type="Int32" Name="material" format="binary">
        {packed}
      </DataArray>
    </CellData>
  </Piece>
  </ImageData>
</VTKFile>
"""


def how(folder: Path) -> str:
    """How to start DAMASK on the files."""
    return f"in {folder}: DAMASK_grid --geom {GRID} --load {LOAD} --material {MATERIAL} --numerics {NUMERICS}"


def read(folder: Path, problem: PeriodicProblem) -> Outcome | None:
    """The stiffness of the mean stresses in the one DADF5 file of a folder; None as long as there is none.

    Args:
        folder: where DAMASK was started.
        problem: that was written there.

    Raises:
        InputError: when the file is of another problem, or ends before the last load.
    """
    paths = sorted(p for p in folder.glob("*.hdf5") if not p.name.endswith("_restart.hdf5"))
    if not paths:
        return None
    if len(paths) > 1:
        names = ", ".join(path.name for path in paths)
        raise InputError(f"{folder} holds several results of DAMASK: {names}", fix="leave one")
    try:
        with h5py.File(paths[0], "r") as file:
            return Outcome(tensor=_stiffness(file, paths[0].name, problem))
    except OSError as error:
        raise InputError(f"{paths[0].name} cannot be read as HDF5: {error}") from None
    except (KeyError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{paths[0].name} is not laid out as DAMASK 3 does: {error}") from None


def _stiffness(file: h5py.File, name: str, problem: PeriodicProblem) -> Floats:
    if "cell_to/phase" not in file or "DADF5_version_major" not in file.attrs:
        raise InputError(f"{name} is no result of DAMASK 3")
    cells = file["cell_to/phase"][()]
    if cells.shape != (problem.phase.size, 1):
        raise InputError(f"{name} has {len(cells)} cells, the problem {problem.phase.size} voxels")
    tensor = np.empty((6, 6))
    for row, gradient in enumerate(_gradients()):
        group = f"increment_{row + 1}"
        if group not in file:
            raise InputError(f"{name} ends before load {row + 1} of 6", fix="look at what DAMASK printed")
        reached = _mean(file[group], cells, "F")
        if not np.abs(reached - gradient).max() <= 1e-3 * STRAIN:  # nor what is no number
            raise InputError(
                f"{name} is of other loads: load {row + 1} has not the deformation that was written"
            )
        stress = _mean(file[group], cells, "P")
        symmetric = 0.5 * (stress + stress.T)
        tensor[row] = _WEIGHT * np.array([symmetric[pair] for pair in PAIRS]) / (STRAIN * _PASCAL)
    return tensor


def _mean(increment: h5py.Group, cells: NDArray[Any], label: str) -> Floats:
    """Mean over all cells of a tensor that is kept by phase."""
    total = np.zeros((3, 3))
    for name in np.unique(cells["label"]):
        entries = cells["entry"][cells["label"] == name]
        data = increment[f"phase/{name.decode().strip()}/mechanical/{label}"][()]
        total += data[entries].sum(axis=0)
    return total / len(cells)


HOMOGENIZER = Homogenizer(
    name="damask",
    title="DAMASK",
    discretisation="trigonometric polynomials, of finite strains",
    write=write,
    how=how,
    read=read,
)
