"""What the task "conductivity" computes, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.extrapolation import Departure
from hashigo.calculators.workers.lattice.direct import FAR_APART, BeyondRelaxation
from hashigo.calculators.workers.lattice.mesh_run import AUTO, SHARES
from hashigo.calculators.workers.lattice.mesh_series import MeshSeries, member_conductivity
from hashigo.calculators.workers.lattice.polar import Polar, marks, polar_note
from hashigo.calculators.workers.lattice.settle import Settled
from hashigo.calculators.workers.lattice.transport import Modes, cumulative

Floats = NDArray[np.float64]


#: Where the committee's spread comes in.
_COMMITTEE = {
    "potential": "committee of potentials",
    "sscha": "committee of potentials, third order only: the second is renormalised, the same for all",
}


@dataclass(frozen=True)
class CrossCheck:
    """Conductivity from the reference's own frames, beside the potential's on the same cell and displacements.

    Attributes:
        reference: a third of the trace, shape (n_temperatures,), W/(m K).
        potential: a third of the trace, shape (n_temperatures,), W/(m K).
        frames: count of frames used.
    """

    reference: Floats
    potential: Floats
    frames: int


@dataclass(frozen=True)
class Result:
    """What the task computes.

    Attributes:
        series: conductivity of the mean potential over the meshes.
        fine: its modes on the finest mesh.
        before: its modes on the meshes before the finest that tell its error, by mesh: two, or as many as there are.
        coarse: its modes on the coarse mesh.
        members: modes of each member on the coarse mesh.
        cross_check: from the reference's frames, or why there is none.
        polar: Born charges; None where they are not known.
        symbols: chemical symbols of the crystal's atoms.
        source: whose force constants the value is from, "potential", "reference" or "sscha".
        sampling: standard error of the reference's finite number of frames, relative, shape (n_temperatures,),
            dimensionless; None where it is not known.
        resampling: which frames were used and how `sampling` was come by; empty for a potential.
        calibrated: whether the committee's spread is.
        settled: how supercells and cut-off were found; None where they were given.
        stopped: what ended the series of meshes before its limit was known, in words; "" when nothing did.
        beyond: the direct solution and Wigner transport on the coarse mesh, or why they are not there.
    """

    series: MeshSeries
    fine: Modes
    before: dict[int, Modes]
    coarse: Modes
    members: list[Modes] = field(default_factory=list)
    cross_check: CrossCheck | str = "no reference frames were given"
    polar: Polar | None = None
    symbols: tuple[str, ...] = ()
    source: str = "potential"
    sampling: Floats | None = None
    resampling: str = ""
    calibrated: bool = False
    settled: Settled | None = None
    stopped: str = ""
    beyond: BeyondRelaxation | str = "not computed"

    @property
    def marks(self) -> tuple[str, ...]:
        """What the reader must know of the value."""
        unknown = self.source == "reference" and self.sampling is None
        far = not isinstance(self.beyond, str) and self.beyond.apart > FAR_APART
        return (
            *marks(self.polar, self.symbols),
            *(("error of sampling not known",) if unknown else ()),
            *(("far from the direct solution",) if far else ()),
        )

    def member_values(self, value: Floats | None = None) -> Floats | None:
        """Conductivity by member, shape (n_members, n_temperatures, 3, 3), W/(m K); None without members.

        Args:
            value: of the mean, shape (n_temperatures, 3, 3), W/(m K); by default on the finest mesh.
        """
        if not self.members:
            return None
        coarse = np.array([modes.conductivity() for modes in self.members])
        value = self.series.finest if value is None else value
        return member_conductivity(value, self.coarse.conductivity(), coarse)

    def relative_parts(self) -> dict[str, Floats]:
        """Parts of the uncertainty beside mesh and model, relative, each of shape (n_temperatures,), dimensionless.

        "sampling" is of the number of displaced supercells or of frames, "cutoff" of the third order's reach, "form"
        what the potential differs by from the reference on the reference's own displacements: the bias of the model's
        form, which its committee shares and so does not see.
        """
        parts = {} if self.settled is None else dict(self.settled.errors())
        if self.sampling is not None:
            parts["sampling"] = np.abs(self.sampling)
        if self.source != "reference" and isinstance(self.cross_check, CrossCheck):
            parts["form"] = np.abs(self.cross_check.potential / self.cross_check.reference - 1)
        return parts

    def components(self, value: Floats | None = None, mesh: Floats | None = None) -> dict[str, Floats]:
        """Parts of the standard uncertainty, each of shape (n_temperatures, 3, 3), W/(m K).

        Without an estimate of the mesh error there is none: the others alone would be taken for the whole.

        Args:
            value: shape (n_temperatures, 3, 3), W/(m K); by default on the finest mesh.
            mesh: its part of the mesh, shape (n_temperatures, 3, 3), W/(m K); by default the finest mesh's.
        """
        value = self.series.finest if value is None else value
        mesh = self.series.error() if mesh is None else mesh
        if mesh is None:
            return {}
        values = self.member_values(value)
        parts = {"mesh": mesh}
        if values is not None and len(values) > 1:
            parts["model"] = values.std(axis=0, ddof=1)
        for name, relative in self.relative_parts().items():
            parts[name] = np.abs(relative[:, None, None] * value)
        return parts

    @property
    def left(self) -> str:
        """What did not come within its share of the tolerance beside the mesh, in words; "" when all did."""
        return "" if self.settled is None else self.settled.left


def write(
    path: Path,
    result: Result,
    settings: Mapping[str, Any],
    task_version: int,
    outside: Departure | None = None,
) -> None:
    """Write the result file of the task.

    Args:
        path: file to write.
        result: of the task.
        settings: complete; temperatures in K, tolerance dimensionless.
        task_version: number of the task's version.
        outside: supercells that the potential was not trained for.
    """
    temperatures = [float(t) for t in settings["temperatures"]]
    series = result.series
    with ResultWriter(path, task="conductivity", task_version=task_version) as writer:
        writer.quantity(
            "lattice_thermal_conductivity",
            series.finest,
            conditions=[{"temperature": t} for t in temperatures],
            components=result.components(),
            members=result.member_values(),
            calibrated=result.calibrated,
            converged=series.converged(float(settings["tolerance"])) and not result.left,
            marks=result.marks,
        )
        _write_limit(writer, result, settings)
        if not isinstance(result.beyond, str):
            _write_methods(writer, result, result.beyond, temperatures, float(settings["tolerance"]))
        writer.array("temperatures", temperatures, units="K")
        writer.array("mesh/series", series.meshes, units="dimensionless")
        writer.array("mesh/kappa", series.conductivity, units="W/(m K)")
        result.fine.write(writer, "modes/fine")
        for mesh, modes in result.before.items():
            modes.write(writer, f"modes/meshes/{mesh}")
        result.coarse.write(writer, "modes/coarse/mean")
        for index, modes in enumerate(result.members):
            modes.write(writer, f"modes/coarse/members/{index}")
        paths, carried = cumulative(result.fine)
        writer.array("cumulative/mean_free_path", paths, units="nm")
        writer.array("cumulative/kappa", carried, units="W/(m K)")
        writer.note("mesh", _mesh_note(series, settings, result.stopped))
        if result.settled is not None:
            writer.note("settled", _settled_note(result.settled, settings))
        writer.note("cross_check", _cross_check_note(result.cross_check, settings))
        writer.note(
            "scope",
            {
                "carriers": "phonons only; where there are free electrons they carry heat too",
                "method": "relaxation-time approximation, three-phonon scattering"
                + (" and isotopes" if settings["isotopes"] else "")
                + _boundary(settings)
                + "; four-phonon scattering is left out",
                "non_analytic_term": result.polar is not None,
            },
        )
        writer.note("methods", _methods_note(result.beyond))
        writer.note("polar", polar_note(result.polar, result.symbols))
        if outside is not None:
            outside.write(writer)
        writer.note(
            "force_constants",
            {"source": result.source, "sampling": result.resampling or _COMMITTEE[result.source]},
        )


def _boundary(settings: Mapping[str, Any]) -> str:
    length = settings["boundary"]
    return "" if length is None else f", and a specimen's surface at {length:g} nm"


def _write_methods(
    writer: ResultWriter,
    result: Result,
    beyond: BeyondRelaxation,
    temperatures: list[float],
    tolerance: float,
) -> None:
    """The direct solution on the finest mesh, by its ratio on the coarse one, and what coherences add."""
    finest = result.series.finest
    value = beyond.conductivity(finest)
    own = {name: beyond.conductivity(part) for name, part in result.components().items()}
    votes = result.member_values()
    if "mesh" in own:
        own["mesh"] = np.hypot(own["mesh"], beyond.error(finest))
    conditions = [{"temperature": t} for t in temperatures]
    writer.quantity(
        "direct_thermal_conductivity",
        value,
        conditions=conditions,
        components=own,
        members=None if votes is None else beyond.conductivity(votes),
        calibrated=result.calibrated,
        converged=result.series.converged(tolerance) and not result.left,
        marks=marks(result.polar, result.symbols),
    )
    coarse = None if beyond.coarse is None else np.abs(beyond.fine.coherence - beyond.coarse.coherence)
    writer.quantity(
        "coherence_thermal_conductivity",
        beyond.fine.coherence,
        conditions=conditions,
        components={} if coarse is None else {"mesh": coarse},
        converged=None,
        marks=(f"on mesh {beyond.fine.mesh}",),
    )


def _methods_note(beyond: BeyondRelaxation | str) -> dict[str, Any]:
    if isinstance(beyond, str):
        return {"skipped": beyond}
    return {
        "mesh": beyond.fine.mesh,
        "direct_over_relaxation_time": beyond.fine.ratio.tolist(),
        "on_the_coarser_mesh": None if beyond.coarse is None else beyond.coarse.ratio.tolist(),
        "apart": beyond.apart,
        "limit": FAR_APART,
        "far_apart": beyond.apart > FAR_APART,
        "boundary": "the ratio is that of an infinite specimen",
    }


def _write_limit(writer: ResultWriter, result: Result, settings: Mapping[str, Any]) -> None:
    """The value extrapolated to an infinite mesh, where there are meshes enough."""
    limit, error = result.series.extrapolated(), result.series.limit_error()
    if limit is None or error is None:
        return
    due = SHARES["mesh"] * float(settings["tolerance"])
    writer.quantity(
        "lattice_thermal_conductivity_limit",
        limit,
        conditions=[{"temperature": float(t)} for t in settings["temperatures"]],
        components=result.components(limit, error),
        members=result.member_values(limit),
        calibrated=result.calibrated,
        converged=result.series.limit_converged(due) and not result.left,
        marks=result.marks,
    )


def _settled_note(settled: Settled, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "what": "displaced supercells and cut-off of the third order, found on the coarse mesh",
        "snapshots": settled.snapshots,
        "cutoff_angstrom": settled.cutoff,
        "steps": settled.steps,
        "unit": "W/(m K)",
        "tolerance": {name: share * float(settings["tolerance"]) for name, share in SHARES.items()},
        "left": settled.left,
    }


def _mesh_note(series: MeshSeries, settings: Mapping[str, Any], stopped: str) -> dict[str, Any]:
    error, limit = series.error(), series.extrapolated()

    def isotropic(tensors: Floats | None) -> list[float] | None:
        return None if tensors is None else (np.trace(tensors, axis1=-2, axis2=-1) / 3).tolist()

    method = {1: "not known: one mesh tells nothing of its error", 2: "difference of the two meshes"}
    return {
        "meshes": series.meshes.tolist(),
        "kappa": isotropic(series.conductivity),
        "extrapolated": isotropic(limit),
        "extrapolated_error": isotropic(series.limit_error()),
        "automatic": settings["meshes"] == AUTO,
        "stopped": stopped,
        "error": isotropic(error),
        "error_is": method.get(
            len(series.meshes),
            "the larger of two distances of the finest mesh: from the mesh before, and from a least-squares line in "
            "1/N through the last three meshes at 1/N = 0",
        ),
        "unit": "W/(m K)",
        "tolerance": float(settings["tolerance"]),
        "converged": series.converged(float(settings["tolerance"])),
        "coarse_mesh": int(settings["coarse_mesh"]),
    }


def _cross_check_note(check: CrossCheck | str, settings: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(check, str):
        return {"skipped": check}
    return {
        "what": "symfc on the reference's frames, and the potential on the same displacements",
        "kappa_reference": check.reference.tolist(),
        "kappa_potential": check.potential.tolist(),
        "temperatures": [float(t) for t in settings["temperatures"]],
        "unit": "W/(m K)",
        "mesh": int(settings["coarse_mesh"]),
        "cell": "the reference's",
        "frames": check.frames,
    }
