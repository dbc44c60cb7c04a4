"""Polynomial potentials of pypolymlp as models, and committees of them read from a potential file."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.committee.together import PolynomialCommittee
from hashigo.calculators.workers.potential import Committee, Evaluation, element_indices
from hashigo.errors import InputError, MissingComponent

Floats = NDArray[np.float64]

#: Where Voigt's xx, yy, zz, yz, xz, xy stand in pypolymlp's xx, yy, zz, xy, yz, zx.
TO_VOIGT = (0, 1, 2, 4, 5, 3)


def missing_library(error: ImportError) -> MissingComponent:
    """The sentence for an installation without pypolymlp."""
    return MissingComponent(
        f"polynomial potentials need pypolymlp, which does not load here ({error})",
        fix="pip install 'aiida-hashigo[potential]'; its sdist is compiled with g++, cmake and Eigen 3 "
        "(Debian: libeigen3-dev; without root: pip install cmake cmeel-eigen, and set CMAKE_PREFIX_PATH)",
    )


def to_polymlp(atoms: Atoms, elements: Sequence[str]) -> Any:
    """Convert a structure for pypolymlp; the order of atoms is kept.

    Args:
        atoms: periodic atoms; lengths in Å.
        elements: chemical symbols in the potential's order.

    Raises:
        InputError: when the structure has an element that the potential does not know.
    """
    from pypolymlp.core.data_format import PolymlpStructure  # optional package

    types = element_indices(atoms, elements).tolist()
    return PolymlpStructure(
        axis=atoms.cell.array.T,
        positions=atoms.get_scaled_positions().T,
        n_atoms=[types.count(index) for index in range(len(elements))],
        elements=atoms.get_chemical_symbols(),
        types=types,
        volume=atoms.get_volume(),
    )


def stress_from_virial(virial: Floats, volume: float) -> Floats:
    """Turn pypolymlp's stress into this project's.

    Args:
        virial: minus the energy's derivative by strain, order xx, yy, zz, xy, yz, zx; shape (6, ...), eV.
        volume: of the cell, Å^3.

    Returns:
        Voigt xx, yy, zz, yz, xz, xy, positive under tension; shape (6, ...), eV/Å^3.
    """
    return np.asarray(-virial[list(TO_VOIGT)] / volume)


class PolynomialModel:
    """A polynomial potential.

    Its energies include those of the free atoms it was trained with, so they compare with the reference's.

    Args:
        source: the text of a polymlp.yaml, or the path of one.

    Raises:
        MissingComponent: when pypolymlp is not installed.
        InputError: when it is no polynomial potential.
    """

    def __init__(self, source: str | Path) -> None:
        try:
            from pypolymlp.calculator.properties import Properties  # optional package
            from pypolymlp.core.io_polymlp import load_mlp
        except ImportError as error:
            raise missing_library(error) from None
        text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
        try:
            parameters, coefficients = load_mlp(io.StringIO(text))
            self._elements = tuple(str(symbol) for symbol in parameters.elements)
            energies = parameters.atomic_energy or [0.0] * len(self._elements)
            self._coefficients = np.array(coefficients, dtype=float)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the text is not a polymlp.yaml of a polynomial potential: {error!r}") from None
        self._parameters, self._library = parameters, Properties
        self._atomic_energies = dict(zip(self._elements, map(float, energies), strict=True))

    @cached_property
    def _properties(self) -> Any:
        """The library's evaluator; it takes seconds to build when there are thousands of coefficients."""
        from pypolymlp.core.params import PolymlpParams  # optional package

        return self._library(params=PolymlpParams(self._parameters), coeffs=[self._coefficients])

    @property
    def parameters(self) -> Any:
        """pypolymlp's PolymlpParamsSingle."""
        return self._parameters

    @property
    def coefficients(self) -> Floats:
        """Of the features, shape (n_features,), eV."""
        return self._coefficients

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols it knows, in its own order."""
        return self._elements

    @property
    def atomic_energies(self) -> dict[str, float]:
        """Energy of a free atom of each element, eV."""
        return dict(self._atomic_energies)

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Evaluate structures in one call of the library; their order is kept.

        Args:
            structures: periodic atoms; lengths in Å.

        Raises:
            InputError: when a structure has an element that the potential does not know.
        """
        if not structures:
            return []
        cells = [to_polymlp(atoms, self._elements) for atoms in structures]
        energies, forces, virials = self._properties.eval_multiple(cells)
        return [
            Evaluation(
                energy=float(energy) + sum(self._atomic_energies[s] for s in atoms.get_chemical_symbols()),
                forces=np.ascontiguousarray(force.T),
                stress=stress_from_virial(np.asarray(virial), atoms.get_volume()),
            )
            for atoms, energy, force, virial in zip(structures, energies, forces, virials, strict=True)
        ]


