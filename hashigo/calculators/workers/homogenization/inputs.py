"""What the mesoscale takes from the crystal: stiffness, phonon modes, and their uncertainties."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hashigo.calculators.results import ResultReader
from hashigo.calculators.workers.handover_table import Column, HandoverTable
from hashigo.calculators.workers.homogenization.boundary import ModeSet, median_mean_free_path, read_modes
from hashigo.calculators.workers.homogenization.phonons import MeshModes, PhononModels
from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.calculators.workers.interpolation import integrated
from hashigo.errors import InputError


@dataclass(frozen=True)
class Crystal:
    """Elastic properties of the crystal.

    Attributes:
        stiffness: isothermal, Voigt, shape (n_conditions, 6, 6), GPa.
        members: of each committee member, shape (n_members, n_conditions, 6, 6), GPa; or None.
        calibrated: whether their spread is.
        conditions: temperature (K) of each; one without any for the stiffness of 0 K.
        marks: what the reader must know of it.
        temperatures: of the table, K.
        expansion: linear thermal expansion at them; None where it was not computed.
    """

    stiffness: Floats
    members: Floats | None
    calibrated: bool = False
    conditions: tuple[dict[str, float], ...] = ({},)
    marks: tuple[str, ...] = ()
    temperatures: tuple[float, ...] = ()
    expansion: Column | None = None

    @property
    def fixed(self) -> bool:
        """Whether the stiffness is that of 0 K at every temperature."""
        return self.conditions == ({},)

    @property
    def columns(self) -> list[int]:
        """Index of the condition that the stiffness at each temperature of the table is of."""
        return [0 if self.fixed else row for row in range(len(self.temperatures))]


@dataclass(frozen=True)
class Cooling:
    """A change of temperature from one at which a sample is free of stress.

    Attributes:
        stress_free: K.
        temperature: K.
        eigenstrain: strain of the crystal between them, shape (3, 3), dimensionless.
        members: of each member, shape (n_members, 3, 3), dimensionless; or None.
        calibrated: whether their spread is.
    """

    stress_free: float
    temperature: float
    eigenstrain: Floats
    members: Floats | None = None
    calibrated: bool = False

    @property
    def change(self) -> float:
        """Change of temperature, K."""
        return self.temperature - self.stress_free


@dataclass(frozen=True)
class Conduction:
    """Thermal properties of the crystal at the temperatures asked for.

    Attributes:
        models: phonon modes.
        indices: index of each temperature in the modes.
        temperatures: shape (n_temperatures,), K.
        mesh: relative uncertainty of the single crystal's lattice conductivity from the mesh, shape
            (n_temperatures,), dimensionless; None when it is not known.
        converged: whether the single crystal's conductivity is converged.
        median_path: median mean free path, shape (n_temperatures,), nm.
        bulk: conductivity of the single crystal with all its carriers that are known.
        calibrated: whether the spread of the committee's modes is.
        electronic: carried by electrons; None where there are none, or they are not known.
        marks: what the reader must know of the conductivity.
        lattice_marks: and of the lattice's part alone.
    """

    models: PhononModels
    indices: tuple[int, ...]
    temperatures: Floats
    mesh: Floats | None
    converged: bool
    median_path: Floats
    bulk: Column
    calibrated: bool = False
    electronic: Column | None = None
    marks: tuple[str, ...] = ()
    lattice_marks: tuple[str, ...] = ()

    @property
    def electronic_tensors(self) -> Floats | None:
        """Electronic part by temperature, shape (n_temperatures, 3, 3), W/(m K); None where there is none."""
        return None if self.electronic is None else self.electronic.value

    @property
    def first_mean(self) -> Conduction:
        """The mean model at the first temperature, without what only tells its uncertainty."""
        electronic = self.electronic
        return replace(
            self,
            models=replace(self.models, members=(), series=None),
            indices=self.indices[:1],
            temperatures=self.temperatures[:1],
            bulk=replace(self.bulk, value=self.bulk.value[:1], members=None),
            electronic=None if electronic is None else replace(electronic, value=electronic.value[:1]),
        )


#: Of what was computed on one random microstructure, and so has no part of the sampling in its uncertainty.
ONE_SAMPLE = "one realisation: what another would give is not known"


def marked(crystal: Crystal, conduction: Conduction | None, mark: str) -> tuple[Crystal, Conduction | None]:
    """The same, and all that follows from them has a mark more.

    Args:
        crystal: elastic properties.
        conduction: thermal ones, or None.
        mark: what the reader must know.
    """

    def more(column: Column | None) -> Column | None:
        return None if column is None else replace(column, marks=(*column.marks, mark))

    crystal = replace(crystal, marks=(*crystal.marks, mark), expansion=more(crystal.expansion))
    if conduction is not None:
        conduction = replace(
            conduction,
            bulk=replace(conduction.bulk, marks=(*conduction.bulk.marks, mark)),
            marks=(*conduction.marks, mark),
            lattice_marks=(*conduction.lattice_marks, mark),
        )
    return crystal, conduction


def read_crystal(table: HandoverTable) -> Crystal:
    """The isothermal stiffness and its committee.

    Args:
        table: the crystal's properties; where its stiffness is that of 0 K, there is one condition.
    """
    column = table.isothermal_stiffness

    def symmetric(matrix: Floats) -> Floats:
        return np.asarray(0.5 * (matrix + np.swapaxes(matrix, -1, -2)))

    count = 1 if column.fixed else len(table.temperatures)
    conditions = tuple({"temperature": float(kelvin)} for kelvin in table.temperatures)
    members = None if column.members is None else symmetric(column.members[:, :count])
    return Crystal(
        symmetric(column.value[:count]),
        members,
        column.calibrated,
        ({},) if column.fixed else conditions,
        () if column.fixed else column.marks,
        tuple(float(kelvin) for kelvin in table.temperatures),
        table.thermal_expansion,
    )


def read_cooling(reader: ResultReader, stress_free: float, temperature: float) -> Cooling:
    """Integrate the thermal expansion between two temperatures.

    Args:
        reader: open result file of the expansion task.
        stress_free: temperature at which a sample is free of stress, K.
        temperature: to which it is brought, K.

    Raises:
        InputError: when the expansion is not known at one of them.
    """
    record = reader.quantity("thermal_expansion")
    known = np.array([condition["temperature"] for condition in record.conditions])
    order = np.argsort(known)

    def strain(values: Floats) -> Floats:
        return integrated(
            known[order], values[order], stress_free, temperature, "the thermal expansion",
            "let expansion.temperatures reach it",
        )  # fmt: skip

    members = None if record.members is None else np.array([strain(member) for member in record.members])
    return Cooling(stress_free, temperature, strain(record.value), members, record.calibrated)


def read_conduction(reader: ResultReader, table: HandoverTable) -> Conduction:
    """Read phonon modes and the mesh error from a conductivity result.

    Args:
        reader: open result file of the conductivity task.
        table: the crystal's properties at the temperatures wanted.

    Raises:
        InputError: when an array or a temperature is missing.
    """
    temperatures = table.temperatures
    available = np.atleast_1d(np.asarray(reader.array("temperatures"), dtype=float))
    indices = []
    for value in temperatures:
        match = np.flatnonzero(np.isclose(available, value))
        if not len(match):
            shown = ", ".join(f"{kelvin:g}" for kelvin in available)
            raise InputError(
                f"the thermal conductivity was not computed at {value:g} K, only at {shown} K",
                fix="choose the mesoscale's temperatures among those of the conductivity stage",
            )
        indices.append(int(match[0]))
    names = (
        sorted(reader.file["data/modes/coarse/members"], key=int)
        if reader.has("modes/coarse/members")
        else []
    )
    fine = read_modes(reader, "modes/fine")
    models = PhononModels(
        fine=fine,
        coarse=read_modes(reader, "modes/coarse/mean") if names else None,
        members=tuple(read_modes(reader, f"modes/coarse/members/{name}") for name in names),
        series=_read_series(reader, fine),
    )
    mesh, converged = _mesh_error(reader, temperatures)
    path = np.array([median_mean_free_path(models.fine, index) for index in indices])
    kappa = table.total_conductivity or table.lattice_conductivity
    return Conduction(
        models,
        tuple(indices),
        temperatures,
        mesh,
        converged,
        path,
        kappa,
        table.lattice_conductivity.calibrated,
        table.electronic_conductivity,
        kappa.marks,
        table.lattice_conductivity.marks,
    )


def _read_series(reader: ResultReader, fine: ModeSet) -> MeshModes | None:
    """The modes on the last meshes; None with one mesh, or in a file of before they were kept."""
    tolerance = (reader.note("mesh") or {}).get("tolerance")
    if tolerance is None or not reader.has("modes/meshes"):
        return None
    meshes = sorted(int(name) for name in reader.file["data/modes/meshes"])
    before = [read_modes(reader, f"modes/meshes/{mesh}") for mesh in meshes]
    finest = int(reader.array("mesh/series")[-1])
    return MeshModes((*meshes, finest), (*before, fine), float(tolerance))


def _mesh_error(reader: ResultReader, temperatures: Floats) -> tuple[Floats | None, bool]:
    """Relative uncertainty of the crystal's conductivity from its mesh, and whether it is converged."""
    record = reader.quantity("lattice_thermal_conductivity")
    part = record.components.get("mesh")
    if part is None:
        return None, bool(record.converged)
    known = np.array([condition["temperature"] for condition in record.conditions])
    rows = [int(np.argmin(np.abs(known - value))) for value in temperatures]
    trace = np.trace(record.value[rows], axis1=1, axis2=2)
    return np.asarray(np.trace(part[rows], axis1=1, axis2=2) / trace), bool(record.converged)