def polynomial_text(parameters: Any, coefficients: Floats) -> str:
    """Write a potential as the text of a polymlp.yaml.

    Args:
        parameters: pypolymlp's PolymlpParamsSingle.
        coefficients: of the unscaled features, shape (n_features,), eV.
    """
    from pypolymlp.core.io_polymlp import save_mlp  # optional package

    with tempfile.TemporaryDirectory() as folder, np.printoptions():
        # The library writes to a named file only, and changes numpy's way of printing.
        file = os.path.join(folder, "polymlp.yaml")
        save_mlp(parameters, coefficients, np.ones(len(coefficients)), filename=file)
        return Path(file).read_text(encoding="utf-8")


def pack_text(text: str) -> NDArray[np.uint8]:
    """Text as it is kept in a potential file: UTF-8, shape (n_bytes,), dimensionless."""
    return np.frombuffer(text.encode(), dtype=np.uint8)


def polynomial_committee(models: Sequence[PolynomialModel], calibrated: bool = False) -> Committee:
    """Put a mean model and members together; they are evaluated at once where their features allow it.

    Args:
        models: the mean model, then the members.
        calibrated: whether the members' spread was scaled, and judged on frames held out.
    """
    return Committee(models[0], tuple(models[1:]), PolynomialCommittee(models), calibrated)


def load_committee(path: Path) -> Committee:
    """Read the mean model and the members of a potential file, of whatever kind.

    Args:
        path: result file of the task "training".

    Raises:
        InputError: when the file holds no potential.
        MissingComponent: when the package of its kind is not installed.
    """
    from hashigo.calculators.workers.models import DEFAULT, get_kind  # they import this module

    with ResultReader(path) as reader:
        if reader.task != "training":
            raise InputError(f"{Path(path).name} is a result of '{reader.task}', not of a training")
        count = 0
        while reader.has(f"potential/members/{count}"):
            count += 1
        names = ["potential/mean", *(f"potential/members/{index}" for index in range(count))]
        blobs = [reader.array(name).tobytes() for name in names]
        kind = get_kind((reader.note("training") or {}).get("model", DEFAULT))
        calibration = reader.note("calibration") or {}
    committee = kind.committee([kind.load(blob) for blob in blobs], calibration)
    return replace(committee, calibrated=bool(calibration.get("calibrated")))


def committee_for(
    inputs: Mapping[str, Path], reference: Mapping[str, Any] | None, elements: Sequence[str]
) -> Committee:
    """The potential a lattice job works with: the trained committee, or the reference engine itself.

    Args:
        inputs: the job's input files; "potential" is the trained committee.
        reference: {"engine": name, "parameters": settings} of an engine cheap enough to be used directly; it
            has no members. None for the trained committee.
        elements: chemical symbols of the structure.

    Raises:
        InputError: when neither is given, or the engine cannot be used directly.
    """
    if not reference:
        if "potential" not in inputs:
            raise InputError("the job has neither a trained potential nor an engine to use in its place")
        return load_committee(inputs["potential"])
    from hashigo.calculators.engines import Workspace, get_engine
    from hashigo.calculators.workers.potential import AseModel

    engine = get_engine(str(reference["engine"]))
    if engine.calculator is None:
        raise InputError(
            f"engine '{engine.name}' cannot stand in for a potential: it runs one job for each configuration",
            fix="train a potential",
        )
    return Committee(
        mean=AseModel(engine.calculator(dict(reference.get("parameters") or {}), Workspace()), elements)
    )
